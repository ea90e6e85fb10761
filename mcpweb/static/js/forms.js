// A form is sent once, its button says so meanwhile; secrets can be looked at while typing.
import { say } from "./say.js";

const PATIENCE_MS = 20000; // after that an answer is unlikely, and the form may be sent again

function free(form) {
  delete form.dataset.sent;
  for (const button of form.querySelectorAll("[data-said]")) {
    button.querySelector("span").textContent = button.dataset.said;
    button.removeAttribute("aria-disabled");
    delete button.dataset.said;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  for (const input of form.querySelectorAll("[data-revealed]")) hideSecret(input);
  const button = event.submitter;
  if (button?.dataset.busy) {
    const label = button.querySelector("span");
    button.dataset.said = label.textContent;
    label.textContent = button.dataset.busy;
    button.setAttribute("aria-disabled", "true");
    say(button.dataset.busy);
  }
  setTimeout(free, PATIENCE_MS, form);
});

// The page may come back from the browser's memory as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form[data-sent]").forEach(free);
});

function toggle(button, input, show) {
  input.type = show ? "text" : "password";
  input.toggleAttribute("data-revealed", show);
  button.setAttribute("aria-pressed", show);
}

function hideSecret(input) {
  toggle(document.querySelector(`[data-reveal="${input.id}"]`), input, false);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reveal]");
  if (!button) return;
  const input = document.getElementById(button.dataset.reveal);
  toggle(button, input, input.type === "password");
});
