/** The queue: what is spoken, then what waits; and what can be done about it. */

import { byId, make, show, write } from "./dom.js";
import { count } from "./words.js";

const SHOWN = 12;

export class Queue {
  /**
   * @param {object} parts
   * @param {(id: string) => boolean} parts.mayCancel
   * @param {boolean} parts.mayControl whether who looks may move lines, pause, and give the go-ahead
   * @param {(id: string) => void} parts.onCancel
   * @param {(id: string, where: {to: "first"} | {before: string}) => void} parts.onMove
   * @param {(isPaused: boolean) => void} parts.onPause
   * @param {(id: string) => void} parts.onNext
   */
  constructor({ mayCancel, mayControl, onCancel, onMove, onPause, onNext }) {
    Object.assign(this, { _mayCancel: mayCancel, _mayControl: mayControl, _onCancel: onCancel, _onMove: onMove });
    this._list = byId("queue");
    this._pause = byId("pause");
    this._next = byId("next");
    this._shown = "";
    this._next.addEventListener("click", () => this._standby && onNext(this._standby));
    this._pause.addEventListener("click", () => onPause(!this._isPaused));
  }

  /** @param {any} board */
  render(board) {
    this._renderPause(board);
    this._renderNext(board);
    const rows = [...(board.speaking ? [board.speaking] : []), ...board.waiting];
    const told = rows.map((row) => [row.id, row.state, row.standby, board.text(row.id), row.chars, this._mayCancel(row.id)]);
    const wanted = JSON.stringify([...told, board.waitingLeftOut]);
    if (wanted === this._shown) return; // who reads in the list is not to lose the place
    this._shown = wanted;
    const focused = this._focused();
    const items = rows.slice(0, SHOWN).map((row, index) => this._item(row, index, board));
    const more = rows.length + board.waitingLeftOut - items.length;
    if (more > 0) items.push(make("li", { class: "more" }, `and ${more} more`));
    this._list.replaceChildren(...items);
    show(this._list, rows.length > 0);
    show(byId("queue-empty"), rows.length === 0);
    if (focused) focusAgain(items, focused);
  }

  _renderPause(board) {
    this._isPaused = board.isPaused;
    show(this._pause, this._mayControl && Boolean(board.agent));
    write(this._pause, board.isPaused ? "Resume" : "Pause");
    write(byId("paused-words"), board.isPaused ? "Paused: nothing begins until it is resumed." : "");
  }

  /** Once a line was on standby it stays: who leads a show by keyboard keeps the place. */
  _renderNext(board) {
    this._standby = board.standby?.id ?? "";
    if (this._standby) show(this._next, this._mayControl);
    this._next.setAttribute("aria-disabled", String(!this._standby));
  }

  _item(row, index, board) {
    const isNow = row.state !== "accepted";
    const isFirst = index === (board.speaking ? 1 : 0);
    const place = isNow ? "speaking" : row.standby ? "on standby" : isFirst ? "next" : "waits";
    const text = board.text(row.id);
    const words = text || `a line of ${count(row.chars ?? 0, "character")}`;
    const item = make(
      "li",
      isNow ? { class: "now" } : {},
      make("span", { class: "place" }, place),
      make("span", { class: text ? "words" : "words foreign" }, words),
      ...(isNow ? [] : [this._buttons(row, words, board)]),
    );
    item.dataset.id = row.id;
    return item;
  }

  _buttons({ id, standby }, words, board) {
    const waiting = board.waiting.map((row) => row.id);
    const [first, place] = [waiting[0], waiting.indexOf(id)];
    const buttons = [];
    if (this._mayControl && id !== first && !standby) {
      const up = { before: waiting[place - 1] };
      buttons.push(button("up", "↑", "Move up", words, () => this._onMove(id, up)));
      buttons.push(button("first", "⤒", "Move to the front", words, () => this._onMove(id, { to: "first" })));
    }
    if (this._mayCancel(id)) buttons.push(button("drop", "×", "Take out", words, () => this._onCancel(id)));
    return make("span", { class: "row-buttons" }, ...buttons);
  }

  /** Where the keyboard is in the list: which line, which of its buttons, which place. */
  _focused() {
    const [at, item] = [document.activeElement, document.activeElement?.closest?.(".queue li")];
    return item && { id: item.dataset.id, name: at.dataset.name, place: [...this._list.children].indexOf(item) };
  }
}

function button(name, sign, title, words, onClick) {
  const label = { "aria-label": `${title}: ${words}`, title };
  const made = make("button", { class: `quiet small ${name}`, type: "button", ...label }, sign);
  made.dataset.name = name;
  made.addEventListener("click", onClick);
  return made;
}

/** Who moves a line stays with it; who takes out one after the other is at the next one, or in the text box. */
function focusAgain(items, { id, name, place }) {
  const same = items.find((item) => item.dataset.id === id);
  const near = items.slice(place).concat(items.slice(0, place).reverse());
  const buttons = (item) => [...item.querySelectorAll("button")];
  const named = (item) => buttons(item).find((one) => one.dataset.name === name);
  const wanted = same ? (named(same) ?? buttons(same)[0]) : near.map(named).find(Boolean);
  (wanted ?? byId("text")).focus();
}
