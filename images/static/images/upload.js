// The upload of a file, on its own page and on the page that creates the image. It resumes after a
// lost connection, a reload or the end of the session, and states the SHA-256 of the file, so that
// the service refuses other data. While this tab sends nothing, it shows what others send.
import { create } from "./creation.js";
import { acceptDrops } from "./drop.js";
import { SignedOut, read } from "./session.js";
import { fileSHA256 } from "./sha256.js";
import { Locked, Refused, Upload } from "./tus.js";
import { View } from "./upload_view.js";

const DELAYS = [1, 2, 4, 8, 15]; // seconds between attempts
const EVERY = 2000; // ms between two looks at what others send
const EVERY_WHILE_SENDING = 5000;

class OtherFile extends Error {} // the upload can go on with another file
class Elsewhere extends Error {} // another tab or computer sends

function run(panel) {
  const texts = panel.dataset;
  const view = new View(panel);
  const form = panel.closest("form");
  const input = panel.querySelector("input[type=file]");
  const area = panel.querySelector(".upload-drop");
  const wanted = panel.querySelector("#upload-digest");
  const submit = form.querySelector("input[type=submit].default");
  const pause = form.querySelector("[data-do=pause]");
  const cancel = form.querySelector("[data-do=cancel]");
  const back = form.querySelector("a.closelink");
  // Without an image there is nothing to upload to yet.
  let upload = texts.uploads && made(texts.upload, Number(texts.offset));
  let phase = texts.phase; // of the upload, as the service says: sending, stopped, importing
  let nextPhase = phase; // what it said last: between two requests nothing is sent
  let running = false; // true until the upload ends, is paused or cancelled
  let endDelay = null; // ends the delay between attempts
  let hashing = null; // ends the computation of the digest
  let hashed = {}; // the file whose digest was computed, and its digest

  function made(id, offset) {
    const begun = new Upload(texts.uploads, id, offset);
    begun.onprogress = showSending;
    return begun;
  }

  // Whether the service has an upload, which can be resumed.
  function isOpen() {
    return Boolean(upload && upload.url);
  }

  // Display

  // What the service has, while nothing is sent.
  function showStored() {
    if (isOpen() && input.files.length) showProgress(upload.offset);
    view.rest();
  }

  function showProgress(sent) {
    view.progress(sent, input.files[0].size);
  }

  function showSending(sent) {
    if (!running) return;
    showProgress(Math.min(sent, input.files[0].size));
    view.message(sent < input.files[0].size ? texts.textSending : texts.textChecking);
  }

  function showState() {
    const open = isOpen();
    const elsewhere = !running && (phase === "sending" || phase === "importing");
    view.sentence(running ? "" : phase || "new");
    area.hidden = elsewhere;
    panel.querySelector(".field-digest").hidden = open;
    input.disabled = wanted.disabled = running;
    submit.hidden = elsewhere || (running && open);
    const file = input.files[0];
    // On the form of a new image, the button says what is missing.
    submit.disabled = running || Boolean(texts.uploads && (!file || misfit(file)));
    if (texts.uploads) submit.value = open ? texts.textResume : texts.textUpload;
    pause.hidden = !running || !open;
    cancel.hidden = phase === "importing" || !(open || running);
  }

  // The state of the upload at the service

  function adopt(state) {
    if (state.upload !== texts.upload) upload = made(state.upload, 0);
    Object.assign(texts, { upload: state.upload, sha256: state.sha256 || "" });
    phase = nextPhase = state.phase;
  }

  function showOthers(state) {
    if (state.upload !== texts.upload || (phase === "importing" && !state.phase)) {
      if (phase === "importing" && state.status === "active") window.location.assign(texts.done);
      else window.location.reload();
      return;
    }
    if (state.phase === nextPhase) phase = state.phase;
    nextPhase = state.phase;
    if (state.upload) {
      view.show("received", state.received);
      view.progress(state.offset, state.length);
      view.rest();
    }
    showState();
  }

  async function follow() {
    const state = await read(texts.live);
    view.session(!state);
    if (!state) return;
    view.badge(state);
    if (!running) showOthers(state);
  }

  async function followAlways() {
    if (!document.hidden && texts.uploads && !(running && !upload.url)) {
      await follow().catch(() => {}); // the next look may succeed
    }
    window.setTimeout(followAlways, running ? EVERY_WHILE_SENDING : EVERY);
  }

  // Waits until the user has signed in again. Raises Refused if the session is not what is missing.
  async function renew(error, attempts) {
    let state = await read(texts.live).catch((failure) => {
      if (failure.message === "403") throw new Refused(error.message);
    });
    if (state && attempts) throw new Refused(error.message);
    showStored();
    while (running && !state) {
      view.session(state === null);
      await delay(3);
      state = await read(texts.live).catch(() => undefined);
    }
    view.session(false);
  }

  // Digests

  // The digest in the text that the user has entered, a digest or a line of a checksum file, by its
  // name in the header Repr-Digest; {} for no text, null for a text without exactly one digest.
  function expected() {
    const text = wanted.value.trim().toLowerCase();
    if (!text || isOpen()) return {};
    const found = text.match(/\b[0-9a-f]{64}(?:[0-9a-f]{64})?\b/g) || [];
    if (found.length !== 1) return null;
    return { [found[0].length === 64 ? "sha-256" : "sha-512"]: found[0] };
  }

  // The SHA-256 of a file. It is computed once, because this takes seconds for each GiB.
  async function digest(file) {
    if (hashed.file !== file) {
      view.message(texts.textHashing);
      hashing = new AbortController();
      hashed = { file, sha256: await fileSHA256(file, hashing.signal, showProgress) };
      view.rest();
      showProgress(0);
    }
    view.digest(hashed.sha256);
    return hashed.sha256;
  }

  // The digests to state for a new upload; the file of an open upload must have its digest.
  async function checked(file) {
    // Another client may have begun the upload without a digest.
    if (upload.url && !texts.sha256) return {};
    const [asked, sha256] = [expected(), await digest(file)];
    if (upload.url && sha256 !== texts.sha256) throw new OtherFile(texts.textOther);
    if ((asked["sha-256"] || sha256) !== sha256) throw new OtherFile(texts.textMismatch);
    return { ...asked, "sha-256": sha256 };
  }

  // The upload

  function delay(seconds) {
    return new Promise((resolve) => {
      endDelay = resolve;
      window.setTimeout(resolve, seconds * 1000);
    });
  }

  // Begins the upload; after a failure the service may have begun it without our knowing.
  async function begin(file, digests, failures) {
    const state = failures ? await read(texts.live) : null;
    if (state && state.upload) {
      if (state.sha256 !== digests["sha-256"]) throw new Elsewhere();
      adopt(state);
    } else {
      await upload.create(file, digests);
      texts.upload = upload.url.split("/").pop();
      texts.sha256 = digests["sha-256"];
    }
    follow().catch(() => {}); // for the status of the image
    showState();
  }

  // Reads the offset from which to resume.
  async function resume(isFirst) {
    await upload.readOffset();
    if (isFirst) upload.sent = upload.offset;
    if (upload.offset > upload.sent) throw new Elsewhere();
    showProgress(upload.offset);
  }

  // Sends the next chunk; returns whether the image has its data.
  async function step(file) {
    if (upload.offset < file.size) await upload.send(file);
    if (upload.offset < file.size) return false;
    view.message(texts.textChecking);
    if (await upload.isComplete()) return true;
    await delay(2);
    return false;
  }

  async function send(file, digests) {
    let [failures, refusals, known] = [0, 0, false];
    while (running) {
      try {
        if (!upload.url) await begin(file, digests, failures);
        else if (failures || !known) await resume(!known);
        known = true;
        if (await step(file)) {
          running = false;
          window.location.assign(texts.done);
          return;
        }
        failures = refusals = 0;
      } catch (error) {
        if (!running) return; // paused or cancelled
        failures += 1;
        if (error instanceof Refused || error instanceof Elsewhere) throw error;
        if (error instanceof SignedOut) {
          await renew(error, refusals);
          refusals += 1;
          continue;
        }
        const isLocked = error instanceof Locked;
        if (isLocked) showStored();
        else view.rest(); // only the next look says what the service has
        view.message(isLocked ? texts.textLocked : error.message || texts.textWaiting);
        await delay(DELAYS[Math.min(failures - 1, DELAYS.length - 1)]);
      }
    }
  }

  // Creates the image of the form, of which the panel is a part. Returns false if it is refused.
  async function createImage() {
    for (let refusals = 0; running; refusals += 1) {
      try {
        const image = await create(form);
        if (!image) return false;
        view.title(image);
        Object.assign(texts, image, { upload: "", phase: "" });
        upload = made("", 0);
        back.href = texts.done;
        back.textContent = texts.textBack;
        return true;
      } catch (error) {
        if (!(error instanceof SignedOut)) throw error;
        await renew(error, refusals);
      }
    }
    return false;
  }

  // After a refusal the upload may have ended, or not.
  async function settle() {
    const state = texts.uploads && (await read(texts.live).catch(() => null));
    if (state) adopt(state);
  }

  async function start(file) {
    running = true;
    view.rest();
    try {
      if (!upload && !(await createImage())) return;
      showState();
      const digests = await checked(file);
      showState();
      if (upload.url) showProgress(upload.offset);
      await send(file, digests);
    } catch (error) {
      if (error.name === "AbortError") return; // paused or cancelled while the digest was computed
      running = false;
      if (!(error instanceof OtherFile)) await settle();
      const isElsewhere = error instanceof Elsewhere;
      const text = error instanceof TypeError ? "" : error.message; // of a failed fetch
      view.message(isElsewhere ? "" : text || texts.textFailed, !isElsewhere);
    } finally {
      if (!upload) running = false;
      if (!running) view.rest();
      showState();
    }
  }

  function stop() {
    running = false;
    if (hashing) hashing.abort();
    if (upload) upload.abort();
    if (endDelay) endDelay();
    view.session(false);
  }

  // Why a file cannot be that of the upload; empty if it can.
  function misfit(file) {
    if (!file.size) return texts.textEmpty;
    if (!isOpen()) return "";
    const [name, length] = [texts.filename, Number(texts.length)];
    const isSame = (!length || file.size === length) && (!name || file.name.slice(-255) === name);
    return isSame ? "" : texts.textOther;
  }

  function problem(file) {
    if (!file) return texts.textFile;
    return misfit(file) || (expected() ? "" : texts.textDigest);
  }

  input.addEventListener("change", () => {
    const wrong = input.files.length ? misfit(input.files[0]) : "";
    view.message(wrong, Boolean(wrong));
    view.digest(""); // it was that of the file before
    showState();
  });

  form.addEventListener("submit", (event) => {
    const { submitter } = event;
    if (submitter && submitter.name === "switch") return; // to another way to add an image
    event.preventDefault();
    if (running) return;
    const file = input.files[0];
    const wrong = problem(file);
    view.message(wrong, Boolean(wrong));
    if (wrong) {
      panel.scrollIntoView({ block: "nearest" });
      return;
    }
    texts.filename = file.name.slice(-255);
    view.show("filename", texts.filename);
    texts.length = file.size;
    start(file);
  });

  pause.addEventListener("click", () => {
    stop();
    phase = nextPhase = "stopped";
    view.rest();
    view.message(texts.textPaused);
    showState();
    window.setTimeout(() => follow().catch(() => {}), 500); // the service keeps what has arrived
  });

  cancel.addEventListener("click", async () => {
    stop();
    if (upload) await upload.cancel();
    window.location.assign(texts.done || back.href);
  });

  acceptDrops(area, input, () => view.message(texts.textOne, true));
  const wake = () => endDelay && endDelay();
  window.addEventListener("online", wake);
  document.addEventListener("visibilitychange", () => document.hidden || wake());
  window.addEventListener("beforeunload", (event) => {
    if (running) event.preventDefault();
  });
  panel.hidden = false;
  showState();
  followAlways();
}

const panel = document.getElementById("upload");
if (panel) run(panel);
