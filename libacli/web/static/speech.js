/** The form: what to say, with which voice, how fast; and Stop. */

const element = (id) => document.getElementById(id);

const randomId = () =>
  [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export class SpeechForm {
  #api;
  #room;
  #onSaid;
  #pending = { text: "", key: "" };
  #text = element("text");
  #voice = element("voice");
  #speed = element("speed");
  #refusal = element("refusal");

  /** @param {(id: string, text: string) => void} onSaid called with what was accepted. */
  constructor(api, room, onSaid) {
    this.#api = api;
    this.#room = room;
    this.#onSaid = onSaid;
    this.#remember(this.#voice, "liba.voice");
    this.#remember(this.#speed, "liba.speed");
    this.#speed.addEventListener("input", () => this.#showPace());
    this.#showPace();
    element("say-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.#say();
      }
    });
    element("stop").addEventListener("click", () => this.#stop());
  }

  offer(voices) {
    const options = voices.map((name) => Object.assign(document.createElement("option"), { value: name }));
    element("voices").replaceChildren(...options);
  }

  async #say() {
    const text = this.#text.value;
    try {
      const said = await this.#api.post("/api/say", this.#body(text), { "Idempotency-Key": this.#keyOf(text) });
      this.#pending = { text: "", key: "" };
      if (this.#text.value === text) this.#text.value = "";
      this.#refusal.hidden = true;
      this.#onSaid(said.id, text);
    } catch (problem) {
      this.#refuse(problem);
    }
  }

  async #stop() {
    try {
      await this.#api.post("/api/stop", { room: this.#room() });
      this.#refusal.hidden = true;
    } catch (problem) {
      this.#refuse(problem);
    }
  }

  #body(text) {
    const speed = Number(this.#speed.value);
    const voice = this.#voice.value.trim();
    return { text, room: this.#room(), ...(voice && { voice }), ...(speed !== 1 && { speed }) };
  }

  /** Sent again, the same text is spoken once; what was refused for good may be tried anew. */
  #keyOf(text) {
    if (this.#pending.text !== text) this.#pending = { text, key: randomId() };
    return this.#pending.key;
  }

  #refuse(problem) {
    if (problem.status) this.#pending = { text: "", key: "" };
    this.#refusal.textContent = [problem.message, problem.hint].filter(Boolean).join(" – ");
    this.#refusal.hidden = false;
  }

  #showPace() {
    const pace = Number(this.#speed.value).toFixed(2);
    element("pace").textContent = `${pace}×`;
    this.#speed.setAttribute("aria-valuetext", `${pace} times as fast`);
  }

  #remember(input, name) {
    input.value = localStorage.getItem(name) ?? input.value;
    input.addEventListener("change", () => localStorage.setItem(name, input.value));
  }
}
