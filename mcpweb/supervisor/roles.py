"""The programs that make up mcpweb: how each is started, what it waits for, and how one knows that it is ready."""

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from mcpweb import shipped
from mcpweb.supervisor.child import Child
from mcpweb.supervisor.probe import Probe, Question

LAST_WORDS = 15


@dataclass(frozen=True, kw_only=True)
class Role:
    """One program to run. It is ready when `question` is answered; with none, as soon as it runs."""

    name: str
    title: str
    command: Sequence[str]
    needs: tuple[str, ...] = ()
    question: Question | None = None
    runs_once: bool = False
    """It ends by itself with exit code 0 and is ready then; its standard output is its answer."""
    is_essential: bool = True
    """Nothing works without it. One that is not essential may fail for long, and is tried again and again."""
    ends_last: bool = False
    """The others need it until they have ended."""


@dataclass
class Running:
    """What has become of a role."""

    role: Role
    child: Child | None = None
    probe: Probe | None = None
    is_ready: bool = False
    is_done: bool = False
    start_at: float = 0.0
    """Monotonic time before which it is not started again."""
    lifetime_s: float = 0.0
    """How long it lived the last time."""
    quick_deaths: int = 0
    """Deaths soon after a start, since it last lived longer."""
    answer: list[str] = field(default_factory=list)
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_WORDS))


def web_question(bind: tuple[str, int], url: str) -> Question:
    """`GET /readyz` at the address that is listened on, asked under the name that people use."""
    host, port = bind
    request = f"GET /readyz HTTP/1.1\r\nHost: {url.split('/')[2]}\r\nConnection: close\r\n\r\n"
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return Question((local, port), request.encode("ascii"), b"HTTP/1.1 200")


def redis_role(command: Sequence[str], socket: str) -> Role:
    """The embedded server."""
    question = Question(socket, b"PING\r\n", b"+PONG")
    return Role(name="redis", title="Redis", command=command, question=question, ends_last=True)


def app_roles(ready: Question, needs: tuple[str, ...]) -> list[Role]:
    """Everything but Redis. The order is the one of starting; ending goes the other way round."""
    mcpweb = [sys.executable, "-m", "mcpweb"]
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", str(shipped.folder("deploy") / "gunicorn.conf.py")]
    prepared = ("prepare",)
    return [
        Role(name="worker", title="The worker", command=[*mcpweb, "worker"], needs=prepared, is_essential=False),
        Role(name="ticker", title="The ticker", command=[*mcpweb, "ticker"], needs=prepared, is_essential=False),
        Role(name="prepare", title="The preparation", command=[*mcpweb, "prepare"], needs=needs, runs_once=True),
        Role(
            name="web",
            title="The web server",
            # Whoever stops everything is waiting; browsers that only keep a connection open would make that long.
            command=[*gunicorn, "--graceful-timeout", "3", "mcpweb.wsgi:application"],
            needs=needs,
            question=ready,
        ),
    ]
