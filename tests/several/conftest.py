"""One installation for all tests of several hosts: to start its fifteen programs takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mail_server import MailServer
from tests.several.hosts import Installation
from tests.several.hosts import installation as running
from tests.spec_server import SpecServer


@pytest.fixture(scope="package")
def installation(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, github: SpecServer, mail_server: MailServer
) -> Iterator[Installation]:
    """Three hosts that run."""
    with running(tmp_path_factory.mktemp("several"), postgres_url, github, mail_server) as made:
        yield made


@pytest.fixture(autouse=True)
def mended(installation: Installation) -> Iterator[Installation]:
    """Every way is open again after a test, and the hosts hear each other before one."""
    installation.settle()
    yield installation
    for host in installation.hosts:
        host.to_valkey.set("pass")
        host.to_database.set("pass")
