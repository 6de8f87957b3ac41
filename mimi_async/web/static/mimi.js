/**
 * The hearing test in the browser, and the closed page that opens by itself.
 *
 * The server decides what is played and what it means, and has written every text into the page. This module plays
 * the tones, keeps time and carries the server's opaque state: in sessionStorage, so that it survives a reload and a
 * sign-in.
 */

/** Frequency in Hz → dB SPL at 0 dB HL: the reference thresholds of ISO 389-8 (HDA 200, circumaural). */
const REFERENCE = new Map([[250, 18.0], [500, 11.0], [1000, 5.5], [2000, 4.5], [4000, 9.5], [8000, 17.5]]);

/** What a full-scale sine is taken for, in dB SPL. An assumption: the headphones are not calibrated. */
const FULL_SCALE = 100;

/** The highest level in dB HL that is ever played, for the sake of ears: -2 dBFS at 250 Hz, less elsewhere. */
const LOUDEST = 80;

// All in seconds.
const TONE = 1.0;
const RAMP = 0.03;
const LEAD = 0.05; // between scheduling a tone and its start: the sound thread is ahead, and would cut off the ramp
const SILENCE = [1.0, 3.0]; // drawn for each tone, so that the listener cannot press in a rhythm
const WINDOW = 1.5; // after the tone, for slow hands
const AUDIO_START = 2;
const RETRY = 5;
const TIMEOUT = 35; // the server ends its own calls within 30 s

const STORED = "mimi-hearing-test";
const SAMPLE = { frequency: 1000, level: 60 };
const RISE = Float32Array.from({ length: 128 }, (_, point) => (1 - Math.cos((Math.PI * point) / 127)) / 2);
const FALL = RISE.slice().reverse();

/** Return the amplitude, 0 to 1, of a level in dB HL, as if a full-scale sine were 100 dB SPL. Capped at 80 dB HL. */
export function gainOf(frequency, level) {
  if (!REFERENCE.has(frequency)) throw new RangeError(`no reference threshold is known for ${frequency} Hz`);
  return 10 ** ((Math.min(level, LOUDEST) + REFERENCE.get(frequency) - FULL_SCALE) / 20);
}

/**
 * Schedule a tone of one second for one ear, with raised-cosine ramps of 30 ms. A level of null plays nothing.
 *
 * Returns its `end` on the clock of the context, and `stop()`, which ends it at once with a ramp, so without a click.
 */
export function play(context, { ear, frequency, level }, when) {
  const end = when + TONE;
  if (level === null) return { end, stop() {} };
  const gain = gainOf(frequency, level);
  const tone = new OscillatorNode(context, { frequency });
  const envelope = new GainNode(context, { gain: 0 });
  const fader = new GainNode(context); // for stop(): two curves of one parameter must not overlap
  const ears = new ChannelMergerNode(context, { numberOfInputs: 2 });
  envelope.gain.setValueCurveAtTime(RISE.map((part) => part * gain), when, RAMP);
  envelope.gain.setValueCurveAtTime(FALL.map((part) => part * gain), end - RAMP, RAMP);
  tone.connect(envelope).connect(fader).connect(ears, 0, ear === "left" ? 0 : 1).connect(context.destination);
  tone.addEventListener("ended", () => ears.disconnect());
  tone.start(when);
  tone.stop(end);
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    fader.gain.setValueCurveAtTime(FALL, context.currentTime, RAMP);
    tone.stop(Math.min(end, context.currentTime + RAMP));
  };
  return { end, stop };
}

/** Send a request; return `{done}`, `{trial}` or `{error}`, or an empty object where no valid answer came. */
async function post({ url, body }) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT * 1000),
    });
    const reply = await response.json();
    return response.ok ? readReply(reply, response.url) : readError(reply, response);
  } catch {
    return {}; // no network, not JSON, or not a reply of this server: the caller retries
  }
}

function readReply({ done, state, tone, progress }, base) {
  if (typeof done === "string") return { done: linkTo(done, base, []) };
  const level = tone.level === null || Number.isFinite(tone.level);
  const known = ["left", "right"].includes(tone.ear) && REFERENCE.has(tone.frequency) && level;
  if (typeof state !== "string" || !known || !Number.isFinite(progress)) throw new TypeError("not a trial of a test");
  return { trial: { state, tone, progress } };
}

