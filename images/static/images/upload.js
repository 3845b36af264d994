// Sends a file with tus 1.0.0 (https://tus.io), slice by slice, straight from the disk. After a
// lost connection or a reload the service says at which byte it goes on.
"use strict";
(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  form.hidden = false;
  const SLICE = 64 * 2 ** 20; // bytes a request; the service keeps pieces of this size
  const PAUSES = [1, 2, 4, 8, 15]; // seconds between attempts
  const words = form.dataset;
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const input = form.querySelector("input[type=file]");
  const submit = form.querySelector("input[type=submit]");
  const bar = form.querySelector("progress");
  const buttons = {
    pause: form.querySelector("[data-do=pause]"),
    cancel: form.querySelector("[data-do=cancel]"),
  };
  let url = words.upload && `${words.uploads}/${words.upload}`;
  let offset = Number(words.offset);
  let running = false; // until it ends, is paused or cancelled
  let request = null; // the one that is under way
  let wake = null; // ends a pause between attempts
  let marks = []; // [time, bytes] of the last seconds, for the speed

  class Refused extends Error {} // trying again would not help

  // What people see

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

  function say(text, failed = false) {
    const said = form.querySelector(".upload-said");
    if (said.textContent !== text) said.textContent = text;
    said.classList.toggle("errornote", failed);
  }

  function showProgress(sent) {
    const total = input.files[0].size;
    const now = performance.now() / 1000;
    marks = marks.filter(([at, bytes]) => at > now - 5 && bytes <= sent);
    marks.push([now, sent]);
    const [since, before] = marks[0];
    const speed = now - since > 0.5 ? (sent - before) / (now - since) : 0;
    form.querySelector(".upload-progress").hidden = false;
    bar.value = (100 * sent) / total;
    show("percent", `${Math.floor((100 * sent) / total)}%`);
    show("bytes", `${size(sent)} / ${size(total)}`);
    show("speed", speed ? `${size(speed)}/s` : "");
    show("left", speed ? `${clock((total - sent) / speed)} ${words.textLeft}` : "");
  }

  function showState() {
    input.disabled = submit.disabled = running;
    buttons.pause.hidden = !running;
    buttons.cancel.hidden = !url && !running;
    if (url && !running) submit.value = words.textGoOn;
  }

  // What goes over the wire

  function call(method, target, headers = {}, body = null) {
    return new Promise((resolve, reject) => {
      request = new XMLHttpRequest();
      request.open(method, target);
      const all = { "Tus-Resumable": "1.0.0", "X-CSRFToken": token, Accept: "text/plain" };
      for (const [name, value] of Object.entries({ ...all, ...headers })) {
        request.setRequestHeader(name, value);
      }
      const answer = request;
      if (body) request.upload.onprogress = (event) => sending(offset + event.loaded);
      request.onload = () => resolve(answer);
      request.onerror = request.onabort = request.ontimeout = () => reject(new Error());
      request.send(body);
    });
  }

  function sending(sent) {
    if (!running) return;
    showProgress(Math.min(sent, input.files[0].size));
    say(sent < input.files[0].size ? words.textSending : words.textChecking);
  }

  // Of a busy or broken service another attempt is made; what it refuses stays refused.
  function check(answer) {
    if (answer.status < 300) return answer;
    const why = answer.responseText.split("\n\n")[1] || words.textFailed;
    const passing = [400, 408, 409, 423, 429].includes(answer.status) || answer.status >= 500;
    throw passing ? new Error(why) : new Refused(why);
  }

  function encoded(text) {
    return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  }

  async function create(file) {
    const answer = await call("POST", words.uploads, {
      "Upload-Length": String(file.size),
      "Upload-Metadata": `filename ${encoded(file.name.slice(-255))}`,
    });
    if (answer.status !== 201) {
      throw new Refused(answer.responseText.split("\n\n")[1] || words.textFailed);
    }
    url = `${words.uploads}/${answer.getResponseHeader("Location").split("/").pop()}`;
    offset = 0;
  }

  async function send(file) {
    const answer = check(
      await call(
        "PATCH",
        url,
        { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
        file.slice(offset, offset + SLICE),
      ),
    );
    offset = Number(answer.getResponseHeader("Upload-Offset"));
  }

  async function ask() {
    const answer = await call("HEAD", url);
    if (answer.status === 404 || answer.status === 410) throw new Refused(await reason());
    offset = Number(check(answer).getResponseHeader("Upload-Offset"));
  }

  async function found() {
    return JSON.parse(check(await call("GET", url)).responseText);
  }

  async function reason() {
    try {
      return (await found()).error || words.textFailed;
    } catch {
      return words.textFailed;
    }
  }

  // All has arrived: it may still be under way to its place.
  async function completed() {
    say(words.textChecking);
    const upload = await found();
    if (upload.status === "failed") throw new Refused(upload.error || words.textFailed);
    return upload.status === "complete";
  }

  // From the first byte to the last

  function pause(seconds) {
    return new Promise((resolve) => {
      wake = resolve;
      window.setTimeout(resolve, seconds * 1000);
    });
  }

  async function step(file) {
    if (offset < file.size) await send(file);
    if (offset < file.size) return false;
    if (await completed()) return true;
    await pause(2);
    return false;
  }

  async function run(file) {
    let failures = 0;
    while (running) {
      try {
        if (failures) await ask();
        if (await step(file)) {
          running = false;
          window.location.assign(words.done);
          return;
        }
        failures = 0;
      } catch (error) {
        if (!running) return; // paused or cancelled
        if (error instanceof Refused) throw error;
        say(error.message || words.textWaiting);
        await pause(PAUSES[Math.min(failures, PAUSES.length - 1)]);
        failures += 1;
      }
    }
  }

  async function start() {
    const file = input.files[0];
    running = true;
    showState();
    marks = [];
    try {
      if (url) await ask().catch((error) => {
        if (error instanceof Refused) throw error;
      });
      else await create(file);
      showState();
      showProgress(offset);
      await run(file);
    } catch (error) {
      running = false;
      url = "";
      say(error.message || words.textFailed, true);
    }
    showState();
  }

  function stop() {
    running = false;
    if (request) request.abort();
    if (wake) wake();
  }

  function isSame(file) {
    if (!url) return true;
    const [name, length] = [words.filename, Number(words.length)];
    return (!length || file.size === length) && (!name || file.name.slice(-255) === name);
  }

  input.addEventListener("change", () => {
    const file = input.files[0];
    const wrong = file && (!file.size ? words.textEmpty : !isSame(file) ? words.textOther : "");
    say(wrong || "", Boolean(wrong));
    submit.disabled = !file || Boolean(wrong);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = input.files[0];
    if (!file || running) return;
    words.filename = file.name.slice(-255);
    words.length = file.size;
    start();
  });

  buttons.pause.addEventListener("click", () => {
    stop();
    say(words.textPaused);
    showState();
  });

  buttons.cancel.addEventListener("click", async () => {
    stop();
    if (url) await call("DELETE", url).catch(() => {});
    window.location.assign(words.done);
  });

  window.addEventListener("online", () => wake && wake());
  window.addEventListener("beforeunload", (event) => {
    if (running) event.preventDefault();
  });
  showState();
  submit.disabled = true;
})();
