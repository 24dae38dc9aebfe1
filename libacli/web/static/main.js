/** Puts the page together: one room, what is known of it, and what is shown of that. */

import { Api } from "./api.js";
import { Captions } from "./captions.js";
import { copy } from "./copy.js";
import { readAddress, trade } from "./entry.js";
import { follow } from "./feed.js";
import { Latency } from "./latency.js";
import { LinkDialog } from "./link.js";
import { Queue } from "./queue.js";
import { SpeechForm } from "./speech.js";
import { Stage } from "./stage.js";

const LOOK_EVERY_MS = 3000;
const OVER = ["done", "interrupted", "failed", "expired", "unconfirmed", "rejected"];
const WORDS = {
  loading: "Loading…",
  key: "A key is needed",
  joining: "Joining…",
  live: "Ready",
  "no-agent": "The agent is not here",
  reconnecting: "Reconnecting…",
  offline: "liba serve is not reached; trying again…",
};

const element = (id) => document.getElementById(id);
const api = new Api(() => askForKey("This key or session is not accepted any more."));

/** What is known. `feed`: "new", "open" or "broken". */
const known = { room: "", isIn: false, feed: "new", link: "", status: null, speaking: "" };
let stage = null;

const captions = new Captions();
const queue = new Queue();
const latency = new Latency();
const speech = new SpeechForm(api, () => known.room, (id, text) => queue.own(id, text));
new LinkDialog(api, () => known.room);

function state() {
  if (!known.isIn) return element("key-form").hidden ? "loading" : "key";
  if (known.feed === "broken") return "offline";
  if (known.link || stage.state === "reconnecting") return "reconnecting";
  if (known.feed === "new" || !known.status) return "joining";
  if (!known.status.agent) return "no-agent";
  return stage.state === "joining" ? "joining" : "live";
}

function route() {
  if (stage?.hasPicture || known.status?.avatar === "ready") return "avatar";
  return `sound only: ${known.status?.avatar ?? "no avatar"}`;
}

/** Only what has changed is written: a live region speaks at each write. */
function write(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

function draw() {
  const now = state();
  const isLive = now === "live";
  document.documentElement.dataset.state = now;
  document.documentElement.dataset.speaking = String(isLive && known.speaking !== "");
  write("state", isLive && known.speaking ? "Speaking" : WORDS[now]);
  write("route", isLive ? route() : "");
  element("placeholder").hidden = stage?.hasPicture ?? false;
  element("start").hidden = now !== "no-agent";
  write("command", `liba agent run --room ${known.room}`);
  write("absence", absence(now));
}

function absence(now) {
  if (now === "no-agent") return "The agent is not here. It comes with the first line, or start it:";
  if (stage?.absence) return stage.absence;
  if (now !== "live") return WORDS[now];
  return route() === "avatar" ? "The picture is on its way." : `Sound only: ${known.status.avatar}`;
}

function take(kind, data) {
  if (kind === "status") takeStatus(data);
  else if (kind === "utterance") takeUtterance(data);
  else if (kind === "caption") captions.add(data.id, data.text);
  else if (kind === "link") known.link = data.state;
  draw();
}

function takeStatus(status) {
  known.status = status;
  known.speaking = status.speaking?.id ?? "";
  queue.replace(status.waiting);
}

function takeUtterance(event) {
  if (known.status && event.avatar) known.status.avatar = event.avatar;
  if (event.state === "rejected") return;
  queue.update(event.id, event.state, event.chars);
  latency.update(event);
  if (["speaking", "audible"].includes(event.state)) known.speaking = event.id;
  if (!OVER.includes(event.state)) return;
  if (known.speaking === event.id) known.speaking = "";
  captions.end(event.id, event.state);
}

/** While the avatar is on its way nothing happens that would be told: it has to be asked for. */
async function look() {
  const isWorthIt = known.status?.agent && known.status.avatar !== "ready" && !document.hidden;
  if (!isWorthIt || known.feed !== "open") return;
  try {
    known.status.avatar = (await api.get(`/api/rooms/${encodeURIComponent(known.room)}`)).avatar;
    draw();
  } catch (problem) {
    console.debug(`not looked: ${problem.message}`);
  }
}

function askForKey(why = "") {
  api.credential = "";
  known.isIn = false;
  element("key-form").hidden = false;
  element("key-refusal").textContent = why;
  element("key-refusal").hidden = !why;
  draw();
}

async function enter() {
  known.isIn = true;
  element("key-form").hidden = true;
  stage ??= new Stage(api, known.room, draw);
  write("room", known.room);
  draw();
  const onLink = (isOpen) => {
    known.feed = isOpen ? "open" : "broken";
    draw();
  };
  try {
    await Promise.all([stage.run(), follow(api, known.room, take, onLink)]);
  } catch (problem) {
    if (problem.status === 403) askForKey("This session is for another room.");
  }
}

async function start() {
  const { room, code } = readAddress();
  const page = await untilReached(() => api.get("/api/page"));
  speech.offer(page.voices);
  element("text").maxLength = page.max_text_chars;
  const traded = code && (await trade(api, code));
  known.room = traded || room || page.room;
  if (page.needs_key && !api.credential) askForKey(code ? "This link was used already, or is too old." : "");
  else await enter();
}

async function untilReached(call) {
  for (;;) {
    try {
      return await call();
    } catch (problem) {
      if (problem.status) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

element("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  api.credential = element("key").value.trim();
  element("key").value = "";
  try {
    await api.get(`/api/rooms/${encodeURIComponent(known.room)}`);
    await enter();
  } catch (problem) {
    askForKey(problem.message);
  }
});
element("copy-command").addEventListener("click", (event) => copy(element("command").textContent, event.target));
window.addEventListener("hashchange", () => location.reload());
setInterval(look, LOOK_EVERY_MS);
start();
