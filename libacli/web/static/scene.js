/** What is known of the room: its agent, what is spoken, what waits, what was said. No document in here. */

const ORDER = { accepted: 0, speaking: 1, audible: 2, lost: 3 };
const ENDED = ["done", "interrupted", "failed", "expired", "unconfirmed"];
const KEPT = 200;

/** An agent's report of an utterance; see the HTTP API. @typedef {Record<string, any>} Utterance */

/** @param {Utterance} one */
export const hasEnded = (one) => one.state === "lost" || ENDED.includes(one.state);

const rank = (state) => (ENDED.includes(state) ? 4 : ORDER[state]);

export class Scene {
  /** @type {{name: string, model: string, epoch: string} | null | undefined} undefined: nobody knows yet */
  agent = undefined;
  avatar = "";
  /** How the server's own connection to the room is; empty: well. */
  link = "";
  caps = [];
  /** Changes with each event: an answer that was asked for before is older than what we know. */
  version = 0;

  /** @type {Map<string, Utterance>} in the order in which we came to know them */
  #known = new Map();
  /** @type {string[]} ids in the order in which they will be spoken */
  #order = [];
  /** @type {Map<string, string>} */
  #texts = new Map();
  #queue = 0;

  get speaking() {
    return [...this.#known.values()].find((one) => one.state === "speaking" || one.state === "audible");
  }

  get waiting() {
    return this.#order.map((id) => this.#known.get(id)).filter((one) => one?.state === "accepted");
  }

  /** Those that were begun, oldest first. */
  get begun() {
    return [...this.#known.values()].filter((one) => one.d01 !== undefined || one.state === "speaking");
  }

  /** Whether the agent counts other lines in its queue than we do. */
  get isDoubtful() {
    return Boolean(this.agent) && this.#queue !== this.waiting.length;
  }

  find = (id) => this.#known.get(id);
  text = (id) => this.#texts.get(id) ?? "";

  /** What our own line says, before the agent speaks it. */
  learnText(id, text) {
    this.#texts.delete(id);
    this.#texts.set(id, text);
    trim(this.#texts);
  }

  takeStatus(status) {
    this.version += 1;
    this.agent = status.agent;
    this.avatar = status.avatar ?? "";
    this.caps = status.caps ?? [];
    this.#queue = status.queue ?? 0;
    const waiting = status.waiting ?? [];
    const named = [...(status.speaking ? [status.speaking] : []), ...waiting];
    named.forEach((one) => this.#put(one));
    this.#order = waiting.map((one) => one.id);
    this.#lose(new Set(named.map((one) => one.id)));
  }

  /** Returns whether it told something new. */
  takeEvent(event) {
    this.version += 1;
    if (event.agent && this.agent?.epoch !== event.epoch) {
      if (this.agent) this.#lose(new Set([event.id]));
      this.agent = { name: event.agent, model: event.model ?? "", epoch: event.epoch };
    }
    if (typeof event.avatar === "string") this.avatar = event.avatar;
    if (typeof event.queue === "number") this.#queue = event.queue;
    if (event.state === "rejected" || rank(event.state) === undefined) return false;
    return this.#put(event);
  }

  #put(report) {
    const before = this.#known.get(report.id);
    if (before && rank(before.state) > rank(report.state)) return false;
    const since = before?.state === report.state ? before.since : Date.now();
    this.#known.set(report.id, { ...before, ...report, since });
    if (report.state === "accepted" && !this.#order.includes(report.id)) this.#order.push(report.id);
    if (report.state !== "accepted") this.#order = this.#order.filter((id) => id !== report.id);
    trim(this.#known);
    return true;
  }

  #lose(named) {
    for (const one of this.#known.values()) {
      if (!hasEnded(one) && !named.has(one.id)) this.#known.set(one.id, { ...one, state: "lost" });
    }
  }
}

function trim(map) {
  if (map.size > KEPT) map.delete(map.keys().next().value);
}
