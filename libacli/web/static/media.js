/** Sound and picture of the room, by livekit-client: joins, watches, joins again. */

import { pause } from "./event_stream.js";
import { Playout } from "./playout.js";

const CLIENT = new URL("vendor/livekit-client.esm.mjs", import.meta.url).href;
const WORKER = new URL("vendor/livekit-client.e2ee.worker.mjs", import.meta.url).href;
const LONGEST_PAUSE_MS = 20_000; // as for events: both come back together
const CAPTIONS = "lk.transcription";
const HUSH_MS = 1000; // longer than what a browser has still to play of a line that was stopped

/**
 * `absent`: there is no livekit-client; `joining`; `on`; `reconnecting`; `off`: it did not work, and is tried again;
 * `elsewhere`: another tab has the same session, and watches in our place.
 * @typedef {"absent" | "joining" | "on" | "reconnecting" | "off" | "elsewhere"} MediaState
 */

export class Media {
  /** @type {MediaState} */
  state = "joining";
  /** Why it is `absent` or `off`, for people. */
  reason = "";
  /** Whether the browser wants a click before anything sounds. */
  isBlocked = false;
  hasPicture = false;
  hasSound = false;

  /**
   * @param {object} parts
   * @param {{get: () => Promise<{url: string, token: string, key: string}>, forget: () => void}} parts.joinToken
   * @param {HTMLVideoElement} parts.video
   * @param {HTMLElement} parts.sounds where audio elements go
   * @param {() => void} parts.onChange
   * @param {() => void} parts.onTracks pictures came or went
   * @param {(text: string, isOver: boolean) => void} [parts.onCaption] a line, as far as it was said
   */
  constructor({ joinToken, video, sounds, onChange, onTracks, onCaption }) {
    Object.assign(this, { _joinToken: joinToken, _video: video, _sounds: sounds, _onChange: onChange, _onTracks: onTracks });
    this._onCaption = onCaption;
    this._pictures = [];
    this._playout = new Playout(onChange);
    this._room = null;
    [this._volume, this._isMuted] = [1, false];
  }

  /** Seconds by which sound and picture are played later, as they come unsteadily. */
  get delay() {
    return this._playout.seconds;
  }

  /** Begins to play; only in answer to a click. */
  async listen() {
    await this._room?.startAudio().catch(() => {});
    this._update();
  }

  /** How loud it is here, from now on. @param {number} volume 0 to 1 @param {boolean} isMuted */
  setSound(volume, isMuted) {
    [this._volume, this._isMuted] = [volume, isMuted];
    this._setSounds(isMuted);
  }

  /** Plays nothing for a moment, or at once again. @param {boolean} isHushed */
  hush(isHushed) {
    clearTimeout(this._hushTimer);
    this._setSounds(isHushed || this._isMuted);
    if (isHushed) this._hushTimer = setTimeout(() => this.hush(false), HUSH_MS);
  }

  _setSounds(isMuted) {
    for (const sound of this._sounds.children) [sound.volume, sound.muted] = [this._volume, isMuted];
  }

