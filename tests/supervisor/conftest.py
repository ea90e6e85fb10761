"""Starts `mcpweb up` for a test and ends it afterwards."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.supervisor.running import Up, an_unused_port

StartUp = Callable[..., Up]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[StartUp]:
    started: list[Up] = []

    def start(home: Path | None = None, port: int = 0, environ: dict[str, str] | None = None, **options: object) -> Up:
        one = Up(home or tmp_path / "home", port=port or an_unused_port(), environ=environ or {}, options=options)
        started.append(one)
        return one

    yield start
    for one in started:
        one.process.kill()
        one.exit_code()
