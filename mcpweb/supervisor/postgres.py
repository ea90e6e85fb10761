"""A PostgreSQL of our own on loopback: found among the installed ones, with a database and a role for mcpweb."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mcpweb.supervisor.claims import CanNotStart
from mcpweb.supervisor.probe import Question
from mcpweb.supervisor.roles import Role

NAME = "mcpweb"
"""Of the role, and of its database."""
_OWNER = "postgres"
"""Runs the server where we are root: PostgreSQL refuses to be root."""
_INSTALLED = "usr/lib/postgresql/*/bin/initdb"  # Debian keeps them off the PATH


@dataclass(frozen=True)
class Postgres:
    """Programs of one version, and the folder that holds the data."""

    programs: Path
    data: Path

    def role(self, port: int) -> Role:
        """How it is started, listening on 127.0.0.1 only, and when it is ready."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "log_min_error_statement": "panic",  # statements may hold what no log should
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*_unprivileged("INT"), str(self.programs / "postgres"), "-D", str(self.data), *options]
        asked = b"\0".join([b"user", NAME.encode(), b"database", NAME.encode(), b"", b""])
        greeting = struct.pack("!ii", 8 + len(asked), 3 << 16) + asked
        question = Question(("127.0.0.1", port), greeting, b"R")  # it asks for the password
        return Role(name="postgres", title="PostgreSQL", command=command, question=question, ends_last=True)

    def url(self, port: int, password: str) -> str:
        """The address for MCPWEB_DATABASE_URL."""
        return f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}"


def claim_data(folder: Path) -> tuple[Postgres, str]:
    """The server for `folder/postgres`, which is made first when there is none; and mcpweb's password.

    Raises:
        CanNotStart: there is no PostgreSQL, it can not reach the folder, or it failed.
    """
    data, note = folder / "postgres", folder / "postgres.password"
    if data.exists() and note.exists():
        version = (data / "PG_VERSION").read_text("ascii").strip()
        return Postgres(_programs(version), data), note.read_text("ascii")
    password = secrets.token_hex(24)
    note.write_text(password, "ascii")
    filling = folder / "postgres.new"
    for leftover in (data, filling):
        shutil.rmtree(leftover, ignore_errors=True)
    filling.mkdir(mode=0o700)
    if os.geteuid() == 0:
        folder.chmod(0o711)  # everything in it is closed on its own
        shutil.chown(filling, _OWNER)
    programs = _programs("")
    closed = ["--auth-local=reject", "--auth-host=scram-sha-256"]
    _run([str(programs / "initdb"), "-D", str(filling), "--encoding=UTF8", "--locale=C", *closed])
    statements = (
        f"CREATE ROLE {NAME} LOGIN PASSWORD '{password}'",
        f"CREATE DATABASE {NAME} OWNER {NAME}",
    )
    _run([str(programs / "postgres"), "--single", "-D", str(filling), "postgres"], "\n".join(statements) + "\n")
    filling.rename(data)
    return Postgres(programs, data), password


def _programs(version: str) -> Path:
    """The folder of initdb and postgres, of this major version or else of the newest.

    Raises:
        CanNotStart: there is none.
    """
    found = sorted(Path("/").glob(_INSTALLED), key=lambda path: int(path.parts[-3].partition(".")[0]), reverse=True)
    if version:
        found = [path for path in found if path.parts[-3] == version]
    elif on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve())
    if not found:
        wanted = f"PostgreSQL {version}, which wrote the data, is" if version else "PostgreSQL is"
        raise CanNotStart(f"{wanted} not installed (on Debian: apt install postgresql).")
    return found[0].parent


def _unprivileged(last_signal: str) -> list[str]:
    """What makes root the server's own user. A change of user drops what die_with_parent asked for."""
    if os.geteuid() != 0:
        return []
    try:
        owner = pwd.getpwnam(_OWNER)
    except KeyError:
        raise CanNotStart(f"PostgreSQL does not run as root, and there is no user {_OWNER} to run it.") from None
    who = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return ["setpriv", *who, f"--pdeathsig={last_signal}", "--"]


def _run(command: list[str], text: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - installed programs, fixed arguments
        [*_unprivileged("KILL"), *command], input=text, capture_output=True, text=True, cwd="/", check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        hint = " Name a folder that its user may enter." if "ermission denied" in last else ""
        raise CanNotStart(f"PostgreSQL could not be set up: {last}.{hint}")