  /** Stays in the room until `signal`. @param {boolean} isThere whether the server has livekit-client */
  async run(isThere, signal) {
    const livekit = isThere && (await import(CLIENT).catch(() => null));
    if (!livekit) return this._become("absent", "livekit-client is not there");
    livekit.setLogLevel("warn");
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        const why = await this._stay(livekit, signal);
        if (why === livekit.DisconnectReason.DUPLICATE_IDENTITY) return this._become("elsewhere", "");
        if (why === livekit.DisconnectReason.PARTICIPANT_REMOVED) this._joinToken.forget();
        failures = 0;
        this._become("reconnecting", "");
      } catch (error) {
        if (error.status === 401 || error.status === 403) return this._become("off", error.message);
        this._become("off", error.message);
      }
      await pause(Math.min(500 * 2 ** failures, LONGEST_PAUSE_MS) * (0.75 + Math.random() / 4), signal);
    }
  }

  /** One stay in the room. Returns why it ended, a DisconnectReason. */
  async _stay(livekit, signal) {
    const { url, token, key } = await this._joinToken.get();
    const trouble = reachTrouble(url);
    if (trouble) throw new Error(trouble);
    let isAnswered = false;
    const worker = key ? new Worker(WORKER, { type: "module" }) : null;
    const room = await makeRoom(livekit, key, worker);
    const left = new Promise((resolve) => room.once(livekit.RoomEvent.Disconnected, resolve));
    this._listenTo(room, livekit.RoomEvent);
    if (this._onCaption) room.registerTextStreamHandler(CAPTIONS, (reader, from) => this._readCaption(room, reader, from.identity));
    room.once(livekit.RoomEvent.SignalConnected, () => (isAnswered = true));
    this._room = room;
    const leave = () => room.disconnect();
    signal.addEventListener("abort", leave);
    try {
      await room.connect(url, token).catch((error) => {
        if (error.status === 401 || error.status === 403) this._joinToken.forget();
        throw new Error(isAnswered ? mediaTrouble(url) : `LiveKit at ${new URL(url).host} is not reached`, { cause: error });
      });
      this._become("on", "");
      return await left;
    } finally {
      signal.removeEventListener("abort", leave);
      room.removeAllListeners();
      worker?.terminate();
      this._clear();
    }
  }

  _listenTo(room, events) {
    room
      .on(events.TrackSubscribed, (track, _, participant) => participant.isAgent && this._take(track))
      .on(events.TrackUnsubscribed, (track) => this._drop(track))
      .on(events.EncryptionError, () => this._become("off", "It is encrypted with another key"))
      .on(events.AudioPlaybackStatusChanged, () => this._update())
      .on(events.Reconnecting, () => this._become("reconnecting", ""))
      .on(events.SignalReconnecting, () => this._become("reconnecting", ""))
      .on(events.Reconnected, () => this._become("on", ""));
  }

  /** Captions come in step with what is heard; those of an agent alone are believed, as its picture is. */
  async _readCaption(room, reader, identity) {
    if (!room.remoteParticipants.get(identity)?.isAgent) return;
    let text = "";
    try {
      for await (const more of reader) this._onCaption((text += more), false);
    } catch {
      // its agent has left in the middle of it
    }
    this._onCaption(text, true);
  }

  _take(track) {
    this._playout.add(track);
    if (track.kind === "audio") {
      this._sounds.append(track.attach());
      this._setSounds(this._isMuted);
    } else {
      this._pictures.push(track);
      this._project();
    }
    this._update();
  }

  _drop(track) {
    this._playout.drop(track);
    for (const element of track.detach()) if (element !== this._video) element.remove();
    this._pictures = this._pictures.filter((one) => one !== track);
    this._project();
    this._update();
  }

  /** Shows the newest picture that is there. */
  _project() {
    const newest = this._pictures.at(-1);
    if (newest && !newest.attachedElements.includes(this._video)) {
      this._pictures.forEach((one) => one.detach(this._video));
      newest.attach(this._video);
    }
    this._onTracks();
  }

  _clear() {
    this._playout.clear();
    this._pictures.forEach((one) => one.detach(this._video));
    this._pictures = [];
    this._sounds.replaceChildren();
    this._room = null;
    this._update();
    this._onTracks();
  }

  _become(state, reason) {
    this.state = state;
    this.reason = reason;
    this._update();
  }

  _update() {
    this.hasPicture = this._pictures.length > 0;
    this.hasSound = this._sounds.childElementCount > 0;
    this.isBlocked = Boolean(this._room && this.hasSound && !this._room.canPlaybackAudio);
    this._onChange();
  }
}

/** A room whose sound and picture are encrypted end to end, if there is a key. */
async function makeRoom(livekit, key, worker) {
  if (!key) return new livekit.Room();
  if (!livekit.isE2EESupported()) throw new Error("The room is encrypted, which this browser cannot read");
  const keyProvider = new livekit.ExternalE2EEKeyProvider();
  const room = new livekit.Room({ encryption: { keyProvider, worker } });
  await keyProvider.setKey(key);
  await room.setE2EEEnabled(true);
  return room;
}

/** What keeps this browser from LiveKit, as far as the addresses tell; else empty. @param {string} url */
export function reachTrouble(url, here = location) {
  const livekit = new URL(url);
  if (isLoopback(livekit.hostname) && !isLoopback(here.hostname)) {
    return (
      `LiveKit is at ${livekit.host}, which only the machine of the server can reach. ` +
      "Set livekit.url (LIVEKIT_URL) to an address that this device can reach"
    );
  }
  if (here.protocol === "https:" && livekit.protocol === "ws:" && !isLoopback(livekit.hostname)) {
    return `LiveKit is at ${url}, and a page that came by https may open wss:// addresses only`;
  }
  return "";
}

/** LiveKit answered, and no sound and picture came: why that is, most likely. @param {string} url */
export function mediaTrouble(url, browser = navigator.userAgent) {
  const livekit = new URL(url);
  const told = `LiveKit at ${livekit.host} answers, but sound and picture do not get through`;
  if (!isLoopback(livekit.hostname)) {
    return `${told}: they go by UDP, which a firewall may block, or to an address that this device cannot reach`;
  }
  if (/\bFirefox\//.test(browser)) {
    return (
      `${told}: Firefox sends none within one machine, unless in about:config ` +
      "media.peerconnection.ice.loopback is true. Chrome, Edge and Safari do"
    );
  }
  return (
    `${told}: they go by UDP, which Windows does not pass on into WSL. There, set networkingMode=mirrored in .wslconfig, ` +
    "or open this page in a browser inside WSL"
  );
}

/** @param {string} host */
export const isLoopback = (host) => /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/.test(host);
