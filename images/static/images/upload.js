// Uploads a file in chunks with tus 1.0.0 (https://tus.io), read from the disk as needed. After a
// lost connection or a reload, the service returns the offset at which the upload resumes. The
// upload states the SHA-256 of the file, so that the service refuses other data.
"use strict";
(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  form.hidden = false;
  const CHUNK = 64 * 2 ** 20; // bytes in a request; the service stores upload chunks of this size
  const DELAYS = [1, 2, 4, 8, 15]; // seconds between attempts
  const PATIENCE = 15; // seconds without progress after which a connection counts as lost
  const texts = form.dataset;
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const input = form.querySelector("input[type=file]");
  const wanted = form.querySelector("[name=digest]"); // missing if an upload is resumed
  const submit = form.querySelector("input[type=submit]");
  const bar = form.querySelector("progress");
  const buttons = {
    pause: form.querySelector("[data-do=pause]"),
    cancel: form.querySelector("[data-do=cancel]"),
  };
  let url = texts.upload && `${texts.uploads}/${texts.upload}`;
  let offset = Number(texts.offset);
  let running = false; // true until the upload ends, is paused or cancelled
  let request = null; // the current one
  let endDelay = null; // ends the delay between attempts
  let samples = []; // [time, bytes] of the last seconds, for the speed
  let hashing = null; // ends the computation of the digest
  let hashed = {}; // the file whose digest was computed, and its digest

  class Refused extends Error {} // a retry would fail as well
  class OtherFile extends Error {} // the upload can go on with another file

  // Display

  function size(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = 0;
    for (; bytes >= 1024 && step < units.length - 1; step += 1) bytes /= 1024;
    return `${bytes.toFixed(step && bytes < 100 ? 1 : 0)} ${units[step]}`;
  }

  function clock(seconds) {
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    const hours = seconds >= 3600 ? `${Math.floor(seconds / 3600)}:` : "";
    return `${hours}${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
  }

  function show(name, text) {
    form.querySelector(`[data-show=${name}]`).textContent = text;
  }

  function showMessage(text, failed = false) {
    const message = form.querySelector(".upload-message");
    if (message.textContent !== text) message.textContent = text;
    message.classList.toggle("errornote", failed);
  }

  function showProgress(sent) {
    const total = input.files[0].size;
    const now = performance.now() / 1000;
    samples = samples.filter(([at, bytes]) => at > now - 5 && bytes <= sent);
    samples.push([now, sent]);
    const [since, before] = samples[0];
    const speed = now - since > 0.5 ? (sent - before) / (now - since) : 0;
    form.querySelector(".upload-progress").hidden = false;
    bar.value = (100 * sent) / total;
    show("percent", `${Math.floor((100 * sent) / total)}%`);
    show("bytes", `${size(sent)} / ${size(total)}`);
    show("speed", speed ? `${size(speed)}/s` : "");
    show("left", speed ? `${clock((total - sent) / speed)} ${texts.textLeft}` : "");
  }

  function showState() {
    input.disabled = submit.disabled = running;
    if (wanted) wanted.disabled = running || Boolean(url);
    buttons.pause.hidden = !running || !url;
    buttons.cancel.hidden = !url && !running;
    if (url && !running) submit.value = texts.textResume;
  }

  // Requests

  function call(method, target, headers = {}, body = null) {
    return new Promise((resolve, reject) => {
      request = new XMLHttpRequest();
      request.open(method, target);
      const all = { "Tus-Resumable": "1.0.0", "X-CSRFToken": token, Accept: "text/plain" };
      for (const [name, value] of Object.entries({ ...all, ...headers })) {
        request.setRequestHeader(name, value);
      }
      const sent = request;
      if (body) watch(sent);
      else sent.timeout = 2 * PATIENCE * 1000;
      request.onload = () => resolve(sent);
      request.onerror = request.onabort = request.ontimeout = () => reject(new Error());
      request.send(body);
    });
  }

  // Aborts a request whose body makes no progress: a connection can be lost without a sign of it.
  function watch(sent) {
    let timer = null;
    const stop = () => window.clearTimeout(timer);
    const restart = () => {
      stop();
      timer = window.setTimeout(() => sent.abort(), PATIENCE * 1000);
    };
    sent.upload.onprogress = (event) => {
      restart();
      showSending(offset + event.loaded);
    };
    sent.upload.onload = stop; // the response may take long
    sent.onloadend = stop;
    restart();
  }

  function showSending(sent) {
    if (!running) return;
    showProgress(Math.min(sent, input.files[0].size));
    showMessage(sent < input.files[0].size ? texts.textSending : texts.textChecking);
  }

  // Returns a successful response. Errors that may pass are retried; others are Refused.
  function check(response) {
    if (response.status < 300) return response;
    const reason = response.responseText.split("\n\n")[1] || texts.textFailed;
    const temporary = [400, 408, 409, 423, 429].includes(response.status) || response.status >= 500;
    throw temporary ? new Error(reason) : new Refused(reason);
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

  async function create(file, digests) {
    const name = new TextEncoder().encode(file.name.slice(-255));
    const response = await call("POST", texts.uploads, {
      "Upload-Length": String(file.size),
      "Upload-Metadata": `filename ${encoded(name)}`,
      "Repr-Digest": digestField(digests),
    });
    if (response.status !== 201) {
      throw new Refused(response.responseText.split("\n\n")[1] || texts.textFailed);
    }
    url = `${texts.uploads}/${response.getResponseHeader("Location").split("/").pop()}`;
    offset = 0;
  }

  async function send(file) {
    const response = check(
      await call(
        "PATCH",
        url,
        { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
        file.slice(offset, offset + CHUNK),
      ),
    );
    offset = Number(response.getResponseHeader("Upload-Offset"));
  }

  async function readOffset() {
    const response = await call("HEAD", url);
    if (response.status === 404 || response.status === 410) throw new Refused(await reason());
    offset = Number(check(response).getResponseHeader("Upload-Offset"));
  }

  async function readUpload() {
    return JSON.parse(check(await call("GET", url)).responseText);
  }

  async function reason() {
    try {
      return (await readUpload()).error || texts.textFailed;
    } catch {
      return texts.textFailed;
    }
  }

  // All data is received, but the service may still be storing it.
  async function completed() {
    showMessage(texts.textChecking);
    const upload = await readUpload();
    if (upload.status === "failed") throw new Refused(upload.error || texts.textFailed);
    return upload.status === "complete";
  }

  // Digests

  // The digest in the text that the user has entered, a digest or a line of a checksum file, by its
  // name in the header Repr-Digest; {} for no text, null for a text without exactly one digest.
  function expected() {
    const text = wanted ? wanted.value.trim().toLowerCase() : "";
    if (!text) return {};
    const found = text.match(/\b[0-9a-f]{64}(?:[0-9a-f]{64})?\b/g) || [];
    if (found.length !== 1) return null;
    return { [found[0].length === 64 ? "sha-256" : "sha-512"]: found[0] };
  }

  // The SHA-256 of a file. It is computed once, because this takes seconds for each GiB.
  async function digest(file) {
    if (hashed.file !== file) {
      showMessage(texts.textHashing);
      hashing = new AbortController();
      hashed = { file, sha256: await window.fileSHA256(file, hashing.signal, showProgress) };
      samples = [];
      showProgress(0);
    }
    form.querySelector(".upload-digest").hidden = false;
    show("sha256", hashed.sha256);
    return hashed.sha256;
  }

  async function begin(file) {
    const [asked, sha256] = [expected(), await digest(file)];
    if ((asked["sha-256"] || sha256) !== sha256) throw new Refused(texts.textMismatch);
    await create(file, { ...asked, "sha-256": sha256 });
    texts.sha256 = sha256;
  }

  async function resume(file) {
    // Another client may have begun the upload without a digest.
    if (texts.sha256 && (await digest(file)) !== texts.sha256) throw new OtherFile(texts.textOther);
    await readOffset().catch((error) => {
      if (error instanceof Refused) throw error;
    });
  }

  // The upload

  function delay(seconds) {
    return new Promise((resolve) => {
      endDelay = resolve;
      window.setTimeout(resolve, seconds * 1000);
    });
  }

  async function step(file) {
    if (offset < file.size) await send(file);
    if (offset < file.size) return false;
    if (await completed()) return true;
    await delay(2);
    return false;
  }

  async function run(file) {
    let failures = 0;
    while (running) {
      try {
        if (failures) await readOffset();
        if (await step(file)) {
          running = false;
          window.location.assign(texts.done);
          return;
        }
        failures = 0;
      } catch (error) {
        if (!running) return; // paused or cancelled
        if (error instanceof Refused) throw error;
        showMessage(error.message || texts.textWaiting);
        await delay(DELAYS[Math.min(failures, DELAYS.length - 1)]);
        failures += 1;
      }
    }
  }

  async function start() {
    const file = input.files[0];
    running = true;
    showState();
    samples = [];
    try {
      if (url) await resume(file);
      else await begin(file);
      showState();
      showProgress(offset);
      await run(file);
    } catch (error) {
      if (error.name === "AbortError") return; // paused or cancelled while the digest was computed
      running = false;
      if (!(error instanceof OtherFile)) url = "";
      showMessage(error.message || texts.textFailed, true);
    }
    showState();
  }

  function stop() {
    running = false;
    if (hashing) hashing.abort();
    if (request) request.abort();
    if (endDelay) endDelay();
  }

  function isSame(file) {
    if (!url) return true;
    const [name, length] = [texts.filename, Number(texts.length)];
    return (!length || file.size === length) && (!name || file.name.slice(-255) === name);
  }

  input.addEventListener("change", () => {
    const file = input.files[0];
    const wrong = file && (!file.size ? texts.textEmpty : !isSame(file) ? texts.textOther : "");
    showMessage(wrong || "", Boolean(wrong));
    form.querySelector(".upload-digest").hidden = true; // it was that of the file before
    submit.disabled = !file || Boolean(wrong);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = input.files[0];
    if (!file || running) return;
    if (!expected()) {
      showMessage(texts.textDigest, true);
      return;
    }
    texts.filename = file.name.slice(-255);
    texts.length = file.size;
    start();
  });

  buttons.pause.addEventListener("click", () => {
    stop();
    showMessage(texts.textPaused);
    showState();
  });

  buttons.cancel.addEventListener("click", async () => {
    stop();
    if (url) await call("DELETE", url).catch(() => {});
    window.location.assign(texts.done);
  });

  window.addEventListener("online", () => endDelay && endDelay());
  window.addEventListener("beforeunload", (event) => {
    if (running) event.preventDefault();
  });
  showState();
  submit.disabled = true;
})();