function readError({ title, detail, next_step: nextStep, sign_in: signIn }, { headers, url: base }) {
  const retryAfter = Number(headers.get("Retry-After"));
  const known = ["retry", "restart", "prepare", "sign-in", "leave"].includes(nextStep);
  if (typeof title !== "string" || typeof detail !== "string" || !known) throw new TypeError("not an error reply");
  const seconds = nextStep === "retry" ? (retryAfter > 0 ? Math.min(retryAfter, 3600) : RETRY) : null;
  return { error: { title, detail, nextStep, seconds, signIn: signIn && linkTo(signIn, base, ["https:"]) } };
}

/**
 * Return the whole address if it is on this site or of one of the protocols, else null: no link leads there.
 *
 * A relative address begins at the reply that holds it.
 */
function linkTo(text, base, protocols) {
  const url = new URL(text, base);
  return url.origin === location.origin || protocols.includes(url.protocol) ? url.href : null;
}

/** Set a text if it differs: a screen reader reads out each write. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** One step is shown at a time, at most one timer runs and one request is under way. */
class HearingTest {
  #section;
  #step = "prepare";
  #context = null;
  #sound = null;
  #timer;
  #trial = null; // what to play, until it is answered or stopped
  #listening = false; // from the start of the tone to the end of the window
  #pending = null; // the request without an answer: sent again, unchanged, until an answer comes
  #asking = false;
  #error = null;

  constructor(section) {
    this.#section = section;
    section.addEventListener("click", (event) => this.#clicked(event));
    section.addEventListener("keydown", (event) => {
      if (event.repeat && event.key === "Enter") event.preventDefault(); // a key that is held is one press
    });
    const leave = () => (this.#step === "run" ? this.#pause() : this.#stopSound());
    document.addEventListener("visibilitychange", () => (document.hidden ? leave() : this.#retryLater()));
    addEventListener("pagehide", leave);
    this.#offer();
    section.hidden = false;
  }

  #find = (selector) => this.#section.querySelector(selector);
  #button = (step, action) => this.#find(`[data-step="${step}"] [data-do="${action}"]`);
  #state = () => sessionStorage.getItem(STORED);

  #actions = {
    "sample-right": () => this.#sample("right"),
    "sample-left": () => this.#sample("left"),
    begin: () => this.#start(),
    resume: () => this.#start(),
    restart: () => this.#restart(),
    prepare: () => this.#prepare(),
    heard: () => this.#listening && this.#answer(true),
    stop: () => this.#pause(),
    retry: () => (this.#pending || this.#state() !== null ? this.#start() : this.#show("prepare")),
  };

  /** Run the action of a button once. The second half of a double click belongs to the step before. */
  #clicked(event) {
    const action = event.target.closest("[data-do]")?.dataset.do;
    if (event.detail < 2 || action === "heard") this.#actions[action]?.();
  }

  /** Begin or resume, inside a click: browsers allow sound only then. */
  #start() {
    this.#wake();
    const state = this.#state();
    this.#pending ??= { url: this.#section.dataset.begin, body: state === null ? {} : { state } };
    if (this.#step !== "error") this.#show("run"); // an error stays visible until a reply replaces it
    this.#ask();
  }

  #restart() {
    this.#forget();
    this.#start();
  }

  /** Return to the samples: nothing was heard, so there is no test to resume. */
  #prepare() {
    this.#forget();
    this.#offer();
    this.#show("prepare");
  }

  #forget() {
    sessionStorage.removeItem(STORED);
    this.#pending = null;
  }

