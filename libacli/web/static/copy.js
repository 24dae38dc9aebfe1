/** Copies `text`, and says so on `button` for a moment. */
export async function copy(text, button) {
  const label = (button.dataset.label ??= button.textContent);
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it by hand"; // no clipboard without TLS
  }
  setTimeout(() => (button.textContent = label), 2000);
}
