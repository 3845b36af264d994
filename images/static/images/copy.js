// Buttons that copy a text. Browsers allow this on https and on localhost only.
"use strict";
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "✓";
    window.setTimeout(() => (button.textContent = label), 1500);
  });
}
