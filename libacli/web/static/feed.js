/** Follows a room: server-sent events, read by fetch, since EventSource sends no Authorization header. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const SILENCE_MS = 40_000; // the server sends something every 15 s

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Calls `take(kind, data)` for each event, for ever; a feed that broke off is resumed where it ended.
 * @param {(isOpen: boolean) => void} onLink called whenever it opened or broke off.
 */
export async function follow(api, room, take, onLink) {
  let lastId = "";
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    try {
      for await (const event of read(api, room, lastId)) {
        if (event.kind === "open") onLink(true);
        else take(event.kind, event.data);
        lastId = event.id || lastId;
        pauseMs = FIRST_PAUSE_MS;
      }
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) throw problem;
    }
    onLink(false);
    await pause(pauseMs);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

async function* read(api, room, lastId) {
  const query = new URLSearchParams({ room, captions: "true" });
  const headers = lastId ? { "Last-Event-ID": lastId } : {};
  const ending = new AbortController();
  let alarm = setTimeout(() => ending.abort(), SILENCE_MS);
  try {
    const response = await api.open("GET", `/api/events?${query}`, { headers, signal: ending.signal });
    yield { kind: "open" };
    let rest = "";
    for await (const piece of texts(response.body)) {
      clearTimeout(alarm);
      alarm = setTimeout(() => ending.abort(), SILENCE_MS);
      const blocks = (rest + piece).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    clearTimeout(alarm);
    ending.abort();
  }
}

async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function parse(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const [, name, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
    if (name) fields[name] = value;
  }
  return fields.event && { id: fields.id, kind: fields.event, data: JSON.parse(fields.data) };
}
