// Puts the reader's own time before the UTC time in the title of every <time>, unless a time zone was chosen: then it is there.
const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function localTimes(root) {
  if (document.documentElement.dataset.timeZone) return;
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    time.title = `${format.format(at)} your time, ${time.title}`;
    time.dataset.local = "";
  }
}
