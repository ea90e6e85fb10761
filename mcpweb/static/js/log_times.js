// Inside [data-times=local] the times of the log are the reader's own instead of UTC; [data-zone] says so. The address keeps UTC.
const ZONE = document.documentElement.dataset.timeZone || Intl.DateTimeFormat().resolvedOptions().timeZone;
const format = (locale, options) => new Intl.DateTimeFormat(locale, { timeZone: ZONE, ...options });
const long = format("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const day = format("en-GB", { day: "numeric", month: "short" });
const clock = format("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const exact = format("sv-SE", { dateStyle: "short", timeStyle: "medium" });

function rewrite(time) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.valueOf())) return;
  const place = time.querySelector(".line__day");
  if (!place) {
    time.textContent = long.format(at);
    return;
  }
  place.textContent = day.format(at);
  place.nextSibling.textContent = ` ${clock.format(at)}`;
}

// How far the clocks of the zone are ahead at a moment. Seconds are enough for that.
const ahead = (at) => new Date(`${exact.format(at).replace(" ", "T")}Z`) - (at - (at % 1000));

// "2026-11-25T12:00:00.250" in one zone as it reads in the other.
const toLocal = (text) => {
  const at = new Date(`${text}Z`);
  return new Date(+at + ahead(at)).toISOString().slice(0, -1);
};
const toUtc = (text) => {
  const read = new Date(`${text}Z`);
  const near = new Date(read - ahead(read));
  return new Date(read - ahead(near)).toISOString();
};

function translateForm(form) {
  const inputs = [...form.querySelectorAll("input[type=datetime-local]")];
  for (const input of inputs) if (input.value) input.value = toLocal(input.value);
  form.addEventListener("submit", () => {
    for (const input of inputs) {
      if (!input.value) continue;
      input.type = "text";
      input.value = toUtc(input.value);
    }
  });
}

// `within` may be a part that came later, into a place that has local times.
export function showTimes(within, isLocal = false) {
  const places = isLocal ? [within] : within.querySelectorAll("[data-times=local]");
  for (const place of places) {
    for (const time of place.querySelectorAll("time[datetime]")) rewrite(time);
    for (const zone of place.querySelectorAll("[data-zone]")) zone.textContent = `your time (${ZONE})`;
    if (place.matches("form")) translateForm(place);
  }
}