  /** Offer to begin, or to resume the stored test. */
  #offer() {
    const begun = this.#state() !== null;
    this.#button("prepare", "begin").hidden = begun;
    this.#button("prepare", "resume").hidden = this.#button("prepare", "restart").hidden = !begun;
  }

  async #ask() {
    if (this.#asking) return;
    this.#stopSound();
    this.#asking = true;
    const asked = this.#pending;
    const { done, trial, error } = await post(asked);
    this.#asking = false;
    if (this.#pending !== asked) return this.#ask(); // restarted while the request was under way
    const { offlineTitle: title, offlineDetail: detail } = this.#section.dataset;
    if (done) this.#finish(done);
    else if (trial) this.#next(trial);
    else this.#fail(error ?? { title, detail, nextStep: "retry", seconds: RETRY });
  }

  #finish(results) {
    this.#forget();
    location.replace(results);
  }

  async #next(trial) {
    this.#pending = null;
    sessionStorage.setItem(STORED, trial.state);
    if (this.#step === "paused") return;
    this.#trial = trial;
    this.#describe(trial);
    this.#show("run");
    if (document.hidden) this.#pause();
    else if ((await this.#audible()) && this.#trial === trial) {
      const [least, most] = SILENCE;
      this.#after(least + Math.random() * (most - least), () => this.#listen());
    }
  }

  #describe({ tone, progress }) {
    const { titleLeft, titleRight } = this.#section.dataset;
    const title = tone.ear === "left" ? titleLeft : titleRight;
    for (const part of ["[data-ear]", "[data-says]"]) write(this.#find(part), title);
    this.#find("progress").value = progress;
  }

  #listen() {
    this.#listening = true;
    this.#sound = play(this.#context, this.#trial.tone, this.#context.currentTime + LEAD);
    this.#after(LEAD + TONE + WINDOW, () => this.#answer(false));
  }

  #answer(heard) {
    this.#pending = { url: this.#section.dataset.answer, body: { state: this.#trial.state, heard } };
    this.#trial = null;
    this.#ask();
  }

  /** Stop the test. A request that is under way goes on, and its answer is kept for the return. */
  #pause() {
    this.#stopSound();
    this.#trial = null;
    write(this.#find("[data-says]"), "");
    this.#show("paused");
  }

  #fail(error) {
    if (this.#step === "paused") return; // resuming asks again
    this.#error = error;
    write(this.#find("[data-title]"), error.title);
    write(this.#find("[data-detail]"), error.detail);
    const link = this.#find("[data-sign-in]");
    link.hidden = !error.signIn;
    if (error.signIn) link.href = error.signIn;
    this.#find("[data-leave]").hidden = error.nextStep !== "leave";
    this.#button("error", "retry").hidden = ["restart", "prepare"].includes(error.nextStep);
    for (const step of ["restart", "prepare"]) this.#button("error", step).hidden = error.nextStep !== step;
    this.#show("error");
    this.#retryLater();
  }

  #retryLater() {
    const due = this.#step === "error" && this.#error.seconds && !this.#asking && !document.hidden;
    if (due) this.#after(this.#error.seconds, () => this.#ask());
  }

  async #sample(ear) {
    this.#wake();
    if (!(await this.#audible()) || this.#step !== "prepare") return;
    this.#stopSound();
    this.#sound = play(this.#context, { ear, ...SAMPLE }, this.#context.currentTime + LEAD);
  }

  #wake() {
    if (globalThis.AudioContext) this.#context ??= new AudioContext();
    this.#context?.resume();
  }

  /** Return whether sound is on, or starts within two seconds; show the error if not. `resume` may never settle. */
  async #audible() {
    const late = (resolve) => setTimeout(resolve, AUDIO_START * 1000);
    if (this.#context?.state !== "running") await Promise.race([this.#context?.resume(), new Promise(late)]);
    if (this.#context?.state === "running") return true;
    const { noAudioTitle: title, noAudioDetail: detail } = this.#section.dataset;
    this.#trial = null;
    this.#fail({ title, detail, nextStep: "retry", seconds: null });
    return false;
  }

  #stopSound() {
    clearTimeout(this.#timer);
    this.#sound?.stop();
    this.#sound = null;
    this.#listening = false;
  }

  #after(seconds, action) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, seconds * 1000);
  }

  #show(step) {
    if (this.#step === step) return; // the focus stays where it is
    this.#step = step;
    for (const part of this.#section.querySelectorAll("[data-step]")) part.hidden = part.dataset.step !== step;
    const shown = `[data-step="${step}"]`;
    this.#find(step === "run" ? '[data-do="heard"]' : `${shown} [tabindex], ${shown} button`).focus();
  }
}

/** Ask every few seconds whether the page is open again, and load it then. */
function reopen(seconds) {
  let busy = false;
  setInterval(async () => {
    if (busy || document.hidden) return;
    busy = true;
    busy = await isOpen().catch(() => false); // no network
    if (busy) location.reload();
  }, seconds * 1000);
}

/** A redirect is an answer, too: its status reads 0. A gateway whose server is down says 502 or 504. */
async function isOpen() {
  const options = { headers: { Accept: "text/html" }, cache: "no-store", redirect: "manual" };
  const response = await fetch(location.href, { ...options, signal: AbortSignal.timeout(TIMEOUT * 1000) });
  return ![502, 503, 504].includes(response.status);
}

const section = document.querySelector("#hearing-test");
if (section) new HearingTest(section);

const closed = document.querySelector("#closed[data-retry-seconds]");
if (closed) reopen(closed.dataset.retrySeconds);
