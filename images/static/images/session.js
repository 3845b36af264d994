// The session of the admin's user in this browser, which can end and be renewed in another tab.

export class SignedOut extends Error {} // a retry can succeed after a new sign-in

// Returns the CSRF token. It is read for each request, because each sign-in changes it.
export function token() {
  return (document.cookie.match(/(?:^|; )csrftoken=([^;]*)/) || [])[1] || "";
}

// Returns the JSON document at a URL; null if the user is signed out. Throws if the service fails.
export async function read(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  if (response.redirected) return null; // to the sign-in page
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}
