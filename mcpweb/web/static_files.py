"""Style sheets, scripts and pictures: their address changes with their contents, so caches keep them for good."""

from __future__ import annotations

import hashlib
from functools import cache

from mcpweb.shipped import PACKAGE

FOLDER = PACKAGE / "static"
CACHING = "public, max-age=31536000, immutable"


@cache
def digest() -> str:
    """16 hex digits of all files together: scripts and styles name each other by relative addresses.

    Taken once in a process, as templates are read once: whoever changes a file starts mcpweb again.
    """
    found = hashlib.sha256()
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        contents = path.read_bytes()
        found.update(f"{path.relative_to(FOLDER).as_posix()}\0{len(contents)}\0".encode())
        found.update(contents)
    return found.hexdigest()[:16]


def address() -> str:
    """The path that all of them are below."""
    return f"/static/{digest()}"
