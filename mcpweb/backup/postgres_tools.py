"""PostgreSQL's own tools, which read and write the form that survives a change of its version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import make_url

from mcpweb.backup.archive import BLOCK, PartWriter
from mcpweb.errors import Conflict, NotFound, Unavailable

_DEBIAN = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"\(PostgreSQL\) ([0-9]+)")


def find(name: str, server: int) -> str:
    """The path of `pg_dump` or `pg_restore` that knows a server of this major version.

    Raises:
        NotFound: it is not installed.
        Conflict: only older ones are.
    """
    versions = []
    for path in _places(name):
        command = [str(path), "--version"]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - found by us
        if found := _VERSION.search(told):
            versions.append(int(found[1]))
            if versions[-1] >= server:
                return str(path)
    advice = f"Install the client programs of PostgreSQL {server}, or put their folder into PATH."
    if not versions:
        raise NotFound(f"{name} can not be found. {advice}")
    raise Conflict(
        f"{name} is of PostgreSQL {max(versions)}, and the server is of {server}: it must not be older. {advice}"
    )


def _places(name: str) -> Iterator[Path]:
    if found := shutil.which(name):
        yield Path(found)
    yield from sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: path.parts[-3].zfill(4), reverse=True)


def dump(tool: str, url: str, snapshot: str, tables: Sequence[str], out: PartWriter) -> None:
    """Write these tables, as the snapshot has them, into a backup.

    Raises:
        Unavailable: it failed; the sentence holds what the tool said.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", "--lock-wait-timeout=15s"]
    options += [f'--table="{name}"' for name in tables]
    with _running([tool, *options], url, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while block := process.stdout.read(BLOCK):
            out.write(block)


def load(tool: str, url: str, dumped: IO[bytes]) -> None:
    """Bring everything from a dump into an empty place, all of it or nothing.

    Raises:
        Unavailable: it failed; the sentence holds what the tool said.
    """
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    with _running([tool, *options], url, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        # Where it has ended before, what it said tells why.
        with suppress(BrokenPipeError):
            shutil.copyfileobj(dumped, process.stdin, BLOCK)
            process.stdin.close()


@contextmanager
def _running(
    command: list[str], url: str, *, stdin: int | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A tool at work on the database, which ends with the block.

    Raises:
        Unavailable: it failed; the sentence holds what the tool said.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            [*command, *_address(url)], stdin=stdin, stdout=stdout, stderr=said, env=_environ(url)
        )
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
        _expect_success(command[0], process.returncode, said)


def _expect_success(tool: str, code: int, said: IO[bytes]) -> None:
    if code:
        said.seek(0)
        lines = [line for line in said.read(20_000).decode(errors="replace").splitlines() if line.strip()]
        raise Unavailable(f"{Path(tool).name} failed: {lines[0][:300] if lines else f'it ended with {code}'}")


def _address(url: str) -> list[str]:
    """The database for the command line, where everybody on the machine could read a password."""
    plain = make_url(url).set(drivername="postgresql").set(password=None)
    plain = plain.difference_update_query(["password"]) if "password" in plain.query else plain
    return [f"--dbname={plain.render_as_string(False)}"]


def _environ(url: str) -> dict[str, str]:
    """What a tool needs and nothing else: our own settings hold secrets."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")
    environ = {name: os.environ[name] for name in names if name in os.environ}
    environ |= {name: value for name, value in os.environ.items() if name.startswith("PG")}
    address = make_url(url)
    password = address.password or address.query.get("password")
    return environ | {"PGCONNECT_TIMEOUT": "10"} | ({"PGPASSWORD": str(password)} if password else {})
