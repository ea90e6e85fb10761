"""The list of closed days: what does not fit it is named, and half a line of a crash is mended."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mcpweb.logs import integrity
from mcpweb.logs.integrity import Integrity
from tests.logs.log_folder import KEY, POLICY, maintain, names, write


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A log folder with six closed days."""
    write(tmp_path, 1, 2, 3, count=5)
    assert maintain(tmp_path).is_sound
    return tmp_path


def manifest(root: Path) -> list[bytes]:
    return (root / "manifest.jsonl").read_bytes().splitlines(keepends=True)


def verdict(root: Path) -> Integrity:
    return integrity.verify(root, KEY)


def test_an_untouched_folder_is_whole(closed):
    assert verdict(closed).is_whole
    assert verdict(closed).counts == {"ok": 6}
    assert verdict(closed).sentences == []


def _rewritten(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a line changed": (
        lambda path: _rewritten(path, lambda raw: raw.replace(b"app 2 3", b"app 2 9")),
        "changed, it holds 5 lines in",
    ),
    "a line removed": (
        lambda path: _rewritten(path, lambda raw: b"".join(raw.splitlines(keepends=True)[1:])),
        "changed, it holds 4 lines in",
    ),
    "compressed anew": (
        lambda path: path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1)),
        "changed, it was compressed anew, with the same lines",
    ),
    "a byte changed": (
        lambda path: path.write_bytes(path.read_bytes()[:60] + b"\0" + path.read_bytes()[61:]),
        "changed, it is damaged",
    ),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "changed, it is cut short"),
    "emptied": (lambda path: path.write_bytes(b""), "changed, it is cut short"),
    "taken away": (lambda path: path.unlink(), "missing, it held 5 lines to 2026-11-21T00:00:04+00:00"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "changed, it is no file"),
    "a link": (
        lambda path: (path.rename(path.parent / "moved"), path.symlink_to("moved")),
        "changed, it can not be opened",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_closed_day_that_is_not_as_it_was_listed_is_named(change, closed):
    act, said = CHANGES[change]

    act(closed / "system/app-2026-11-21.jsonl.gz")

    found = verdict(closed)
    assert not found.is_whole and found.counts["ok"] == 5
    assert found.sentences[0].startswith(f"app-2026-11-21.jsonl: {said}")
    report = maintain(closed)
    assert not report.is_sound and report.verified["ok"] == 5
    assert any(problem.startswith(f"app-2026-11-21.jsonl: {said}") for problem in report.problems)


def test_a_compressed_file_that_was_never_listed_is_named(closed):
    path = closed / "system/app-2026-01-01.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"time":"x","message":"forged"}\n'))

    assert verdict(closed).counts == {"ok": 6, "unlisted": 1}
    assert not verdict(closed).is_whole
    maintain(closed)
    assert path.exists(), "nobody deletes what is not ours"


def test_a_torn_last_line_is_a_crash_and_a_torn_one_in_the_middle_is_damage(tmp_path):
    write(tmp_path, 1, 2, count=5, categories=("app",))
    end = tmp_path / "system/app-2026-11-21.jsonl"
    middle = tmp_path / "system/app-2026-11-22.jsonl"
    end.write_bytes(end.read_bytes()[:-20])
    lines = middle.read_bytes().splitlines(keepends=True)
    middle.write_bytes(b"".join([*lines[:2], lines[2][:15], *lines[3:]]))

    report = maintain(tmp_path)

    assert report.verified == {"torn": 1, "damaged": 1} and not report.is_sound
    assert report.problems == [
        "app-2026-11-21.jsonl: torn, its last line was cut by a crash",
        "app-2026-11-22.jsonl: damaged, 1 lines could not be read when it was closed",
    ]
    assert gzip.decompress((tmp_path / "system/app-2026-11-21.jsonl.gz").read_bytes()).endswith(b"\n")


def test_half_a_line_at_the_end_of_the_list_is_mended(closed):
    path = closed / "manifest.jsonl"
    *_, last = manifest(closed)
    path.write_bytes(path.read_bytes()[:-40])
    write(closed, 1, count=1, categories=("security",))

    report = maintain(closed)

    [torn, unlisted] = report.problems
    assert torn == "manifest.jsonl, line 6: torn at the end, as by a crash"
    assert json.loads(last)["file"] in unlisted and "unlisted" in unlisted
    assert [json.loads(line)["n"] for line in manifest(closed)] == [1, 2, 3, 4, 5, 6]


LISTS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "changed": (lambda lines: [lines[0].replace(b'"lines":5', b'"lines":4'), *lines[1:]], "line 1: changed"),
    "removed": (lambda lines: [*lines[:2], *lines[3:]], "line 3: does not follow from the line before"),
    "exchanged": (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1: does not follow from the line before"),
    "garbage": (lambda lines: [*lines[:2], b"\xff\x00garbage\n", *lines[3:]], "line 3: unreadable"),
    "begun anew": (lambda lines: lines[3:], "line 1: does not follow from the line before"),
}


@pytest.mark.parametrize("change", LISTS)
def test_a_list_that_was_changed_is_named_with_its_place_and_goes_on(change, closed):
    act, said = LISTS[change]
    (closed / "manifest.jsonl").write_bytes(b"".join(act(manifest(closed))))

    assert verdict(closed).manifest[0].startswith(f"manifest.jsonl, {said}")
    assert not verdict(closed).is_whole
    write(closed, 1, categories=("security",))
    report = maintain(closed)
    assert len(report.closed) == 2 and not report.is_sound


def test_a_list_whose_end_was_cut_off_leaves_files_that_are_not_listed(closed):
    (closed / "manifest.jsonl").write_bytes(b"".join(manifest(closed)[:4]))

    assert verdict(closed).counts == {"ok": 4, "unlisted": 2}


def test_without_the_key_nobody_makes_a_list_that_fits(closed):
    assert len(integrity.verify(closed, b"another key").manifest) == 6
    forged = closed / "forged"
    write(forged, 1, 2, 3, count=4)
    maintain(forged, policy=replace(POLICY, key=b"another key"))
    for name in names(forged / "system"):
        (forged / "system" / name).rename(closed / "system" / name)
    (forged / "manifest.jsonl").rename(closed / "manifest.jsonl")

    found = verdict(closed)

    assert len(found.manifest) == 6 and found.counts == {"unlisted": 6}


# What lies in the folder and is no sound log


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _cut_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b'{"time":"x"}\n' * 50)[:-12])


