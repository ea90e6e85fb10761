"""A web server that is stopped says goodbye, so that no other host waits for it."""

from __future__ import annotations

from pathlib import Path

from mcpweb import queue
from mcpweb.hosts import host_id
from tests import plugin_folder
from tests.served import served
from tests.waiting import until


def test_the_last_worker_of_a_host_that_is_stopped_takes_the_host_off_the_list(tmp_path: Path, redis_url: str) -> None:
    settings = plugin_folder.settings(tmp_path, redis_url, plugin_folder.WELL) | {
        "MCPWEB_WEB_WORKERS": "2",
    }
    redis = queue.connect(redis_url)
    with served(plugin_folder.NAME, "alice@example.com", **settings) as server:
        assert server.call("well").status_code == 200
        host = host_id(tmp_path / "home" / "run")
        until(lambda: redis.hexists("mcpweb:hosts", host), "it is on the list of hosts")

        server.process.terminate()
        assert server.process.wait(20) == 0

    assert not redis.hexists("mcpweb:hosts", host)
