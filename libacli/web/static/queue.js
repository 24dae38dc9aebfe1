/** The queue: what is spoken, then what waits. */

import { byId, make, show } from "./dom.js";
import { count } from "./words.js";

const SHOWN = 12;

export class Queue {
  constructor() {
    this._list = byId("queue");
    this._shown = "";
  }

  /** @param {any} scene */
  render(scene) {
    const lines = [...(scene.speaking ? [scene.speaking] : []), ...scene.waiting];
    const told = lines.map((one) => [one.id, one.state, scene.text(one.id), one.chars]);
    const wanted = JSON.stringify(told);
    if (wanted === this._shown) return; // who reads in the list is not to lose the place
    this._shown = wanted;
    const items = lines.slice(0, SHOWN).map((one, index) => item(one, index, scene));
    if (lines.length > SHOWN) items.push(make("li", { class: "more" }, `and ${lines.length - SHOWN} more`));
    this._list.replaceChildren(...items);
    show(this._list, lines.length > 0);
    show(byId("queue-empty"), lines.length === 0);
  }
}

function item(one, index, scene) {
  const isNow = one.state !== "accepted";
  const place = isNow ? "speaking" : index === 0 || (index === 1 && scene.speaking) ? "next" : "waits";
  const text = scene.text(one.id);
  return make(
    "li",
    isNow ? { class: "now" } : {},
    make("span", { class: "place" }, place),
    make("span", { class: text ? "words" : "words foreign" }, text || `a line of ${count(one.chars ?? 0, "character")}`),
  );
}
