/** States, in words. */

const ABSENCES = {
  "not configured": "No avatar is configured.",
  "not watched": "The avatar comes as soon as it is noticed that somebody watches.",
  "not ready": "The avatar is on its way.",
  left: "The avatar has left. It is called back.",
  stalled: "The avatar does not keep up.",
  "spend cap": "The avatar's time for today is used up.",
  "livekit not public": "The avatar's service cannot reach this LiveKit server.",
};

/** Why there is no avatar, as a sentence. */
export const absence = (reason) => ABSENCES[reason] ?? (reason ? `The avatar says: ${reason}.` : "");

/** The route that a line takes or would take. @param {any} scene */
export function route(scene) {
  if (!scene.agent) return "";
  const now = scene.speaking;
  if (now?.route) return now.route === "tavus" ? "avatar" : soundOnly(now.route_reason);
  return scene.avatar === "ready" ? "avatar" : soundOnly(scene.avatar);
}

const soundOnly = (reason) => (reason ? `sound only: ${reason}` : "sound only");

const STATES = {
  loading: "Loading…",
  key: "A key is needed",
  joining: "Joining…",
  "no-agent": "The agent is not here",
  reconnecting: "Reconnecting…",
  offline: "Offline: the server is not reached",
};

/** @param {string} state of the page @param {any} scene */
export function stateWords(state, scene) {
  return STATES[state] ?? (scene.speaking ? "Speaking" : "Ready");
}

const ENDS = {
  interrupted: "Stopped before its end",
  failed: "It could not be spoken",
  expired: "It waited too long and was left out",
  unconfirmed: "Spoken, but nobody confirmed its end",
  lost: "Lost: its agent is gone",
};

/** What became of our own line. @param {any} one @param {any} parts its latency */
export function noteWords(one, parts, ahead) {
  if (one.state === "accepted") return ahead > 0 ? `Queued, ${count(ahead, "line")} before it` : "Queued, it is next";
  if (one.state === "speaking") return "Its turn";
  const heard = parts.latency === null ? "" : `Heard after ${ms(parts.latency)}`;
  if (one.state === "audible") return heard;
  if (one.state === "done") return heard ? `Done. ${heard}` : "Done";
  return [ENDS[one.state], one.reason].filter(Boolean).join(": ");
}

/** @param {number} n */
export const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** Milliseconds, as short as they can be read. @param {number | null | undefined} value */
export function ms(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 10_000) return `${(value / 1000).toFixed(0)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
