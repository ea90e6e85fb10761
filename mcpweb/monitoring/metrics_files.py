"""The files in which the web processes of a host count together, each in its own. gunicorn's settings call this."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The library's variable that says where the files are; without it, a process counts for itself alone."""
claimed = ""
"""The name of this process in its files' names; empty while it has none. Who takes the place of one that ended has its
name, and counts on in its files, so nothing that was counted is lost and the files do not become more."""

_BYTES = {"counter": 512 * 1024, "histogram": 128 * 1024, "gauge_livesum": 4 * 1024}
"""Of each file: room for some 3,000 counters, more than a dozen services and a hundred pages have."""


def clear(folder: Path, master: int) -> None:
    """Remove what was counted under earlier masters, but not under one that `master` is replacing just now."""
    with suppress(OSError):  # whoever claims files there says what is wrong with it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.glob("*.db"):
            owner = path.stem.rpartition("_")[2].partition("-")[0]
            if owner == str(master) or not Path("/proc", owner).exists():
                path.unlink(missing_ok=True)


def claim(name: str, environ: MutableMapping[str, str]) -> None:
    """Make the files of this process, unless one before it has, and have the library use them.

    They are filled with zeros. The library would make them of holes, and whoever writes into a hole while the disk is
    full is killed. Without room for them the process counts for itself, and says so on the error output.
    """
    global claimed
    folder = Path(environ[FOLDER])
    try:
        for kind, size in _BYTES.items():
            path = folder / f"{kind}_{name}.db"
            if not path.exists():
                path.write_bytes(bytes(size))
    except OSError as error:
        del environ[FOLDER]
        with suppress(OSError):  # what was begun has holes
            path.unlink(missing_ok=True)
        print(f"mcpweb: there is no room for the figures of /metrics: {error.strerror}", file=sys.stderr, flush=True)
        return
    claimed = name


def bury(folder: Path, name: str) -> None:
    """Remove what a process that has ended said of its present state; what it counted stays."""
    for path in folder.glob(f"gauge_live*_{name}.db"):
        path.unlink(missing_ok=True)
