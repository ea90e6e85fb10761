"""Keys, sealing, and the form of tokens."""

from __future__ import annotations

import base64
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcpweb import crypto
from mcpweb.crypto import Keyring, KeyUnusable


def _key(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(os.urandom(32)).decode()}"


def test_what_was_sealed_opens_for_its_own_context_only() -> None:
    ring = Keyring.parse(_key("a"))
    key_id, sealed = ring.seal(b"secret", "instance/1/credential")

    assert ring.open(key_id, sealed, "instance/1/credential") == b"secret"
    assert b"secret" not in sealed
    with pytest.raises(KeyUnusable):
        ring.open(key_id, sealed, "instance/2/credential")


@pytest.mark.parametrize("at", [0, 1, 13, -1])
def test_a_changed_byte_is_noticed(at: int) -> None:
    ring = Keyring.parse(_key("a"))
    key_id, sealed = ring.seal(b"secret", "c")
    changed = bytearray(sealed)
    changed[at] ^= 1

    with pytest.raises(KeyUnusable):
        ring.open(key_id, bytes(changed), "c")


def test_the_first_key_seals_and_all_of_them_open() -> None:
    old, new = _key("old"), _key("new")
    key_id, sealed = Keyring.parse(old).seal(b"secret", "c")
    ring = Keyring.parse(f"{new}, {old}")

    assert ring.seal(b"x", "c")[0] == "new"
    assert ring.open(key_id, sealed, "c") == b"secret"
    with pytest.raises(KeyUnusable):
        Keyring.parse(new).open(key_id, sealed, "c")


def test_a_key_does_not_open_under_the_name_of_another() -> None:
    raw = _key("a").partition(":")[2]
    _, sealed = Keyring.parse(f"a:{raw}").seal(b"secret", "c")

    with pytest.raises(KeyUnusable):
        Keyring.parse(f"b:{raw}").open("b", sealed, "c")


@pytest.mark.parametrize(
    "text", ["", "a", "a:", "a:AAAA", ":" + "A" * 44, "ä:" + "A" * 43 + "=", "x" * 21 + ":" + "A" * 43 + "=", "a:!!"]
)
def test_a_ring_that_can_not_be_used_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeyUnusable) as refusal:
        Keyring.parse(text)
    assert len(text) < 5 or text not in str(refusal.value)


def test_a_ring_shows_no_key() -> None:
    entry = _key("a")

    assert entry.partition(":")[2] not in repr(Keyring.parse(entry))


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = {crypto.derive("one secret", purpose) for purpose in ("session", "forms", "links", "audit chain")}

    assert len(keys) == 4
    assert crypto.derive("one secret", "links") != crypto.derive("another secret", "links")


def test_tokens_have_the_published_form_and_differ() -> None:
    tokens = {crypto.mint_token() for _ in range(200)}

    assert len(tokens) == 200
    assert all(re.fullmatch(r"mcpw_[0-9A-Za-z]{38}", token) and crypto.is_token(token) for token in tokens)


@pytest.mark.parametrize("at", [0, 5, 20, 36, 37, 42])
def test_a_token_with_a_slip_is_no_token(at: int) -> None:
    token = crypto.mint_token()
    slipped = token[:at] + ("a" if token[at] != "a" else "b") + token[at + 1 :]

    assert not crypto.is_token(slipped)


@pytest.mark.parametrize(
    "text", ["", "mcpw_", "mcpw_" + "0" * 38, "ghp_" + "a" * 36, "\ud800" * 43, "mcpw_" + "é" * 38]
)
def test_noise_is_no_token(text: str) -> None:
    assert not crypto.is_token(text)


def test_a_secret_is_made_once_by_whoever_comes_first_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret_key"
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda n: crypto.load_or_make(path, f"secret {n}"), range(8)))

    assert len(made) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["secret_key"]
