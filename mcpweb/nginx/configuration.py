"""nginx's configuration for one installation, made from the template `deploy/nginx.conf`."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined

from mcpweb import jsonrpc, setting_kinds
from mcpweb.application import MAX_FORM_BYTES, ports_file
from mcpweb.catalog import registry
from mcpweb.errors import AppError
from mcpweb.gateway.entrance import MAX_BODY_BYTES
from mcpweb.jsonrpc import RpcError
from mcpweb.settings import Settings, is_loopback
from mcpweb.shipped import folder
from mcpweb.web.error_words import words
from mcpweb.web.headers import HEADERS

PAGES = (400, 413, 429, 431, 502, 503, 504)
"""Statuses that nginx may answer by itself, and that we have a page for."""
READ_TIMEOUT_S = 60
"""Between two reads from a web process. Above the 25 seconds that a call may take."""

_ANYWHERE = ("0.0.0.0", "[::]")  # noqa: S104 - printed, not bound


class NginxError(AppError):
    """There is no configuration for these settings and options."""


class Wishes(NamedTuple):
    """What the operator said on the command line; an empty one has its default."""

    certificate: str | None = None
    key: str | None = None
    listen: tuple[str, ...] = ()
    web: tuple[str, ...] = ()
    files: str = "/var/www/mcpweb"
    logs: str = "/var/log/nginx"
    connections: int = 256
    whole: bool = False
    keep_endpoints: bool = False


def render(settings: Settings, wishes: Wishes) -> str:
    """The configuration as text.

    Raises:
        NginxError: says which setting or option is missing, or can not be.
    """
    parts = urlsplit(settings.public_url)
    host, tls = parts.hostname or "", parts.scheme == "https"
    if not host:
        raise NginxError("Set MCPWEB_PUBLIC_URL: it is the address that nginx answers at.")
    if parts.path or "%" in host:
        raise NginxError("MCPWEB_PUBLIC_URL must be an address without a path.")
    if not tls and not is_loopback(host):
        raise NginxError("MCPWEB_PUBLIC_URL must begin with https:// unless it is on this machine alone.")
    port = parts.port or (443 if tls else 80)
    ports = tuple(registry.read_ports(ports_file(settings)).values()) if settings.service_ports else ()
    listen = tuple(_bracketed(address) for address in wishes.listen) or _usual(host)
    web = [_web(text) for text in wishes.web] or [_local(settings.bind)]
    _refuse_taken(listen, web, (port, *ports))
    certbot = f"/etc/letsencrypt/live/{host}"
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(  # noqa: S701 - this is no HTML
        (folder("deploy") / "nginx.conf").read_text(encoding="utf-8")
    )
    return template.render(
        url=settings.public_url,
        host=_bracketed(host),
        netloc=parts.netloc,
        port=port,
        tls=tls,
        certificate=_path(wishes.certificate or f"{certbot}/fullchain.pem"),
        key=_path(wishes.key or f"{certbot}/privkey.pem"),
        listen=listen,
        upstreams=_upstreams(web, ports, wishes.keep_endpoints),
        keep_endpoints=wishes.keep_endpoints,
        service_ports=ports,
        proxies=settings.trusted_proxies,
        files=_path(wishes.files),
        logs=_path(wishes.logs),
        connections=wishes.connections,
        whole=wishes.whole,
        **_fixed(),
    )


def warnings(settings: Settings) -> list[str]:
    """What the operator should know besides, a sentence each."""
    if settings.trusted_proxies:
        return []
    return ["MCPWEB_TRUSTED_PROXIES is empty: until it names nginx' address, every caller seems to be nginx."]


def _fixed() -> dict[str, object]:
    """What is the same for every installation: limits, pages, and the answers to programs."""
    return {
        "form_bytes": MAX_FORM_BYTES,
        "call_bytes": MAX_BODY_BYTES,
        "read_timeout_s": READ_TIMEOUT_S,
        "pages": PAGES,
        "rpc_bodies": {status: _rpc_body(status) for status in PAGES},
        "static_headers": HEADERS,
    }


def _rpc_body(status: int) -> str:
    code = jsonrpc.INTERNAL_ERROR if status >= 500 else jsonrpc.REFUSED
    body = jsonrpc.error(RpcError(code, words(status).reason)).decode()
    return body.replace("\\", "\\\\").replace("'", "\\'").replace("$", "")


def _upstreams(web: list[tuple[str, int]], ports: tuple[int, ...], keeps_endpoints: bool) -> dict[str, list[str]]:
    """Names to the addresses of gunicorn: the pages', the endpoints' if they are kept, and each service's own."""
    found = {"mcpweb_web": [f"{_bracketed(host)}:{port}" for host, port in web]}
    if keeps_endpoints:
        found["mcpweb_mcp"] = found["mcpweb_web"]
    for number in ports:
        found[f"mcpweb_{number}"] = [f"{_bracketed(host)}:{number}" for host, _ in web]
    return found


def _usual(host: str) -> tuple[str, ...]:
    """Where nginx listens when nothing is said: on this machine alone if the public address is."""
    if host == "localhost":
        return ("127.0.0.1",)
    return (_bracketed(host),) if is_loopback(host) else _ANYWHERE


def _refuse_taken(listen: tuple[str, ...], web: list[tuple[str, int]], ports: tuple[int, ...]) -> None:
    """gunicorn listens on this machine, and on the same port nginx can not do so as well."""
    mine = {_bracketed(host): {port, *ports[1:]} for host, port in web if is_loopback(host)}
    for port in ports:
        for host, taken in mine.items():
            if port in taken and (host in listen or not set(_ANYWHERE).isdisjoint(listen)):
                raise NginxError(
                    f"gunicorn listens on {host}:{port}, so nginx needs another address: "
                    "name that of a network interface with --listen."
                )


def _web(text: str) -> tuple[str, int]:
    try:
        return setting_kinds.bind(text)
    except ValueError:
        raise NginxError("--web must be host:port.") from None


def _local(bind: tuple[str, int]) -> tuple[str, int]:
    """How a web process that listens on every address is reached from this machine."""
    host, port = bind
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - compared, not bound


def _bracketed(host: str) -> str:
    """As it stands in an address.

    Raises:
        NginxError: it is neither a name nor an IP address.
    """
    bare = host.strip("[]")
    try:
        return f"[{bare}]" if ipaddress.ip_address(bare).version == 6 else bare
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", bare):
            raise NginxError(f"{host!r} is no host name or IP address.") from None
        return bare


def _path(text: str) -> str:
    """An absolute path, quoted.

    Raises:
        NginxError: nginx would read something else than a path.
    """
    if not re.fullmatch(r"/[\w./@+:~-]*", text):
        raise NginxError(f"{text!r} must be an absolute path of letters, digits and any of . _ - @ + : ~.")
    return text.rstrip("/") or "/"
