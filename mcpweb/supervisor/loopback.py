"""Production on one machine, for trying it: nginx with https in front of several web processes, and PostgreSQL.

The programs are the ones that `deploy/` is about, with the configuration that it ships; all of them listen on loopback.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from mcpweb import embedded_redis
from mcpweb.settings import Settings, is_loopback
from mcpweb.supervisor import certificate, postgres
from mcpweb.supervisor.claims import CanNotStart, free_port, own_home
from mcpweb.supervisor.console import say
from mcpweb.supervisor.loop import Loop
from mcpweb.supervisor.probe import Question
from mcpweb.supervisor.roles import Role, app_roles, web_question
from mcpweb.supervisor.up import redis_here, run

BEHIND = "127.0.0.2"
"""Where the web processes listen: on the services' own ports, too, which nginx has on 127.0.0.1."""
PORT = 8443
POSTGRES_PORT = 5433
DEFAULTS = {
    "MCPWEB_TRUSTED_PROXIES": "127.0.0.1/32",
    "MCPWEB_WEB_WORKERS": "2",
    "PYTHONUNBUFFERED": "1",  # the lines of a program that fails arrive before its end is noticed
}


def supervise(settings: Settings, environ: Mapping[str, str], folder: Path, is_verbose: bool) -> int:
    """Run everything until a signal ends it. Gives the exit code: 0 when asked to stop, 1 when something is in the way.

    All that is written stays in the folder; in its `home` is what `MCPWEB_HOME` names elsewhere. A database or Redis
    that the settings name is used as it is; otherwise both are started here.
    """
    folder = folder.resolve()
    home = folder / "home"
    os.umask(0o077)
    try:
        with own_home(home) as note, redis_here(home, bool(settings.redis_url)) as (stores, own):
            web, url = _addresses(settings)
            note(f"http://{BEHIND}:{web}")
            if not settings.database_url:
                role, own["MCPWEB_DATABASE_URL_FILE"] = _postgres(folder)
                stores.append(role)
            own |= {"MCPWEB_HOME": str(home), "MCPWEB_BIND": f"{BEHIND}:{web}", "MCPWEB_PUBLIC_URL": url}
            mine = {**DEFAULTS, **environ, **own}
            ready = web_question((BEHIND, web), url)
            roles = [*stores, _nginx(folder, url, mine), *app_roles(ready, tuple(one.name for one in stores))]
            rows = {
                "Data, keys and logs": str(folder),
                "Certificate": f"{folder / 'nginx' / 'certificate.pem'} (signed by itself)",
                "Command line": f"{_command_line(folder, mine)} doctor",
            }
            return run(Loop(roles, mine, is_verbose=is_verbose), url, rows)
    except (CanNotStart, embedded_redis.NoServer) as error:
        say(str(error))
        return 1


def _addresses(settings: Settings) -> tuple[int, str]:
    """The port of the web processes, and the address that nginx answers at."""
    wanted = urlsplit(settings.public_url or f"https://localhost:{PORT}")
    if wanted.scheme != "https" or not is_loopback(wanted.hostname or ""):
        raise CanNotStart("all of this is for loopback: MCPWEB_PUBLIC_URL must begin with https://localhost.")
    public = free_port("127.0.0.1", wanted.port or 443, say)
    return free_port(BEHIND, settings.bind[1], say), f"https://{wanted.hostname}:{public}"


def _postgres(folder: Path) -> tuple[Role, str]:
    """The server, and the file that holds its address."""
    server, password = postgres.claim_data(folder)
    port = free_port("127.0.0.1", POSTGRES_PORT, lambda _: None)
    file = folder / "database-url"
    file.write_text(server.url(port, password), "utf-8")
    return server.role(port), str(file)


def _nginx(base: Path, url: str, environ: Mapping[str, str]) -> Role:
    """nginx with what `mcpweb nginx-config` prints and `mcpweb nginx-files` copies."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not nginx:
        raise CanNotStart("nginx is not installed (on Debian: apt install nginx-light).")
    folder = base / "nginx"
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        base.chmod(0o711)  # nginx' workers are another user, and read the files
        folder.chmod(0o711)
    signed, key = certificate.self_signed(folder)
    _mcpweb(["nginx-files", str(folder / "files")], environ)
    places = ["--certificate", str(signed), "--key", str(key), "--files", str(folder / "files"), "--logs", str(folder)]
    configuration = folder / "nginx.conf"
    configuration.write_text(_mcpweb(["nginx-config", "--whole", *places], environ), "utf-8")
    # Killed, the master would leave its workers behind; it has to end as it is asked to.
    ending = ["setpriv", "--pdeathsig=TERM", "--"] if shutil.which("setpriv") else []
    started = [nginx, "-e", "stderr", "-p", f"{folder}/", "-c", str(configuration), "-g", "daemon off;"]
    # Plain http is refused at this port, and so answered.
    question = Question(("127.0.0.1", urlsplit(url).port or 443), b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 400")
    return Role(name="nginx", title="nginx", command=[*ending, *started], question=question)


def _mcpweb(arguments: list[str], environ: Mapping[str, str]) -> str:
    """What this command of ours prints."""
    command = [sys.executable, "-m", "mcpweb", *arguments]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise CanNotStart(f"mcpweb {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _command_line(folder: Path, environ: Mapping[str, str]) -> Path:
    """A program that is `mcpweb` with these settings; the certificate is the only one that it trusts."""
    program = folder / "mcpweb"
    values = {name: value for name, value in sorted(environ.items()) if name.startswith("MCPWEB_")}
    values["SSL_CERT_FILE"] = str(folder / "nginx" / "certificate.pem")
    exports = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    start = f'exec {shlex.quote(sys.executable)} -m mcpweb "$@"\n'
    program.write_text("".join(["#!/bin/sh\n", *exports, start]), "utf-8")
    program.chmod(0o700)
    return program
