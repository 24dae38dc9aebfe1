/** The picture and nothing else: comes in, shows what there is, and tries again for ever, with nobody there to help. */

import { forgetStage, keepForStage, keptForStage, loadAccess, noAccess, readAddress } from "./access.js";
import { Api } from "./api.js";
import { byId, show, write } from "./dom.js";
import { pause } from "./event_stream.js";
import { JoinToken } from "./join_token.js";
import { Media } from "./media.js";
import { stageOptions } from "./stage_options.js";

const RETRY_MS = 5000;
const LOCKED_MS = 60_000; // few enough that a server does not take it for guessing
const CAPTION_STAYS_MS = 1500;

/** What wants somebody: a dot shows that, and its words say what. @type {Record<string, string>} */
const WANTS = {
  locked: "The link does not let this stage in any more: open a new one",
  elsewhere: "The same link is open in another place, which shows the picture",
  absent: "The server has no player for sound and picture",
};

const options = stageOptions(location.search);
const address = readAddress();
let bearer = "";
const api = new Api(() => bearer);

document.documentElement.style.background = options.background;
document.documentElement.classList.toggle("cover", options.fit === "cover");
options.wrong.forEach((words) => console.warn(`stage: ${words}`));
addEventListener("hashchange", () => location.reload());
start();

async function start() {
  for (;;) {
    const page = await untilAnswered(() => api.page());
    const access = page.needs_key ? await enter() : noAccess();
    if (access) await watch(page, access);
    tell("locked");
    await pause(LOCKED_MS);
  }
}

/** What lets us in: the link's code, or what an earlier link has left in this browser. Null: nothing does. */
async function enter() {
  if (address.code) {
    const session = await untilAnswered(() => api.redeemCode(address.code), [401, 403, 422]);
    address.code = "";
    if (session) return keepForStage({ ...noAccess(), bearer: session.session, room: session.room });
  }
  const found = [keptForStage(), loadAccess()].filter((one) => one.bearer);
  return found.find((one) => !address.room || !one.room || one.room === address.room) ?? null;
}

/** The answer, however long it takes; null for one with a status of `refusals`. */
async function untilAnswered(ask, refusals = []) {
  for (;;) {
    try {
      return await ask();
    } catch (problem) {
      if (refusals.includes(problem.status)) return null;
      tell("offline");
      await pause(Math.max(RETRY_MS, (problem.retryInS ?? 0) * 1000));
    }
  }
}

/** Watches until we are not let in any more. */
async function watch(page, access) {
  const leaving = new AbortController();
  const room = access.room || address.room || page.room;
  bearer = access.bearer;
  api.onLockedOut = () => {
    forgetStage();
    leaving.abort();
  };
  const media = new Media({
    joinToken: new JoinToken(() => api.token(room), () => bearer),
    video: byId("stage-video"),
    sounds: byId("stage-sound"),
    onChange: () => render(media),
    onTracks: () => {},
    onCaption: options.hasCaptions ? showCaption : undefined,
  });
  const listen = () => media.listen();
  document.addEventListener("click", listen);
  while (!leaving.signal.aborted) {
    await media.run(page.video, leaving.signal);
    if (media.state === "elsewhere") return new Promise(() => {}); // two that put each other out help nobody
    await pause(media.state === "absent" ? LOCKED_MS : RETRY_MS, leaving.signal);
    // A browser does not load again what it once could not.
    if (media.state === "absent" && (await untilAnswered(() => api.page()))) location.reload();
  }
  document.removeEventListener("click", listen);
  bearer = "";
}

function render(media) {
  tell(media.state);
  byId("stage-video").classList.toggle("shown", media.hasPicture && media.state === "on");
  show(byId("listen"), media.isBlocked);
  document.documentElement.style.cursor = media.isBlocked ? "auto" : "";
}

function tell(state) {
  document.documentElement.dataset.state = state;
  write(byId("state-words"), WANTS[state] ?? "");
  show(byId("dot"), state in WANTS);
  byId("dot").title = WANTS[state] ?? "";
}

let fading = 0;

/** A line as far as it was said; it goes a moment after its end. */
function showCaption(text, isOver) {
  clearTimeout(fading);
  write(byId("caption"), text);
  show(byId("captions"), Boolean(text));
  if (isOver) fading = setTimeout(() => show(byId("captions"), false), CAPTION_STAYS_MS);
}
