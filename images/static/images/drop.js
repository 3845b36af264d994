// Lets the user drop a file on a form. Beside the form, a dropped file would replace the page.

function hasFiles(event) {
  return event.dataTransfer.types.includes("Files");
}

// `area` is highlighted while a file is above the form of `input`, which gets the dropped file.
// `refuse` is called if more than one file is dropped.
export function acceptDrops(area, input, refuse) {
  const isOpen = (event) =>
    !input.disabled && !area.hidden && input.form.contains(event.target);
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    area.classList.toggle("dragging", isOpen(event));
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) area.classList.remove("dragging");
  });
  window.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    area.classList.remove("dragging");
    if (!isOpen(event)) return;
    if (event.dataTransfer.files.length !== 1) {
      refuse();
      return;
    }
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
