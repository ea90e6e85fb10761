"""A browser's name from its User-Agent, for people who look through their sessions. Decides nothing."""

from __future__ import annotations

import re

# In this order: most browsers also claim to be the ones after them.
_BROWSERS = (
    ("Edge", r"Edge?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)\S* (?:Mobile/\S+ )?Safari/"),
    ("curl", r"curl/(\d+)"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X|Macintosh"),
    ("ChromeOS", "CrOS"),
    ("Linux", "Linux|X11"),
)


def label(agent: str) -> str:
    """`Firefox 142 on Linux`; what is not known is shown as it came, cut to 60 characters."""
    found = ((name, re.search(pattern, agent)) for name, pattern in _BROWSERS)
    browser = next((f"{name} {match[1]}" for name, match in found if match), "")
    system = next((name for name, pattern in _SYSTEMS if re.search(pattern, agent)), "")
    if not browser:
        return agent[:60] or "An unknown browser"
    return f"{browser} on {system}" if system else browser
