"""A follower as a process of its own, for tests that kill it.

`python -m tests.logs.follower_program DATABASE INDEX LOGS HOST BATCH`. At each line of its input, a number, it starts
one and prints its process id: for 0 one that follows until it is killed, else one that makes a single pass and kills
itself at that event of our code (a call, or a call out of it). It prints the exit code, 0 when the event never came.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask

from mcpweb.database import db, prepare_engine
from mcpweb.instances import counting
from mcpweb.logs import following, log_files
from mcpweb.logs.following import Follower
from mcpweb.logs.index import LogIndex
from mcpweb.logs.index_postgres import PostgresIndex
from mcpweb.logs.index_sqlite import SqliteIndex

OURS = ("/mcpweb/logs/", "/mcpweb/instances/", "/mcpweb/database.py")


def open_index(place: str) -> LogIndex:
    """PostgreSQL at an address, or SQLite in a folder."""
    return PostgresIndex(place) if "://" in place else SqliteIndex(Path(place))


class KillAt:
    """Kills this process at the n-th event of our code."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Told by the interpreter of every call and return."""
        if any(part in frame.f_code.co_filename for part in OURS):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def follow(app: Flask, follower: Follower, kill_at: int) -> None:
    """What the child does."""
    with app.app_context():
        prepare_engine(db.engine)
        if kill_at:
            sys.setprofile(KillAt(kill_at))
            follower.step()
            sys.setprofile(None)
    if not kill_at:
        follower.run(threading.Event(), app.app_context)


def main(database: str, index: str, root: str, host: str, batch: str) -> None:
    """Start followers until the input ends."""
    log_files.BATCH, following.PACE_S = int(batch), 0.01
    app = Flask("follower")
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    db.init_app(app)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            follower = Follower(Path(root), host, open_index(index), partial(counting.count, host))
            follow(app, follower, int(line))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
