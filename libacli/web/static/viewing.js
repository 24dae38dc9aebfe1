/** How this browser shows what it gets: loud, with captions, over the whole screen; and whether details are there. */

import { byId, show, write } from "./dom.js";

const KEPT = "liba.viewing";
const AS_SET = { volume: 1, isMuted: false, hasCaptions: true, hasDetails: false };

export class Viewing {
  /** @param {{setSound: (volume: number, isMuted: boolean) => void}} media */
  constructor(media) {
    this._media = media;
    this._wishes = load();
    this._bind();
    this._show();
  }

  _bind() {
    byId("mute").addEventListener("click", () => this._wish({ isMuted: !this._wishes.isMuted }));
    byId("volume").addEventListener("input", (event) => {
      this._wish({ volume: Number(event.target.value) / 100, isMuted: false });
    });
    byId("captions-on").addEventListener("click", () => this._wish({ hasCaptions: !this._wishes.hasCaptions }));
    byId("details").addEventListener("click", () => this._wish({ hasDetails: !this._wishes.hasDetails }));
    byId("full-screen").addEventListener("click", toggleFullScreen);
    document.addEventListener("fullscreenchange", () => this._show());
    show(byId("details"), true);
    show(byId("full-screen"), document.fullscreenEnabled);
  }

  _wish(change) {
    this._wishes = { ...this._wishes, ...change };
    try {
      localStorage.setItem(KEPT, JSON.stringify(this._wishes));
    } catch {
      // private windows may not store: it lasts as long as the page then
    }
    this._show();
  }

  _show() {
    const { volume, isMuted, hasCaptions, hasDetails } = this._wishes;
    this._media.setSound(volume, isMuted);
    byId("mute").setAttribute("aria-pressed", String(isMuted));
    byId("volume").value = String(Math.round(volume * 100));
    byId("captions-on").setAttribute("aria-pressed", String(hasCaptions));
    byId("captions").classList.toggle("off", !hasCaptions);
    show(byId("side"), hasDetails);
    byId("details").setAttribute("aria-expanded", String(hasDetails));
    write(byId("full-screen"), document.fullscreenElement ? "Leave full screen" : "Full screen");
  }
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else byId("show").requestFullscreen().catch(() => {}); // where it is not allowed, all stays as it is
}

function load() {
  try {
    const { volume, ...switches } = { ...AS_SET, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
    const [isMuted, hasCaptions, hasDetails] = ["isMuted", "hasCaptions", "hasDetails"].map((name) => Boolean(switches[name]));
    return { volume: volume >= 0 && volume <= 1 ? Number(volume) : 1, isMuted, hasCaptions, hasDetails };
  } catch {
    return AS_SET;
  }
}
