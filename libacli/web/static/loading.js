/** Loads the page again where a part of it does not come: what shows it has not come either. */

const AGAIN_MS = 5000;

addEventListener("error", ({ target }) => {
  if (!(target instanceof HTMLScriptElement)) return;
  document.documentElement.dataset.state = "offline";
  const words = document.getElementById("state-words");
  if (words) words.textContent = "Offline: a part of this page did not come; it is loaded again";
  setTimeout(() => location.reload(), AGAIN_MS);
}, true); // it does not bubble
