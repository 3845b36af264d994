// The frame of each page: tells the service the reader's time zone, opens the search with the key "/",
// labels the cells of lists, which phones show as cards, and folds the filters on phones.
"use strict";
(() => {
  // Times are shown in the zone that the cookie names, from the next page on.
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const kept = window.localStorage.getItem("time_zone");

  function tell(zone) {
    const secure = window.location.protocol === "https:" ? "; secure" : "";
    document.cookie = `time_zone=${zone}; path=/admin/; max-age=31536000; samesite=lax${secure}`;
  }

  tell(kept || local);
  const button = document.getElementById("switch-time-zone");
  if (button && local !== "UTC") {
    const isLocal = kept !== "UTC";
    button.textContent = isLocal ? button.dataset.utc : button.dataset.local;
    button.hidden = false;
    button.addEventListener("click", () => {
      if (isLocal) window.localStorage.setItem("time_zone", "UTC");
      else window.localStorage.removeItem("time_zone");
      tell(isLocal ? "UTC" : local);
      window.location.reload();
    });
  }

  const search = document.getElementById("site-search");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (!search || event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    search.focus();
  });

  // The menu of the account closes when something else is used.
  const account = document.querySelector("details.account");
  function closeAccount(event) {
    if (account.open && !account.contains(event.target)) account.open = false;
  }
  if (account) {
    document.addEventListener("click", closeAccount);
    document.addEventListener("focusin", closeAccount);
    account.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      account.open = false;
      account.querySelector("summary").focus();
    });
  }

  // Django labels the columns of forms in a table, but not their fields, and select2 copies no label.
  function nameFields(row) {
    const titles = row.closest("table").querySelectorAll("thead th");
    [...row.cells].forEach((cell, at) => {
      const title = titles[at]?.textContent.trim();
      for (const field of title ? cell.querySelectorAll("input, select, textarea") : []) field.setAttribute("aria-label", title);
    });
  }

  function nameChoices() {
    for (const choice of document.querySelectorAll("select + .select2 [role='combobox']")) {
      const select = choice.closest(".select2").previousElementSibling;
      const title = select.getAttribute("aria-label") || select.labels[0]?.textContent.trim().replace(/:$/, "");
      if (!title) continue;
      for (const part of [choice, ...choice.querySelectorAll("[role='textbox']")]) {
        part.setAttribute("aria-label", title);
        part.removeAttribute("aria-labelledby");
      }
    }
    // An element without a role can have no label.
    for (const icon of document.querySelectorAll("span[aria-label]:not([role])")) icon.setAttribute("role", "img");
  }

  for (const row of document.querySelectorAll(".tabular tr.form-row")) nameFields(row);
  document.addEventListener("formset:added", (event) => {
    if (event.target.matches("tr")) nameFields(event.target);
    nameChoices();
  });
  window.addEventListener("load", () => window.setTimeout(nameChoices));

  for (const table of document.querySelectorAll("#result_list")) {
    const titles = [...table.querySelectorAll("thead th")].map((head) => head.querySelector(".text")?.textContent.trim() || "");
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, at) => {
        cell.dataset.label = titles[at];
        cell.classList.toggle("none", ["–", "-"].includes(cell.textContent.trim()));
      });
    }
  }

  // A phone shows the results first: the filters that are set are listed above them.
  if (window.matchMedia("(max-width: 767px)").matches) {
    for (const fields of document.querySelectorAll(".filters > details[open]")) {
      fields.open = Boolean(fields.querySelector(".errorlist"));
    }
    for (const current of document.querySelectorAll(".tabs a[aria-current]")) {
      const row = current.closest("ul");
      row.scrollLeft = current.offsetLeft - row.offsetLeft - 40;
    }
  }
})();
