"""Everything on one machine, from an empty data folder to the block that says where to go."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcpweb import embedded_redis
from mcpweb.supervisor.claims import CanNotStart, free_port, own_home
from mcpweb.supervisor.console import say, show_block
from mcpweb.supervisor.loop import Loop, RoleFailed
from mcpweb.supervisor.roles import Role, app_roles, redis_role, web_question


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `mcpweb up` has to know of the settings."""

    home: Path
    bind: tuple[str, int] = ("127.0.0.1", 8080)
    public_url: str = ""
    """Empty: the address that is listened on."""
    has_redis: bool = False
    """Whether the settings name a Redis; otherwise one is started."""
    is_verbose: bool = False
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Role to the program that runs in its place."""


def supervise(options: Options) -> int:
    """Run everything until a signal ends it. Gives the exit code: 0 when asked to stop, 1 after a failure."""
    home = options.home.resolve()
    os.umask(0o077)  # whatever anyone of us writes is for this user alone
    try:
        with own_home(home) as note, redis_here(home, options.has_redis) as (redis, redis_environ):
            port = free_port(*options.bind, say)
            bind = f"{_bracketed(options.bind[0])}:{port}"
            url = options.public_url or f"http://{bind}"
            if options.public_url and port != options.bind[1]:
                say(f"MCPWEB_PUBLIC_URL still says {url}.")
            note(url)
            roles = [*redis, *app_roles(web_question((options.bind[0], port), url), tuple(one.name for one in redis))]
            roles = [replace(role, command=options.commands.get(role.name, role.command)) for role in roles]
            environ = {"MCPWEB_HOME": str(home), "MCPWEB_BIND": bind, "MCPWEB_PUBLIC_URL": url, **redis_environ}
            # Unbuffered, so that the lines of a program that fails arrive before its end is noticed.
            loop = Loop(roles, {**os.environ, "PYTHONUNBUFFERED": "1", **environ}, is_verbose=options.is_verbose)
            return run(loop, url, {"Data folder": str(home)})
    except (CanNotStart, embedded_redis.NoServer) as error:
        say(str(error))
        return 1


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@contextmanager
def redis_here(home: Path, has_redis: bool) -> Iterator[tuple[list[Role], dict[str, str]]]:
    """The role of the embedded server and what tells the others where it is; neither when one is named already."""
    if has_redis:
        yield [], {}
        return
    server, socket = embedded_redis.claim_data(home / "redis"), embedded_redis.socket_path(home / "run")
    try:
        command = embedded_redis.command(server, home / "redis", socket)
        yield [redis_role(command, str(socket))], {"MCPWEB_REDIS_URL": embedded_redis.url(socket)}
    finally:
        if socket.parent != home / "run":
            shutil.rmtree(socket.parent, ignore_errors=True)


def run(loop: Loop, url: str, rows: Mapping[str, str]) -> int:
    """Keep the programs running until a signal ends them; once they are ready, say where, with some rows more.

    Gives the exit code as `supervise` does.
    """
    exit_code = 0
    try:
        loop.run(lambda: _announce(loop, url, rows))
        say("stopping …")
    except RoleFailed as failure:
        say(str(failure))
        exit_code = 1
    loop.stop()
    say("stopped.")
    return exit_code


def _announce(loop: Loop, url: str, rows: Mapping[str, str]) -> None:
    said = "\n".join(loop.running["prepare"].answer)
    try:
        prepared = json.loads(said)
    except ValueError:
        prepared = {}
    for warning in prepared.get("warnings", []):
        say(warning)
    links = {"First administrator": prepared.get("setup_link"), "Mailbox": prepared.get("mailbox")}
    lines = [f"  {title:<21}{value}" for title, value in {**links, **rows, "To stop": "Ctrl-C"}.items() if value]
    show_block("\n".join(["", f"mcpweb is ready: {url}", "", *lines, ""]))
