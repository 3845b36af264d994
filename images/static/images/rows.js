// There is always one more empty row for a property. Without it there are three.
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
