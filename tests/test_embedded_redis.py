"""Which of several installed servers is started."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpweb import embedded_redis


@pytest.fixture
def redis_on_the_path(tmp_path, monkeypatch) -> Callable[[str], Path]:
    """Puts a program there that says it is this version."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def install(version: str) -> Path:
        server = tmp_path / "redis-server"
        server.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64'\n")
        server.chmod(0o755)
        return server

    return install


def test_a_redis_on_the_path_goes_before_the_one_that_pip_brought(redis_on_the_path):
    server = redis_on_the_path("7.0.15")

    assert embedded_redis.find_server() == server


def test_a_redis_on_the_path_that_is_too_old_is_passed_over(redis_on_the_path):
    server = redis_on_the_path("6.0.16")

    assert embedded_redis.find_server() != server


def test_a_redis_installed_later_is_passed_over_if_it_can_not_read_the_data(redis_on_the_path, tmp_path):
    first = embedded_redis.claim_data(tmp_path)

    redis_on_the_path("7.0.15")

    assert embedded_redis.claim_data(tmp_path) == first
    assert first.name == "valkey-server"


def test_the_data_of_an_old_redis_that_was_removed_is_taken_over(redis_on_the_path, tmp_path):
    server = redis_on_the_path("7.0.15")
    assert embedded_redis.claim_data(tmp_path) == server

    server.unlink()

    assert embedded_redis.claim_data(tmp_path).name == "valkey-server"


def test_data_that_no_server_here_can_read_is_left_alone_in_a_sentence(redis_on_the_path, tmp_path):
    redis_on_the_path("8.2.1")
    embedded_redis.claim_data(tmp_path)

    redis_on_the_path("7.0.15")

    with pytest.raises(embedded_redis.NoServer, match=r"was written by redis 8\.2, which is no longer installed"):
        embedded_redis.claim_data(tmp_path)
