/** Server-sent events by fetch, since EventSource can send no header: resumes, backs off, notices silence. */

import { Problem } from "./api.js";

const SILENCE_MS = 40_000; // the server says something every 15 s: two of those have not come
const HELD_MS = 20_000; // the server says something at once, and so it was held back on the way
const LONGEST_PAUSE_MS = 20_000; // within the 30 s for which the server keeps what was missed

/**
 * Follows until `signal`, or until the server says that this will never do.
 * @param {(lastId: string, signal: AbortSignal) => Promise<Response>} open
 * @param {{onEvent: (kind: string, data: any, id: string) => void, onDown: (problem: Error, pauseMs: number) => void,
 *   signal: AbortSignal, place?: ReturnType<typeof newPlace>}} options `place`: where it goes on
 * @returns {Promise<Problem | null>} why it was given up
 */
export async function followEvents(open, { onEvent, onDown, signal, place = newPlace() }) {
  while (!signal.aborted) {
    let problem = new Problem(0, "ended", "the server ended the stream");
    try {
      await readOnce(open, place, onEvent, signal);
    } catch (error) {
      if (signal.aborted) return null;
      if (isFinal(error)) return error;
      problem = error;
    }
    const backoffMs = Math.min(place.retryMs * 2 ** place.failures++, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
    const pauseMs = Math.max(backoffMs, (problem.retryInS ?? 0) * 1000);
    onDown(problem, pauseMs);
    await pause(pauseMs, signal);
  }
  return null;
}

/** The beginning. */
export const newPlace = () => ({ lastId: "", retryMs: 2000, failures: 0 });

const isFinal = (error) => error instanceof Problem && [401, 403, 404, 422].includes(error.status);

async function readOnce(open, place, onEvent, signal) {
  const silence = new AbortController();
  const either = AbortSignal.any?.([signal, silence.signal]) ?? silence.signal;
  let timer = setTimeout(() => silence.abort(held()), HELD_MS);
  const isAlive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  try {
    const reader = (await open(place.lastId, either)).body.pipeThrough(new TextDecoderStream()).getReader();
    for await (const message of messages(reader, isAlive)) {
      if (message.retry) place.retryMs = message.retry;
      if (message.id) place.lastId = message.id;
      if (!message.data) continue;
      place.failures = 0;
      onEvent(message.kind, JSON.parse(message.data), message.id);
    }
  } catch (error) {
    throw silence.signal.aborted ? silence.signal.reason : error;
  } finally {
    clearTimeout(timer);
  }
}

const held = () =>
  new Problem(0, "held", "no events come through", { hint: "Something between here and the server holds them back" });

/** The messages in a stream of text. */
async function* messages(reader, onText) {
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onText();
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) yield parse(block);
  }
}

function parse(block) {
  const message = { kind: "message", id: "", data: "", retry: 0 };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 1) continue; // a comment
    const [field, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (field === "event") message.kind = value;
    else if (field === "id") message.id = value;
    else if (field === "data") message.data += message.data ? `\n${value}` : value;
    else if (field === "retry") message.retry = Number(value) || 0;
  }
  return message;
}

/** Waits; less long when the network comes back. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal?.removeEventListener("abort", end);
      resolve(undefined);
    }
    addEventListener("online", end);
    signal?.addEventListener("abort", end);
  });
}
