// Keeps what a user types in a form: the browser warns before the page is left, and what was sent after
// the end of the session is in the form again after the next sign-in.
"use strict";
(() => {
  const PREFIX = "typed:";
  const SIGNED_OUT = `${PREFIX}signed-out`; // whether the sign-in page was shown since
  const NOT_KEPT = ["hidden", "submit", "button", "password", "file", "fieldset", "output"];

  if (document.body.classList.contains("login")) {
    sessionStorage.setItem(SIGNED_OUT, "yes");
    return;
  }
  const button = document.querySelector("#content form[method=post] .submit-row [type=submit]");
  const form = button && button.form;
  const key = PREFIX + window.location.pathname;
  const kept = sessionStorage.getItem(SIGNED_OUT) && sessionStorage.getItem(key);
  for (const name of Object.keys(sessionStorage)) {
    if (name.startsWith(PREFIX)) sessionStorage.removeItem(name);
  }
  if (!form) return;
  const table = form.querySelector("table.properties");

  function valueOf(element) {
    if (element.type === "checkbox") return element.checked ? "True" : "False";
    if (element.type === "radio") return String(element.checked);
    return element.value;
  }

  function shownFirst(element) {
    const initial = form.elements[`initial-${element.name}`];
    if (initial) return initial.value;
    if (element.type === "checkbox") return element.defaultChecked ? "True" : "False";
    if (element.type === "radio") return String(element.defaultChecked);
    if (element.type !== "select-one") return element.defaultValue;
    const chosen = [...element.options].find((option) => option.defaultSelected);
    return (chosen || element.options[0]).value;
  }

  // The fields outside of the table of properties, each with its place among those of its name.
  function fields() {
    const places = new Map();
    return [...form.elements].flatMap((element) => {
      if (!element.name || NOT_KEPT.includes(element.type) || element.hidden) return [];
      if (table && table.contains(element)) return [];
      const place = places.get(element.name) || 0;
      places.set(element.name, place + 1);
      return [{ element, place }];
    });
  }

  function rows() {
    return [...(table ? table.tBodies[0].rows : [])].map((row) => ({
      name: row.querySelector("[name=property_name]"),
      value: row.querySelector("[name=property_value]"),
    }));
  }

  // What differs from what the page showed first, or null.
  function changes() {
    const values = fields()
      .filter(({ element }) => valueOf(element) !== shownFirst(element))
      .map(({ element, place }) => [element.name, place, valueOf(element)]);
    const shownValues = form.querySelectorAll("[name=shown_value]");
    const shownNames = [...form.querySelectorAll("[name=shown_name]")].map((it) => it.value);
    const shown = new Map(shownNames.map((name, index) => [name, shownValues[index].value]));
    const entered = rows().map(({ name, value }) => [name.value, value.value]);
    const set = entered.filter(([name, value]) => (name || value) && shown.get(name) !== value);
    const left = new Set(entered.map(([name]) => name));
    const removed = shownNames.filter((name) => !left.has(name));
    return values.length || set.length || removed.length ? { values, set, removed } : null;
  }

  function restore({ values, set, removed }) {
    for (const [name, place, value] of values) {
      const found = fields().find((it) => it.element.name === name && it.place === place);
      if (!found || found.element.disabled) continue;
      if (found.element.type === "checkbox") found.element.checked = value === "True";
      else if (found.element.type === "radio") found.element.checked = value === "true";
      else found.element.value = value;
    }
    for (const { name } of rows()) if (removed.includes(name.value)) name.value = "";
    for (const [name, value] of set) {
      const row = rows().find((it) => it.name.value === name) || rows().at(-1);
      row.name.value = name;
      row.value.value = value;
      row.name.dispatchEvent(new Event("input", { bubbles: true })); // adds the next empty row
    }
    form.dispatchEvent(new Event("input", { bubbles: true }));
    const note = document.querySelector(".restored");
    note.hidden = false;
    note.querySelector("a").addEventListener("click", () => (leaving = true));
  }

  let leaving = false;
  if (kept && !document.querySelector(".errornote")) restore(JSON.parse(kept));
  form.addEventListener("submit", () => {
    leaving = true;
    const made = changes();
    if (made) sessionStorage.setItem(key, JSON.stringify(made));
  });
  window.addEventListener("pageshow", () => (leaving = false));
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && changes()) event.preventDefault();
  });
})();
