// Shows the progress and the state of an upload in its panel.

const WINDOW = 5; // seconds over which the speed is measured

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  for (; bytes >= 1024 && step < units.length - 1; step += 1) bytes /= 1024;
  return `${bytes.toFixed(step ? 1 : 0).replace(".0", "")} ${units[step]}`;
}

function clock(seconds) {
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const hours = seconds >= 3600 ? `${Math.floor(seconds / 3600)}:` : "";
  return `${hours}${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

export class View {
  constructor(panel) {
    this.panel = panel;
    this.texts = panel.dataset;
    this.samples = []; // [time, bytes] of the last seconds, for the speed
  }

  find(selector) {
    return this.panel.querySelector(selector);
  }

  show(name, text) {
    for (const element of this.panel.querySelectorAll(`[data-show=${name}]`)) {
      element.textContent = text;
    }
  }

  message(text, failed = false) {
    const message = this.find(".upload-message");
    if (message.textContent !== text) message.textContent = text;
    message.classList.toggle("errornote", failed);
  }

  // Says that the session has ended, with a link to sign in again.
  session(ended) {
    const notice = this.find(".upload-session");
    notice.hidden = !ended;
    notice.querySelector("a").search = `?next=${encodeURIComponent(window.location.pathname)}`;
    if (ended) this.message("");
  }

  progress(sent, total) {
    const now = performance.now() / 1000;
    this.samples = this.samples.filter(([at, bytes]) => at > now - WINDOW && bytes <= sent);
    this.samples.push([now, sent]);
    const [since, before] = this.samples[0];
    const speed = now - since > 0.5 ? (sent - before) / (now - since) : 0;
    const percent = (100 * sent) / total;
    this.find(".upload-progress").hidden = false;
    this.find("progress").value = percent;
    this.show("percent", `${Math.floor(percent)}%`);
    this.show("bytes", `${size(sent)} / ${size(total)}`);
    this.show("speed", speed ? `${size(speed)}/s` : "");
    const left = speed && clock((total - sent) / speed);
    this.show("left", left ? `${left} ${this.texts.textLeft}` : "");
  }

  // Nothing is being sent.
  rest() {
    this.samples = [];
    this.show("speed", "");
    this.show("left", "");
  }

  digest(sha256) {
    this.find(".upload-digest").hidden = !sha256;
    this.show("sha256", sha256);
  }

  // Shows the sentence for a phase of the upload: new, sending, stopped, importing; none while this
  // tab sends.
  sentence(phase) {
    for (const text of this.panel.querySelectorAll("[data-when]")) {
      text.hidden = text.dataset.when !== phase;
    }
  }

  // Shows the name of an image that was just created, with its status.
  title(image) {
    const [name, status, badge] = ["bdi", "span", "span"].map((it) => document.createElement(it));
    name.textContent = image.title;
    status.dataset.image = "";
    badge.className = "badge";
    status.append(badge);
    document.querySelector("h1").replaceChildren(name, " ", status);
    this.badge(image);
  }

  badge(state) {
    const badge = document.querySelector("[data-image] .badge");
    if (!badge || !state.status) return;
    badge.className = `badge status-${state.status}`;
    badge.textContent = state.label;
  }
}
