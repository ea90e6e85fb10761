"""A log line is one line of JSON in ASCII, of bounded size, without secrets, whatever is in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import pytest

from mcpweb.crypto import mint_token
from mcpweb.logs.lines import line
from tests.spec_server import TOKENS


def written(value: Any) -> Any:
    """What a reader gets back of a value that was logged."""
    encoded = line({"value": value})
    assert encoded.endswith(b"\n") and encoded.count(b"\n") == 1
    assert encoded.isascii() and encoded[:-1].decode().isprintable()
    return json.loads(encoded)["value"]


HOSTILE = {
    "line feed": 'x\n{"level":"info","message":"forged"}',
    "carriage return": "x\r\nforged",
    "ANSI": "\x1b[2J\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "C1": "\x9b2J\x85",
    "NUL": "a\0b",
    "bidi": "abc\u202efdp.exe\u2066\u2069",
    "line separator": "a\u2028b\u2029c",
    "lone surrogate": "a\ud800b\udfffc",
    "quotes": '","level":"error"}',
    "no-break": "\ufeff\u200b",
    "emoji": "👩‍🚀",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_stays_inside_its_value(text):
    assert written(text) == text
    assert written({text: 1}) == {text: 1}
    assert written([text]) == [text]


def test_values_lists_and_depth_are_capped():
    long = written("x" * 100_000)
    assert long.startswith("x" * 2000 + "…") and len(long) < 2050
    assert len(written(list(range(1000)))) == 50
    assert len(written({str(n): n for n in range(1000)})) == 50
    deep: Any = "bottom"
    for _ in range(500):
        deep = [deep]
    assert "bottom" not in json.dumps(written(deep))
    assert len(line({"x" * 100_000: 1})) < 5000, "names are values too"


class Rude:
    """An object that can not even be written."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23 00:00:00+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (PurePosixPath("/a"), "/a"),
        (Decimal("1.5"), "1.5"),
        (ValueError("wrong"), "wrong"),
        (b"\xff\n", r"b'\xff\n'"),
        ({1}, [1]),
        (None, None),
        (True, True),
    ],
)
def test_anything_can_be_logged(value, text):
    assert written(value) == text


def test_what_can_not_be_written_costs_its_value_and_not_the_line():
    odd = [Rude(), [Rude()], {"a": Rude()}, {Rude(): 1}, 10**5000, {10**5000: 1}, float("nan"), float("-inf"), 10**300]
    for value in odd:
        encoded = line({"message": "kept", "value": value})

        assert json.loads(encoded, parse_constant=_no_json)["message"] == "kept"
        assert len(encoded) < 5000


def _no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_numbers_stay_numbers():
    assert written([0, -7, 1.5, 2**53, True]) == [0, -7, 1.5, 2**53, True]


def secrets() -> dict[str, str]:
    """Every form of a secret that could come by."""
    known = {f"github {kind}": token for kind, token in TOKENS["github"].items() if kind not in ("legacy",)}
    known |= {f"figma {kind}": TOKENS["figma"][kind] for kind in ("good", "oauth")}
    return known | {
        "ours": mint_token(),
        "installation as a JWT": "ghs_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NTYifQ." + "s1gnature_-" * 20,
        "figma of before 2022": "123456-01234567-89ab-cdef-0123-456789abcdef",
        "bearer": "Bearer abcdefgh12345678",
        "bearer, small": "authorization: bearer abcdefgh.12345678~+/=",
        "sign-in link": "http://localhost:8080/sign-in/IlNrYmdQc0hfNWhZSGpzS0d3.p3J2a8rQ0WAVoB9hTRvHc5vZ1Rg",
    }


@pytest.mark.parametrize("name", secrets())
def test_a_secret_in_any_place_is_blacked_out(name):
    secret = secrets()[name]
    essence = secret.split()[-1].rpartition("/sign-in/")[2]
    places = [
        secret,
        f"refused: {secret}",
        f"({secret})",
        f'{{"token":"{secret}"}}',
        [secret],
        {"a": {"b": secret}},
        {secret: 1},
        ValueError(f"bad key {secret}"),
        secret.encode(),
        "x" * 1900 + " " + secret,
    ]
    for place in places:
        encoded = line({"value": place}).decode()
        assert essence not in encoded, place
        assert essence[-12:] not in encoded, place


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "mail_password",
        "token",
        "access_token",
        "tokens",
        "credential",
        "credentials",
        "Authorization",
        "cookie",
        "Set-Cookie",
        "api_key",
        "apikey",
        "client_secret",
        "secret_key",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", b"hunter2", {"x": "hunter2"}, ["hunter2"], ("hunter2",)], ids=str)
def test_what_is_named_as_a_secret_is_blacked_out_whatever_it_is(name, value):
    assert b"hunter2" not in line({"outer": {name: value}})
    assert b"hunter2" not in line({name: value})


def test_what_only_sounds_like_a_secret_stays_readable():
    fields = {
        "token_tail": "a1b2",
        "tokens": 3,
        "credential_state": "ok",
        "has_password": True,
        "token": "",
        "secret": None,
    }

    assert json.loads(line(fields)) == fields
    assert json.loads(line({"sha": "0" * 40}))["sha"] == "0" * 40
    assert json.loads(line({"path": "/sign-in/sent"}))["path"] == "/sign-in/sent"
    assert json.loads(line({"id": "mcp_01234567-89ab-cdef-0123-456789abcdef"}))["id"].startswith("mcp_01234567-89ab")
