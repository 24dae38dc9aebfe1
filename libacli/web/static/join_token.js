/** The token to join the room with. A session gets few of them: one is used as long as it is valid. */

const STORED_AS = "liba.join";
const MARGIN_MS = 30_000; // to join in, and for clocks that differ

export class JoinToken {
  /**
   * @param {() => Promise<{url: string, token: string, e2ee_key?: string, valid_for_s: number}>} ask the server for one
   * @param {() => string} bearer what lets us in: a token of another session is another viewer's
   */
  constructor(ask, bearer) {
    Object.assign(this, { _ask: ask, _bearer: bearer });
    this._kept = load();
  }

  /** @returns {Promise<{url: string, token: string, key: string}>} key: of what is encrypted end to end, or empty */
  async get() {
    const { key, bearer, until } = this._kept ?? {};
    if (key !== undefined && bearer === this._bearer() && Date.now() < until) return this._kept;
    const { url, token, e2ee_key, valid_for_s: seconds } = await this._ask();
    this._kept = { url, token, key: e2ee_key ?? "", bearer: this._bearer(), until: Date.now() + seconds * 1000 - MARGIN_MS };
    store(this._kept);
    return this._kept;
  }

  /** It lets us in no more. */
  forget() {
    this._kept = null;
    store(null);
  }
}

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED_AS) ?? "null");
  } catch {
    return null;
  }
}

function store(kept) {
  try {
    if (kept) sessionStorage.setItem(STORED_AS, JSON.stringify(kept));
    else sessionStorage.removeItem(STORED_AS);
  } catch {
    // a browser that stores nothing asks anew when the page is loaded anew
  }
}
