"""Settings: what an operator may decide, as one frozen object. `config` reads them; the README lists them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mcpweb import setting_kinds as kinds


def _setting(name: str, default: str | None, doc: str, parse: Callable[[str], Any] = str, secret: bool = False) -> Any:
    """A field read from `name`; `secret` ones may also come from the file named by `name`_FILE."""
    return field(
        default=MISSING if default is None else parse(default),
        repr=not secret,
        metadata={"name": name, "default": default, "doc": doc, "parse": parse, "secret": secret},
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decided. Spans and sizes say their unit in the name."""

    home: Path = _setting(  # noqa: RUF009 - a path does not change
        "MCPWEB_HOME", "instance", "Folder of the database, keys, mail, logs and sockets.", Path
    )
    bind: tuple[str, int] = _setting(
        "MCPWEB_BIND", "127.0.0.1:8080", "Address and port the web server listens on.", kinds.bind
    )
    public_url: str = _setting(
        "MCPWEB_PUBLIC_URL",
        "",
        "The address people use; every link is built from it. Default: the bind address.",
        kinds.optional_origin,
    )
    database_url: str = _setting(
        "MCPWEB_DATABASE_URL",
        "",
        "SQLAlchemy address of the database. Default: SQLite in the home folder.",
        kinds.database_url,
        secret=True,
    )
    log_database_url: str = _setting(
        "MCPWEB_LOG_DATABASE_URL",
        "",
        "A PostgreSQL of its own for the log index. Default: the database's, or SQLite in the home folder.",
        kinds.postgres_url,
        secret=True,
    )
    log_index: str = _setting(
        "MCPWEB_LOG_INDEX",
        "on",
        "`off`: log lines can not be searched here, since they are shipped elsewhere; calls are counted all the same.",
        kinds.choice("on", "off"),
    )
    redis_url: str = _setting(
        "MCPWEB_REDIS_URL",
        "",
        "Redis or Valkey. Default: one is started in the home folder.",
        kinds.redis_url,
        secret=True,
    )
    mail_server: str = _setting("MCPWEB_MAIL_SERVER", "", "SMTP host. Default: the local mailbox, on loopback only.")
    mail_port: int = _setting("MCPWEB_MAIL_PORT", "587", "SMTP port.", kinds.number(1, 65535))
    mail_security: str = _setting(
        "MCPWEB_MAIL_SECURITY", "starttls", "`starttls`, `tls` or `none`.", kinds.choice("starttls", "tls", "none")
    )
    mail_username: str = _setting("MCPWEB_MAIL_USERNAME", "", "SMTP user, if the server wants one.")
    mail_password: str = _setting("MCPWEB_MAIL_PASSWORD", "", "SMTP password.", secret=True)
    mail_from: str = _setting("MCPWEB_MAIL_FROM", "mcpweb@localhost", "Sender of every mail.")
    alert_mail: tuple[str, ...] = _setting(
        "MCPWEB_ALERT_MAIL",
        "",
        "Who is mailed when something needs an administrator, separated by commas. Default: all administrators.",
        kinds.addresses,
    )
    alert_webhook_url: str = _setting(
        "MCPWEB_ALERT_WEBHOOK_URL",
        "",
        "An https address of the open internet that alerts are posted to as JSON.",
        kinds.optional_webhook,
        secret=True,
    )
    alert_webhook_secret: str = _setting(
        "MCPWEB_ALERT_WEBHOOK_SECRET", "", "Signs what is posted there; 16 characters or more.", secret=True
    )
    alert_webhook_private: bool = _setting(
        "MCPWEB_ALERT_WEBHOOK_PRIVATE",
        "0",
        "`1`: the webhook's host may have a private address, plain http and any port.",
        kinds.switch,
    )
    sign_up: str = _setting(
        "MCPWEB_SIGN_UP",
        "open",
        "Who may become a user: `open`, `domains` or `invite`.",
        kinds.choice("open", "domains", "invite"),
    )
    sign_up_domains: tuple[str, ...] = _setting(
        "MCPWEB_SIGN_UP_DOMAINS", "", "Mail domains for `MCPWEB_SIGN_UP=domains`, separated by commas.", kinds.words
    )
    instance_days_max: int = _setting(
        "MCPWEB_INSTANCE_DAYS_MAX",
        "365",
        "Longest life of an instance, in days; administrators may decide otherwise.",
        kinds.number(1, 3650),
    )
    instances_per_user: int = _setting(
        "MCPWEB_INSTANCES_PER_USER", "100", "Most instances one user may have.", kinds.number(1, 100_000)
    )
    calls_per_minute: int = _setting(
        "MCPWEB_CALLS_PER_MINUTE", "600", "Most calls of one instance in a minute; `0`: no limit.", kinds.limit
    )
    calls_per_day: int = _setting(
        "MCPWEB_CALLS_PER_DAY", "50000", "Most calls of one instance in a day (UTC); `0`: no limit.", kinds.limit
    )
    calls_at_once: int = _setting(
        "MCPWEB_CALLS_AT_ONCE",
        "32",
        "Most calls of one user that run at once, in each web process, and never more than half of its places; "
        "`0`: no limit.",
        kinds.limit,
    )
    identical_calls: int = _setting(
        "MCPWEB_IDENTICAL_CALLS",
        "30",
        "The same call of one instance so often in a row within a minute is taken for a loop; `0`: never.",
        kinds.limit,
    )
    session_idle_hours: int = _setting(
        "MCPWEB_SESSION_IDLE_HOURS", "12", "A session unused for this long ends.", kinds.number(1, 720)
    )
    session_days_max: int = _setting(
        "MCPWEB_SESSION_DAYS_MAX", "14", "A session ends after this many days in any case.", kinds.number(1, 365)
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "MCPWEB_TRUSTED_PROXIES",
        "",
        "Networks whose `X-Forwarded-For` is believed, for example `127.0.0.1/32`.",
        kinds.networks,
    )
    allowed_origins: tuple[str, ...] = _setting(
        "MCPWEB_ALLOWED_ORIGINS", "", "Further web origins that may call the endpoints from a browser.", kinds.words
    )
    plugins: tuple[str, ...] = _setting(
        "MCPWEB_PLUGINS", "", "Further plugin folders, next to the shipped ones, separated by commas.", kinds.words
    )
    service_ports: bool = _setting(
        "MCPWEB_SERVICE_PORTS", "0", "`1`: also listen on every service's own port.", kinds.switch
    )
    ports_file: str = _setting(
        "MCPWEB_PORTS_FILE", "", "The table of the services' ports. Default: the shipped `deploy/ports.toml`."
    )
    web_workers: int | str = _setting(
        "MCPWEB_WEB_WORKERS",
        "1",
        "Web processes; `auto`: one for each processor that the container's or unit's limit allows, 2 without a limit.",
        kinds.number_or("auto", 1, 256),
    )
    web_threads: int = _setting("MCPWEB_WEB_THREADS", "256", "Threads a web process.", kinds.number(2, 2000))
    log_days: int = _setting(
        "MCPWEB_LOG_DAYS",
        "30",
        "Days that the logs of pages, calls, jobs and instances are kept; administrators may decide otherwise.",
        kinds.number(1, 3650),
    )
    log_days_security: int = _setting(
        "MCPWEB_LOG_DAYS_SECURITY",
        "180",
        "Days that the security log is kept; administrators may decide otherwise.",
        kinds.number(1, 3650),
    )
    log_days_audit: int = _setting(
        "MCPWEB_LOG_DAYS_AUDIT",
        "730",
        "Days that the audit log is kept; administrators may decide otherwise.",
        kinds.number(1, 3650),
    )
    log_disk_mb: int = _setting(
        "MCPWEB_LOG_DISK_MB",
        "10000",
        "Megabytes that a host's logs may take, the oldest days go first; administrators may decide otherwise.",
        kinds.number(1, 100_000_000),
    )
    log_user_mb_per_day: int = _setting(
        "MCPWEB_LOG_USER_MB_PER_DAY",
        "200",
        "Megabytes a day that the instances of one user may write to their own logs, in each web process.",
        kinds.number(1, 1_000_000),
    )
    metrics_token: str = _setting(
        "MCPWEB_METRICS_TOKEN",
        "",
        "What Prometheus shows at `/metrics`, as its bearer token; 16 characters or more. Default: there is no such "
        "page.",
        kinds.bearer,
        secret=True,
    )
    backup_passphrase: str = _setting(
        "MCPWEB_BACKUP_PASSPHRASE",
        "",
        "Seals the keys in a backup; 12 characters or more. Default: `mcpweb backup` asks for it.",
        secret=True,
    )
    secret_key: str = _setting(
        "MCPWEB_SECRET_KEY",
        "",
        "Signs cookies, forms and links; 32 bytes or more. Default: made once in the home folder.",
        secret=True,
    )
    encryption_keys: str = _setting(
        "MCPWEB_ENCRYPTION_KEYS",
        "",
        "Encrypts stored credentials: `id:base64` of 32 bytes, newest first, separated by commas. "
        "Default: made once in the home folder.",
        secret=True,
    )
    base_urls: Mapping[str, str] = field(default_factory=dict)
    """Service name to the address that replaces the manifest's: `MCPWEB_<SERVICE>_BASE_URL`."""

    @property
    def url(self) -> str:
        """Where people reach us, without a final slash."""
        host, port = self.bind
        return self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def is_https(self) -> bool:
        """Whether cookies can and must be Secure."""
        return self.url.startswith("https://")

    @property
    def database(self) -> str:
        """The SQLAlchemy address in use."""
        return self.database_url or f"sqlite:///{self.home.resolve() / 'mcpweb.sqlite3'}"

    @property
    def redis_is_open(self) -> bool:
        """Whether Redis is reached over the network without a password: who can write to it can have our jobs run."""
        parts = urlsplit(self.redis_url)
        return parts.scheme in ("redis", "rediss") and not parts.password

    @property
    def has_local_mailbox(self) -> bool:
        """Whether mail goes to files and a page instead of a server: on loopback, with no server named."""
        return not self.mail_server and is_loopback(self.bind[0]) and is_loopback(urlsplit(self.url).hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a bind address or a URL's host can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
