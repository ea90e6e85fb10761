"""The endpoint as a WSGI server sees it, on services made of a few functions, and without a database."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from mcpweb import clock
from mcpweb.catalog.api import Upstream
from mcpweb.catalog.content import Prompt, Resource, ResourceTemplate
from mcpweb.catalog.manifest import Manifest
from mcpweb.catalog.outgoing import Destinations, Reply
from mcpweb.catalog.registry import Service
from mcpweb.catalog.tools import Tool
from mcpweb.gateway.doors import Doors
from mcpweb.gateway.endpoint import Endpoint
from mcpweb.gateway.record import CallRecord
from mcpweb.gateway.revisions import CAPABILITIES, MODERN, VERSION
from mcpweb.instances.access import Access, Unauthorized

TOKEN = "mcpw_alice"
PORT = 8105
BOTH = "application/json, text/event-stream"


def service(*items: Tool | Prompt | Resource | ResourceTemplate, name: str = "figma", port: int = PORT) -> Service:
    """A service that offers these."""
    manifest = Manifest(
        folder=Path(),
        digest="",
        name=name,
        title=name.title(),
        summary="",
        category="",
        logo="",
        port=port,
        base_url="https://api.example.com",
        hosts=("api.example.com",),
        headers={"Authorization": "Bearer {token}"},
        fields=(),
        checks=(),
        refusals=(),
    )
    return Service(
        manifest=manifest,
        upstream=Upstream(manifest.title, manifest.base_url, Destinations(hosts=manifest.hosts)),
        tools={item.name: item for item in items if isinstance(item, Tool)},
        prompts={item.name: item for item in items if isinstance(item, Prompt)},
        resources=tuple(item for item in items if isinstance(item, Resource)),
        resource_templates=tuple(item for item in items if isinstance(item, ResourceTemplate)),
    )


class Accesses:
    """In the place of the access cache: the instances and tokens that a test puts in."""

    def __init__(self) -> None:
        self.entries: dict[UUID, tuple[str, Access]] = {}
        self.before_get: list[Callable[[], None]] = []
        """Called one by one, each before one look-up."""

    def add(self, service: Service, token: str = TOKEN) -> UUID:
        """A new active instance."""
        id = uuid4()
        self.entries[id] = (
            token,
            Access(
                instance_id=id,
                owner_id=1,
                label="Work",
                service=service,
                credential={"token": "upstream-key"},
                status="active",
                expires_at=clock.utcnow() + timedelta(days=1),
                tool_names=None,
                tokens={},
            ),
        )
        return id

    def change(self, id: UUID, **fields: Any) -> None:
        """Set fields of an instance's access."""
        token, access = self.entries[id]
        self.entries[id] = (token, replace(access, **fields))

    def get(self, instance_id: UUID, bearer: str) -> tuple[Access, bool]:
        """As AccessCache.get."""
        if self.before_get:
            self.before_get.pop(0)()
        token, access = self.entries.get(instance_id, ("", None))
        if access is None or token != bearer:
            raise Unauthorized
        return access, True

    def get_again(self, access: Access, _token: object, bearer: str) -> Access:
        """As AccessCache.get_again."""
        return self.get(access.instance_id, bearer)[0]


class Upstreams:
    """In the place of the outgoing client: answers every request with `reply`, and keeps what was sent."""

    def __init__(self) -> None:
        self.reply = Reply(200, {}, b'{"login": "octocat"}')
        self.sent: list[tuple[str, str, Mapping[str, str]]] = []

    def request(self, method: str, url: str, *, headers: Mapping[str, str], **_: Any) -> Reply:
        """As Outgoing.request."""
        self.sent.append((method, url, headers))
        return self.reply


