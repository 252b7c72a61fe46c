// Updates the page when the server reports a change: fetches it again and replaces the parts that
// differ. Form input and open details are kept.
"use strict";
(() => {
  const status = document.getElementById("live");
  const root = document.documentElement;
  let refreshing = false;
  let pending = false;

  async function refresh() {
    if (refreshing) { pending = true; return; }
    refreshing = true;
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.ok) { update(new DOMParser().parseFromString(await response.text(), "text/html")); }
    } catch { /* the event stream shows the connection state */ }
    refreshing = false;
    if (pending) { pending = false; refresh(); }
  }

  function update(fresh) {
    document.title = fresh.title;
    const icon = document.getElementById("icon");
    const fetched = fresh.getElementById("icon");
    if (icon.getAttribute("href") !== fetched.getAttribute("href")) { icon.replaceWith(fetched); }
    root.dataset.version = fresh.documentElement.dataset.version;
    for (const part of document.querySelectorAll("[data-live]")) {
      const replacement = fresh.getElementById(part.id);
      if (!replacement || replacement.innerHTML === part.innerHTML) { continue; }
      if (part.contains(document.activeElement) && document.activeElement !== document.body) {
        const href = document.activeElement.getAttribute("href");
        replace(part, replacement);
        const link = href && [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === href);
        if (link) { link.focus({ preventScroll: true }); }
      } else {
        replace(part, replacement);
      }
    }
  }

  function replace(part, replacement) {
    const open = new Set([...part.querySelectorAll("details[open][id]")].map((details) => details.id));
    for (const details of replacement.querySelectorAll("details[id]")) {
      if (open.has(details.id)) { details.open = true; }
    }
    part.className = replacement.className;
    part.replaceChildren(...replacement.childNodes);
  }

  // Buttons that copy a block appear only with this script.
  root.classList.add("script");
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) { return; }
    const block = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
    } catch {
      // The clipboard needs HTTPS or localhost.
      getSelection().selectAllChildren(block);
      button.textContent = "Selected: copy it with the keyboard";
    }
  });

  // The result of a request is shown once.
  const url = new URL(location.href);
  if (url.searchParams.has("run")) {
    url.searchParams.delete("run");
    history.replaceState(null, "", url);
  }

  const source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => { status.textContent = "live"; });
  source.addEventListener("error", () => { status.textContent = "disconnected"; });
  source.addEventListener("changed", (event) => {
    if (event.data !== root.dataset.version) { refresh(); }
  });
  // Relative times change.
  setInterval(() => { if (!document.hidden) { refresh(); } }, 60000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { refresh(); } });
})();
