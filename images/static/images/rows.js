// Keeps an empty row for a new property at the end. Without JavaScript there are three.
"use strict";
(() => {
  const body = document.querySelector("table.properties tbody");
  if (!body) return;
  const empty = body.querySelector("tr.new").cloneNode(true);
  body.addEventListener("input", () => {
    const last = body.lastElementChild;
    if (last.querySelector("input").value) body.append(empty.cloneNode(true));
  });
})();
