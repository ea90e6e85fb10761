from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.served import served
from tests.waiting import until

THREADS = 12
ASK = f"""
import sys, threading
from mcpweb import memory

memory.use_few_arenas() if "few" in sys.argv else None
kept, all_there = [], threading.Barrier({THREADS})

def take():
    all_there.wait()
    kept.extend(bytes(10_000) for _ in range(20))
    all_there.wait()

threads = [threading.Thread(target=take) for _ in range({THREADS})]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len({{id(one) >> 26 for one in kept}}))
"""
"""In how many stretches of 64 MB, which is what an arena has, lies what many threads took at the same time."""


def _shared_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    figures = {name: value for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(figures["Shared_Dirty"].split()[0]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_web_workers_share_the_memory_of_the_program_that_they_run(tmp_path: Path) -> None:
    with served("github", MCPWEB_HOME=str(tmp_path), MCPWEB_WEB_WORKERS="2") as server:
        until(lambda: len(server.workers) == 2, "both workers run")
        assert requests.get(f"{server.url}/sign-in", timeout=30).status_code == 200

        assert min(_shared_mb(pid) for pid in server.workers) > 20


def test_many_threads_take_their_memory_from_few_arenas() -> None:
    def stretches(*arguments: str) -> int:
        done = subprocess.run([sys.executable, "-c", ASK, *arguments], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert stretches("few") <= 3  # an arena may have begun a second stretch
    assert stretches() > 3