@dataclass
class Answer:
    """An answer of the endpoint, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)

    @property
    def result(self) -> Any:
        """The result, which must be there."""
        assert "result" in self.json, self.body
        return self.json["result"]

    @property
    def error(self) -> Any:
        """The JSON-RPC error, which must be there."""
        assert "error" in self.json, self.body
        return self.json["error"]

    @property
    def text(self) -> str:
        """The text of a tool result."""
        return str(self.result["content"][0]["text"])

    @property
    def events(self) -> list[Any]:
        """The messages of an event stream."""
        assert self.headers["Content-Type"] == "text/event-stream"
        return [json.loads(line[6:]) for line in self.body.decode().split("\n") if line.startswith("data: ")]


@dataclass
class Door:
    """A client at the endpoint of one instance of a service."""

    accesses: Accesses = field(default_factory=Accesses)
    upstream: Upstreams = field(default_factory=Upstreams)
    records: list[CallRecord] = field(default_factory=list)
    id: UUID = field(default_factory=uuid4)
    app: Any = None

    @classmethod
    def to(cls, *items: Tool | Prompt | Resource | ResourceTemplate, **settings: Any) -> Door:
        """A door to a service that offers these."""
        door = cls()
        door.id = door.accesses.add(service(*items))
        chosen = {
            "max_concurrent": 4,
            "allowed_origins": {"https://mcpweb.example.com"},
            "record": door.records.append,
            **settings,
        }
        endpoint = Endpoint(
            access=door.accesses,  # type: ignore[arg-type]
            client=door.upstream,  # type: ignore[arg-type]
            server_info={"name": "mcpweb", "version": "0"},
            page_url=lambda id: f"https://mcpweb.example.com/instances/{id}",
            state_key=b"k" * 32,
            **chosen,
        )
        door.app = Doors(endpoint, _pages, {PORT: "figma"})
        return door

    @property
    def path(self) -> str:
        """The endpoint's address."""
        return f"/mcp/{self.id}"

    def open(
        self, body: bytes, *, path: str | None = None, method: str = "POST", port: int = 8080, **headers: str
    ) -> Any:
        """Send a request as it is; give back status, headers and the body still to be iterated and closed."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": self.path if path is None else path,
            "SERVER_PORT": str(port),
            "REMOTE_ADDR": "192.0.2.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_ACCEPT": BOTH,
            "HTTP_AUTHORIZATION": f"Bearer {TOKEN}",
            "wsgi.input": io.BytesIO(body),
        }
        for name, value in headers.items():
            key = name.upper()
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        environ = {name: value for name, value in environ.items() if value is not None}
        begun: list[Any] = []
        # A context of its own: what the endpoint notes about the request must not be left on the test's later lines.
        content = copy_context().run(
            self.app, environ, lambda status, headers: begun.extend((int(status[:3]), dict(headers)))
        )
        return begun[0], begun[1], content

    def send(self, body: Any, **options: Any) -> Answer:
        """Send a body, encoded unless it is bytes, and read the answer to its end."""
        status, headers, content = self.open(body if isinstance(body, bytes) else json.dumps(body).encode(), **options)
        try:
            return Answer(status, headers, b"".join(content))
        finally:
            if hasattr(content, "close"):
                content.close()

    def ask(
        self, method: str, params: Any = None, *, id: Any = 1, version: str | None = "2025-11-25", **options: Any
    ) -> Answer:
        """A request of a revision with handshake; `version` None leaves the header out."""
        message = {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}
        return self.send(message, **_version(version), **options)

    def call(self, name: str, arguments: Any = None, **options: Any) -> Answer:
        """`tools/call` in a revision with handshake."""
        return self.ask("tools/call", {"name": name, "arguments": arguments or {}}, **options)

    def modern(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        meta: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Answer:
        """A request of 2026-07-28 with all that it needs; options replace single headers."""
        params = dict(params or {})
        params["_meta"] = {VERSION: MODERN, CAPABILITIES: {}, **(meta or {})}
        headers = {"mcp_method": method, **_version(MODERN)}
        if named := params.get("name") or params.get("uri"):
            headers["mcp_name"] = named
        return self.send({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, **{**headers, **options})


def _version(version: str | None) -> dict[str, str]:
    return {} if version is None else {"mcp_protocol_version": version}


def _pages(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"a page"]
