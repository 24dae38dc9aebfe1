/** The page, put together: who we are, then the room, then what is shown of it. */

import * as access from "./access.js";
import { Api } from "./api.js";
import { Captions } from "./captions.js";
import { Compose } from "./compose.js";
import { byId, show, write } from "./dom.js";
import { renderFacts } from "./facts.js";
import { LatencyPanel } from "./latency_panel.js";
import { Media } from "./media.js";
import { Queue } from "./queue.js";
import { Scene } from "./scene.js";
import { bindShare } from "./share.js";
import { Stage } from "./stage.js";
import { follow, pause } from "./stream.js";
import * as words from "./words.js";

const OFFLINE_AFTER_MS = 15_000;
const LOOK_MS = 2500;

let me = access.kept();
const api = new Api(() => me.bearer);
const root = document.documentElement;

start();

async function start() {
  const address = access.readAddress();
  addEventListener("hashchange", () => location.reload());
  const page = await pageInfo();
  write(byId("version"), `liba ${page.version}`);
  if (!page.needs_key) me = access.nobody();
  const trouble = page.needs_key && address.code ? await redeem(address.code) : "";
  if (page.needs_key && (trouble || !me.bearer)) await askForKey(trouble, address.room || page.room);
  enter(page, me.room || address.room || page.room);
}

async function pageInfo() {
  for (;;) {
    try {
      return await api.page();
    } catch {
      setState("offline", new Scene());
      await pause(2000);
    }
  }
}

/** Trades the code for a session. Returns what is wrong with it. */
async function redeem(code) {
  try {
    const leave = await api.session(code);
    me = { bearer: leave.session, room: leave.room, canSay: leave.can_say };
    access.keep(me);
    return "";
  } catch (problem) {
    me = access.nobody();
    return `The link does not let you in. ${problem.words}`;
  }
}

/** Returns once there is a key that the server knows. */
function askForKey(trouble, room) {
  setState("key", new Scene());
  show(byId("key-form"), true);
  show(byId("desk"), false);
  write(byId("key-alert"), trouble);
  byId("key").focus();
  return new Promise((resolve) => {
    byId("key-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const problem = await tryKey(byId("key").value.trim(), room);
      write(byId("key-alert"), problem);
      if (problem) return byId("key").select();
      show(byId("key-form"), false);
      resolve(undefined);
    });
  });
}

async function tryKey(key, room) {
  if (!/^[!-~]+$/.test(key)) return "A key has letters, digits, - and _ only.";
  me = { ...access.nobody(), bearer: key };
  try {
    await api.room(room);
  } catch (problem) {
    // Any other answer comes after the key was found good.
    if ([0, 401, 429].includes(problem.status)) return problem.words;
  }
  access.keep(me);
  return "";
}

function setState(state, scene) {
  root.dataset.state = state;
  root.classList.toggle("on-air", state === "live" && Boolean(scene.speaking));
  write(byId("state-words"), words.stateWords(state, scene));
  write(byId("route-words"), state === "live" ? words.route(scene) : "");
}

/** Everything after the door. */
function enter(page, room) {
  const scene = new Scene();
  const leaving = new AbortController();
  let feed = "joining";
  let downSince = 0;
  let isDrawing = false;

  function draw() {
    if (isDrawing) return;
    isDrawing = true;
    queueMicrotask(() => {
      isDrawing = false;
      render();
    });
  }

  const media = new Media({
    join: () => api.token(room),
    video: byId("stage-video"),
    sounds: byId("stage-sound"),
    onChange: draw,
    onTracks: () => setTimeout(look, 300),
  });
  const stage = new Stage({ onListen: () => media.listen() });
  const captions = new Captions();
  const queue = new Queue();
  const latency = new LatencyPanel(page.budgets);
  const compose = new Compose({ api, scene, room, page, onChange: draw });
  const command = `liba agent run --room ${shellWord(room)}${page.agent === "liba" ? "" : ` --agent-name ${shellWord(page.agent)}`}`;

  function stateNow() {
    if (feed !== "live") return feed;
    if (scene.agent === undefined) return scene.link ? "reconnecting" : "joining";
    if (scene.link || media.state === "reconnecting") return "reconnecting";
    if (scene.agent === null) return "no-agent";
    return media.state === "joining" ? "joining" : "live";
  }

  function render() {
    const state = stateNow();
    setState(state, scene);
    stage.render(state, scene, media, command);
    captions.render(scene, media.hasSound && !media.isBlocked);
    queue.render(scene);
    latency.render(scene);
    compose.render();
    renderFacts(feed, scene, media);
  }

  const takers = {
    status: (data) => scene.takeStatus(data),
    utterance(data) {
      const text = scene.takeEvent(data) && data.state === "speaking" && scene.text(data.id);
      if (text) captions.put(data.id, text);
    },
    caption({ id, text }) {
      scene.learnText(id, text);
      captions.put(id, text);
    },
    link: (data) => (scene.link = data.state),
  };

  function onEvent(kind, data) {
    [feed, downSince] = ["live", 0];
    takers[kind]?.(data);
    draw();
  }

  function onDown() {
    downSince ||= Date.now();
    const isLong = Date.now() - downSince > OFFLINE_AFTER_MS;
    feed = isLong || !navigator.onLine ? "offline" : "reconnecting";
    draw();
  }

  /** Events tell neither of the avatar's comings and goings nor of a changed order. */
  async function look() {
    if (feed !== "live" || document.hidden) return;
    const before = scene.version;
    const status = await api.room(room).catch(() => null);
    if (!status || scene.version !== before) return;
    scene.takeStatus(status);
    draw();
  }

  const isWaitingForAvatar = () => scene.agent && !["ready", "not configured"].includes(scene.avatar);
  setInterval(() => (scene.isDoubtful || isWaitingForAvatar()) && look(), LOOK_MS);

  api.onLockedOut = () => {
    if (leaving.signal.aborted) return;
    leaving.abort();
    access.forget();
    location.reload();
  };

  show(byId("desk"), true);
  show(byId("compose"), me.canSay);
  show(byId("watching"), !me.canSay);
  write(byId("room-name"), room);
  document.title = `${room} · liba`;
  bindShare({ api, room, canSay: me.canSay });
  render();
  media.run(page.video, leaving.signal);
  follow((lastId, signal) => api.events(room, lastId, signal), { onEvent, onDown, signal: leaving.signal }).then(
    (problem) => problem && giveUp(problem),
  );

  function giveUp(problem) {
    feed = "offline";
    render();
    write(byId("state-words"), problem.words);
  }
}

/** For a shell. @param {string} text */
const shellWord = (text) => (/^[\w.:@/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
