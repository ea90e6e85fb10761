"""The log index of a host, kept up to date beside its ticker: the files are on this host, so no queue can share it."""

from __future__ import annotations

import threading
from functools import partial

from flask import Flask

from mcpweb.database import db, prepare_engine
from mcpweb.hosts import host_id
from mcpweb.instances import counting
from mcpweb.logs.following import Follower
from mcpweb.logs.opening import open_index
from mcpweb.settings import Settings


def start(settings: Settings, stop: threading.Event) -> threading.Thread:
    """Follow the log files until stopped, on a thread of its own."""
    host = host_id(settings.home / "run")
    follower = Follower(settings.home / "logs", host, open_index(settings), partial(counting.count, host))
    app = _database_alone(settings)
    thread = threading.Thread(target=follower.run, args=(stop, app.app_context), name="log index")
    thread.start()
    return thread


def _database_alone(settings: Settings) -> Flask:
    """What the session needs of the application: with all the rest, the ticker would take 20 MB more."""
    app = Flask("mcpweb")
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_pre_ping": True, "pool_size": 1, "hide_parameters": True}
    db.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
    return app
