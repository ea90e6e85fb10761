"""Which host this is, for what all hosts of an installation share."""

from __future__ import annotations

import fcntl
import secrets
from pathlib import Path


def host_id(folder: Path) -> str:
    """Twelve characters that name a home by its `run` folder and stay; several hosts may have the same host name."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "host_id").open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the processes of a host start at the same moment
        file.seek(0)
        found = file.read()
        if not found:
            found = secrets.token_hex(6)
            file.write(found)
    return found
