"""Keys, tokens, and what is sealed: what opens, what does not, and what is written where."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from mcpweb import crypto
from mcpweb.crypto import Keyring, KeyUnusable, derive, hash_secret, is_token, mint_token, new_encryption_key, with_keys
from mcpweb.settings import Settings


def entry(name: str, byte: int = 1) -> str:
    return f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}"


def test_what_is_sealed_opens_in_its_own_context_only():
    ring = Keyring.parse(entry("k1"))
    key_id, sealed = ring.seal(b"secret", "instance/1/credential")

    assert ring.open(key_id, sealed, "instance/1/credential") == b"secret"
    for context in ("instance/2/credential", "instance/1/other", "", "instance/1/credential\n"):
        with pytest.raises(KeyUnusable):
            ring.open(key_id, sealed, context)


def test_sealing_twice_never_gives_the_same():
    ring = Keyring.parse(entry("k1"))

    assert len({ring.seal(b"secret", "x")[1] for _ in range(100)}) == 100


def test_every_changed_byte_is_noticed():
    ring = Keyring.parse(entry("k1"))
    key_id, sealed = ring.seal(b"secret", "x")

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 0x80
        with pytest.raises(KeyUnusable):
            ring.open(key_id, bytes(changed), "x")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + b"0" * 11, b"\x01" + b"0" * 27, b"\x02" + b"0" * 40])
def test_what_was_never_sealed_does_not_open(sealed):
    with pytest.raises(KeyUnusable):
        Keyring.parse(entry("k1")).open("k1", sealed, "x")


def test_the_first_key_seals_and_all_of_them_open():
    old, new = Keyring.parse(entry("old", 1)), Keyring.parse(f"{entry('new', 2)},{entry('old', 1)}")
    sealed = old.seal(b"secret", "x")

    assert new.open(*sealed, "x") == b"secret"
    assert new.seal(b"secret", "x")[0] == new.newest == "new"
    with pytest.raises(KeyUnusable, match="does not have"):
        old.open(*new.seal(b"secret", "x"), "x")


def test_a_key_under_another_name_does_not_open_although_its_bytes_are_right():
    _, sealed = Keyring.parse(entry("k1")).seal(b"secret", "x")

    with pytest.raises(KeyUnusable):
        Keyring.parse(entry("k2")).open("k2", sealed, "x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "k1",
        "k1:",
        ":" + base64.b64encode(bytes(32)).decode(),
        "k1:" + base64.b64encode(bytes(31)).decode(),
        "k1:" + base64.b64encode(bytes(33)).decode(),
        "k1:not base64!",
        "k" * 21 + ":" + base64.b64encode(bytes(32)).decode(),
        "ключ:" + base64.b64encode(bytes(32)).decode(),
        entry("k1") + ",k2:x",
    ],
)
def test_a_bad_key_ring_is_refused_without_being_repeated(text):
    with pytest.raises(KeyUnusable) as caught:
        Keyring.parse(text)

    assert "MCPWEB_ENCRYPTION_KEYS" in caught.value.sentence
    assert base64.b64encode(bytes(31)).decode() not in str(caught.value)


def test_a_key_ring_does_not_show_its_keys():
    assert "AESGCM" not in repr(Keyring.parse(entry("k1")))


def test_a_token_has_the_form_that_scanners_find():
    token = mint_token()

    assert re.fullmatch(r"mcpw_[0-9A-Za-z]{38}", token)
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = zlib.crc32(token[:-6].encode())
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = alphabet[digit] + digits
    assert token[-6:] == digits


def test_tokens_do_not_repeat():
    assert len({mint_token() for _ in range(1000)}) == 1000


def test_a_mistyped_token_is_told_without_asking_anybody():
    token = mint_token()
    assert is_token(token)

    for text in (
        "",
        "mcpw_",
        token[:-1],
        token + "0",
        token.upper(),
        "x" + token[1:],
        " " + token,
        token[:-1] + "\ud800",
    ):
        assert not is_token(text)
    for place in range(5, len(token)):
        other = "A" if token[place] != "A" else "B"
        assert not is_token(token[:place] + other + token[place + 1 :])


def test_keys_for_different_purposes_differ_and_stay_the_same():
    purposes = ("session", "forms", "links", "audit chain", "tool state")

    assert len({derive("secret", purpose) for purpose in purposes}) == len(purposes)
    assert derive("secret", "links") == derive("secret", "links")
    assert derive("other", "links") != derive("secret", "links")


def test_a_hash_takes_any_text():
    assert len(hash_secret("\ud800")) == len(hash_secret("x")) == 32


def test_without_keys_they_are_made_once_and_are_ours_alone(tmp_path):
    old = os.umask(0)
    try:
        first = with_keys(Settings(home=tmp_path))
    finally:
        os.umask(old)

    second = with_keys(Settings(home=tmp_path))

    assert (first.secret_key, first.encryption_keys) == (second.secret_key, second.encryption_keys)
    assert len(first.secret_key) >= 43
    assert Keyring.parse(first.encryption_keys).newest
    folder = tmp_path / "keys"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "secret_key": 0o600,
        "encryption_keys": 0o600,
    }


def test_keys_of_the_environment_go_before_and_nothing_is_written(tmp_path):
    keys = new_encryption_key()

    settings = with_keys(Settings(home=tmp_path, secret_key="s" * 40, encryption_keys=keys))

    assert (settings.secret_key, settings.encryption_keys) == ("s" * 40, keys)
    assert not (tmp_path / "keys").exists()


def test_processes_that_start_at_once_agree_on_one_key(tmp_path):
    script = (
        "import sys; from pathlib import Path; from mcpweb.crypto import load_or_make, new_secret; "
        "sys.stdin.readline(); print(load_or_make(Path(sys.argv[1]), new_secret()))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "keys" / "secret_key")]
    environ = os.environ | {"PYTHONPATH": str(Path(crypto.__file__).parents[1])}
    makers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        for _ in range(4)
    ]

    for maker in makers:
        assert maker.stdin
        maker.stdin.write("\n")
        maker.stdin.flush()
    said = {maker.communicate(timeout=30)[0].strip() for maker in makers}

    assert len(said) == 1 and said != {""}
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["secret_key"]
