"""The numbers that the processes of a host share: they only grow, for all of them, and are trusted only for a while."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from mcpweb import clock
from mcpweb.instances import generations as generations_module
from mcpweb.instances.generations import Generations
from tests.parallel import at_once

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "generations"


def test_a_change_is_seen_by_every_process_of_the_host_and_by_no_other_instance(path):
    here, there = Generations(path), Generations(path)
    mine, other = UUID(int=1), UUID(int=2)
    before = there.current(mine), there.current(other)

    here.bump(mine)

    assert there.current(mine) != before[0]
    assert there.current(other) == before[1]


def test_one_change_of_everything_is_seen_for_every_instance(path):
    here, there = Generations(path), Generations(path)
    ids = [uuid4() for _ in range(20)]
    before = [there.current(id) for id in ids]

    here.bump_all()

    assert all(there.current(id) != number for id, number in zip(ids, before, strict=True))


def test_numbers_outlive_the_process(path):
    id = uuid4()
    Generations(path).bump(id)

    assert Generations(path).current(id) == 1


def test_the_file_is_the_owners_alone(path):
    Generations(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_threads_and_processes_that_count_at_once_lose_no_change(path):
    id = UUID(int=7)
    code = (
        "import sys; from pathlib import Path; from uuid import UUID; from mcpweb.instances.generations import *\n"
        "here = Generations(Path(sys.argv[1])); sys.stdin.read(1)\n"
        "for _ in range(3000): here.bump(UUID(int=7))"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdin=subprocess.PIPE) for _ in range(2)]
    here = Generations(path)

    def count() -> None:
        for _ in range(1000):
            here.bump(id)

    for other in others:
        assert other.stdin
        other.stdin.close()  # go
    at_once([count] * 3)
    assert [other.wait(30) for other in others] == [0, 0]

    assert here.current(id) == 9000


def test_trust_ends_by_itself_on_the_clock_that_all_processes_share(path, monkeypatch):
    here, there = Generations(path), Generations(path)
    assert not there.is_trusted
    here.trust_until(clock.monotonic() + 2)
    assert there.is_trusted

    later = clock.monotonic() + 2.1
    monkeypatch.setattr(clock, "monotonic", lambda: later)

    assert not there.is_trusted


def test_trust_that_goes_on_leaves_the_numbers_and_trust_that_begins_again_makes_everything_stale(path):
    here, id = Generations(path), uuid4()
    here.trust_until(clock.monotonic() + 2)
    begun = here.current(id)

    here.trust_until(clock.monotonic() + 3)
    assert here.current(id) == begun

    here.trust_until(0)
    assert here.current(id) == begun
    here.trust_until(clock.monotonic() + 2)
    assert here.current(id) != begun


def test_a_doubt_is_everybodys_and_a_shorter_one_does_not_end_it(path, monkeypatch):
    here, there = Generations(path), Generations(path)
    assert not there.is_doubted
    now = clock.monotonic()
    here.doubt_until(now + 5)
    here.doubt_until(now + 1)

    monkeypatch.setattr(clock, "monotonic", lambda: now + 4)
    assert there.is_doubted
    monkeypatch.setattr(clock, "monotonic", lambda: now + 6)
    assert not there.is_doubted


def test_after_the_machine_has_started_anew_nothing_is_trusted(path, monkeypatch):
    Generations(path).trust_until(clock.monotonic() + 1e6)
    assert Generations(path).is_trusted

    monkeypatch.setattr(generations_module, "_boot", lambda: 12345)

    assert not Generations(path).is_trusted
