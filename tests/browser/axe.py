"""What axe finds wrong with a page in several widths."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

WIDTHS = (360, 1280)
# Frames are left out: axe would wait in vain for the mail's, in which no script may run.
_RUN = """runOnly => axe.run(document, {
  runOnly, resultTypes: ["violations"], iframes: false,
}).then(({ violations }) => violations.flatMap(({ id, nodes }) =>
  nodes.map(({ target, failureSummary }) => `${id} at ${target.join(" ")}: ${failureSummary}`)))"""
_THIN_OUT = """most => {
  const seen = {};
  for (const line of document.querySelectorAll(".line")) {
    const parts = [line, ...line.querySelectorAll("*")];
    const shape = parts.map(({ tagName, classList, open }) => [tagName, classList, open]).join();
    seen[shape] = (seen[shape] ?? 0) + 1;
    if (seen[shape] > most) line.remove();
  }
}"""
ALL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules that look at colours, in the last width alone: nothing else changes with the theme."""


def faults(page: Page, script: Path, rules: tuple[str, ...] = ALL) -> list[str]:
    """One line for each fault on the page as it stands."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(script.read_text())
    found = []
    for width in WIDTHS if rules is ALL else WIDTHS[-1:]:
        resize(page, width)
        page.evaluate("scrollTo(0, 0)")  # else the header, which stays, covers half of some link
        found += [f"{width} px: {fault}" for fault in page.evaluate(_RUN, list(rules))]
    return found


def thin_out(page: Page) -> None:
    """Of the lines of a log that are made of the same elements, with the same classes, keep three: axe takes long."""
    page.evaluate(_THIN_OUT, 3)


def resize(page: Page, width: int) -> None:
    """Make the window this wide."""
    page.set_viewport_size({"width": width, "height": 800})
