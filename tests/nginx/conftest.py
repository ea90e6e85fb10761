"""The whole program behind nginx, serving the conformance suite's plugin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance import conftest as conformance
from tests.conformance.proxy import TokenProxy
from tests.nginx.front import Front, front, public_settings
from tests.served import Served, served


@pytest.fixture(scope="package")
def settings(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> dict[str, str]:
    """Of the installation."""
    return {
        "MCPWEB_HOME": str(tmp_path_factory.mktemp("home")),
        "MCPWEB_REDIS_URL": redis_url,
        "MCPWEB_WEB_WORKERS": "2",
        "MCPWEB_WEB_THREADS": "24",
        "MCPWEB_CALLS_PER_MINUTE": "0",
        "MCPWEB_CALLS_PER_DAY": "0",
        "MCPWEB_IDENTICAL_CALLS": "0",
        **conformance.PLUGIN,
        **public_settings(),
    }


@pytest.fixture(scope="package")
def server(settings: dict[str, str]) -> Iterator[Served]:
    """gunicorn."""
    with served("conformance", "alice@example.com", **settings) as server:
        yield server


@pytest.fixture(scope="package")
def nginx(settings: dict[str, str], server: Served) -> Iterator[Front]:
    """nginx in front of it, with what is printed for it, unchanged."""
    with front(settings, "--web", f"127.0.0.1:{server.port}") as nginx:
        yield nginx


@pytest.fixture(scope="package")
def url(nginx: Front, server: Served) -> Iterator[str]:
    """As the conformance suite's own fixture, with nginx in between."""
    path, token = server.instances[0]
    with TokenProxy(nginx.port, path, token, nginx.authority) as proxy:
        yield proxy.url
