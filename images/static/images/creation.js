// Creates the image that a form describes, without leaving the page and the file chosen in it.
import { SignedOut, token } from "./session.js";

// Returns the name, status and addresses of the new image; null if the service has refused the
// form, whose errors are then shown.
export async function create(form) {
  const values = new URLSearchParams(new FormData(form));
  values.delete("csrfmiddlewaretoken"); // it changes when the user signs in again
  const headers = { Accept: "application/json", "X-CSRFToken": token() };
  const response = await fetch(form.action, { method: "POST", body: values, headers });
  if (response.redirected || response.status === 403) throw new SignedOut();
  if (response.status !== 201) {
    showErrors(form, await response.text());
    return null;
  }
  const made = await response.json();
  window.history.replaceState(null, "", made.page);
  for (const part of form.querySelectorAll("[data-before]")) part.hidden = true;
  return made;
}

// Replaces the parts of the form that show errors by those of a page with the refused form.
function showErrors(form, html) {
  const answer = new DOMParser().parseFromString(html, "text/html");
  for (const part of form.querySelectorAll("[data-part]")) {
    const other = answer.querySelector(`[data-part="${part.dataset.part}"]`);
    if (other) part.replaceWith(other);
  }
  const first = form.querySelector(".errornote, .errorlist");
  if (first) first.scrollIntoView({ block: "center" });
}
