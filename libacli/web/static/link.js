/** A link, and its QR code, that lets another screen in. */

import { copy } from "./copy.js";

const element = (id) => document.getElementById(id);
const isHere = (host) => /^(localhost|127\.|\[::1\])/.test(host);

export class LinkDialog {
  #api;
  #room;
  #dialog = element("link-dialog");

  constructor(api, room) {
    this.#api = api;
    this.#room = room;
    element("link-button").addEventListener("click", () => this.#open());
    element("close-link").addEventListener("click", () => this.#dialog.close());
    element("copy-link").addEventListener("click", (event) => copy(element("link-address").href, event.target));
    element("link-can-say").addEventListener("change", () => this.#fill());
  }

  async #open() {
    element("link-can-say").checked = false;
    await this.#fill();
    this.#dialog.showModal();
  }

  async #fill() {
    const refusal = element("link-refusal");
    try {
      const canSay = element("link-can-say").checked;
      const link = await this.#api.post("/api/link", { room: this.#room(), can_say: canSay });
      const address = element("link-address");
      address.href = address.textContent = link.url;
      element("link-code").src = `data:image/svg+xml,${encodeURIComponent(withNamespace(link.qr_svg))}`;
      element("link-note").textContent = note(link);
      element("link-choice").hidden = !link.url.includes("code="); // without keys everybody may speak
      refusal.hidden = true;
    } catch (problem) {
      refusal.textContent = `${problem.message} ${problem.hint}`.trim();
      refusal.hidden = false;
    }
  }
}

function note({ url, expires_in_s }) {
  if (isHere(new URL(url).hostname)) {
    return "It works on this machine only; liba serve --host lets others in.";
  }
  return url.includes("code=")
    ? `It works once, for ${Math.round(expires_in_s / 60)} minutes.`
    : "It works for everybody who reaches this server.";
}

/** An SVG that is an image of its own has to say what it is. */
function withNamespace(svg) {
  return svg.includes("xmlns=") ? svg : svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"');
}
