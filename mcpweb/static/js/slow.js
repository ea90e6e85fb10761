// A search that takes long can be given up, and the page stays as it was: <p data-slow="/path" hidden> with a <button data-stop> comes
// up meanwhile. Without this, the browser's own stop button does the same.
import { say } from "./say.js";

const PATIENCE_MS = 600;

export function watchSlow() {
  const note = document.querySelector("[data-slow]");
  if (!note) return;
  let timer;

  const isOurs = (address) => {
    const to = new URL(address, location.href);
    return to.pathname === note.dataset.slow && to.search !== location.search;
  };
  const settle = () => {
    clearTimeout(timer);
    note.hidden = true;
  };
  const begin = () => {
    settle();
    timer = setTimeout(() => {
      note.hidden = false;
      say("Searching. The search can be cancelled.");
    }, PATIENCE_MS);
  };

  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented && event.target.matches("form[method=get]") && event.target.action.endsWith(note.dataset.slow)) begin();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const here = !event.defaultPrevented && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (link && here && !link.target && !link.hasAttribute("download") && isOurs(link.href)) begin();
  });
  note.querySelector("[data-stop]").addEventListener("click", () => {
    stop(); // of the browser: gives up what is under way
    settle();
    say("The search was cancelled.");
    document.getElementById("main").focus({ preventScroll: true });
  });
  addEventListener("pageshow", settle);
}
