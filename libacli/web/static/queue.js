/** The queue: what is spoken, then what waits. */

import { byId, make, show } from "./dom.js";
import { count } from "./words.js";

const SHOWN = 12;

export class Queue {
  /** @param {{onDrop: ((id: string) => void) | null}} parts null: who looks may not take lines out */
  constructor({ onDrop }) {
    this._onDrop = onDrop;
    this._list = byId("queue");
    this._shown = "";
  }

  /** @param {any} board */
  render(board) {
    const rows = [...(board.speaking ? [board.speaking] : []), ...board.waiting];
    const told = rows.map((row) => [row.id, row.state, board.text(row.id), row.chars]);
    const wanted = JSON.stringify([...told, board.waitingLeftOut]);
    if (wanted === this._shown) return; // who reads in the list is not to lose the place
    this._shown = wanted;
    const focused = document.activeElement?.closest?.(".queue li");
    const place = focused ? [...this._list.children].indexOf(focused) : -1;
    const items = rows.slice(0, SHOWN).map((row, index) => this._item(row, index, board));
    const more = rows.length + board.waitingLeftOut - items.length;
    if (more > 0) items.push(make("li", { class: "more" }, `and ${more} more`));
    this._list.replaceChildren(...items);
    show(this._list, rows.length > 0);
    show(byId("queue-empty"), rows.length === 0);
    if (place >= 0) focusNear(items, place);
  }

  _item(row, index, board) {
    const isNow = row.state !== "accepted";
    const place = isNow ? "speaking" : index === 0 || (index === 1 && board.speaking) ? "next" : "waits";
    const text = board.text(row.id);
    const words = text || `a line of ${count(row.chars ?? 0, "character")}`;
    return make(
      "li",
      isNow ? { class: "now" } : {},
      make("span", { class: "place" }, place),
      make("span", { class: text ? "words" : "words foreign" }, words),
      ...(this._onDrop && !isNow ? [this._dropButton(row.id, words)] : []),
    );
  }

  _dropButton(id, words) {
    const label = `Take out: ${words}`;
    const button = make("button", { class: "quiet small drop", type: "button", "aria-label": label, title: "Take out" }, "×");
    button.addEventListener("click", () => this._onDrop(id));
    return button;
  }
}

/** Whoever takes out one line after the other with the keyboard is at the next one, or in the text box. */
function focusNear(items, place) {
  const buttons = items.slice(place).concat(items.slice(0, place).reverse()).map((item) => item.querySelector("button"));
  (buttons.find(Boolean) ?? byId("text")).focus();
}
