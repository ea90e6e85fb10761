// Copies the text of the element named by data-copy, or data-copy-text itself. Where there is no clipboard (plain http on
// another host) the text is selected instead, ready for the keyboard.
import { say } from "./say.js";

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

function flip(button, word) {
  const label = button.querySelector("span");
  button.dataset.word ??= label.textContent;
  label.textContent = word;
  setTimeout(() => { label.textContent = button.dataset.word; }, 2000);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-text]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source ? source.textContent : button.dataset.copyText);
    flip(button, "Copied");
    say("Copied");
  } catch {
    if (source) select(source);
    flip(button, source ? "Selected" : "Not copied");
    say(source ? "Selected. Press Control C or Command C to copy." : "This browser does not allow copying here.");
  }
});
