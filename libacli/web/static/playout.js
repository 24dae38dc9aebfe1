/** Has the tracks of a room played as much later as their sound needs. */

import { PlayoutDelay, inboundSound } from "./playout_delay.js";

const LOOK_MS = 1000;

export class Playout {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this._onChange = onChange;
    this.clear();
  }

  /** How much later all is played. */
  get seconds() {
    return this._delay.seconds;
  }

  /** @param {any} track of livekit-client */
  add(track) {
    this._tracks.add(track);
    if (this.seconds) apply(track, this.seconds);
    this._timer ??= setInterval(() => this._look(), LOOK_MS);
  }

  drop(track) {
    this._tracks.delete(track);
  }

  /** Another stay in a room begins: nothing is known of the network. */
  clear() {
    clearInterval(this._timer);
    this._timer = null;
    this._tracks = new Set();
    this._delay = new PlayoutDelay();
  }

  async _look() {
    const [delay, before] = [this._delay, this.seconds];
    const reports = await Promise.all([...this._tracks].map((track) => track.getRTCStatsReport().catch(() => null)));
    if (delay !== this._delay) return; // it is over meanwhile
    const seconds = delay.look(reports.flatMap((report) => inboundSound(report?.values() ?? [])));
    if (seconds === before) return;
    for (const track of this._tracks) apply(track, seconds);
    this._onChange();
  }
}

/** By the standard's name, https://w3c.github.io/webrtc-extensions/#dom-rtcrtpreceiver-jitterbuffertarget, or Chrome's older one. */
function apply(track, seconds) {
  if (track.receiver && "jitterBufferTarget" in track.receiver) track.receiver.jitterBufferTarget = Math.round(seconds * 1000);
  else track.setPlayoutDelay(seconds);
}
