// Pages are complete without this. It saves reloads and typing, and says in #live what it did.
import "./copy.js";
import "./forms.js";
import { localTimes } from "./times.js";
import { sumPicks } from "./picks.js";
import { rememberTabs } from "./tabs.js";
import { watchRegions } from "./refresh.js";
import { showTimes } from "./log_times.js";
import { findValues, listenToKeys } from "./log_keys.js";
import { followLines } from "./tail.js";
import { watchSlow } from "./slow.js";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  if (!button) return;
  button.closest(".flash").remove();
  document.getElementById("main").focus({ preventScroll: true });
});

localTimes(document);
showTimes(document);
rememberTabs();
sumPicks();
watchRegions();
listenToKeys();
findValues();
followLines();
watchSlow();
