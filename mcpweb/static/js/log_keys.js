// The log viewer's keys. They can be switched off, for whoever speaks to the browser or hits keys unawares; the browser remembers.
const OFF = "mcpweb.keys";

// Storage may be switched off; then nothing is remembered.
function isOn() {
  try { return localStorage.getItem(OFF) !== "off"; } catch { return true; }
}

function keep(on) {
  try { localStorage.setItem(OFF, on ? "on" : "off"); } catch { /* see above */ }
}

const click = (selector) => document.querySelector(selector)?.click();
const page = (word) => [...document.querySelectorAll('nav[aria-label="Pages"] a')].find((link) => link.textContent === word)?.click();

function move(by) {
  const rows = [...document.querySelectorAll(".line > summary")];
  const here = rows.indexOf(document.activeElement.closest?.(".line")?.querySelector("summary"));
  const next = rows[Math.min(Math.max(here + by, 0), rows.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function filters() {
  const facets = document.querySelector(".facets");
  if (!facets) return;
  facets.open = true;
  facets.querySelector(".facets__body a")?.focus();
}

export function listenToKeys() {
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  const acts = {
    "/": () => document.querySelector("[name=q]").focus(),
    j: () => move(1),
    k: () => move(-1),
    c: () => document.activeElement.closest(".line")?.querySelector("[data-key=c]").click(),
    f: filters,
    t: () => click("[data-key=t]"),
    "[": () => page("Older"),
    "]": () => page("Newer"),
    "?": () => dialog.showModal(),
  };
  const box = dialog.querySelector("[data-keys-on]");
  box.checked = isOn();
  box.addEventListener("change", () => keep(box.checked));
  document.querySelector("[data-keys-open]").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in acts) || !isOn()) return;
    event.preventDefault();
    acts[event.key]();
  });
}

// A long list of values gets shorter while one types.
export function findValues() {
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-find]")) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const value of event.target.closest(".facet").querySelectorAll("li")) {
      value.hidden = !value.querySelector(".facet__name").textContent.toLowerCase().includes(wanted);
    }
  });
}
