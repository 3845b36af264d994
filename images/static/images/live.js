// Polls statuses, progress and counts, and updates the page. Without it the pages are complete but
// static. A notice says when the page can no longer be updated.
"use strict";
(() => {
  const page = document.querySelector("[data-poll]");
  if (!page) return;
  const every = Number(page.dataset.every);
  const LONGEST = 60_000; // ms between two attempts while polling fails
  const LOST = 3; // failures in a row after which the notice appears
  const transient = new Set(["saving", "uploading", "importing"]);
  let failures = 0; // since the last response
  let timer = null;

  class SignedOut extends Error {}

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
      badge.className = `badge status-${image.tone}`;
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

  // Shows the notice for this reason, "signed-out" or "lost"; no notice for an empty reason.
  function showNotice(reason) {
    for (const notice of document.querySelectorAll("[data-stale]")) {
      notice.hidden = notice.dataset.stale !== reason;
    }
  }

  async function poll() {
    const response = await fetch(url(), { headers: { Accept: "application/json" } });
    if (response.redirected) throw new SignedOut();
    if (!response.ok) throw new Error(String(response.status));
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
    window.clearTimeout(timer);
    let busy = true;
    if (!document.hidden) {
      try {
        busy = await poll();
        failures = 0;
        showNotice("");
      } catch (error) {
        failures += 1; // poll less often
        if (error instanceof SignedOut) showNotice("signed-out");
        else if (failures >= LOST) showNotice("lost");
      }
    }
    const delay = every * 2 ** Math.min(failures, 8) * (busy ? 1 : 5);
    window.clearTimeout(timer);
    timer = window.setTimeout(round, Math.min(delay, Math.max(LONGEST, every)));
  }

  page.addEventListener("input", (event) => {
    const form = event.target.closest("#image_form");
    if (form) form.dataset.touched = "";
  });
  // For example after a new sign-in in another tab.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && failures) round();
  });
  window.addEventListener("online", () => failures && round());
  timer = window.setTimeout(round, every);
})();
