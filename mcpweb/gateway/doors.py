"""Which requests are for the endpoint: a table of addresses in front of the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from mcpweb.gateway.entrance import drain

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]
Endpoint = Callable[[Environ, StartResponse, UUID | None, str | None], Iterable[bytes]]

_PREFIX = "/mcp/"
_SUFFIX = "/mcp"


class Doors:
    """The whole WSGI application: `/mcp/<uuid>` goes to the endpoint, everything else to the pages.

    A service's own port (`service_ports`: port → service name) answers `/<uuid>/mcp` for that service's instances and
    nothing else. What stands in the place of the uuid is not judged here: the endpoint refuses it like a wrong token.
    """

    def __init__(self, endpoint: Endpoint, pages: Wsgi, service_ports: Mapping[int, str]) -> None:
        self._endpoint = endpoint
        self._pages = pages
        # WSGI has the port as a text. gunicorn takes it from the listening socket, not from the Host header.
        self._service_ports = {str(port): name for port, name in service_ports.items()}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one HTTP request (PEP 3333)."""
        path: str = environ["PATH_INFO"]
        service = self._service_ports.get(environ["SERVER_PORT"])
        if service is None:
            if path.startswith(_PREFIX):
                return self._endpoint(environ, start_response, instance_id(path[len(_PREFIX) :]), None)
            answer = self._pages(environ, start_response)
            drain(environ)
            return answer
        if path.endswith(_SUFFIX):
            return self._endpoint(environ, start_response, instance_id(path[1 : -len(_SUFFIX)]), service)
        return _nothing(start_response)


def instance_id(text: str) -> UUID | None:
    """The id in its one canonical spelling (RFC 9562: lower case, hyphens), else None."""
    if len(text) != 36:
        return None
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def _nothing(start_response: StartResponse) -> Iterable[bytes]:
    body = b"Not found. An endpoint's address on this port is /<instance>/mcp.\n"
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
