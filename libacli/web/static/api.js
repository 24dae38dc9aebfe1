/** The HTTP API of this server. */

export class Problem extends Error {
  /** @param {number} status 0: the server was not reached */
  constructor(status, reason, detail, { hint = "", retryInS = 0 } = {}) {
    super(detail);
    this.status = status;
    this.reason = reason;
    this.hint = hint;
    this.retryInS = retryInS;
  }

  /** What a response that is no success says. @param {Response} response */
  static async of(response) {
    const told = await response.json().catch(() => ({}));
    const detail = told.detail || `the server answered ${response.status}`;
    const retryInS = told.retry_in_s || Number(response.headers.get("Retry-After")) || 0;
    return new Problem(response.status, told.reason || "failed", detail, { hint: told.hint, retryInS });
  }

  /** A sentence for people, with the next step. */
  get words() {
    return [this.message, this.hint].filter(Boolean).map(sentence).join(" ");
  }
}

/** How long an answer may take; a line may have to wait until its agent has come. */
const READ_MS = 15_000;
const WRITE_MS = 90_000;

const unreachable = () =>
  new Problem(0, "unreachable", "the server cannot be reached", { hint: "Your text is kept: try again" });

const queueOf = (room) => `api/rooms/${encodeURIComponent(room)}/queue`;

function sentence(text) {
  const ended = /[.!?…]$/.test(text) ? text : `${text}.`;
  return ended[0].toUpperCase() + ended.slice(1);
}

export class Api {
  /** @param {() => string} bearer what lets us in; empty: nothing is sent */
  constructor(bearer) {
    this.bearer = bearer;
    /** Called when the server does not know us any more. */
    this.onLockedOut = () => {};
  }

  page = () => this._call("GET", "api/page");
  redeemCode = (code) => this._call("POST", "api/session", { code });
  room = (room) => this._call("GET", `api/rooms/${encodeURIComponent(room)}`);
  token = (room) => this._call("POST", "api/token", { room });
  stop = (room, id) => this._call("POST", "api/stop", { room, ...(id && { id }) });
  cancel = (room, id) => this._call("DELETE", `${queueOf(room)}/${encodeURIComponent(id)}`);
  /** @param {{to: "first" | "last"} | {before: string}} where */
  move = (room, id, where) => this._call("POST", `${queueOf(room)}/${encodeURIComponent(id)}/move`, where);
  /** @param {boolean} isPaused */
  pause = (room, isPaused) => this._call("POST", `${queueOf(room)}/${isPaused ? "pause" : "resume"}`);
  /** @param {string} id of a line on standby */
  next = (room, id) => this._call("POST", `api/rooms/${encodeURIComponent(room)}/next`, { id });
  shareLink = (room, { canSay, canControl, view }) =>
    this._call("POST", "api/link", { room, can_say: canSay, can_control: canControl, view });

  /** @param {string} key kept over retries, it becomes the id */
  say = (key, body) => this._call("POST", "api/say", body, { "Idempotency-Key": key });

  /** @param {string} lastId @param {AbortSignal} signal @returns {Promise<Response>} */
  events(room, lastId, signal) {
    const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
    const path = `api/events?captions=true&room=${encodeURIComponent(room)}`;
    return this._fetch(path, { headers, signal });
  }

  async _call(method, path, body, headers = {}) {
    const sent = body && { body: JSON.stringify(body), headers: { ...headers, "Content-Type": "application/json" } };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), method === "GET" ? READ_MS : WRITE_MS);
    try {
      return await (await this._fetch(path, { method, ...sent, signal: late.signal })).json();
    } catch (error) {
      throw error instanceof Problem ? error : unreachable(); // none came in time, or not all of it
    } finally {
      clearTimeout(timer);
    }
  }

  async _fetch(path, { headers = {}, ...options }) {
    const bearer = this.bearer();
    const all = { ...headers, ...(bearer && { Authorization: `Bearer ${bearer}` }) };
    const response = await fetch(path, { ...options, headers: all, cache: "no-store" }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw unreachable();
    });
    if (response.ok) return response;
    const problem = await Problem.of(response);
    if (problem.status === 401 && problem.reason !== "bad_code") this.onLockedOut(problem);
    throw problem;
  }
}
