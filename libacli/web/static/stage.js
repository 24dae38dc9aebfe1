/** Picture and sound of the digital human: joins the room as a viewer that publishes nothing. */

const CLIENT = "/static/vendor/livekit-client.esm.mjs";
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const isHere = (host) => /^(localhost|127\.|\[::1\]|.*\.localhost$)/.test(host);

export class Stage {
  #api;
  #name;
  #onChange;
  #room = null;
  #client = null;
  #pictures = new Map();
  #video = document.getElementById("stage-video");
  #listen = document.getElementById("listen");
  #sounds = document.getElementById("sounds");

  /** "none", "joining", "live" or "reconnecting" */
  state = "joining";

  /** Why there is no picture and no sound, in words; empty: there is no reason known here. */
  absence = "";

  constructor(api, name, onChange) {
    this.#api = api;
    this.#name = name;
    this.#onChange = onChange;
    this.#listen.addEventListener("click", () => this.#room?.startAudio());
  }

  get hasPicture() {
    return this.#pictures.size > 0;
  }

  /** Joins, and joins again whenever it was put out, for ever. */
  async run() {
    try {
      this.#client = await import(CLIENT);
      this.#client.setLogLevel("warn");
    } catch {
      this.#become("none", "No video here: this installation came without LiveKit’s client. All else works.");
      return;
    }
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      try {
        if (await this.#visit()) pauseMs = FIRST_PAUSE_MS;
      } catch (problem) {
        if (problem.status === 401 || problem.status === 403) return;
        console.debug(`not joined: ${problem.message}`);
      }
      if (this.state === "none") return;
      this.#become("reconnecting");
      await pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
  }

  /** From joining to being out of the room. */
  async #visit() {
    const { url, token } = await this.#api.post("/api/token", { room: this.#name });
    const server = new URL(url).hostname;
    if (isHere(server) && !isHere(location.hostname)) {
      const where = `LiveKit runs at ${server} of the machine that serves this page`;
      this.#become("none", `No video here: ${where}, which no other one reaches.`);
      return false;
    }
    const room = this.#make();
    const gone = new Promise((resolve) => room.once(this.#client.RoomEvent.Disconnected, resolve));
    try {
      await room.connect(url, token);
      this.#room = room;
      this.#become("live");
      this.#showListen();
      await gone;
      return true;
    } finally {
      room.disconnect();
      this.#clear();
    }
  }

  #make() {
    const { Room, RoomEvent } = this.#client;
    return new Room({ adaptiveStream: true })
      .on(RoomEvent.TrackSubscribed, (track, _, who) => this.#add(track, who))
      .on(RoomEvent.TrackUnsubscribed, (track) => this.#remove(track))
      .on(RoomEvent.AudioPlaybackStatusChanged, () => this.#showListen())
      .on(RoomEvent.SignalReconnecting, () => this.#become("reconnecting"))
      .on(RoomEvent.Reconnecting, () => this.#become("reconnecting"))
      .on(RoomEvent.Reconnected, () => this.#become("live"));
  }

  #add(track, who) {
    if (!who.isAgent) return; // the stage is the digital human's alone
    if (track.kind === "video") {
      this.#pictures.set(track.sid, track);
      track.attach(this.#video);
    } else {
      this.#sounds.append(track.attach());
    }
    this.#become(this.state);
  }

  #remove(track) {
    this.#pictures.delete(track.sid);
    if (track.kind === "video") track.detach(this.#video);
    else track.detach().forEach((element) => element.remove());
    [...this.#pictures.values()].at(-1)?.attach(this.#video); // another avatar has taken over
    this.#become(this.state);
  }

  #clear() {
    this.#room = null;
    this.#pictures.clear();
    this.#sounds.replaceChildren();
    this.#showListen();
  }

  #showListen() {
    this.#listen.hidden = !this.#room || this.#room.canPlaybackAudio;
  }

  #become(state, absence = "") {
    this.state = state;
    this.absence = absence;
    this.#video.hidden = !this.hasPicture;
    this.#onChange();
  }
}
