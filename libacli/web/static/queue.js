/** What waits to be spoken. Texts are known of what was said here; events carry none. */

const KEPT = 200;

export class Queue {
  #list = document.getElementById("queue");
  #empty = document.getElementById("queue-empty");
  #count = document.getElementById("queue-count");
  #texts = new Map();
  #waiting = new Map();

  /** What this page said under that id. */
  own(id, text) {
    this.#texts.set(id, text);
    if (this.#texts.size > KEPT) this.#texts.delete(this.#texts.keys().next().value);
    this.#draw();
  }

  /** All that waits, as the agent tells it. */
  replace(reports) {
    this.#waiting = new Map(reports.map((report) => [report.id, report.chars]));
    this.#draw();
  }

  /** One utterance is in another state now. */
  update(id, state, chars) {
    if (state === "accepted") this.#waiting.set(id, chars);
    else this.#waiting.delete(id);
    this.#draw();
  }

  #draw() {
    const items = [...this.#waiting].map(([id, chars]) => {
      const item = document.createElement("li");
      item.textContent = this.#texts.get(id) ?? `a line of ${chars} characters`;
      return item;
    });
    this.#list.replaceChildren(...items);
    this.#count.textContent = items.length ? String(items.length) : "";
    this.#empty.hidden = items.length > 0;
  }
}
