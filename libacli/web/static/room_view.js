/** One room, from entering it until this browser is not let in any more: what is known, and what is shown. */

import { Board } from "./board.js";
import { Captions } from "./captions.js";
import { Compose } from "./compose.js";
import { renderConnectionPanel } from "./connection_panel.js";
import { byId, show, write } from "./dom.js";
import { JoinToken } from "./join_token.js";
import { LatencyPanel } from "./latency_panel.js";
import { Media } from "./media.js";
import { Queue } from "./queue.js";
import { bindShareDialog } from "./share_dialog.js";
import { followShared, streamName } from "./shared_stream.js";
import { Stage } from "./stage.js";
import { Viewing } from "./viewing.js";
import * as words from "./words.js";

const SILENT_AFTER_MS = 5000; // less is no news: a network that changes takes a moment
const OFFLINE_AFTER_MS = 15_000; // a server that is restarted is back before that
const LOOK_MS = 2500; // 24 a minute of the 600 requests that a caller has
const TRACKS_SETTLE_MS = 300; // an avatar's sound and picture come one after the other

/** Shows the page's state in words. @param {string} state @param {Board} board */
export function showState(state, board) {
  document.documentElement.dataset.state = state;
  document.documentElement.classList.toggle("on-air", state === "live" && Boolean(board.speaking));
  write(byId("state-words"), words.stateWords(state, board));
  write(byId("route-words"), state === "live" ? words.route(board) : "");
}

export class RoomView {
  _leaving = new AbortController();
  /** How the stream of events is: `joining`, `live`, `reconnecting`, `offline`. */
  _feed = "joining";
  _downSince = 0;
  /** Why no events come though the server answers, for people. */
  _trouble = "";
  _isDrawing = false;
  _silence = { which: "", since: 0 };
  _counting = 0;

  /**
   * @param {object} parts
   * @param {any} parts.api
   * @param {any} parts.page what the server tells of itself
   * @param {string} parts.room
   * @param {{canSay: boolean, canControl: boolean}} parts.access
   * @param {boolean} parts.isAccessStored whether this page is let in when it is loaded anew
   * @param {() => void} parts.onLockedOut the key or session is not accepted any more
   */
  constructor({ api, page, room, access, isAccessStored, onLockedOut }) {
    Object.assign(this, { _api: api, _page: page, _room: room, _access: access, _onLockedOut: onLockedOut });
    this._isAccessStored = isAccessStored;
    this._board = new Board(page.states);
    const draw = () => this._draw();
    this._media = new Media({
      joinToken: new JoinToken(() => api.token(room), api.bearer),
      video: byId("stage-video"),
      sounds: byId("stage-sound"),
      onChange: draw,
      onTracks: () => setTimeout(() => this._look(), TRACKS_SETTLE_MS),
    });
    this._stage = new Stage({ onListen: () => this._media.listen() });
    this._viewing = new Viewing(this._media);
    this._captions = new Captions({ onAgain: access.canSay ? (id) => this._compose.sayAgain(id) : null });
    this._queue = new Queue({
      mayCancel: (id) => access.canControl || (access.canSay && this._compose.hasSaid(id)),
      mayControl: access.canControl,
      onCancel: (id) => this._compose.drop(id),
      onMove: (id, where) => this._compose.told(api.move(room, id, where)),
      onPause: (isPaused) => this._compose.told(api.pause(room, isPaused)),
      onNext: (id) => this._compose.told(api.next(room, id)),
    });
    this._latency = new LatencyPanel(page.budgets);
    const onHush = (isHushed) => this._media.hush(isHushed);
    this._compose = new Compose({ api, board: this._board, room, page, onChange: draw, onHush, needsKey: page.needs_key });
  }

  begin() {
    this._api.onLockedOut = () => this._lockedOut();
    show(byId("desk"), true);
    const { canSay, canControl } = this._access;
    show(byId("compose"), canSay);
    show(byId("stop"), canControl);
    show(byId("watching"), !canSay);
    write(byId("room-name"), this._room);
    document.title = `${this._room} · liba`;
    bindShareDialog({ api: this._api, room: this._room, access: this._access });
    this._render();
    setInterval(() => this._isInDoubt() && this._look(), LOOK_MS);
    this._media.run(this._page.video, this._leaving.signal);
    this._follow();
  }

  async _follow() {
    const open = (lastId, signal) => this._api.events(this._room, lastId, signal);
    const problem = await followShared(await streamName(this._room, this._api.bearer()), open, {
      onEvent: (kind, data) => this._onEvent(kind, data),
      onDown: (problem, pauseMs) => this._onDown(problem, pauseMs),
      onJoin: () => this._join(),
      signal: this._leaving.signal,
    });
    if (!problem) return;
    this._feed = "offline";
    this._render();
    write(byId("state-words"), problem.words);
  }

