/** Small helpers around the document. */

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for a picture. @param {string} tag @param {Record<string, string | number>} attributes */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Sets the text only where it is another one: live regions announce each change. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets `hidden`. @param {HTMLElement} element @param {boolean} isShown */
export function show(element, isShown) {
  element.hidden = !isShown;
}

/** Copies, and says so on the button for a while. @param {HTMLElement} button @param {string} text */
export async function copy(button, text) {
  const before = (button.dataset.words ??= button.textContent ?? "");
  const done = (await toClipboard(text)) ? "Copied" : "Copy it by hand";
  write(button, done);
  setTimeout(() => write(button, before), 2000);
}

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyTheOldWay(text);
  }
}

// The clipboard API is there in secure contexts alone: not at http://192.168.0.2.
function copyTheOldWay(text) {
  const box = make("textarea", { class: "unseen" });
  const before = document.activeElement;
  (before?.closest("dialog") ?? document.body).append(box);
  box.value = text;
  box.select();
  const isDone = document.execCommand("copy");
  box.remove();
  before?.focus();
  return isDone;
}
