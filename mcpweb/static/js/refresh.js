// <section data-refresh="3" id="…"> is fetched anew every 3 seconds, from data-url or the page's own address, for as long as the
// answer still carries data-refresh. Hidden pages do not ask, nor do those on which something of the region that is marked data-hold
// is open or text is selected, or whose <button data-pause="…"> is pressed; failures make the pauses longer, up to a minute.
import { say } from "./say.js";
import { localTimes } from "./times.js";

const LONGEST_S = 60;

async function fetchRegion(region) {
  const answer = await fetch(region.dataset.url || location.href, { cache: "no-store", headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { fresh: page.getElementById(region.id), moved: answer.redirected && answer.url };
}

function swap(region, fresh) {
  if (region.textContent === fresh.textContent && region.dataset.refresh === fresh.dataset.refresh) return region;
  const active = document.activeElement;
  const focused = region.contains(active);
  const node = document.adoptNode(fresh);
  region.replaceWith(node);
  localTimes(node);
  if (focused) {
    const same = active.getAttribute("href") && node.querySelector(`[href="${CSS.escape(active.getAttribute("href"))}"]`);
    if (!same) node.tabIndex = -1;
    (same || node).focus({ preventScroll: true });
  }
  if (node.dataset.announce !== region.dataset.announce) say(node.dataset.announce);
  return node;
}

function isHeld(region) {
  const selection = getSelection();
  const pause = document.querySelector(`[data-pause="${region.id}"][aria-pressed="true"]`);
  return pause || region.querySelector("[data-hold][open]") || (!selection.isCollapsed && region.contains(selection.anchorNode));
}

async function watch(region) {
  let pause = Number(region.dataset.refresh);
  while (region.dataset.refresh) {
    await new Promise((wake) => setTimeout(wake, pause * 1000));
    if (document.hidden || isHeld(region)) continue;
    try {
      const { fresh, moved } = await fetchRegion(region);
      if (!fresh) {
        if (moved) location.assign(moved); // signed out meanwhile, or on to the next page
        return;
      }
      region = swap(region, fresh);
      pause = Number(region.dataset.refresh);
    } catch {
      pause = Math.min(pause * 2, LONGEST_S);
    }
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-pause]");
  if (!button) return;
  const paused = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", paused);
  say(paused ? "Paused" : "Goes on");
});

export function watchRegions() {
  document.querySelectorAll("[data-refresh][id]").forEach(watch);
}
