/** The text box, its buttons, and what the server says to a line. */

import { asCurl, asPython } from "./code.js";
import { byId, copy, make, show, write } from "./dom.js";
import { partsOf } from "./latency.js";
import { count, noteWords } from "./words.js";

const KEPT = "liba.manner";
const SAID_KEPT = 200; // as many as the board knows
const AS_SET = { voice: "", speed: null, emotion: "", instructions: "" };

export class Compose {
  /**
   * @param {object} parts
   * @param {any} parts.api
   * @param {any} parts.board
   * @param {string} parts.room
   * @param {{max_text_chars: number, voices: string[], usual_voice: string, usual_speed: number}} parts.page
   * @param {() => void} parts.onChange
   * @param {(isHushed: boolean) => void} parts.onHush
   * @param {boolean} parts.needsKey whether the server asks for a key
   */
  constructor({ api, board, room, page, onChange, onHush, needsKey }) {
    this._needsKey = needsKey;
    /** What was asked for each line that was said here, by id. @type {Map<string, object>} */
    this._said = new Map();
    Object.assign(this, { _api: api, _board: board, _room: room, _page: page });
    Object.assign(this, { _onChange: onChange, _onHush: onHush });
    this._text = byId("text");
    this._isSending = false;
    /** The page says that the server cannot be reached. */
    this.isUnanswered = false;
    /** Ids of what a stop has dropped. @type {string[]} */
    this._dropped = [];
    /** The line that was refused or not answered, and its key: the same line again has the same key. */
    this._pending = { key: "", line: "" };
    this._mine = "";
    this._manner = readManner();
    byId("voice").placeholder = page.usual_voice ? `${page.usual_voice} (set)` : "as set";
    byId("voices").replaceChildren(...page.voices.map((value) => make("option", { value })));
    this._bind();
    this._showManner();
    this._count();
  }

  /** What became of our last line. */
  render() {
    const row = this._board.find(this._mine);
    if (!row) return write(byId("note"), this._isSending ? "Sending…" : "");
    const { waiting, speaking } = this._board;
    const place = waiting.findIndex((other) => other.id === row.id);
    const ahead = (place < 0 ? waiting.length : place) + (speaking ? 1 : 0);
    write(byId("note"), noteWords(row, partsOf(row), ahead, this._board.isPaused));
    byId("note").classList.toggle("bad", row.isOver && row.state !== "done");
  }

