// <ol data-tail="address"> gets the lines that come. Every two seconds it asks for what is newer than its newest line; what it has
// already is left out. While a line is open, text is selected or the top is out of sight, new lines wait behind a button.
// Hidden pages do not ask; failures make the pauses longer.
import { say } from "./say.js";
import { localTimes } from "./times.js";
import { showTimes } from "./log_times.js";

const PAUSE_S = 2;
const LONGEST_S = 60;
const MOST_ROWS = 1000;
const SAY_EVERY_MS = 10000; // a screen reader is told how many, and not with each look

const place = (row) => {
  const [ts, id] = row.dataset.cursor.split(".");
  return [Number(ts), BigInt(id)];
};
const isNewer = ([ts, id], [otherTs, otherId]) => ts > otherTs || (ts === otherTs && id > otherId);
const rowsOf = (list) => list.querySelectorAll(":scope > [data-cursor]");
const lines = (count) => `${count} new ${count === 1 ? "line" : "lines"}`;

function newestOf(rows) {
  let newest = null;
  for (const row of rows) if (!newest || isNewer(place(row), place(newest))) newest = row;
  return newest?.dataset.cursor;
}

function insert(list, row) {
  const mine = place(row);
  const next = [...list.children].find((other) => isNewer(mine, place(other)));
  list.insertBefore(row, next ?? null);
}

class Tail {
  constructor(list) {
    this.list = list;
    this.news = document.querySelector("[data-news]");
    this.button = this.news.querySelector("button");
    this.seen = new Set([...rowsOf(list)].map((row) => row.dataset.line));
    this.cursor = newestOf(rowsOf(list)) ?? `${Date.now() - 60000}.0`;
    this.waiting = [];
    this.unsaid = 0;
    this.saidAt = 0;
    this.button.addEventListener("click", () => {
      this.show();
      list.scrollIntoView({ block: "center" });
      list.querySelector("summary")?.focus({ preventScroll: true });
    });
  }

  isHeld() {
    const selection = getSelection();
    return this.list.querySelector(".line[open]") || this.list.getBoundingClientRect().top < 0
      || (!selection.isCollapsed && this.list.contains(selection.anchorNode));
  }

  take(fresh) {
    for (const row of fresh) {
      if (this.seen.has(row.dataset.line)) continue;
      this.seen.add(row.dataset.line);
      this.waiting.push(document.adoptNode(row));
    }
    this.cursor = newestOf([...this.waiting, { dataset: { cursor: this.cursor } }]);
    this.waiting.splice(0, this.waiting.length - MOST_ROWS);
  }

  show() {
    const count = this.waiting.filter((row) => !row.matches(".lines__gap")).length;
    for (const row of this.waiting.splice(0)) {
      localTimes(row);
      if (this.list.closest("[data-times=local]")) showTimes(row, true);
      insert(this.list, row);
    }
    for (const row of [...this.list.children].slice(MOST_ROWS)) row.remove();
    if (count) this.list.parentElement.querySelector(".lines__none")?.remove();
    this.news.hidden = true;
    this.tell(count);
  }

  tell(count) {
    this.unsaid += count;
    if (!this.unsaid || Date.now() - this.saidAt < SAY_EVERY_MS) return;
    say(lines(this.unsaid));
    this.unsaid = 0;
    this.saidAt = Date.now();
  }

  async look() {
    const address = new URL(this.list.dataset.tail, location.href);
    address.searchParams.set("after", this.cursor);
    const answer = await fetch(address, { cache: "no-store", headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const part = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("tail");
    if (!part) return location.assign(answer.url); // signed out meanwhile
    this.take(rowsOf(part));
    if (!this.isHeld()) return this.show();
    const count = this.waiting.length;
    this.button.textContent = lines(count);
    this.news.hidden = count === 0;
  }

  async run() {
    for (let pause = PAUSE_S; ;) {
      await new Promise((wake) => setTimeout(wake, pause * 1000));
      if (document.hidden) continue;
      try {
        await this.look();
        pause = PAUSE_S;
      } catch {
        pause = Math.min(pause * 2, LONGEST_S);
      }
    }
  }
}

export function followLines() {
  for (const list of document.querySelectorAll("[data-tail]")) new Tail(list).run();
}
