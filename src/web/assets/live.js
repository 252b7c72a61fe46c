// Keeps the page as it is now: what changed on the server is fetched and put in its place. What
// somebody types or has opened stays.
"use strict";
(() => {
  const state = document.getElementById("live");
  const root = document.documentElement;
  let busy = false;
  let again = false;

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) { put(new DOMParser().parseFromString(await answer.text(), "text/html")); }
    } catch { /* the connection tells */ }
    busy = false;
    if (again) { again = false; refresh(); }
  }

  function put(fresh) {
    document.title = fresh.title;
    root.dataset.version = fresh.documentElement.dataset.version;
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (!other || other.innerHTML === part.innerHTML) { continue; }
      if (part.contains(document.activeElement) && document.activeElement !== document.body) {
        const id = document.activeElement.getAttribute("href");
        swap(part, other);
        const back = id && [...part.querySelectorAll("a")].find((it) => it.getAttribute("href") === id);
        if (back) { back.focus({ preventScroll: true }); }
      } else {
        swap(part, other);
      }
    }
  }

  function swap(part, other) {
    const open = new Set([...part.querySelectorAll("details[open][id]")].map((it) => it.id));
    for (const details of other.querySelectorAll("details[id]")) {
      if (open.has(details.id)) { details.open = true; }
    }
    part.className = other.className;
    part.replaceChildren(...other.childNodes);
  }

  const source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => { state.textContent = "live"; });
  source.addEventListener("error", () => { state.textContent = "not connected"; });
  source.addEventListener("changed", (event) => {
    if (event.data !== root.dataset.version) { refresh(); }
  });
  // Ages grow.
  setInterval(() => { if (!document.hidden) { refresh(); } }, 60000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { refresh(); } });
})();
