"""Settings: all faults at once and by name, no secret repeated, and the README tells the truth."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mcpweb.config import ConfigError, load
from mcpweb.settings import Settings, is_loopback

DECLARED = [item.metadata for item in fields(Settings) if item.metadata]
ROOT = Path(__file__).parents[1]


def problems(**environ: str) -> list[str]:
    """What `load` complains about, a line each."""
    with pytest.raises(ConfigError) as caught:
        load({f"MCPWEB_{name}": value for name, value in environ.items()})
    return [line.strip() for line in caught.value.sentence.splitlines()[1:]]


def test_with_nothing_set_everything_has_a_default_that_works_on_this_machine_alone():
    settings = load({})

    assert settings.bind == ("127.0.0.1", 8080)
    assert settings.url == "http://127.0.0.1:8080"
    assert settings.has_local_mailbox and not settings.is_https
    assert settings.database == f"sqlite:///{Path('instance').resolve() / 'mcpweb.sqlite3'}"


BAD: dict[str, list[str]] = {
    "BIND": ["", "localhost", ":8080", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:-1"],
    "PUBLIC_URL": [
        "mcpweb.example.com",
        "ftp://mcpweb.example.com",
        "https://",
        "https://user@mcpweb.example.com",
        "https://:password@mcpweb.example.com",
        "https://mcpweb.example.com/?a=b",
        "https://mcpweb.example.com/#top",
        "https://[::1",
        "https://mcpweb.example.com:99999",
        "javascript:alert(1)",
    ],
    "DATABASE_URL": ["mysql://localhost/db", "nonsense", "/var/lib/mcpweb.sqlite3"],
    "LOG_DATABASE_URL": ["mysql://localhost/db", "nonsense", "sqlite:///log.sqlite3"],
    "REDIS_URL": ["localhost:6379", "http://localhost:6379", "nonsense"],
    "MAIL_PORT": ["0", "65536", "smtp", "25.5", "-25", "²5", "1e2", ""],
    "ALERT_MAIL": ["nobody", "a@b@c", "a@example.com, <b@example.com>", "a@"],
    "ALERT_WEBHOOK_URL": [
        "hooks.example.com",
        "ftp://hooks.example.com",
        "https://",
        "https://user@hooks.example.com/",
        "https://hooks.example.com/#top",
        "https://hooks.example.com/a b",
        "https://höoks.example.com/",
        "https://hooks.example.com:99999/",
    ],
    "ALERT_WEBHOOK_PRIVATE": ["yes"],
    "MAIL_SECURITY": ["ssl", "STARTTLS", ""],
    "SIGN_UP": ["closed", "Open", ""],
    "INSTANCE_DAYS_MAX": ["0", "3651", "many"],
    "INSTANCES_PER_USER": ["0", "100001"],
    "SESSION_IDLE_HOURS": ["0", "721"],
    "SESSION_DAYS_MAX": ["0", "366"],
    "TRUSTED_PROXIES": ["10.0.0.0/33", "proxy.example.com", "10.0.0.1/8", "10.0.0.0/8, x"],
    "SERVICE_PORTS": ["yes", "true", "2", ""],
    "WEB_WORKERS": ["0", "257", "many"],
    "WEB_THREADS": ["1", "2001"],
    "METRICS_TOKEN": ["short", "no token has blanks", "né-this-is-no-token"],
    "SECRET_KEY": ["short"],
    "GITHUB_BASE_URL": ["", "github.example.com", "https://user:pass@github.example.com", "file:///etc/passwd"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_refused_with_the_name_of_its_variable(name, value):
    [problem] = problems(**{name: value})

    assert problem.startswith(f"MCPWEB_{name} ")
    assert len(problem) > len(f"MCPWEB_{name} ") + 5, "and what would be right"


def test_all_bad_values_are_told_at_once():
    first = {name: values[0] for name, values in BAD.items() if name != "SECRET_KEY"}

    told = problems(**first)

    assert {line.split()[0] for line in told} == {f"MCPWEB_{name}" for name in first}


def test_no_complaint_repeats_a_secret():
    secret = "s3cret-v4lue"
    environ = {
        "MCPWEB_DATABASE_URL": f"mysql://user:{secret}@db/x",
        "MCPWEB_REDIS_URL": f"http://:{secret}@redis",
        "MCPWEB_SECRET_KEY": secret,
        "MCPWEB_PUBLIC_URL": f"https://user:{secret}@mcpweb.example.com",
        "MCPWEB_GITHUB_BASE_URL": f"https://user:{secret}@github.example.com",
        "MCPWEB_BIND": secret,
        "MCPWEB_MAIL_PASSWORD_FILE": f"/nowhere/{secret}",
    }

    for chosen in (environ, {"MCPWEB_SECRET_KEY": secret}):
        with pytest.raises(ConfigError) as caught:
            load(chosen)
        assert secret not in str(caught.value)


def test_settings_do_not_show_their_secrets():
    shown = repr(
        load(
            {
                "MCPWEB_DATABASE_URL": "postgres://user:s3cret1@db/x",
                "MCPWEB_REDIS_URL": "redis://:s3cret2@redis/0",
                "MCPWEB_MAIL_PASSWORD": "s3cret3",
                "MCPWEB_SECRET_KEY": "s3cret4" * 10,
                "MCPWEB_METRICS_TOKEN": "s3cret6" * 3,
                "MCPWEB_ENCRYPTION_KEYS": "k1:s3cret5",
            }
        )
    )

    assert "s3cret" not in shown
    assert "127.0.0.1" in shown


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"SIGN_UP": "domains"}, "MCPWEB_SIGN_UP_DOMAINS must name a domain"),
        ({"BIND": "0.0.0.0:8080"}, "MCPWEB_MAIL_SERVER must be set"),
        ({"BIND": "[::]:8080"}, "MCPWEB_MAIL_SERVER must be set"),
        ({"ALERT_WEBHOOK_URL": "https://hooks.example.com/"}, "MCPWEB_ALERT_WEBHOOK_SECRET must have"),
        ({"ALERT_WEBHOOK_URL": "http://hooks.example.com/"}, "MCPWEB_ALERT_WEBHOOK_URL must be https"),
        ({"ALERT_WEBHOOK_URL": "https://hooks.example.com:8443/"}, "MCPWEB_ALERT_WEBHOOK_URL must be https"),
        ({"PUBLIC_URL": "https://mcpweb.example.com"}, "MCPWEB_MAIL_SERVER must be set"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ, told):
    assert any(line.startswith(told) for line in problems(**environ))


SECRETS = [item["name"] for item in DECLARED if item["secret"]]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_come_from_a_file(name, tmp_path):
    value = {
        "MCPWEB_DATABASE_URL": "postgresql+psycopg://user:x@db/mcpweb",
        "MCPWEB_LOG_DATABASE_URL": "postgresql+psycopg://user:x@db/logs",
        "MCPWEB_REDIS_URL": "redis://:x@redis/0",
        "MCPWEB_ALERT_WEBHOOK_URL": "https://hooks.example.com/secret/path?token=x",
    }.get(name, "0123456789" * 5)
    needed = {"MCPWEB_ALERT_WEBHOOK_SECRET": "0123456789" * 2} if name == "MCPWEB_ALERT_WEBHOOK_URL" else {}
    (tmp_path / "secret").write_text(f"{value}\n")

    settings = load({f"{name}_FILE": str(tmp_path / "secret"), **needed})

    assert getattr(settings, name.removeprefix("MCPWEB_").lower()) == value


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_both_places_or_in_a_file_that_can_not_be_read_is_refused(name, tmp_path):
    (tmp_path / "secret").write_text("x" * 40)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for environ in (
        {name: "x" * 40, f"{name}_FILE": str(tmp_path / "secret")},
        {f"{name}_FILE": str(tmp_path / "nowhere")},
        {f"{name}_FILE": str(tmp_path)},
        {f"{name}_FILE": str(tmp_path / "bytes")},
    ):
        with pytest.raises(ConfigError, match=f"  {name} "):
            load(environ)


def test_only_secrets_come_from_files():
    assert load({"MCPWEB_BIND_FILE": "/nowhere"}).bind == ("127.0.0.1", 8080)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("[::1]:9000", "bind", ("::1", 9000)),
        ("https://mcpweb.example.com/", "public_url", "https://mcpweb.example.com"),
        ("https://mcpweb.example.com/sub/", "public_url", "https://mcpweb.example.com/sub"),
        ("postgres://db/x", "database_url", "postgresql+psycopg://db/x"),
        ("postgresql://db/x", "database_url", "postgresql+psycopg://db/x"),
        ("postgresql+psycopg://db/x", "database_url", "postgresql+psycopg://db/x"),
        ("sqlite:////data/x.sqlite3", "database_url", "sqlite:////data/x.sqlite3"),
        ("unix:///run/redis.sock?db=0", "redis_url", "unix:///run/redis.sock?db=0"),
        ("rediss://redis/0", "redis_url", "rediss://redis/0"),
        ("example.com, example.org  x.example", "sign_up_domains", ("example.com", "example.org", "x.example")),
        ("127.0.0.1/32,fd00::/8", "trusted_proxies", ("127.0.0.1/32", "fd00::/8")),
        ("1", "service_ports", True),
        ("0", "service_ports", False),
    ],
)  # fmt: skip
def test_a_good_value_is_read_into_its_type(text, field, value):
    environ = {f"MCPWEB_{field.upper()}": text, "MCPWEB_MAIL_SERVER": "mail.example.com"}

    assert getattr(load(environ), field) == value


def test_a_services_address_is_found_by_the_services_name():
    settings = load(
        {"MCPWEB_GITHUB_BASE_URL": "http://127.0.0.1:9/api/v3/", "MCPWEB_MY_TOOL_BASE_URL": "https://x.example"}
    )

    assert dict(settings.base_urls) == {"github": "http://127.0.0.1:9/api/v3", "my_tool": "https://x.example"}


@pytest.mark.parametrize(
    ("environ", "mailbox"),
    [
        ({}, True),
        ({"BIND": "[::1]:80"}, True),
        ({"BIND": "localhost:8080"}, True),
        ({"BIND": "127.0.0.1:80", "PUBLIC_URL": "http://localhost:8080"}, True),
        ({"MAIL_SERVER": "mail.example.com"}, False),
        ({"MAIL_SERVER": "mail.example.com", "BIND": "0.0.0.0:80"}, False),
    ],
)
def test_the_local_mailbox_is_for_loopback_without_a_mail_server(environ, mailbox):
    assert load({f"MCPWEB_{name}": value for name, value in environ.items()}).has_local_mailbox is mailbox


def test_settings_can_not_be_changed():
    settings: Any = load({})

    with pytest.raises(AttributeError):
        settings.bind = ("0.0.0.0", 80)


def test_every_setting_says_what_it_does_and_has_a_default_that_its_own_reader_takes():
    for item in DECLARED:
        assert item["name"].startswith("MCPWEB_")
        assert item["doc"].endswith("."), item["name"]
        item["parse"](item["default"])


def test_the_table_in_the_readme_is_what_the_program_reads():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| variable | default | what it does |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]

    written = {row[0].strip("`"): (row[1].strip("`"), row[2]) for row in rows}

    assert written == {item["name"]: (item["default"], item["doc"]) for item in DECLARED}


def test_every_variable_that_is_mentioned_anywhere_exists():
    known = {item["name"] for item in DECLARED} | {f"{name}_FILE" for name in SECRETS}
    places = [ROOT / "README.md", *ROOT.glob("deploy/*"), *ROOT.glob("mcpweb/**/*.py"), *ROOT.glob("mcpweb/**/*.html")]
    for place in places:
        if place.is_file():
            for name in re.findall(r"\bMCPWEB_[A-Z][A-Z_]*[A-Z]\b", place.read_text(encoding="utf-8")):
                assert name in known or name.endswith("_BASE_URL"), f"{place}: {name}"


def test_loopback_is_recognised():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", "")] == [False] * 5
