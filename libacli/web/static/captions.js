/** The lines that were spoken, newest last, like on a prompter. */

import { byId, make } from "./dom.js";

const KEPT = 100;

/** What became of a line that was not spoken to its end. @type {Record<string, string>} */
const ENDS = {
  interrupted: "…stopped",
  failed: "…not spoken",
  expired: "…not spoken",
  lost: "…lost: the agent went away",
};

export class Captions {
  /** @param {{onAgain: ((id: string) => void) | null}} actions null: this page may not speak */
  constructor({ onAgain }) {
    this._onAgain = onAgain;
    this._log = byId("captions");
    /** @type {Map<string, HTMLElement>} */
    this._lines = new Map();
  }

  /** @param {string} id @param {string} text */
  put(id, text) {
    const newest = [...this._lines.values()].at(-1);
    const isAtEnd = !newest || this._log.scrollTop + this._log.clientHeight > newest.offsetTop;
    const line = this._lines.get(id);
    if (line) return this._goOn(line.firstElementChild, text, isAtEnd && line === newest);
    const added = make("p", {}, make("span", {}, text));
    this._lines.set(id, added);
    this._log.append(added);
    if (this._lines.size > KEPT) this._forget(this._lines.keys().next().value);
    if (isAtEnd) this._log.scrollTop = added.offsetTop;
  }

  /** More of a line, or less: what is new of it comes into sight, else its end, from the row in which that begins. */
  _goOn(words, text, isFollowed) {
    const before = words.textContent;
    if (before === text) return;
    words.textContent = text;
    if (!isFollowed || !text) return;
    const news = text.startsWith(before) ? text.slice(before.length).trimStart() : text.slice(-1);
    const range = document.createRange();
    range.setStart(words.firstChild, text.length - news.length);
    range.setEnd(words.firstChild, text.length);
    const line = words.parentElement;
    const rowPx = parseFloat(getComputedStyle(words).lineHeight);
    const [firstRow] = range.getClientRects();
    const downPx = firstRow ? firstRow.top - line.getBoundingClientRect().top : 0;
    this._log.scrollTop = line.offsetTop + Math.floor(downPx / rowPx) * rowPx;
  }

  /** @param {any} board @param {boolean} isHeard whether the room's sound comes to this page */
  render(board, isHeard) {
    const now = board.speaking?.id;
    for (const [id, line] of this._lines) {
      line.classList.toggle("now", id === now);
      line.dataset.end = ENDS[board.find(id)?.state] ?? "";
      if (line.dataset.end && this._onAgain && line.childElementCount === 1) line.append(this._again(id));
    }
    // Who hears the voice is not to hear a screen reader say the same words over it.
    this._log.setAttribute("aria-live", isHeard ? "off" : "polite");
  }

  /** Has a line that was not spoken to its end said once more. */
  _again(id) {
    const button = make("button", { class: "again", type: "button" }, "Say it again");
    button.addEventListener("click", () => {
      button.disabled = true;
      this._onAgain(id);
    });
    return button;
  }

  _forget(id) {
    this._lines.get(id)?.remove();
    this._lines.delete(id);
  }
}
