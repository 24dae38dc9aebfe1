/** The queue: what is spoken, then what waits. */

import { byId, make, show } from "./dom.js";
import { count } from "./words.js";

const SHOWN = 12;

export class Queue {
  constructor() {
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
    const items = rows.slice(0, SHOWN).map((row, index) => item(row, index, board));
    const more = rows.length + board.waitingLeftOut - items.length;
    if (more > 0) items.push(make("li", { class: "more" }, `and ${more} more`));
    this._list.replaceChildren(...items);
    show(this._list, rows.length > 0);
    show(byId("queue-empty"), rows.length === 0);
  }
}

function item(row, index, board) {
  const isNow = row.state !== "accepted";
  const place = isNow ? "speaking" : index === 0 || (index === 1 && board.speaking) ? "next" : "waits";
  const text = board.text(row.id);
  return make(
    "li",
    isNow ? { class: "now" } : {},
    make("span", { class: "place" }, place),
    make("span", { class: text ? "words" : "words foreign" }, text || `a line of ${count(row.chars ?? 0, "character")}`),
  );
}
