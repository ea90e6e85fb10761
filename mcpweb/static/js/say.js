// Tells screen readers; the same words twice in a row are said twice.
export function say(words) {
  const live = document.getElementById("live");
  live.textContent = "";
  setTimeout(() => { live.textContent = words; }, 50);
}
