"""Putting the application together."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask
from redis import Redis

from mcpweb import __version__, clock, config, queue
from mcpweb.accounts import mails as _mails  # noqa: F401 - lists its jobs
from mcpweb.accounts import routes as account_routes
from mcpweb.admin import (
    alert_routes,
    log_export_routes,
    log_search_routes,
    maintenance_mode_routes,
    maintenance_routes,
    people_routes,
    policy_routes,
    service_routes,
    stop_routes,
)
from mcpweb.admin import instance_routes as admin_instance_routes
from mcpweb.admin import log_routes as admin_log_routes
from mcpweb.admin import routes as admin_routes
from mcpweb.catalog import registry
from mcpweb.catalog.outgoing import Outgoing
from mcpweb.crypto import Keyring, derive, encryption_key_file, with_keys
from mcpweb.database import db, end_session, prepare_engine
from mcpweb.extensions import csrf, limiter, login_manager, mail
from mcpweb.gateway import journal
from mcpweb.gateway.doors import Doors
from mcpweb.gateway.endpoint import Endpoint
from mcpweb.gateway.limits import Limits
from mcpweb.gateway.record import CallRecord
from mcpweb.gateway.updating import OnRightRevision
from mcpweb.instances import life_routes, log_routes, stops
from mcpweb.instances import routes as instance_routes
from mcpweb.instances.access_cache import AccessCache
from mcpweb.instances.generations import Generations
from mcpweb.instances.house import House
from mcpweb.instances.propagation import Propagation
from mcpweb.jobs import exporting as _exporting  # noqa: F401 - lists its jobs
from mcpweb.jobs import runs, standing
from mcpweb.logs import audit, events, watching
from mcpweb.logs.opening import open_index
from mcpweb.logs.writing import MB, LogFiles
from mcpweb.monitoring import routes as monitoring_routes
from mcpweb.revision import RevisionWatch
from mcpweb.settings import Settings, is_loopback
from mcpweb.shipped import folder
from mcpweb.web import closed, errors, filters, guard, headers, mailbox, static_files, time_zone, updating
from mcpweb.web import routes as web_routes
from mcpweb.web.client_address import ClientAddress
from mcpweb.web.session_cookie import SessionCookies

log = logging.getLogger(__name__)

MAX_FORM_BYTES = 1024 * 1024
_PAGES = (
    web_routes,
    account_routes,
    instance_routes,
    life_routes,
    log_routes,
    monitoring_routes,
    admin_routes,
    admin_instance_routes,
    admin_log_routes,
    log_export_routes,
    log_search_routes,
    maintenance_mode_routes,
    maintenance_routes,
    people_routes,
    policy_routes,
    service_routes,
    alert_routes,
    stop_routes,
)


def create_app(settings: Settings | None = None) -> Flask:
    """The whole program behind one WSGI callable: pages, and the MCP endpoint in front of them.

    Raises:
        ConfigError: settings that can not be used.
        KeyUnusable: encryption keys that can not be used.
    """
    given = settings or config.load(os.environ)
    settings = with_keys(given)
    app = Flask("mcpweb", template_folder="templates", static_folder="static", static_url_path=static_files.address())
    app.config.update(_flask_config(settings))
    app.session_interface = SessionCookies()
    events.start(LogFiles(settings.home / "logs", settings.log_user_mb_per_day * MB))
    audit.start(derive(settings.secret_key, "audit chain"))
    if settings.redis_is_open:
        log.warning("Redis asks for no password; give it one, and put it into MCPWEB_REDIS_URL")
    found = registry.discover(plugin_folders(settings), registry.read_ports(ports_file(settings)), settings.base_urls)
    keyring = Keyring.parse(settings.encryption_keys, encryption_key_file(given))
    redis = queue.connect(settings.redis_url or "redis://127.0.0.1:6379/0")
    run = settings.home / "run"
    propagation = Propagation(Generations(run / "generations"), redis, run)
    app.extensions["mcpweb_settings"] = settings
    app.extensions["mcpweb_house"] = House(
        registry=found,
        keyring=keyring,
        client=Outgoing(),
        access=AccessCache(found.services, keyring, app.app_context, propagation),
        propagation=propagation,
    )
    app.extensions["mcpweb_log_index"] = open_index(settings)
    revision = RevisionWatch(app.app_context)
    _extensions(app, settings, redis, revision)
    for part in (filters, errors, guard, closed):
        part.init_app(app)
    for module in _PAGES:
        app.register_blueprint(module.bp)
    if settings.has_local_mailbox:
        app.register_blueprint(mailbox.bp)
    app.context_processor(lambda: _page_globals(settings))
    ports = {service.port: service.name for service in found.services.values()} if settings.service_ports else {}
    endpoint = OnRightRevision(_endpoint(app, settings, redis), revision)
    doors = Doors(endpoint, app.wsgi_app, ports)
    app.wsgi_app = ClientAddress(doors, settings.trusted_proxies)  # type: ignore[method-assign]
    return app


def plugin_folders(settings: Settings) -> list[Path]:
    """The shipped plugins first, then the operator's."""
    return [folder("plugins"), *map(Path, settings.plugins)]


