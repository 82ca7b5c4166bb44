// Copying: text to the clipboard, and a button that does so and says whether it did.

const SAID = 2500; // ms that the answer stays

/** The clipboard is shut to pages that come over plain http; an old way still works there. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

/**
 * Copy what `text()` gives on each click, and say so in `status`; what it returns ends that.
 * @param {Element} button
 * @param {Element} status
 * @param {() => string} text
 * @param {string} instead what to do where copying fails
 */
export function copyOnClick(button, status, text, instead) {
  let timer = 0;
  button.addEventListener("click", async () => {
    status.textContent = (await copy(text())) ? "Copied" : instead;
    clearTimeout(timer);
    timer = setTimeout(() => (status.textContent = ""), SAID);
  });
  return () => clearTimeout(timer);
}
