/** One stream of events for all tabs of a browser: over HTTP/1.1 a website has six connections, for all of them. */

import { Problem } from "./api.js";
import { followEvents, newPlace } from "./event_stream.js";

/**
 * As followEvents. Of the tabs with the same `name` one follows and tells the others what it hears; when it goes, another
 * one goes on after the last event that it was told. Where a browser cannot do that, each tab follows for itself.
 * @param {string} name
 * @param {(lastId: string, signal: AbortSignal) => Promise<Response>} open
 * @param {{onEvent: (kind: string, data: any) => void, onDown: (problem: Problem, pauseMs: number) => void,
 *   onJoin: () => void, signal: AbortSignal}} options `onJoin`: it began before us, and goes well
 */
export async function followShared(name, open, { onEvent, onDown, onJoin, signal }) {
  const alone = () => followEvents(open, { onEvent, onDown, signal });
  const tabs = openChannel(name);
  if (!tabs) return alone();
  const place = newPlace();
  const leader = { isOne: false, isLive: false, link: null };
  const tell = (message) => tabs.postMessage(message);

  tabs.addEventListener("message", ({ data: told }) => {
    if (signal.aborted) return;
    if (told.is === "newcomer" && leader.isLive) tell({ is: "live", link: leader.link });
    if (leader.isOne) return;
    if (told.is === "event") {
      place.lastId = told.id || place.lastId;
      onEvent(told.kind, told.data);
    }
    if (told.is === "down") onDown(new Problem(told.status, told.reason, told.words), told.pauseMs);
    if (told.is === "live" && !place.lastId) {
      if (told.link) onEvent("link", told.link);
      onJoin();
    }
  });

  const lead = () => {
    leader.isOne = true;
    return followEvents(open, {
      onEvent: (kind, data, id) => {
        leader.isLive = true;
        if (kind === "link") leader.link = data;
        onEvent(kind, data);
        tell({ is: "event", kind, data, id });
      },
      onDown: (problem, pauseMs) => {
        leader.isLive = false;
        onDown(problem, pauseMs);
        tell({ is: "down", status: problem.status, reason: problem.reason, words: problem.words, pauseMs });
      },
      signal,
      place,
    });
  };

  tell({ is: "newcomer" });
  try {
    return await navigator.locks.request(name, { signal }, lead);
  } catch {
    return signal.aborted ? null : alone(); // it blocks storage, and locks with it
  } finally {
    tabs.close();
  }
}

function openChannel(name) {
  try {
    return navigator.locks ? new BroadcastChannel(name) : null; // in secure contexts alone
  } catch {
    return null;
  }
}

/** For those who may hear the same. A secret is part of no name. @param {string} room @param {string} bearer */
export async function streamName(room, bearer) {
  if (!bearer || !crypto.subtle) return `liba.events ${room}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(bearer));
  return `liba.events ${room} ${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
