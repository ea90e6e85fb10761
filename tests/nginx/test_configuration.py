"""What `mcpweb nginx-config` prints, and what it refuses to."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mcpweb import config
from mcpweb.nginx import files
from mcpweb.nginx.configuration import NginxError, Wishes, render, warnings
from tests import tooling

PUBLIC = {"MCPWEB_PUBLIC_URL": "https://mcp.example.com", "MCPWEB_MAIL_SERVER": "mail.example.com"}
NONE = Wishes()


def printed(*, wishes: Wishes = NONE, **settings: str) -> str:
    return render(config.load(settings), wishes)


def test_it_names_the_public_address_the_certificate_and_the_web_process() -> None:
    text = printed(**PUBLIC, MCPWEB_BIND="0.0.0.0:9000", MCPWEB_TRUSTED_PROXIES="10.1.0.0/16")

    assert "server_name mcp.example.com;" in text
    assert "listen 0.0.0.0:443 ssl http2;" in text and "listen [::]:443 ssl http2;" in text
    assert "return 308 https://mcp.example.com$request_uri;" in text
    assert "ssl_certificate /etc/letsencrypt/live/mcp.example.com/fullchain.pem;" in text
    assert "server 127.0.0.1:9000 " in text and "set_real_ip_from 10.1.0.0/16;" in text
    assert "listen 0.0.0.0:8101" not in text


def test_several_hosts_and_the_services_own_ports_have_their_places() -> None:
    wishes = Wishes(web=("10.0.0.1:8080", "[fd00::2]:8080"))
    text = printed(**PUBLIC, MCPWEB_SERVICE_PORTS="1", wishes=wishes)

    for line in ("server 10.0.0.1:8080 ", "server [fd00::2]:8080 ", "server 10.0.0.1:8101 ", "server [fd00::2]:8102 "):
        assert line in text
    assert "listen [::]:8101 ssl http2;" in text and "proxy_pass http://mcpweb_8102;" in text
    assert "hash $" not in text

    kept = printed(**PUBLIC, MCPWEB_SERVICE_PORTS="1", wishes=wishes._replace(keep_endpoints=True))
    upstreams = dict(re.findall(r"upstream (\w+) \{(.*?)\n    \}", kept, re.DOTALL))
    assert {name for name, text in upstreams.items() if "hash $mcpweb_endpoint consistent;" in text} == {*upstreams} - {
        "mcpweb_web"
    }
    assert {"mcpweb_web", "mcpweb_mcp", "mcpweb_8101"} <= set(upstreams)


def test_on_this_machine_alone_it_needs_no_certificate() -> None:
    text = printed(MCPWEB_PUBLIC_URL="http://localhost:8000")

    assert "listen 127.0.0.1:8000;" in text
    assert "ssl" not in text and "Strict-Transport" not in text


@pytest.mark.parametrize(
    ("settings", "wishes", "words"),
    [
        ({}, NONE, "Set MCPWEB_PUBLIC_URL"),
        ({**PUBLIC, "MCPWEB_PUBLIC_URL": "http://mcp.example.com"}, NONE, "must begin with https://"),
        ({**PUBLIC, "MCPWEB_PUBLIC_URL": "https://mcp.example.com/x"}, NONE, "without a path"),
        ({**PUBLIC, "MCPWEB_PUBLIC_URL": "https://a;b"}, NONE, "no host name"),
        (PUBLIC, Wishes(listen=("a b",)), "no host name"),
        (PUBLIC, Wishes(web=("nowhere",)), "--web must be host:port"),
        (PUBLIC, Wishes(web=("a;b:80",)), "no host name"),
        (PUBLIC, Wishes(certificate="cert.pem"), "absolute path"),
        (PUBLIC, Wishes(logs="/var/log; x"), "absolute path"),
        ({**PUBLIC, "MCPWEB_SERVICE_PORTS": "1"}, NONE, "listens on 127.0.0.1:8101"),
        ({"MCPWEB_PUBLIC_URL": "http://127.0.0.1:8080"}, NONE, "listens on 127.0.0.1:8080"),
    ],
)
def test_what_would_not_work_is_refused_in_a_sentence(settings: dict[str, str], wishes: Wishes, words: str) -> None:
    with pytest.raises(NginxError, match=words):
        printed(**settings, wishes=wishes)


def test_it_warns_when_every_caller_would_seem_to_be_nginx() -> None:
    assert "every caller seems to be nginx" in warnings(config.load(PUBLIC))[0]
    assert warnings(config.load({**PUBLIC, "MCPWEB_TRUSTED_PROXIES": "127.0.0.1/32"})) == []


def test_nginx_takes_it_as_a_file_to_include_too(tmp_path: Path) -> None:
    try:
        nginx = tooling.nginx()
    except tooling.Missing as missing:
        pytest.skip(str(missing))
    (tmp_path / "mcpweb.conf").write_text(
        printed(MCPWEB_PUBLIC_URL="http://localhost:8000", wishes=Wishes(logs=str(tmp_path), files=str(tmp_path)))
    )
    whole = f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{ include {tmp_path}/mcpweb.conf; }}\n"
    (tmp_path / "nginx.conf").write_text(whole)
    tried = subprocess.run([nginx, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr
    assert "[warn]" not in tried.stderr


def test_files_of_the_version_before_stay_where_they_are(tmp_path: Path) -> None:
    before = tmp_path / "static" / "0123456789abcdef" / "css" / "base.css"
    before.parent.mkdir(parents=True)
    before.write_text("old")

    for _ in range(2):
        static, errors = files.publish(tmp_path)

    assert before.read_text() == "old"
    assert (static / "css" / "base.css").stat().st_mode & 0o777 == 0o644
    assert "Too much at once" in (errors / "413.html").read_text()
    assert not list(tmp_path.rglob(".*"))
