// Polls statuses, progress and counts, and updates the page. Without it the pages are complete but static.
"use strict";
(() => {
  const page = document.querySelector("[data-poll]");
  if (!page) return;
  const every = Number(page.dataset.every);
  const transient = new Set(["saving", "uploading", "importing"]);
  let failures = 0; // since the last response

  function ids() {
    const shown = page.querySelectorAll("[data-image], [data-polled]");
    return [...shown].map((element) => element.dataset.image || element.dataset.polled);
  }

  function url() {
    const list = page.closest("#changelist-form");
    return list ? `${page.dataset.poll}?ids=${ids().join(",")}` : page.dataset.poll;
  }

  function showText(attribute, name, text) {
    for (const element of document.querySelectorAll(`[${attribute}="${CSS.escape(name)}"]`)) {
      if (element.textContent !== text) element.textContent = text;
    }
  }

  function showStatus(id, image) {
    for (const badge of document.querySelectorAll(`[data-image="${CSS.escape(id)}"] .badge`)) {
      badge.className = `badge status-${image.status}`;
      badge.textContent = image.label;
    }
  }

  // A form with unsaved input is kept: the page then shows a note instead of reloading.
  function reload() {
    if (page.querySelector("[data-touched]")) {
      page.querySelector(".reload-note").hidden = false;
    } else {
      window.location.reload();
    }
  }

  function showProgress(work) {
    for (const bar of document.querySelectorAll(`[data-transfer="${work.id}"]`)) {
      if (work.percent !== null) bar.value = work.percent;
    }
    showText("data-words", work.id, work.words);
    showText("data-rate", work.id, work.rate);
  }

  async function poll() {
    const response = await fetch(url(), { headers: { Accept: "application/json" } });
    if (!response.ok || response.redirected) throw new Error(String(response.status));
    const state = await response.json();
    for (const [name, text] of Object.entries(state.live || {})) showText("data-live", name, text);
    for (const [id, image] of Object.entries(state.images || {})) showStatus(id, image);
    const open = [...(state.transfers || []), ...(state.jobs || [])];
    for (const work of open) showProgress(work);
    if ("state" in page.dataset && state.state !== page.dataset.state) reload();
    const waits = Object.values(state.images || {}).some((image) => transient.has(image.status));
    return waits || open.length > 0;
  }

  async function round() {
    let busy = true;
    if (!document.hidden) {
      try {
        busy = await poll();
        failures = 0;
      } catch {
        failures += 1; // signed out, or the service is unavailable: poll less often
      }
    }
    if (failures < 8) window.setTimeout(round, every * 2 ** failures * (busy ? 1 : 5));
  }

  page.addEventListener("input", (event) => {
    const form = event.target.closest("#image_form");
    if (form) form.dataset.touched = "";
  });
  window.setTimeout(round, every);
})();
