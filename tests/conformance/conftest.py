"""The whole program under gunicorn, serving the fixture plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import loopback
from tests.conformance.proxy import TokenProxy
from tests.served import prepared, served

HERE = Path(__file__).resolve().parent
PLUGIN = {"MCPWEB_PLUGINS": str(HERE / "plugins"), "MCPWEB_PORTS_FILE": str(HERE / "ports.toml")}
"""The settings that add the fixture plugin."""


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[str]:
    """An endpoint that needs no token, in front of the program under gunicorn."""
    with _serving(tmp_path_factory.mktemp("home"), redis_url) as url:
        yield url


@pytest.fixture
def url_of_five_calls(tmp_path: Path, redis_url: str) -> Iterator[str]:
    """The same, where an instance may make five calls a day, and none of them again."""
    with _serving(tmp_path, redis_url, MCPWEB_CALLS_PER_DAY="5", MCPWEB_IDENTICAL_CALLS="1") as url:
        yield url


@contextmanager
def _serving(home: Path, redis_url: str, **limits: str) -> Iterator[str]:
    if loopback.IS_WANTED:
        with loopback.loopback(**PLUGIN, **limits) as one:
            path, token = prepared("conformance", "alice@example.com", **one.settings)[0]
            with TokenProxy(int(one.url.rpartition(":")[2]), path, token, one.authority, "localhost") as proxy:
                yield proxy.url
        return
    settings = {"MCPWEB_HOME": str(home), "MCPWEB_REDIS_URL": redis_url, **PLUGIN}
    with served("conformance", "alice@example.com", **settings, **limits) as server:
        path, token = server.instances[0]
        with TokenProxy(server.port, path, token) as proxy:
            yield proxy.url
