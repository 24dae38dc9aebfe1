/** The dialog with a link, and its QR code, for another screen. */

import { byId, copy, show, write } from "./dom.js";
import { isLoopback } from "./media.js";

const CHOICES = ["share-stage", "share-say", "share-control"];

/** @param {{api: any, room: string, access: {canSay: boolean, canControl: boolean}}} parts */
export function bindShareDialog({ api, room, access }) {
  const dialog = byId("share-dialog");
  const url = byId("share-url");
  show(byId("share"), true);

  async function load() {
    show(byId("share-link"), false);
    write(byId("share-alert"), "");
    try {
      const canSay = byId("share-say").checked && !byId("share-stage").checked;
      const view = byId("share-stage").checked ? "stage" : "page";
      showLink(await api.shareLink(room, { canSay, canControl: canSay && byId("share-control").checked, view }));
    } catch (problem) {
      write(byId("share-alert"), problem.words ?? String(problem));
    }
  }

  function showLink({ url: address, qr_svg: drawn, expires_in_s: seconds }) {
    const needsCode = address.includes("code=");
    show(byId("share-code"), !isLoopback(new URL(address).hostname)); // no camera would find it
    byId("share-code").src = `data:image/svg+xml,${encodeURIComponent(withNamespace(drawn))}`;
    url.href = address;
    write(url, address);
    write(byId("share-text"), explain(address, needsCode, seconds));
    show(byId("share-say-label"), needsCode && access.canSay && !byId("share-stage").checked);
    show(byId("share-control-label"), needsCode && access.canControl && byId("share-say").checked && !byId("share-stage").checked);
    show(byId("share-link"), true);
  }

  byId("share").addEventListener("click", () => {
    for (const choice of CHOICES) byId(choice).checked = false;
    dialog.showModal();
    load();
  });
  for (const choice of CHOICES) byId(choice).addEventListener("change", load);
  byId("share-close").addEventListener("click", () => dialog.close());
  byId("share-copy").addEventListener("click", () => copy(byId("share-copy"), url.href));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
}

function explain(address, needsCode, seconds) {
  const where = isLoopback(new URL(address).hostname)
    ? "This server answers on its own machine only: the link works there, in another window. For other devices: liba serve --new-key NAME, then --host 0.0.0.0."
    : "Open it, or point a camera at the code.";
  return needsCode ? `${where} It lets one browser in, once, within ${duration(seconds)}.` : where;
}

// Less than ten minutes where it is a session that ends before that.
const duration = (seconds) => (seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`);

// An SVG that stands in a page needs no namespace, one that is an image does.
function withNamespace(svg) {
  return svg.includes("xmlns=") ? svg : svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"');
}
