"""Where in a text the words stand that were looked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mcpweb.logs.query import Query, Term, read
from mcpweb.logs.search_text import normalise

_WORD = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+")

Piece = tuple[str, bool]
"""A part of a text, and whether it is marked."""


def terms(query: Query) -> tuple[Term, ...]:
    """What is to be marked."""
    return read(query).wanted


def marked(text: str, wanted: Sequence[Term]) -> list[Piece]:
    """The text in pieces; put together again they are the text."""
    if not wanted:
        return [(text, False)]
    words = [(word, *place.span()) for place in _WORD.finditer(text) for word in normalise(place[0]).split()]
    pieces, done = list[Piece](), 0
    for start, end in sorted(_found(words, wanted)):
        if start > done:
            pieces.append((text[done:start], False))
        if end > done:
            pieces.append((text[max(start, done) : end], True))
            done = end
    return [*pieces, (text[done:], False)] if done < len(text) else pieces


def _found(words: Sequence[tuple[str, int, int]], wanted: Sequence[Term]) -> Iterator[tuple[int, int]]:
    plain = [word for word, _, _ in words]
    for term in wanted:
        size = len(term.words)
        *heads, last = term.words
        for number in range(len(words) - size + 1):
            ending = plain[number + size - 1]
            fits = ending.startswith(last) if term.is_prefix else ending == last
            if fits and plain[number : number + size - 1] == heads:
                yield words[number][1], words[number + size - 1][2]
