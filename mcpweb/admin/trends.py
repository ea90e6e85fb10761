"""Lines over time, as the server draws them: where they go, and the same in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

WIDTH, HEIGHT = 240, 40
_EDGE = 2
"""So far from the top and the bottom a line stays."""

Words = Callable[[float], str]
"""A value with its unit."""


def trend(
    values: Sequence[float | None], words: Words, span: str, top: float | None = None, *, from_zero: bool = True
) -> dict[str, Any]:
    """The paths of a line and of the area below it, and what they show.

    Where nothing is known the line has a gap. `top` is the value at the upper edge, at least the highest one; without
    `from_zero` the lower edge is the lowest value, so that small changes of a large number are seen.
    """
    known = [value for value in values if value is not None]
    if not known:
        return {"line": "", "area": "", "words": f"{span}: nothing is known yet", "is_known": False}
    low = 0.0 if from_zero else min(known)
    high = max(top or 0.0, *known)
    heights = [None if value is None else _height(value, low, high) for value in values]
    runs = _runs([(WIDTH * number / max(len(values) - 1, 1), y) for number, y in enumerate(heights)])
    return {
        "line": " ".join(map(_line, runs)),
        "area": " ".join(f"{_line(run)}V{HEIGHT}H{run[0][0]:.1f}Z" for run in runs),
        "words": said(known, words, span),
        "is_known": True,
    }


def said(known: Sequence[float], words: Words, span: str) -> str:
    """`Last hour: between 2 and 14, at the end 5`."""
    least, most, last = words(min(known)), words(max(known)), words(known[-1])
    return f"{span}: always {last}" if least == most else f"{span}: between {least} and {most}, at the end {last}"


def _height(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.0 if low == 0.0 else 0.5
    return HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * share


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """The points between the gaps; one that stands alone becomes a short stroke."""
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            found.append([])
        else:
            found[-1].append((x, y))
    return [run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])] for run in found if run]


def _line(run: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)
