"""An empty log index for each test: what other tests logged is none of its alerts."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from mcpweb.logs.index_sqlite import SqliteIndex


@pytest.fixture(autouse=True)
def _own_index(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.extensions, "mcpweb_log_index", SqliteIndex(tmp_path / "index"))
