/** Who we are to the server: nobody in particular, a session, or a key; and which room. */

const KEPT = "liba.access";

/** @typedef {{bearer: string, room: string, canSay: boolean}} Access */

/** Room and code of the address; the code is gone from the address bar afterwards. */
export function readAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  const [room, code] = [told.get("room") ?? "", told.get("code") ?? ""];
  if (code) {
    const hash = room ? `#room=${encodeURIComponent(room)}` : "";
    history.replaceState(null, "", location.pathname + hash);
  }
  return { room, code };
}

/** @returns {Access} */
export function kept() {
  try {
    return { ...nobody(), ...JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") };
  } catch {
    return nobody();
  }
}

/** @param {Access} access */
export function keep(access) {
  sessionStorage.setItem(KEPT, JSON.stringify(access));
}

export function forget() {
  sessionStorage.removeItem(KEPT);
}

/** @returns {Access} */
export function nobody() {
  return { bearer: "", room: "", canSay: true };
}
