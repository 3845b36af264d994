// Sends a file to the service in chunks with tus 1.0.0 (https://tus.io), from the browser's session.
import { SignedOut, token } from "./session.js";

const CHUNK = 64 * 2 ** 20; // bytes in a request; the service stores upload chunks of this size
const PATIENCE = 15; // seconds without progress after which a connection counts as lost

export class Refused extends Error {} // a retry would fail as well
export class Locked extends Error {} // another request is sending

export class Upload {
  // `uploads` is the URL of the image's uploads, `id` the id of an open upload or empty.
  constructor(uploads, id, offset) {
    this.uploads = uploads;
    this.url = id && `${uploads}/${id}`;
    this.offset = offset; // bytes that the service has
    this.sent = offset; // the end of what this tab has sent; the service may have lost a part
    this.request = null;
    this.onprogress = () => {};
  }

  call(method, target, headers = {}, body = null) {
    return new Promise((resolve, reject) => {
      const sent = new XMLHttpRequest();
      this.request = sent;
      sent.open(method, target);
      const all = { "Tus-Resumable": "1.0.0", "X-CSRFToken": token(), Accept: "text/plain" };
      for (const [name, value] of Object.entries({ ...all, ...headers })) {
        sent.setRequestHeader(name, value);
      }
      if (body) this.watch(sent);
      else sent.timeout = 2 * PATIENCE * 1000;
      sent.onload = () => resolve(sent);
      sent.onerror = sent.onabort = sent.ontimeout = () => reject(new Error());
      sent.send(body);
    });
  }

  // Aborts a request whose body makes no progress: a connection can be lost without a sign of it.
  watch(sent) {
    const start = this.offset;
    let timer = null;
    const stop = () => window.clearTimeout(timer);
    const restart = () => {
      stop();
      timer = window.setTimeout(() => sent.abort(), PATIENCE * 1000);
    };
    sent.upload.onprogress = (event) => {
      restart();
      this.sent = Math.max(this.sent, start + event.loaded);
      this.onprogress(start + event.loaded);
    };
    sent.upload.onload = stop; // the response may take long
    sent.onloadend = stop;
    restart();
  }

  // Returns a successful response. Errors that may pass are plain Errors.
  check(response) {
    if (response.status < 300) return response;
    const reason = reasonIn(response);
    if (response.status === 403) throw new SignedOut(reason);
    if (response.status === 423) throw new Locked(reason);
    const temporary = [400, 408, 409, 429].includes(response.status) || response.status >= 500;
    throw temporary ? new Error(reason) : new Refused(reason);
  }

  async create(file, digests) {
    const name = new TextEncoder().encode(file.name.slice(-255));
    const response = await this.call("POST", this.uploads, {
      "Upload-Length": String(file.size),
      "Upload-Metadata": `filename ${encoded(name)}`,
      "Repr-Digest": digestField(digests),
    });
    if (response.status === 403) this.check(response);
    if (response.status !== 201) throw new Refused(reasonIn(response));
    this.url = `${this.uploads}/${response.getResponseHeader("Location").split("/").pop()}`;
    this.offset = this.sent = 0;
  }

  async send(file) {
    const end = Math.min(this.offset + CHUNK, file.size);
    const response = this.check(
      await this.call(
        "PATCH",
        this.url,
        { "Upload-Offset": String(this.offset), "Content-Type": "application/offset+octet-stream" },
        file.slice(this.offset, end),
      ),
    );
    this.sent = Math.max(this.sent, end);
    this.offset = Number(response.getResponseHeader("Upload-Offset"));
  }

  async readOffset() {
    const response = await this.call("HEAD", this.url);
    if (response.status === 404 || response.status === 410) throw new Refused(await this.reason());
    this.offset = Number(this.check(response).getResponseHeader("Upload-Offset"));
  }

  async read() {
    return JSON.parse(this.check(await this.call("GET", this.url)).responseText);
  }

  async reason() {
    try {
      return (await this.read()).error || "";
    } catch {
      return "";
    }
  }

  // All data is received, but the service may still be storing it.
  async isComplete() {
    const upload = await this.read();
    if (upload.status === "failed") throw new Refused(upload.error || "");
    return upload.status === "complete";
  }

  async cancel() {
    this.abort();
    if (this.url) await this.call("DELETE", this.url).catch(() => {});
  }

  abort() {
    if (this.request) this.request.abort();
  }
}

// The reason in a response that is an error, as plain text: its second paragraph.
function reasonIn(response) {
  return response.responseText.split("\n\n")[1] || "";
}

function encoded(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

// The header Repr-Digest (RFC 9530) for digests in hexadecimal.
function digestField(digests) {
  const bytes = (hex) => hex.match(/../g).map((pair) => parseInt(pair, 16));
  const items = Object.entries(digests).map(([name, hex]) => `${name}=:${encoded(bytes(hex))}:`);
  return items.join(", ");
}
