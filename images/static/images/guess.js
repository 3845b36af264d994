// Guesses the name and the formats of a new image from the file or the URL of its data, once that is
// chosen. What the user has entered stays.
import { token } from "./session.js";

const HEAD = 65536; // bytes, in which the service finds the signature of every format
const FIELDS = ["name", "disk_format", "container_format"];

function begin(form) {
  const guessed = new Map(); // field -> the value that was guessed for it
  const note = form.querySelector("[data-guessed]");

  async function guess(name, head) {
    const url = `${form.dataset.guess}?name=${encodeURIComponent(name.slice(-255))}`;
    const headers = { "X-CSRFToken": token(), "Content-Type": "application/octet-stream" };
    const response = await fetch(url, { method: "POST", body: head, headers });
    if (!response.ok || response.redirected) return;
    const values = await response.json();
    let filled = false;
    for (const field of FIELDS) {
      const control = form.elements.namedItem(field);
      if (!control || (control.value && control.value !== guessed.get(field))) continue;
      control.value = values[field];
      guessed.set(field, control.value);
      filled ||= Boolean(control.value);
    }
    note.hidden = !filled;
  }

  function look({ type, files, value, name }) {
    if (type === "file" && files.length) guess(files[0].name, files[0].slice(0, HEAD));
    if (name === "url" && value) guess(value.split(/[?#]/)[0].split("/").pop(), null);
  }

  form.addEventListener("change", (event) => look(event.target));
  for (const control of form.elements) {
    if (control.type === "file") look(control); // it was chosen before this script ran
  }
}

const form = document.querySelector("form[data-guess]");
if (form) begin(form);
