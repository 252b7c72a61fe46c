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
