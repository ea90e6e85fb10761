"""gunicorn's settings, from the same `MCPWEB_*` variables as the application, which is not imported here.

A call waits for its service on a thread of its own, so threads are many and cheap: with 256 a worker, 256 clients of a
service that takes 100 ms get 94 % of the ideal rate, with 128 it was 77 %, as workers do not share clients evenly.
"""

import math
import os
import resource
import socket
import tomllib
from contextlib import suppress
from pathlib import Path

_env = os.environ
_here = Path(__file__).resolve().parent


def _listen() -> list[str]:
    """The web address and, when asked for, every service's own port on the same host."""
    web = _env.get("MCPWEB_BIND") or "127.0.0.1:8080"
    if _env.get("MCPWEB_SERVICE_PORTS") != "1":
        return [web]
    table = Path(_env.get("MCPWEB_PORTS_FILE") or _here / "ports.toml")
    host = web.rpartition(":")[0]
    return [web, *(f"{host}:{port}" for port in tomllib.loads(table.read_text("utf-8")).values())]


def _descriptors() -> int:
    """How many files and sockets a worker may have open; the soft limit is lifted to the hard one before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


def _processors(root=Path("/sys/fs/cgroup"), own=Path("/proc/self/cgroup")):
    """How many processors the container or unit may use, by the limits of control groups (v2); infinite without one."""
    found = math.inf
    with suppress(OSError, ValueError):
        group = root / own.read_text("ascii").rpartition("::")[2].strip().lstrip("/")
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):
                quota, period = (folder / "cpu.max").read_text("ascii").split()
                found = min(found, int(quota) / int(period))  # "max" is no number: no limit here
    return found


def _workers(processors):
    """As many as were asked for; `auto`: one for each processor of the limit, and never by what the machine has."""
    asked = _env.get("MCPWEB_WEB_WORKERS") or "1"
    if asked != "auto":
        return int(asked)
    return 2 if processors == math.inf else max(1, math.ceil(processors))


# Only who lets Prometheus in pays for counting. Its library looks here for the folder that the workers share.
if _env.get("MCPWEB_METRICS_TOKEN") or _env.get("MCPWEB_METRICS_TOKEN_FILE"):
    _env["PROMETHEUS_MULTIPROC_DIR"] = str(Path(_env.get("MCPWEB_HOME") or "instance").resolve() / "run" / "metrics")
else:
    _env.pop("PROMETHEUS_MULTIPROC_DIR", None)

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the memory of a worker holds credentials

bind = _listen()
proc_name = "mcpweb"
workers = _workers(_processors())
worker_class = "mcpweb.web_worker.WebWorker"  # gthread, for a proxy that keeps connections
threads = int(_env.get("MCPWEB_WEB_THREADS") or 256)
# Clients connected, busy or not; others wait to be taken. A call may need a second socket, and three files for a
# connection to SQLite, of which there is no endless number: where descriptors are few, count six for each client.
worker_connections = min(threads + 2048, max(4, (_descriptors() - 40) // 6, (_descriptors() - 160) // 2))
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - the heartbeat file, no data

keepalive = 75  # seconds; above nginx's own 60, so that nginx is the one to hang up
timeout = 60  # seconds that a worker's main loop may be silent; a request may take longer
graceful_timeout = 30  # above the 25 seconds that a call may take

limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
forwarded_allow_ips = ",".join(_env.get("MCPWEB_TRUSTED_PROXIES", "").replace(",", " ").split())
forwarder_headers = ""  # no proxy needs to set SCRIPT_NAME or PATH_INFO

accesslog = None  # the application writes its own
errorlog = "-"
loglevel = "warning"
control_socket_disable = True  # it would be made in HOME, shared by all services of a user


def on_starting(server):
    """The program is read once for all workers, which share its memory.

    What gunicorn finds out itself (workers that hang or end, requests that are none) is in our log, too. What the
    workers of earlier masters counted is not ours.
    """
    from mcpweb import memory
    from mcpweb.logs import events
    from mcpweb.logs.writing import LogFiles

    memory.use_few_arenas()
    memory.read_program()
    events.start(LogFiles(Path(_env.get("MCPWEB_HOME") or "instance") / "logs"))
    events.adopt("gunicorn.error")
    if folder := _env.get("PROMETHEUS_MULTIPROC_DIR"):
        from mcpweb.monitoring import metrics_files

        metrics_files.clear(Path(folder), os.getpid())


def when_ready(server):
    """A host that is taken away refuses new connections at once, so that nginx goes to another.

    gunicorn 25.3 alone leaves the socket open for as long as a worker still answers: who connects then waits for
    nothing and is hung up on. A socket that others have too (a new master after USR2, systemd) stays as it is.
    """
    stop = server.stop

    def stop_listening(graceful=True):
        if not (server.reexec_pid or server.master_pid or server.systemd):
            for listener in server.LISTENERS:
                with suppress(OSError):  # macOS has no such thing
                    listener.sock.shutdown(socket.SHUT_RDWR)
        stop(graceful)

    server.stop = stop_listening


def pre_fork(server, worker):
    """A worker has the lowest place that is free, so one that is started again has that of the one that ended."""
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in range(len(taken) + 1) if place not in taken)


def post_fork(server, worker):
    """No worker outlives a master that is killed; each counts in files of its own."""
    from mcpweb.lifeline import die_with_parent  # importable only now: gunicorn adds its folder to the path late
    from mcpweb.monitoring import metrics_files

    die_with_parent(server.pid)
    if metrics_files.FOLDER in _env:
        metrics_files.claim(f"{server.pid}-{worker.place}", _env)


def child_exit(server, worker):
    """What a worker that ended remembered is no longer in memory."""
    if folder := _env.get("PROMETHEUS_MULTIPROC_DIR"):
        from mcpweb.monitoring import metrics_files

        metrics_files.bury(Path(folder), f"{server.pid}-{worker.place}")


def post_worker_init(worker):
    """From now on the worker says that it is there; the thread that does so would not survive the fork."""
    from mcpweb.jobs import alerting
    from mcpweb.monitoring import presence

    worker.heartbeat = presence.web(worker.wsgi, [alerting.stand_in(worker.wsgi)])


def worker_exit(server, worker):
    """Nobody need miss it. One that could not start has no heartbeat."""
    if heartbeat := getattr(worker, "heartbeat", None):
        heartbeat.stop()


def on_exit(server):
    """The last worker has ended: the other hosts need not wait for what this one would confirm."""
    from mcpweb.leaving import say_goodbye

    say_goodbye()
