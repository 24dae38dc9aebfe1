/** Who we are to the server: nobody in particular, a session, or a key; and which room. */

const STORED_AS = "liba.access";
const KEPT_AS = "liba.stage";

/** @typedef {{bearer: string, room: string, canSay: boolean, canControl: boolean}} Access */

/** Room and code of the address; the code is gone from the address bar afterwards. */
export function readAddress() {
  const told = new URLSearchParams(location.hash.slice(1));
  const [room, code] = [told.get("room") ?? "", told.get("code") ?? ""];
  if (code) {
    const hash = room ? `#room=${encodeURIComponent(room)}` : "";
    history.replaceState(null, "", location.pathname + location.search + hash);
  }
  return { room, code };
}

/** @returns {Access} */
export function loadAccess() {
  try {
    return { ...noAccess(), ...JSON.parse(sessionStorage.getItem(STORED_AS) ?? "{}") };
  } catch {
    return noAccess();
  }
}

/**
 * Keeps it for as long as this tab is open. A browser that stores nothing throws whenever it is asked to.
 * @param {Access} access
 * @returns {boolean} whether it is stored, and there when the page is loaded anew
 */
export function storeAccess(access) {
  try {
    sessionStorage.setItem(STORED_AS, JSON.stringify(access));
    return true;
  } catch {
    return false;
  }
}

export function forgetAccess() {
  try {
    sessionStorage.removeItem(STORED_AS);
  } catch {
    // nothing was stored
  }
}

/**
 * What lets a stage in that is opened anew with a link that was used: kept for longer than its tab, as OBS and kiosks
 * are started again with the address that they were given.
 * @param {Access} access
 * @returns {Access} the same
 */
export function keepForStage(access) {
  try {
    localStorage.setItem(KEPT_AS, JSON.stringify(access));
  } catch {
    // a frame of another website may store nothing: it lasts as long as the frame then
  }
  return access;
}

/** @returns {Access} */
export function keptForStage() {
  try {
    return { ...noAccess(), ...JSON.parse(localStorage.getItem(KEPT_AS) ?? "{}") };
  } catch {
    return noAccess();
  }
}

export function forgetStage() {
  forgetAccess();
  try {
    localStorage.removeItem(KEPT_AS);
  } catch {
    // nothing was stored
  }
}

/** @returns {Access} */
export function noAccess() {
  return { bearer: "", room: "", canSay: true, canControl: true };
}
