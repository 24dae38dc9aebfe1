/** How things stand, in words. */

import { byId, make } from "./dom.js";
import * as words from "./words.js";

const MEDIA = {
  absent: "not there",
  joining: "joining…",
  reconnecting: "reconnecting…",
  off: "not reached",
  elsewhere: "in another tab",
};
const FEED = { joining: "joining…", reconnecting: "reconnecting…", offline: "not reached" };

/**
 * @param {string} feed how the event stream is
 * @param {any} board
 * @param {any} media
 * @param {boolean} isAccessStored
 */
export function renderConnectionPanel(feed, board, media, isAccessStored) {
  const agent = board.agent ? [board.agent.name, board.agent.model].filter(Boolean).join(", ") : "not here";
  const lines = [
    ["Events", FEED[feed] ?? (board.connectionWords || "live")],
    ["Sound, picture", MEDIA[media.state] ?? (media.hasPicture ? "connected" : media.hasSound ? "sound" : "none yet")],
    ...(media.delay ? [["Played later", `by ${Math.round(media.delay * 1000)} ms, as the network is unsteady`]] : []),
    ["Agent", board.agent === undefined ? "…" : agent],
    ["Route", words.route(board) || "–"],
    ...(isAccessStored ? [] : [["Let in", "until the page is loaded anew: this browser stores nothing"]]),
    ...(board.caps ?? []).filter(isWorthTelling).map(allowance),
  ];
  const list = byId("facts");
  const wanted = JSON.stringify(lines);
  if (list.dataset.shown === wanted) return;
  list.dataset.shown = wanted;
  list.replaceChildren(...lines.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

const isWorthTelling = ({ used, limit }) => limit > 0 && used > limit / 2;

function allowance({ name, used, limit, unit }) {
  const number = (value) => Math.round(value).toLocaleString("en");
  return [`${name[0].toUpperCase()}${name.slice(1)}`, `${number(used)} of ${number(limit)} ${unit}`];
}
