"""A traceback reduced to the frames that are ours: where to look first."""

from __future__ import annotations

import re

_FRAME = re.compile(r'  File "([^"]*)", line \d+')
_OURS = re.compile(r"(?:^|[/\\])(?:mcpweb|plugins|mcpweb_plugins)[/\\]")


def folded(traceback: str) -> str:
    """The same with a line for each run of frames of others; empty when there are none of ours, or no others."""
    shown: list[str] = []
    others = ours = total = 0
    is_ours = True
    for line in traceback.splitlines():
        if frame := _FRAME.match(line):
            is_ours = bool(_OURS.search(re.split(r"site-packages[/\\]|dist-packages[/\\]", frame[1])[-1]))
            ours, total, others = ours + is_ours, total + (not is_ours), others + (not is_ours)
        elif not line.startswith("    "):
            is_ours = True
        if is_ours:
            shown += [_gap(others)] * (others > 0) + [line]
            others = 0
    return "\n".join(shown) if ours and total else ""


def _gap(frames: int) -> str:
    return f"  … {frames} frame{'' if frames == 1 else 's'} of others"
