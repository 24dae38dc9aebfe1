/** What the address of a stage asks for. */

const PLAIN = ["transparent", "black", "white"];

/**
 * @param {string} search of the address
 * @returns {{background: string, fit: "contain" | "cover", hasCaptions: boolean, wrong: string[]}} `wrong`: what means nothing
 */
export function stageOptions(search) {
  const given = new URLSearchParams(search);
  const background = colour(given.get("background") ?? "");
  const [fit, captions] = [given.get("fit") || "contain", given.get("captions") || "0"];
  const wrong = [];
  if (background === null) wrong.push("background is transparent, black, white, %23rgb or %23rrggbb");
  if (!["contain", "cover"].includes(fit)) wrong.push("fit is contain or cover");
  if (!["0", "1"].includes(captions)) wrong.push("captions is 0 or 1");
  return {
    background: background ?? "transparent",
    fit: fit === "cover" ? "cover" : "contain",
    hasCaptions: captions === "1",
    wrong,
  };
}

/** A colour for CSS; null for what is none. One whose # is not written as %23 ends the address: none is needed. */
function colour(text) {
  const word = text.toLowerCase();
  if (!word) return "transparent";
  if (PLAIN.includes(word)) return word;
  const digits = word.replace(/^#/, "");
  return /^([\da-f]{3}|[\da-f]{6})$/.test(digits) ? `#${digits}` : null;
}