  _bind() {
    byId("compose").addEventListener("submit", (event) => {
      event.preventDefault();
      this._speak();
    });
    this._text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
        event.preventDefault();
        this._speak();
      }
    });
    this._text.addEventListener("input", () => this._count());
    for (const sample of byId("samples").querySelectorAll("button")) {
      sample.addEventListener("click", () => {
        this._write(sample.textContent);
        this._text.focus();
      });
    }
    byId("undo").addEventListener("click", () => this._undo());
    byId("code").addEventListener("toggle", () => this._showCode());
    byId("copy-curl").addEventListener("click", () => copy(byId("copy-curl"), byId("curl").textContent));
    byId("copy-python").addEventListener("click", () => copy(byId("copy-python"), byId("python").textContent));
    byId("stop").addEventListener("click", () => this._stop());
    byId("voice").addEventListener("input", (event) => this._setManner({ voice: event.target.value.trim() }));
    byId("hear-voice").addEventListener("click", () => this._hearVoice());
    byId("instructions").addEventListener("input", (event) =>
      this._setManner({ instructions: event.target.value.trim() }),
    );
    byId("speed").addEventListener("input", (event) => this._setManner({ speed: Number(event.target.value) }));
    byId("emotion").addEventListener("input", (event) => this._setManner({ emotion: event.target.value }));
    byId("as-set").addEventListener("click", () => {
      this._setManner(AS_SET);
      byId("voice").focus();
    });
  }

  async _speak() {
    if (this._isSending) return;
    const text = this._text.value;
    if (!text.trim()) {
      this._refuse("There is nothing to say yet. Write a line first.");
      return this._text.focus();
    }
    this._offerBack([]);
    if ((await this._send(this._body(text))) && this._text.value === text) this._write("");
  }

  _body(text) {
    const asked = Object.entries(this._manner).filter(([, value]) => value);
    return { text, room: this._room, ...Object.fromEntries(asked) };
  }

  /** A line in the voice that is chosen, as it was chosen: what is in the text box stays there. */
  _hearVoice() {
    if (this._isSending) return;
    const { voice } = this._manner;
    this._send(this._body(voice ? `Hello. This is the voice called ${voice}.` : "Hello. This is the voice that is set."));
  }

  /** Has it said. Returns whether it was taken; else the page says why not. */
  async _send(body) {
    this._setSending(true);
    try {
      const key = this._keyOf(JSON.stringify(body));
      this._board.caption(key, body.text);
      this._taken(await this._api.say(key, body), body);
      return true;
    } catch (problem) {
      this._fail(problem);
      return false;
    } finally {
      this._setSending(false);
    }
  }

  _taken({ id }, body) {
    this._pending = { key: "", line: "" };
    this._mine = id;
    this._said.set(id, body);
    if (this._said.size > SAID_KEPT) this._said.delete(this._said.keys().next().value);
    this._refuse("");
  }

  _write(text) {
    this._text.value = text;
    this._count();
  }

  /** Has a line said once more. @param {string} id */
  async sayAgain(id) {
    return this._send(this._said.get(id) ?? { text: this._board.text(id), room: this._room });
  }

  /** Says what a stop has dropped, and how to have it back. @param {string[]} ids */
  _offerBack(ids) {
    this._dropped = ids;
    write(byId("dropped-words"), ids.length ? `${count(ids.length, "line")} that waited will not be said.` : "");
    show(byId("dropped"), ids.length > 0);
  }

  async _undo() {
    const ids = this._dropped;
    this._offerBack([]);
    this._text.focus();
    for (const [index, id] of ids.entries()) {
      if (await this.sayAgain(id)) continue;
      return this._offerBack(ids.slice(index));
    }
  }

  /** Takes one that waits out of the queue. @param {string} id */
  async drop(id) {
    try {
      await this._api.cancel(this._room, id);
      this._refuse("");
      if (this._board.text(id)) this._offerBack([...this._dropped, id]);
    } catch (problem) {
      this._fail(problem);
    }
  }

  /** Whether that line was said here. @param {string} id */
  hasSaid = (id) => this._said.has(id);

  /** Tells what the server refuses of it. @param {Promise<unknown>} asked */
  async told(asked) {
    try {
      await asked;
      this._refuse("");
    } catch (problem) {
      this._fail(problem);
    }
  }

  async _stop() {
    this._onHush(true); // what is on its way here already is heard no more
    const waited = this._board.waiting.map(({ id }) => id);
    try {
      const { stopped } = await this._api.stop(this._room);
      this._refuse("");
      this._offerBack(waited.filter((id) => stopped.includes(id) && this._board.text(id)));
    } catch (problem) {
      this._onHush(false);
      this._fail(problem);
    }
  }

  _keyOf(line) {
    if (this._pending.line !== line) this._pending = { key: newKey(), line };
    return this._pending.key;
  }

  _setSending(isSending) {
    this._isSending = isSending;
    byId("speak").classList.toggle("busy", isSending);
    byId("speak").setAttribute("aria-busy", String(isSending));
    if (isSending) this._mine = "";
    this._onChange();
  }

  /** Tells why something was not done. */
  _fail(problem) {
    this._refuse(problem.words ?? String(problem));
    this.isUnanswered = problem.status === 0;
  }

  /** The server has answered since: that it cannot be reached is true no longer. */
  answered() {
    if (this.isUnanswered) this._refuse("");
  }

  _refuse(words) {
    this.isUnanswered = false;
    write(byId("refused"), words);
    if (words) this._text.setAttribute("aria-invalid", "true");
    else this._text.removeAttribute("aria-invalid");
  }

  _count() {
    const [length, most] = [[...this._text.value.trim()].length, this._page.max_text_chars];
    write(byId("count"), `${length.toLocaleString("en")} of ${most.toLocaleString("en")} characters`);
    byId("count").classList.toggle("bad", length > most);
    show(byId("samples"), !this._said.size && !this._text.value);
    this._showCode();
  }

  /** What the button would send now, where it is looked at. */
  _showCode() {
    if (!byId("code").open) return;
    const asked = [new URL("api/say", document.baseURI).href, this._body(this._text.value.trim() || "Hello."), this._needsKey];
    write(byId("curl"), asCurl(...asked));
    write(byId("python"), asPython(...asked));
  }

  _setManner(change) {
    this._manner = { ...this._manner, ...change };
    try {
      localStorage.setItem(KEPT, JSON.stringify(this._manner));
    } catch {
      // private windows may not store: it lasts as long as the page then
    }
    this._showManner();
  }

  _showManner() {
    const { voice, speed, emotion, instructions } = this._manner;
    if (byId("voice").value.trim() !== voice) byId("voice").value = voice;
    if (byId("instructions").value.trim() !== instructions) byId("instructions").value = instructions;
    const pace = speed ?? this._page.usual_speed;
    byId("speed").value = String(pace);
    write(byId("speed-words"), `${pace.toFixed(2).replace(/\.?0+$/, "")}×${speed ? "" : " (set)"}`);
    byId("speed").setAttribute("aria-valuetext", speed ? `${pace} times` : `${pace} times, as set`);
    byId("emotion").value = emotion;
    show(byId("as-set"), Boolean(voice || speed || emotion || instructions));
    this._showCode();
  }
}

function readManner() {
  try {
    const kept = { ...AS_SET, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
    const { voice, speed, emotion, instructions } = kept;
    const isOffered = [...byId("emotion").options].some((option) => option.value === emotion);
    return {
      voice: String(voice).slice(0, 64),
      speed: speed >= 0.5 && speed <= 2 ? Number(speed) : null,
      emotion: isOffered ? emotion : "",
      instructions: String(instructions).slice(0, 1000),
    };
  } catch {
    return AS_SET;
  }
}

// Not crypto.randomUUID: that is there in secure contexts alone.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
