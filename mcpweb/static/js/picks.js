// Says how large the choice of tools is while it is made, and picks whole groups at once.
const number = new Intl.NumberFormat("en");
const belongs = { all: () => true, read_only: (box) => "reads" in box.dataset, picked: (box) => box.checked };

function total(form) {
  const choice = form.querySelector("[name=choice]:checked")?.value ?? "picked";
  const chosen = [...form.querySelectorAll("[data-size]")].filter(belongs[choice]);
  const size = chosen.reduce((sum, box) => sum + Number(box.dataset.size), 0);
  return `${chosen.length} ${chosen.length === 1 ? "tool" : "tools"}, about ${number.format(size)} tokens`;
}

export function sumPicks() {
  const form = document.querySelector("[data-picks]");
  if (!form) return;
  const show = () => { form.querySelector("[data-sum]").textContent = total(form); };
  form.addEventListener("change", show);
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tick]");
    if (!button) return;
    for (const box of button.closest("fieldset").querySelectorAll("[data-size]")) box.checked = Boolean(button.dataset.tick);
    show();
  });
  show();
}
