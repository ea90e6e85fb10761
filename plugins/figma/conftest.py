"""The Figma plugin as the catalogue loads it, calling a spec server over real HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest

from mcpweb.catalog import registry
from mcpweb.catalog.outgoing import Outgoing
from mcpweb.catalog.registry import Service
from tests.spec_server import TOKENS, Seen, SpecServer
from tests.specs.exchange import Answer

FOLDER = Path(__file__).parent


class FigmaServer(SpecServer):
    """The spec server, with answers of the test's own for some operations; `documented` is the document's, the last."""

    def __init__(self) -> None:
        super().__init__("figma")
        self.answers: dict[str, Answer] = {}
        self.documented: Any = None

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        documented = super().answer(method, target, headers, body)
        self.documented = documented.body
        own = self.answers.get(self.seen[-1].operation_id or "")
        return own if own and documented.status < 300 else documented


@dataclass
class Figma:
    """What the tests hold: call a tool, set an answer, see what arrived."""

    server: FigmaServer
    service: Service
    client: Outgoing = field(repr=False)

    def call(self, tool: str, arguments: dict[str, Any], behaviour: str = "good") -> Any:
        """The tool's result after a trip through JSON, as a client gets it; arguments must fit the tool's schema."""
        wanted = self.service.tools[tool]
        jsonschema_rs.Draft202012Validator(dict(wanted.input_schema)).validate(arguments)
        api = self.service.api({"token": TOKENS["figma"][behaviour]}, self.client)
        return orjson.loads(orjson.dumps(wanted.run(api, **arguments)))

    def answers(self, operation: str, body: Any, status: int = 200) -> None:
        """From now on, the operation answers so."""
        self.server.answers[operation] = Answer(status, json.dumps(body).encode())

    @property
    def asked(self) -> Seen:
        """The last request that arrived."""
        return self.server.seen[-1]


@pytest.fixture(scope="session")
def figma_server() -> Iterator[FigmaServer]:
    """One server for all tests of the plugin."""
    server = FigmaServer()
    with server:
        yield server


@pytest.fixture(scope="session")
def figma_service(figma_server: FigmaServer) -> Service:
    """The plugin, loaded from its folder and pointed at the server."""
    found = registry.discover([FOLDER.parent], {"figma": 8102}, {"figma": figma_server.url})
    if "figma" in found.problems:
        pytest.fail(found.problems["figma"])
    return found.services["figma"]


@pytest.fixture
def figma(figma_server: FigmaServer, figma_service: Service) -> Iterator[Figma]:
    """A fresh start: nothing asked yet, no answers of one's own."""
    figma_server.answers.clear()
    figma_server.seen.clear()
    client = Outgoing()
    yield Figma(figma_server, figma_service, client)
    client.close()
