/** The stage: the picture, or why there is none. */

import { byId, copy, show, write } from "./dom.js";
import { absence } from "./words.js";

const GLOW_MS = 3000; // slow enough to be no movement, and to cost nothing

export class Stage {
  /** @param {{onListen: () => void}} actions */
  constructor({ onListen }) {
    this._video = byId("stage-video");
    byId("listen").addEventListener("click", onListen);
    byId("stage-copy").addEventListener("click", () => copy(byId("stage-copy"), byId("stage-code").textContent));
    this._video.addEventListener("loadeddata", () => this._glow());
    setInterval(() => this._glow(), GLOW_MS);
  }

  /**
   * @param {string} state of the page
   * @param {any} board
   * @param {any} media
   * @param {string} command that starts an agent
   */
  render(state, board, media, command) {
    const isAgentAway = state === "no-agent";
    const hasPicture = media.hasPicture && !isAgentAway;
    this._video.classList.toggle("shown", hasPicture);
    byId("stage-glow").classList.toggle("shown", hasPicture);
    show(byId("stage-card"), !hasPicture);
    const [title, text] = isAgentAway ? AWAY : cardWords(state, board, media);
    write(byId("stage-title"), title);
    write(byId("stage-text"), text);
    show(byId("stage-command"), isAgentAway);
    write(byId("stage-code"), isAgentAway ? command : "");
    show(byId("listen"), media.isBlocked);
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
  if (media.state !== "on" || state === "joining") return ["Joining…", ""];
  if (board.avatar === "ready") return ["Waiting for the picture…", ""];
  return ["Sound only", absence(board.avatar)];
}
