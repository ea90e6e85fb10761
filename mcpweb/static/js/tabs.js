// Opens the block that was open last, here or on another page, and keeps one open where they lie side by side.
export function rememberTabs() {
  for (const tabs of document.querySelectorAll("[data-tabs]")) {
    const key = `mcpweb.tab.${tabs.dataset.tabs}`;
    const last = document.getElementById(recall(key));
    if (last && tabs.contains(last)) last.open = true;
    tabs.addEventListener("toggle", (event) => {
      if (event.target.open) keep(key, event.target.id);
    }, true);
    tabs.addEventListener("click", (event) => {
      const block = event.target.closest("summary")?.parentElement;
      if (block?.open && getComputedStyle(block).display === "contents") event.preventDefault();
    });
  }
}

// Storage may be switched off; then nothing is remembered.
function recall(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function keep(key, value) {
  try { localStorage.setItem(key, value); } catch { /* see above */ }
}
