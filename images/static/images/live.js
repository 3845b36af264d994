// Asks now and then what has moved, and shows it. Without it the pages are complete, only still.
"use strict";
(() => {
  const page = document.querySelector("[data-poll]");
  if (!page) return;
  const every = Number(page.dataset.every);
  const moving = new Set(["saving", "uploading", "importing"]);
  let silent = 0;

  function ids() {
    return [...page.querySelectorAll("[data-image]")].map((it) => it.dataset.image);
  }

  function address() {
    const list = page.closest("#changelist-form");
    return list ? `${page.dataset.poll}?ids=${ids().join(",")}` : page.dataset.poll;
  }

  function showText(attribute, name, text) {
    for (const it of document.querySelectorAll(`[${attribute}="${CSS.escape(name)}"]`)) {
      if (it.textContent !== text) it.textContent = text;
    }
  }

  function showStatus(id, found) {
    for (const it of document.querySelectorAll(`[data-image="${CSS.escape(id)}"] .badge`)) {
      it.className = `badge status-${found.status}`;
      it.textContent = found.label;
    }
    const before = page.dataset.status;
    if (before && before !== found.status) movedOn();
  }

  // A form that somebody is filling in is never taken away.
  function movedOn() {
    if (page.querySelector("[data-touched]")) {
      page.querySelector(".reload-note").hidden = false;
    } else {
      window.location.reload();
    }
  }

  function showProgress(found) {
    for (const bar of document.querySelectorAll(`[data-transfer="${found.id}"]`)) {
      if (found.percent !== null) bar.value = found.percent;
    }
    showText("data-words", found.id, found.words);
    showText("data-rate", found.id, found.rate);
  }

  async function ask() {
    const response = await fetch(address(), { headers: { Accept: "application/json" } });
    if (!response.ok || response.redirected) throw new Error(String(response.status));
    const found = await response.json();
    for (const [name, text] of Object.entries(found.live || {})) showText("data-live", name, text);
    for (const [id, one] of Object.entries(found.images || {})) showStatus(id, one);
    for (const one of found.transfers || []) showProgress(one);
    return Object.values(found.images || {}).some((one) => moving.has(one.status));
  }

  async function round() {
    let busy = true;
    if (!document.hidden) {
      try {
        busy = await ask();
        silent = 0;
      } catch {
        silent += 1; // signed out, or the service is away: ask ever less often
      }
    }
    if (silent < 8) window.setTimeout(round, every * 2 ** silent * (busy ? 1 : 5));
  }

  page.addEventListener("input", (event) => {
    const form = event.target.closest("#image_form");
    if (form) form.dataset.touched = "";
  });
  window.setTimeout(round, every);
})();