def ports_file(settings: Settings) -> Path:
    """The deployment's table of service ports."""
    return Path(settings.ports_file) if settings.ports_file else folder("deploy") / "ports.toml"


def call_places(settings: Settings) -> tuple[int, int]:
    """How many calls may run at once in a web process, and of one user among them; 0: as many as of all.

    Calls wait for their service: some threads are always left for the pages, and half of the rest for other users.
    """
    places = max(1, settings.web_threads - 16)
    return places, settings.calls_at_once and min(settings.calls_at_once, max(1, places // 2))


def _endpoint(app: Flask, settings: Settings, redis: Redis) -> Endpoint:
    house: House = app.extensions["mcpweb_house"]
    places, of_one_user = call_places(settings)
    return Endpoint(
        access=house.access,
        client=house.client,
        record=_recorder(app, settings),
        server_info={"name": "mcpweb", "version": __version__},
        page_url=lambda instance_id: f"{settings.url}/instances/{instance_id}",
        state_key=derive(settings.secret_key, "tool state").encode(),
        max_concurrent=places,
        max_concurrent_per_user=of_one_user,
        limits=Limits(
            per_minute=settings.calls_per_minute,
            per_day=settings.calls_per_day,
            identical=settings.identical_calls,
            client=redis,
        ),
        allowed_origins={settings.url, *settings.allowed_origins},
        loopback_origins=is_loopback(settings.bind[0]),
    )


def _recorder(app: Flask, settings: Settings) -> Callable[[CallRecord], None]:
    """What takes the record of each call."""
    if not settings.metrics_token:
        return journal.write
    # 15 ms and 0.8 MB, which only those pay who have Prometheus read it.
    from mcpweb.monitoring import metrics_routes

    return metrics_routes.start(app, runs.last_runs)


def _extensions(app: Flask, settings: Settings, redis: Redis, revision: RevisionWatch) -> None:
    headers.init_app(app, https=settings.is_https)
    updating.init_app(app, revision)  # before whatever asks the database, or refuses for another reason
    db.init_app(app)
    app.teardown_appcontext(end_session)  # before the extension's own, which would take a finished page along
    with app.app_context():
        prepare_engine(db.engine)
        watching.watch(db.engine)
    csrf.init_app(app)
    login_manager.init_app(app)
    login_manager.session_protection = None  # the session row decides, not a fingerprint of the browser
    login_manager.user_loader(account_routes.load_user)
    mail.init_app(app)
    limiter.init_app(app)
    queue.start(queue.open_queue(redis), app.app_context)


def _flask_config(settings: Settings) -> dict[str, object]:
    host = urlsplit(settings.url).hostname or "localhost"
    return {
        "SECRET_KEY": derive(settings.secret_key, "session"),
        "WTF_CSRF_SECRET_KEY": derive(settings.secret_key, "forms"),
        "WTF_CSRF_TIME_LIMIT": None,  # the token ends with its session
        "SESSION_COOKIE_NAME": "__Host-mcpweb" if settings.is_https else "mcpweb",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.is_https,
        "PERMANENT_SESSION_LIFETIME": timedelta(days=settings.session_days_max),
        "TRUSTED_HOSTS": [host, "localhost", "127.0.0.1", "[::1]"],
        "MAX_CONTENT_LENGTH": MAX_FORM_BYTES,
        "MAX_FORM_PARTS": 200,
        "SQLALCHEMY_DATABASE_URI": settings.database,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_pre_ping": True,
            "hide_parameters": True,
            "pool_timeout": 3,
            "poolclass": watching.WatchedPool,
        },
        "RATELIMIT_STORAGE_URI": re.sub("^unix:", "redis+unix:", settings.redis_url) or "memory://",
        "RATELIMIT_STORAGE_OPTIONS": queue.PATIENCE if settings.redis_url else {},
    }


def _page_globals(settings: Settings) -> dict[str, object]:
    return {
        "version": __version__,
        "theme": web_routes.chosen_theme(),
        "time_zone": time_zone.chosen(),
        "stops_facing": stops.facing,
        "standing_now": lambda: standing.standing(clock.utcnow()),
        "mailbox_url": "/dev/mailbox" if settings.has_local_mailbox else None,
    }
