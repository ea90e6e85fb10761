"""How a token behaves: refusals come from the provider's table, the rest is done to the right answer."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import orjson

from tests.specs.exchange import Answer, Seen

_HUGE = 2_300_000
_BOMB = 64_000_000
_SHOWN = ("name", "login", "title", "body", "handle")
"""Members that tools pass on to the model, so that a missing redaction shows."""


@dataclass(frozen=True, slots=True)
class Temper:
    """The server's settings that behaviours use; `delay_s` in seconds."""

    delay_s: float
    redirect_to: str


def apply(behaviour: str, answer: Answer, seen: Seen, temper: Temper) -> Answer:
    """The answer as this behaviour sends it; the same object when it has nothing to change."""
    change = _CHANGES.get(behaviour)
    return change(answer, seen, temper) if change else answer


def _slow(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    answer.delay_s = temper.delay_s
    return answer


def _hanging(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    answer.transport = "hang"
    return answer


def _dripping(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    answer.transport, answer.delay_s = "drip", temper.delay_s
    return answer


def _reset(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    answer.transport = "reset"
    return answer


def _truncated(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    answer.transport = "truncate"
    return answer


def _huge(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    padding = "x" * _HUGE
    if isinstance(answer.body, dict):
        answer.body |= {"padding": padding}
    else:
        answer.body = [*(answer.body or ()), {"padding": padding}]
    return answer


def _bomb(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    return Answer(answer.status, _bomb_bytes(), answer.headers | {"Content-Encoding": "gzip"})


@cache
def _bomb_bytes() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)  # 31: a gzip header and trailer around it
    return packer.compress(b'{"padding":"' + b" " * _BOMB + b'"}') + packer.flush()


def _broken_json(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    whole = orjson.dumps(answer.body)
    answer.body = whole[: max(1, len(whole) // 2)]
    return answer


def _html(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    return Answer(200, b"<!doctype html><title>Sign in</title><p>Sign in to go on", media="text/html")


def _redirect(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    return Answer(302, None, {"Location": temper.redirect_to})


def _error_502(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    return Answer(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", media="text/html")


def _echoing(answer: Answer, seen: Seen, temper: Temper) -> Answer:
    sent = {name: seen.headers[name] for name in ("authorization", "x-figma-token") if name in seen.headers}
    if isinstance(answer.body, dict):
        answer.body |= {key: " ".join(sent.values()) for key in _SHOWN if key in answer.body}
    answer.headers["X-Debug-Request"] = " ".join(sent.values())
    return answer


_CHANGES: dict[str, Callable[[Answer, Seen, Temper], Answer]] = {
    "slow": _slow,
    "hanging": _hanging,
    "dripping": _dripping,
    "reset": _reset,
    "truncated": _truncated,
    "huge": _huge,
    "bomb": _bomb,
    "broken_json": _broken_json,
    "html": _html,
    "redirect": _redirect,
    "error_502": _error_502,
    "echoing": _echoing,
}
