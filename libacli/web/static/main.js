/** The page, put together: who we are, then the room, then what is shown of it. */

import { forgetAccess, loadAccess, noAccess, readAddress, storeAccess } from "./access.js";
import { Api } from "./api.js";
import { Board } from "./board.js";
import { byId, show, write } from "./dom.js";
import { pause } from "./event_stream.js";
import { RoomView, showState } from "./room_view.js";

let access = loadAccess();
let isAccessStored = true;
const api = new Api(() => access.bearer);

start();

async function start() {
  const address = readAddress();
  addEventListener("hashchange", () => location.reload());
  const page = await pageInfo();
  write(byId("version"), `liba ${page.version}`);
  if (!page.needs_key) access = noAccess();
  const trouble = page.needs_key && address.code ? await redeem(address.code) : "";
  if (page.needs_key && (trouble || !access.bearer)) await askForKey(trouble, address.room || page.room);
  const room = access.room || address.room || page.room;
  new RoomView({ api, page, room, access, isAccessStored, onLockedOut: forgetAccess }).begin();
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
    const session = await api.redeemCode(code);
    letIn({ bearer: session.session, room: session.room, canSay: session.can_say, canControl: session.can_control });
    return "";
  } catch (problem) {
    access = noAccess();
    return `The link does not let you in. ${problem.words ?? problem}`;
  }
}

function letIn(granted) {
  access = granted;
  isAccessStored = storeAccess(granted);
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
  access = { ...noAccess(), bearer: key };
  try {
    await api.room(room);
  } catch (problem) {
    // Any other answer comes after the key was found good.
    if ([0, 401, 429].includes(problem.status)) return problem.words;
  }
  letIn(access);
  return "";
}
