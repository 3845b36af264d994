// The table of properties in a form. Keeps an empty row for a new property at the end; without JavaScript
// there are three. Enter in the name of a property goes to its value, and does not save.
"use strict";
(() => {
  const body = document.querySelector("table.properties tbody");
  if (!body) return;
  const empty = body.querySelector("tr.new").cloneNode(true);
  body.addEventListener("input", () => {
    const last = body.lastElementChild;
    if (last.querySelector("input").value) body.append(empty.cloneNode(true));
  });
  body.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.name !== "property_name") return;
    event.preventDefault();
    event.target.closest("tr").querySelector("[name=property_value]").focus();
  });
})();
