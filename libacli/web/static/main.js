/** The page, put together: who we are, then the room, then what is shown of it. */

import * as access from "./access.js";
import { Api } from "./api.js";
import { byId, show, write } from "./dom.js";
import { Board } from "./board.js";
import { pause } from "./stream.js";
import { Visit, showState } from "./visit.js";

let me = access.kept();
const api = new Api(() => me.bearer);

start();

async function start() {
  const address = access.readAddress();
  addEventListener("hashchange", () => location.reload());
  const page = await pageInfo();
  write(byId("version"), `liba ${page.version}`);
  if (!page.needs_key) me = access.nobody();
  const trouble = page.needs_key && address.code ? await redeem(address.code) : "";
  if (page.needs_key && (trouble || !me.bearer)) await askForKey(trouble, address.room || page.room);
  const room = me.room || address.room || page.room;
  new Visit({ api, page, room, canSay: me.canSay, onLockedOut: access.forget }).begin();
}

async function pageInfo() {
  for (;;) {
    try {
      return await api.page();
    } catch {
      showState("offline", new Board({}));
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
  showState("key", new Board({}));
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