  _onEvent(kind, data) {
    [this._feed, this._downSince] = ["live", 0];
    this._compose.answered();
    if (kind === "status") this._board.answer(data);
    else if (kind === "utterance") this._onUtterance(data);
    else if (kind === "caption") this._onCaption(data);
    else if (kind === "link") this._board.connection(data.state);
    this._draw();
  }

  _onUtterance(event) {
    if (!this._board.event(event) || event.state !== "speaking") return;
    this._media.hush(false);
    const text = this._board.text(event.id);
    if (text) this._captions.put(event.id, text);
  }

  _onCaption({ id, text }) {
    this._board.caption(id, text);
    this._captions.put(id, text);
  }

  /** Another tab follows, and tells us what it hears from now on; what is there already nobody tells us. */
  async _join() {
    [this._feed, this._downSince] = ["live", 0];
    await this._look();
    this._draw();
  }

  _onDown(problem, pauseMs) {
    this._downSince ||= Date.now();
    this._trouble = ["too_many_streams", "standby"].includes(problem.reason) ? problem.words : "";
    const isLong = Date.now() - this._downSince > OFFLINE_AFTER_MS;
    this._feed = isLong || !navigator.onLine ? "offline" : "reconnecting";
    this._countDown(Date.now() + pauseMs);
    this._draw();
  }

  /** Tells for how long nothing is tried, each second; not to screen readers, which would read each. */
  _countDown(until) {
    clearInterval(this._counting);
    const tell = () => {
      const seconds = Math.ceil((until - Date.now()) / 1000);
      const isWaiting = seconds > 0 && this._feed !== "live";
      write(byId("retry-words"), isWaiting ? `next try in ${seconds} s` : "");
      if (!isWaiting) clearInterval(this._counting);
    };
    this._counting = setInterval(tell, 250);
    tell();
  }

  _lockedOut() {
    if (this._leaving.signal.aborted) return;
    this._leaving.abort();
    this._onLockedOut();
    location.reload();
  }

  /** Events tell neither of the avatar's comings and goings nor of a changed order. */
  _isInDoubt() {
    const { agent, avatar, isDoubtful } = this._board;
    return this._compose.isUnanswered || agent === undefined || isDoubtful || (agent && !["ready", "not configured"].includes(avatar));
  }

  async _look() {
    if (this._feed !== "live" || (document.hidden && this._board.agent !== undefined)) return;
    const before = this._board.version;
    const status = await this._api.room(this._room).catch(() => null);
    if (status) this._compose.answered();
    if (!status || this._board.version !== before) return;
    this._board.answer(status);
    this._draw();
  }

  /** Renders once for all that changes in one go. */
  _draw() {
    if (this._isDrawing) return;
    this._isDrawing = true;
    queueMicrotask(() => {
      this._isDrawing = false;
      this._render();
    });
  }

  _render() {
    const [state, board, media] = [this._state(), this._board, this._media];
    showState(state, board);
    if (this._feed !== "live" && this._trouble) write(byId("state-words"), this._trouble);
    this._stage.render(state, board, media, this._command(), this._silent());
    this._captions.render(board, media.hasSound && !media.isBlocked);
    this._queue.render(board);
    this._latency.render(board);
    this._compose.render();
    renderConnectionPanel(this._feed, board, media, this._isAccessStored);
  }

  _state() {
    const { agent, connectionWords } = this._board;
    if (this._feed !== "live") return this._feed;
    if (agent === undefined) return connectionWords ? "reconnecting" : "joining";
    if (connectionWords || this._media.state === "reconnecting") return "reconnecting";
    if (agent === null) return "no-agent";
    return this._media.state === "joining" ? "joining" : "live";
  }

  /** Which server has not answered for a while: that of the page, or LiveKit. */
  _silent() {
    const isPageSilent = ["reconnecting", "offline"].includes(this._feed) && !this._trouble;
    const which = isPageSilent ? "page" : this._isLiveKitAway() ? "livekit" : "";
    if (which !== this._silence.which) {
      this._silence = { which, since: Date.now() };
      if (which) setTimeout(() => this._draw(), SILENT_AFTER_MS + 50);
    }
    return Date.now() - this._silence.since > SILENT_AFTER_MS ? which : "";
  }

  _isLiveKitAway() {
    return Boolean(this._board.connectionWords) || (this._media.state === "reconnecting" && this._feed === "live");
  }

  /** What starts an agent for this room. */
  _command() {
    const name = this._page.agent === "liba" ? "" : ` --agent-name ${shellWord(this._page.agent)}`;
    return `liba agent run --room ${shellWord(this._room)}${name}`;
  }
}

/** For a shell. @param {string} text */
const shellWord = (text) => (/^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
