/** Loads the page again where a part of it does not come: what shows it has not come either. */

const AGAIN_MS = 5000;

addEventListener("error", ({ target }) => {
  if (!(target instanceof HTMLScriptElement)) return;
  document.documentElement.dataset.state = "offline";
  const words = document.getElementById("state-words");
  if (words) words.textContent = "Offline: a part of this page did not come; it is loaded again";
  setTimeout(again, AGAIN_MS);
}, true); // it does not bubble

/** Once the server answers: in the place of a page that cannot be had a browser shows one that tries nothing. */
function again() {
  fetch(location.href, { cache: "no-store" }).then(() => location.reload(), () => setTimeout(again, AGAIN_MS));
}
