"""The plugin, loaded once and pointed at a server that answers from GitHub's official document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mcpweb.catalog.outgoing import Outgoing
from tests.called_plugin import CalledPlugin
from tests.spec_server import SpecServer


@pytest.fixture(scope="session")
def client() -> Iterator[Outgoing]:
    outgoing = Outgoing()
    yield outgoing
    outgoing.close()


@pytest.fixture(scope="session")
def running() -> Iterator[SpecServer]:
    with SpecServer("github", delay_s=0.2) as server:
        yield server


@pytest.fixture
def server(running: SpecServer) -> SpecServer:
    running.seen.clear()
    running.force.clear()
    return running


@pytest.fixture(scope="session")
def loaded(running: SpecServer, client: Outgoing) -> CalledPlugin:
    return CalledPlugin("github", running.url, client)


@pytest.fixture
def github(loaded: CalledPlugin, server: SpecServer) -> CalledPlugin:
    return loaded
