/** How this page was opened: the room and the code stand behind `#`, where no server sees them. */

/** What the address says. The code leaves it at once: it must not stay in the history. */
export function readAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  const room = told.get("room") ?? "";
  if (told.has("code")) {
    const rest = room ? `#${new URLSearchParams({ room })}` : location.pathname;
    history.replaceState(null, "", rest);
  }
  return { room, code: told.get("code") ?? "" };
}

/** Trades a code for a session, which the api keeps; a code that does not work leaves it as it is. */
export async function trade(api, code) {
  try {
    const { session, room } = await api.post("/api/session", { code });
    api.credential = session;
    return room;
  } catch (problem) {
    if (problem.reason !== "bad_code") throw problem;
    return "";
  }
}
