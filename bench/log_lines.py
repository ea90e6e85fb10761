"""Log lines as a busy installation writes them: of all five categories, by many people, with a rare word."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from mcpweb.instances import traffic

RARE = "quincunx"
"""Stands in one line of fifty thousand."""
FREQUENT = "info"
"""The level of most lines, and so a word of theirs."""
_RARE_EVERY = 50_000
_HOSTS = ("web1", "web2", "web3")
_PAGES = ("/instances", "/services", "/account", "/sign-in", "/help")
_AGENTS = ("claude-code/2.1.7 (external, cli)", "cursor/1.9", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
_FAILURES = (
    {"outcome": "tool_error", "refusal": "not_found"},
    {"outcome": "unavailable", "refusal": "unavailable", "blame": traffic.THEIRS},
)


class Owned(NamedTuple):
    """An instance that is called."""

    id: UUID
    owner_id: int
    token_id: int
    service: str


class Lines:
    """Makes one line after the other; the same ones for the same seed."""

    def __init__(self, instances: Sequence[Owned], tools: Mapping[str, Sequence[str]], seed: int = 5) -> None:
        self._rng, self._instances, self._tools, self._made = random.Random(seed), instances, tools, 0
        self._kinds: Sequence[Callable[[], dict[str, Any]]] = (
            *(self._call,) * 8, *(self._page,) * 3, *(self._job,) * 5, *(self._sign_in,) * 2, self._change, self._slow
        )  # fmt: skip

    def next(self, at: datetime) -> dict[str, Any]:
        """The fields of one more line."""
        self._made += 1
        said = self._rng.choice(self._kinds)()
        if self._made % _RARE_EVERY == 0:
            said["note"] = f"{RARE} {self._made}"
        head = {"time": at.isoformat(timespec="milliseconds"), "level": "info"}
        tail = {"host": self._rng.choice(_HOSTS), "request_id": f"{self._rng.getrandbits(96):024x}"}
        return {**head, **said, **tail}

    def _call(self) -> dict[str, Any]:
        rng, one = self._rng, self._rng.choice(self._instances)
        failed = rng.random() < 0.05
        upstream_ms = round(rng.lognormvariate(4.5, 0.7), 2)
        return {
            "category": "performance", "message": "call", "level": "warning" if failed else "info",
            "ip": f"203.0.113.{rng.randrange(255)}", "agent": rng.choice(_AGENTS), "instance_id": str(one.id),
            "user_id": one.owner_id, "service": one.service, "token_tail": "x7Qa", "token_id": one.token_id,
            "cache": "hit", "method": "tools/call", "tool": rng.choice(self._tools[one.service]),
            "arguments": {"owner": "alice", "repo": f"garden-{rng.randrange(200)}", "number": rng.randrange(5000)},
            "client": "claude-code 2.1.7", **(rng.choice(_FAILURES) if failed else {"outcome": "ok"}),
            "http_status": 200, "duration_ms": upstream_ms + 2.4, "upstream_ms": upstream_ms, "upstream_requests": 1,
        }  # fmt: skip

    def _page(self) -> dict[str, Any]:
        rng, one = self._rng, self._rng.choice(self._instances)
        return {
            "category": "performance", "message": "request", "method": "GET", "path": rng.choice(_PAGES),
            "status": rng.choice((200, 200, 200, 303, 404)), "user": one.owner_id,
            "ip": f"203.0.113.{rng.randrange(255)}", "agent": _AGENTS[2],
            "duration_ms": round(rng.lognormvariate(3, 0.5), 2),
        }  # fmt: skip

    def _job(self) -> dict[str, Any]:
        rng = self._rng
        if rng.random() < 0.02:
            return {
                "category": "app", "level": "error", "message": f"a job failed for the reason {rng.randrange(40)}",
                "logger": "mcpweb.jobs.runs", "traceback": "Traceback (most recent call last):\n  ...\nTimeoutError",
            }  # fmt: skip
        name = rng.choice(("expire_instances", "send_notices", "clean_up", "count_instances"))
        return {
            "category": "app", "message": "job done", "job": name, "logger": "mcpweb.jobs.runs",
            "items": rng.randrange(50), "duration_ms": round(rng.lognormvariate(3, 1), 2),
        }  # fmt: skip

    def _sign_in(self) -> dict[str, Any]:
        rng, refused = self._rng, self._rng.random() < 0.1
        return {
            "category": "security", "level": "warning" if refused else "info", "ip": f"198.51.100.{rng.randrange(255)}",
            "message": "sign-in refused" if refused else "signed in", "agent": rng.choice(_AGENTS),
            "email": f"user{rng.randrange(10_000)}@example.com",
        }  # fmt: skip

    def _change(self) -> dict[str, Any]:
        rng, one = self._rng, self._rng.choice(self._instances)
        return {
            "category": "audit", "message": rng.choice(("instance.create", "instance.renew", "instance.deactivate")),
            "actor": f"user{one.owner_id}@example.com", "subject": f"instance/{one.id}", "instance_id": str(one.id),
            "user_id": one.owner_id, "service": one.service,
        }  # fmt: skip

    def _slow(self) -> dict[str, Any]:
        failed = self._rng.random() < 0.05
        return {
            "category": "database", "level": "error" if failed else "warning", "logger": "sqlalchemy.engine",
            "message": "connection lost" if failed else "slow statement",
            "statement": "SELECT instance.id, instance.label FROM instance WHERE instance.owner_id = ?",
            "duration_ms": round(self._rng.lognormvariate(6, 0.5), 2),
        }  # fmt: skip