def _late(path: Path) -> None:
    path.write_bytes(b'{"time":"late"}\n')
    _cut_gzip(path.with_name(f"{path.name}.gz"))


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a cut line": ("app-2026-11-01.jsonl", lambda path: path.write_bytes(b'{"time":"x"}\n{"ti'), "torn"),
    "garbage": ("app-2026-11-02.jsonl", lambda path: path.write_bytes(b"\xff\xfe\0\n" * 99), "damaged"),
    "zeros": ("app-2026-11-03.jsonl", lambda path: path.write_bytes(b"\0" * 5000), "torn"),
    "empty": ("app-2026-11-04.jsonl", lambda path: path.write_bytes(b""), "was empty"),
    "a cut .gz": ("app-2026-11-05.jsonl.gz", _cut_gzip, "unlisted"),
    "an empty .gz": ("app-2026-11-06.jsonl.gz", lambda path: path.write_bytes(b""), "unlisted"),
    "no gzip": ("app-2026-11-07.jsonl.gz", lambda path: path.write_bytes(b"PK\3\4"), "unlisted"),
    "a folder": ("app-2026-11-08.jsonl", lambda path: path.mkdir(), "is a folder"),
    "a link": ("app-2026-11-09.jsonl", _link, "is a link"),
    "a link to nowhere": ("app-2026-11-10.jsonl.gz", lambda path: path.symlink_to("nowhere"), "is a link"),
    "a foreign file": ("notes.txt", lambda path: path.write_bytes(b"mine\n"), "is no log file"),
    "no day": ("app-2026-13-45.jsonl", lambda path: path.write_bytes(b"{}\n"), "is no log file"),
    "no JSON objects": ("app-2026-11-12.jsonl", lambda path: path.write_bytes(b"[1]\n7\nnull\n"), "damaged"),
    "too deep": ("app-2026-11-13.jsonl", lambda path: path.write_bytes(b"[" * 99_999 + b"\n{}\n"), "damaged"),
    "no end": ("app-2026-11-14.jsonl", lambda path: path.write_bytes(b"x" * 3_000_000), "torn"),
    "late beside a cut .gz": ("app-2026-11-15.jsonl", _late, "is cut short"),
}


@pytest.mark.parametrize("where", ["system", "users/user_1/mcp_x"])
def test_of_a_folder_of_broken_files_each_is_named_and_the_sound_ones_are_done(where, tmp_path):
    write(tmp_path, 1)
    folder = tmp_path / where
    folder.mkdir(parents=True, exist_ok=True)
    for name, make, _ in BROKEN.values():
        make(folder / name)
    is_system = where == "system"

    report = maintain(tmp_path)
    again = maintain(tmp_path)

    for what, (name, _, said) in BROKEN.items():
        told = " ".join(one for one in report.problems if name.removesuffix(".gz") in one)
        if is_system or said.startswith("is "):
            assert said in told, what
        if said.startswith("is "):
            assert any(name in one and said in one for one in again.problems), f"{what}, the second time"
    assert report.verified["ok"] == again.verified["ok"] == 2
    assert Path("/etc/passwd").read_bytes()
    assert (folder / "notes.txt").read_bytes() == b"mine\n" and (folder / "app-2026-11-08.jsonl").is_dir()
    assert not (folder / "app-2026-11-04.jsonl").exists()
    if is_system:
        assert any("is no log file" in one for one in verdict(tmp_path).strange)


@pytest.mark.parametrize("what", ["file", "link", "missing"])
def test_a_log_folder_that_is_none_is_no_obstacle(what, tmp_path):
    root = tmp_path / "logs"
    root.mkdir()
    for name in ("system", "users"):
        if what == "file":
            (root / name).write_bytes(b"")
        elif what == "link":
            (root / name).symlink_to("/etc")

    report = maintain(root)

    assert report.closed == [] and len(report.problems) == (0 if what == "missing" else 2)


def test_a_list_that_can_not_be_read_or_written_is_named_and_no_line_is_lost(tmp_path):
    said = write(tmp_path, 1, count=2)
    (tmp_path / "manifest.jsonl").mkdir()

    report = maintain(tmp_path)

    assert "manifest.jsonl is no file" in report.problems
    assert not report.is_sound
    assert {"app-2026-11-22.jsonl", "audit-2026-11-22.jsonl"} <= set(names(tmp_path / "system")) and said
    (tmp_path / "manifest.jsonl").rmdir()
    assert maintain(tmp_path).verified == {"ok": 2}
