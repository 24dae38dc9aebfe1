/** What is known of the room: its agent, what is spoken, what waits, what was said. No document in here.
 *
 * The rules are those of `Board` in libacli/core/board.py, and the table of states is the server's: tests run
 * both on the same events.
 */

const KEPT = 200;
const AGENTS_KEPT = 16;

/**
 * An agent's report of an utterance, see the HTTP API, and what makes it a row: `agent`, `epoch`, `isOver`, and
 * `heardAt`, when the last news of it came.
 * @typedef {Record<string, any>} BoardRow
 */

export class Board {
  /** @type {{name: string, model: string, epoch: string} | null | undefined} undefined: nobody knows yet */
  agent = undefined;
  avatar = "";
  /** How the server's own connection to the room is; empty: well. */
  connectionWords = "";
  caps = [];
  /** Whether nothing begins until somebody resumes the queue. */
  isPaused = false;
  /** Changes with each event: an answer that was asked for before is older than what we know. */
  version = 0;

  /** @type {Record<string, {rank: number, is_final: boolean, is_over: boolean}>} */
  #states;
  /** @type {Map<string, BoardRow>} by agent's life and id, in the order in which we came to know them */
  #rows = new Map();
  /** @type {string[]} keys in the order in which they will be spoken */
  #order = [];
  /** @type {Map<string, string>} */
  #texts = new Map();
  /** @type {Map<string, string>} by name of the agent */
  #epochs = new Map();
  #queue = 0;
  #leftOut = 0;

  /** @param {Record<string, {rank: number, is_final: boolean, is_over: boolean}>} states as `/api/page` tells them */
  constructor(states) {
    this.#states = states;
  }

  /** Newest first. */
  get rows() {
    return [...this.#rows.values()].reverse();
  }

  get speaking() {
    return [...this.#rows.values()].find((row) => row.state === "speaking" || row.state === "audible");
  }

  /** Those that we know; `waitingLeftOut` more wait behind them. */
  get waiting() {
    const rows = this.#order.map((key) => this.#rows.get(key)).filter((row) => row?.state === "accepted");
    return [...rows.filter((row) => !row.standby), ...rows.filter((row) => row.standby)]; // as the agent has them
  }

  /** The one that waits for its go-ahead longest. */
  get standby() {
    return this.waiting.find((row) => row.standby);
  }

  get waitingLeftOut() {
    return Math.max(0, Math.min(this.#leftOut, this.#queue - this.waiting.length));
  }

  /** Those that were begun, oldest first. */
  get begun() {
    return [...this.#rows.values()].filter((row) => row.d01 !== undefined || row.state === "speaking");
  }

  /** Whether the agent counts other lines in its queue than we do, or we know none of those that are next. */
  get isDoubtful() {
    const [known, leftOut] = [this.waiting.length, this.waitingLeftOut];
    return Boolean(this.agent) && (this.#queue !== known + leftOut || (known === 0 && leftOut > 0));
  }

  /** The newest line with that id: it may have been said before, to an agent that is gone. */
  find = (id) => this.rows.find((row) => row.id === id);
  text = (id) => this.#texts.get(id) ?? "";

  /** Takes what an utterance says; our own is known before the agent speaks it. */
  caption(id, text) {
    this.#texts.delete(id);
    this.#texts.set(id, text);
    if (this.#texts.size > KEPT) this.#texts.delete(this.#texts.keys().next().value);
  }

  /** Takes the state of the connection: empty when it is well. */
  connection(words) {
    this.connectionWords = words;
  }

  /** Takes a room's state: what it does not name any more has ended unseen. */
  answer(status) {
    this.version += 1;
    this.agent = status.agent;
    this.avatar = status.avatar ?? "";
    this.caps = status.caps ?? [];
    this.isPaused = status.paused ?? false;
    [this.#queue, this.#leftOut] = [status.queue ?? 0, status.waiting_left_out ?? 0];
    if (!status.agent) {
      this.#order = [];
      return this.#lose(() => true);
    }
    const { name: agent, epoch } = status.agent;
    this.#learnEpoch(agent, epoch);
    const waiting = status.waiting ?? [];
    const named = [...(status.speaking ? [status.speaking] : []), ...waiting];
    named.forEach((report) => this.#move({ ...report, agent, epoch }));
    this.#order = waiting.map(({ id }) => keyOf({ epoch, id }));
    const keys = new Set(named.map(({ id }) => keyOf({ epoch, id })));
    const mayWait = (row) => this.#leftOut > 0 && row.state === "accepted";
    this.#lose((row) => row.agent === agent && !keys.has(keyOf(row)) && !mayWait(row));
  }

  /** Takes what an agent told. Returns whether it was something new of an utterance. */
  event(told) {
    this.version += 1;
    this.agent = { name: told.agent, model: told.model, voice_state: told.voice_state ?? "", epoch: told.epoch };
    [this.avatar, this.#queue, this.isPaused] = [told.avatar, told.queue, told.paused ?? false];
    this.#learnEpoch(told.agent, told.epoch);
    if (told.state === "rejected" || !this.#states[told.state]) return false;
    return this.#move(told);
  }

  /** What was on its way at an agent that was started anew is lost. */
  #learnEpoch(agent, epoch) {
    const before = this.#epochs.get(agent) ?? epoch;
    this.#epochs.delete(agent);
    this.#epochs.set(agent, epoch);
    if (this.#epochs.size > AGENTS_KEPT) this.#epochs.delete(this.#epochs.keys().next().value);
    if (before !== epoch) this.#lose((row) => row.agent === agent && row.epoch !== epoch);
  }

  #move(report) {
    const key = keyOf(report);
    const before = this.#rows.get(key);
    if (before && !this.#isNews(report.state, before.state)) return false;
    const heardAt = before?.state === report.state ? before.heardAt : Date.now();
    this.#rows.set(key, { ...before, standby: false, ...report, isOver: this.#states[report.state].is_over, heardAt });
    if (report.state === "accepted" && !this.#order.includes(key)) this.#order.push(key);
    if (report.state !== "accepted") this.#order = this.#order.filter((other) => other !== key);
    this.#trim();
    return true;
  }

  #isNews(state, before) {
    return !this.#states[before].is_final && this.#states[state].rank >= this.#states[before].rank;
  }

  #lose(isLost) {
    for (const [key, row] of this.#rows) {
      if (!row.isOver && isLost(row)) this.#rows.set(key, { ...row, state: "lost", isOver: true });
    }
  }

  #trim() {
    if (this.#rows.size <= KEPT) return;
    const over = [...this.#rows].find(([, row]) => row.isOver);
    this.#rows.delete(over ? over[0] : this.#rows.keys().next().value);
  }
}

const keyOf = ({ epoch, id }) => `${epoch} ${id}`;
