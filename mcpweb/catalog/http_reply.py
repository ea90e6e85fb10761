"""One HTTP/1.1 reply (RFC 9112): read up to a size, decoded, and taken only if it is well formed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from mcpweb.catalog.wire import BadReply, Connection, TooLarge

_MAX_HEAD: Final = 65536
_MAX_INTERIM: Final = 8
_MAX_CHUNKS: Final = 16384
"""A megabyte in chunks of one byte is no data but an attempt to keep a processor busy."""
_MAX_TRAILERS: Final = 100

_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([1-9]\d\d)(?: .*)?", re.ASCII)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~\w-]{1,128}", re.ASCII)
_CHUNK_SIZE: Final = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;[^\n]*)?")
_LONE_SURROGATE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
"""Half a character, as JavaScript leaves it when it cuts a text: it must not cost the rest of the answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's answer, whatever its status. Header names are lower-case, the body is decoded."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not shows as replacement characters."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            BadReply: it is none.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return self._mended()

    def _mended(self) -> Any:
        try:
            return orjson.loads(_LONE_SURROGATE.sub(rb"\\ufffd", self.body))
        except orjson.JSONDecodeError:
            raise BadReply("the answer is not JSON") from None


def read(connection: Connection, method: str, max_bytes: int) -> tuple[Reply, bool]:
    """The reply to a request just sent, and whether the connection can carry another one.

    Raises:
        TimedOut, TooLarge, BadReply: see there.
        Died: not one byte came.
    """
    minor, status, headers = _read_head(connection)
    if method == "HEAD" or status in (204, 304):
        pieces: Iterator[bytes] = iter(())
    elif "transfer-encoding" in headers:
        pieces = _chunks(connection, headers)
    elif (length := headers.get("content-length")) is not None:
        pieces = connection.exactly(_size(length, max_bytes))
    else:
        pieces, minor = connection.until_closed(), 0
    body = _decode(pieces, headers.get("content-encoding", "").lower(), max_bytes)
    kept = minor == 1 and connection.is_drained and "close" not in headers.get("connection", "").lower()
    return Reply(status, headers, body), kept


def _read_head(connection: Connection) -> tuple[int, int, dict[str, str]]:
    connection.wait()
    for _ in range(_MAX_INTERIM):
        minor, status, headers = _parse_head(connection.until(b"\r\n\r\n", _MAX_HEAD).decode("latin-1"))
        if status >= 200:
            return minor, status, headers
        if status == 101:
            break
    raise BadReply("interim answers only")


def _chunks(connection: Connection, headers: Mapping[str, str]) -> Iterator[bytes]:
    if headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers:
        raise BadReply("the length of the answer is ambiguous")
    for _ in range(_MAX_CHUNKS):
        size = _CHUNK_SIZE.fullmatch(connection.until(b"\r\n", 1024))
        if not size:
            raise BadReply("malformed chunk")
        if not (length := int(size[1], 16)):
            break
        yield from connection.exactly(length)
        if connection.until(b"\r\n", 2):
            raise BadReply("malformed chunk")
    else:
        raise BadReply("too many chunks")
    for _ in range(100):
        if not connection.until(b"\r\n", 8192):  # a trailer otherwise: nothing of ours, not kept
            return
    raise BadReply("too many trailers")


def _parse_head(head: str) -> tuple[int, int, dict[str, str]]:
    first, *lines = head.split("\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if not status:
        raise BadReply("malformed status line")
    headers: dict[str, str] = {}
    if "\0" in head or head.count("\r") != len(lines) or head.count("\n") != len(lines):
        raise BadReply("malformed header")
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = _header_name(name if colon else ""), value.strip(" \t")
        if name in headers:
            if name == "content-length" and headers[name] != value:
                raise BadReply("the length of the answer is ambiguous")
            value = value if name == "content-length" else f"{headers[name]}, {value}"
        headers[name] = value
    return int(status[1]), int(status[2]), headers


@lru_cache(maxsize=1024)  # a service sends the same two dozen with every answer
def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise BadReply("malformed header")
    return name.lower()


def _size(length: str, max_bytes: int) -> int:
    if not (length.isascii() and length.isdigit()):
        raise BadReply("the length of the answer is ambiguous")
    if len(length) > 18 or int(length) > max_bytes:
        raise TooLarge("the answer is too large")
    return int(length)


def _decode(pieces: Iterator[bytes], encoding: str, max_bytes: int) -> bytes:
    if encoding in ("gzip", "x-gzip"):
        pieces = _unzip(pieces, max_bytes)
    elif encoding not in ("", "identity"):
        raise BadReply("the answer is encoded in a way that was not asked for")
    whole: list[bytes] = []
    for piece in pieces:
        max_bytes -= len(piece)
        if max_bytes < 0:
            raise TooLarge("the answer is too large")
        whole.append(piece)
    return b"".join(whole)


def _unzip(pieces: Iterator[bytes], max_bytes: int) -> Iterator[bytes]:
    """Decoded piece by piece, never more than just over the limit at once, whatever the input would become."""
    unzip = zlib.decompressobj(wbits=31)
    taken = 0
    for piece in pieces:
        taken += len(piece)
        try:
            yield unzip.decompress(piece, max_bytes + 1)
        except zlib.error:
            raise BadReply("the answer is not the gzip that it claims to be") from None
        if unzip.unconsumed_tail or taken > max_bytes:  # there is endless gzip that decodes to nothing
            raise TooLarge("the answer is too large")
        if unzip.unused_data:
            raise BadReply("something follows the end of the gzip")
    if taken and not unzip.eof:
        raise BadReply("the answer is cut off")
