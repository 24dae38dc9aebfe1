/** States, in words. */

const ABSENCES = {
  "not configured": "No avatar is configured.",
  "not watched": "The avatar comes as soon as it is noticed that somebody watches.",
  resting: "The avatar rests, and comes with the next line.",
  "not ready": "The avatar is on its way.",
  left: "The avatar has left. It is called back.",
  stalled: "The avatar does not keep up.",
  "never joined": "The avatar was called and did not come.",
  "no answer": "The avatar's service does not answer.",
  "not reachable": "The avatar's service cannot be reached.",
  "answer not understood": "What answers in place of the avatar's service is not that.",
  "not available": "The avatar is not available.",
  "spend cap": "The avatar's time for today is used up.",
  "too many conversations": "All avatars that may be there at a time are elsewhere.",
  "livekit not public": "The avatar's service cannot reach this LiveKit server.",
  encrypted: "The room is encrypted, and the avatar has no key.",
};

/** Why there is no avatar, as a sentence. */
export const absence = (reason) => ABSENCES[reason] ?? (reason ? `The avatar says: ${reason}.` : "");

/** The route that a line takes or would take, and whose voice where it is not the usual one. @param {any} board */
export function route(board) {
  if (!board.agent) return "";
  const standIn = board.agent.voice_state ? `, in another voice: ${board.agent.model}` : "";
  return way(board) + standIn;
}

function way(board) {
  const now = board.speaking;
  if (now?.route) return isByAvatar(now) ? "avatar" : soundOnly(now.route_reason);
  return board.avatar === "ready" ? "avatar" : soundOnly(board.avatar);
}

/** Whether the avatar speaks it: the server calls that way by its vendor. @param {any} row */
export const isByAvatar = (row) => row.route === "tavus";

const soundOnly = (reason) => (reason ? `sound only: ${reason}` : "sound only");

const STATES = {
  loading: "Loading…",
  key: "A key is needed",
  joining: "Joining…",
  "no-agent": "Agent offline",
  reconnecting: "Reconnecting…",
  offline: "Offline: the server is not reached",
};

/** @param {string} state of the page @param {any} board */
export function stateWords(state, board) {
  const waits = board.isPaused ? "Paused" : board.standby ? "On standby" : "Ready";
  return STATES[state] ?? (board.speaking ? "Speaking" : waits);
}

const ENDS = {
  interrupted: "Stopped before its end",
  failed: "It could not be spoken",
  expired: "It waited too long and was left out",
  unconfirmed: "Spoken, but nobody confirmed its end",
  lost: "Lost: its agent is gone",
};

const RESUMED = "It was cut off, and said again from its beginning";

/** The state of a line where that is worth a word. @param {any} row */
export function rowWords(row) {
  const state = ["done", "audible", "speaking"].includes(row.state) ? "" : row.state;
  return [state, row.resumed ? "resumed" : ""].filter(Boolean).join(", ");
}

/** What became of our own line. @param {any} row @param {any} parts its latency */
export function noteWords(row, parts, ahead, isPaused = false) {
  if (row.state === "accepted" && isPaused) return "Queued: the queue is paused";
  if (row.state === "accepted") return ahead > 0 ? `Queued, ${count(ahead, "line")} before it` : "Queued, it is next";
  if (row.state === "speaking") return "Its turn";
  const heard = parts.latency === null ? "" : `Heard after ${ms(parts.latency)}`;
  if (row.state === "audible") return heard;
  const voice = row.voice_reason ? `In the voice of ${row.provider}` : "";
  if (row.state === "done") return ["Done", heard, voice, row.resumed ? RESUMED : ""].filter(Boolean).join(". ");
  return [ENDS[row.state], row.reason].filter(Boolean).join(": ");
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
