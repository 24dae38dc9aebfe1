/** Calls to the HTTP API, with what this browser was let in by. */

const KEPT_AS = "liba.credential";

/** An answer that is an error: `reason` is the word for machines, `hint` the next step. */
export class Problem extends Error {
  constructor(status, { detail, reason, hint } = {}) {
    super(detail ?? "the server does not answer");
    this.status = status;
    this.reason = reason ?? "unreachable";
    this.hint = hint ?? (status ? "" : "is `liba serve` still running?");
  }
}

export class Api {
  #onLockedOut;

  /** @param {() => void} onLockedOut called when the credential is not accepted any more. */
  constructor(onLockedOut) {
    this.#onLockedOut = onLockedOut;
  }

  get credential() {
    return sessionStorage.getItem(KEPT_AS) ?? "";
  }

  /** A key or a session; it is forgotten with the tab. */
  set credential(value) {
    if (value) sessionStorage.setItem(KEPT_AS, value);
    else sessionStorage.removeItem(KEPT_AS);
  }

  get(path) {
    return this.#json("GET", path);
  }

  post(path, body = {}, headers = {}) {
    return this.#json("POST", path, JSON.stringify(body), { "Content-Type": "application/json", ...headers });
  }

  /** The response itself. @throws {Problem} */
  async open(method, path, { body, headers = {}, signal } = {}) {
    if (this.credential) headers = { ...headers, Authorization: `Bearer ${this.credential}` };
    let response;
    try {
      response = await fetch(path, { method, body, headers, signal, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Problem(0);
    }
    if (response.ok) return response;
    const told = await response.json().catch(() => ({ detail: `the server answered ${response.status}` }));
    if (response.status === 401 && told.reason === "unauthorized") this.#onLockedOut();
    throw new Problem(response.status, told);
  }

  async #json(method, path, body, headers) {
    return (await this.open(method, path, { body, headers })).json();
  }
}
