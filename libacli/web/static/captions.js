/** What is spoken, as text: the newest line large, a few before it small. */

const SHOWN = 4;

export class Captions {
  #log = document.getElementById("captions");

  add(id, text) {
    const line = document.createElement("p");
    line.dataset.id = id;
    line.textContent = text;
    this.#log.append(line);
    while (this.#log.children.length > SHOWN) this.#log.firstElementChild.remove();
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** Marks how the line ended: `done`, `interrupted`... */
  end(id, state) {
    const line = [...this.#log.children].find((one) => one.dataset.id === id);
    if (line) line.dataset.state = state;
  }
}
