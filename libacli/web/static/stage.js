/** The stage: the picture, or why there is none. */

import { byId, copy, show, write } from "./dom.js";
import { absence } from "./words.js";

const WIDE = 1.7; // the stage is 16:9
const SETTLE_MS = 200; // a stream begins with few bits: its first pictures are coarse
const GLOW_MS = 3000; // slow enough to be no movement, and to cost nothing

export class Stage {
  /** @param {{onListen: () => void}} actions */
  constructor({ onListen }) {
    this._video = byId("stage-video");
    byId("listen").addEventListener("click", onListen);
    byId("stage-copy").addEventListener("click", () => copy(byId("stage-copy"), byId("stage-code").textContent));
    this._video.addEventListener("loadeddata", () => setTimeout(() => this._settle(), SETTLE_MS));
    this._video.addEventListener("emptied", () => this._video.classList.remove("settled"));
    this._video.addEventListener("resize", () => this._fit());
    setInterval(() => this._glow(), GLOW_MS);
  }

  /**
   * @param {string} state of the page
   * @param {any} board
   * @param {any} media
   * @param {string} command that starts an agent
   * @param {"" | "page" | "livekit"} silent which server has not answered for a while
   */
  render(state, board, media, command, silent) {
    const isAgentAway = state === "no-agent";
    const hasPicture = media.hasPicture && !isAgentAway && !silent;
    this._video.classList.toggle("shown", hasPicture);
    byId("stage-glow").classList.toggle("shown", hasPicture);
    show(byId("stage-card"), !hasPicture);
    const [title, text, start] = silent ? SILENT[silent] : isAgentAway ? [...AWAY, command] : cardWords(state, board, media);
    write(byId("stage-title"), title);
    write(byId("stage-text"), text);
    show(byId("stage-command"), Boolean(start));
    write(byId("stage-code"), start ?? "");
    show(byId("listen"), media.isBlocked);
  }

  _settle() {
    this._video.classList.add("settled");
    this._glow();
  }

  /** The picture's own form; a narrow one has sides that fade. */
  _fit() {
    const ratio = this._video.videoWidth / this._video.videoHeight || 1;
    this._video.style.setProperty("--ratio", String(ratio));
    this._video.classList.toggle("narrow", ratio < WIDE);
  }

  /** The colours at the picture's sides go on beside it. */
  _glow() {
    const { videoWidth: width, videoHeight: height } = this._video;
    const canvas = byId("stage-glow");
    const context = canvas.getContext("2d");
    if (!width || !context || !canvas.classList.contains("shown")) return;
    const [half, edge] = [canvas.width / 2, Math.ceil(width * 0.03)];
    context.drawImage(this._video, 0, 0, edge, height, 0, 0, half, canvas.height);
    context.drawImage(this._video, width - edge, 0, edge, height, half, 0, half, canvas.height);
  }
}

const SILENT = {
  page: [
    "The page's server does not answer",
    "It is tried again until it does. Where it has ended, this starts it:",
    "liba serve",
  ],
  livekit: [
    "The LiveKit server does not answer",
    "It is tried again until it does. Where it has ended, this starts one on this machine:",
    "liba server run",
  ],
};

const AWAY = [
  "Agent offline",
  "Start it with this command. Or say something: an agent that runs elsewhere is called in.",
];

function cardWords(state, board, media) {
  if (media.state === "absent") {
    return ["No video", `The player for sound and picture is missing: ${media.reason}. All else works.`];
  }
  if (media.state === "off") return ["No sound, no picture", `${media.reason}. It is tried again.`];
  if (media.state === "elsewhere") return ["In another tab", "Load this page anew to watch here instead."];
  if (state === "reconnecting" || state === "offline") return ["Reconnecting…", ""];
  if (media.state !== "on" || state === "joining") return ["Joining…", ""];
  if (board.avatar === "ready") return ["Waiting for the picture…", ""];
  return ["Sound only", absence(board.avatar)];
}
