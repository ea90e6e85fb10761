"""An installation that indexes no log lines: it says so, counts all the same, and can be changed back."""

from __future__ import annotations

import re
from functools import partial

from mcpweb.hosts import host_id
from mcpweb.instances import counting
from mcpweb.jobs.alerting import watch_alerts
from mcpweb.jobs.log_maintenance import maintain_logs
from mcpweb.logs.following import Follower
from mcpweb.logs.query import Query
from mcpweb.logs.rebuilding import rebuild
from mcpweb.web.current import log_index, settings
from tests.admin.test_dashboard import part
from tests.form_client import Page
from tests.instances import endpoint
from tests.instances.living import stored


def text_of(page: Page) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.text).split())


def test_without_an_index_pages_say_where_lines_are_and_calls_are_counted_all_the_same(
    app, other_app, alice, carol, make_instance
):
    instance, token = make_instance()
    mine = Query(equal={"instance": (str(instance.id),), "category": ("performance",)})
    for day in log_index().days():
        log_index().drop_day(day)
    off = other_app(log_index="off")
    for browser in (alice, carol):
        browser.transport.client.application = off
    with off.app_context():
        for _ in range(2):
            endpoint.call(off, instance.id, token)
        home, host = settings().home, host_id(settings().home / "run")
        Follower(home / "logs", host, log_index(), partial(counting.count, host)).step()

        page = f"/instances/{instance.id}"
        admins = ("/admin/logs", "/admin/logs/lines", "/admin/logs/lines/1", "/admin/logs/export")
        for browser, path in [
            (alice, f"{page}/logs"),
            (alice, f"{page}/logs/export/csv"),
            *((carol, x) for x in admins),
        ]:
            answer = browser.get(path)
            assert (answer.status, "Log lines are kept elsewhere" in answer.text) == (404, True), path
            assert ("MCPWEB_LOG_INDEX" in answer.text) == (browser is carol), "what to do is for administrators"
        assert stored(instance.id).usage_count == 2 and stored(instance.id).last_used_at
        assert "2 calls" in text_of(alice.get(f"{page}/usage"))
        assert "keeps no index" in carol.get("/admin").text
        assert "Good Switched off; calls are counted" in part(carol, "Log index")
        assert watch_alerts()["not_looked_at"] == [] and "Not watched" in text_of(carol.get("/admin/alerts"))
        maintain_logs()

    assert log_index().count(mine, 9) == 0
    assert sum(done.lines for done in rebuild(home / "logs", host, log_index())) > 0
    assert log_index().count(mine, 9) == 2, "switched on again, what is still in the files is found"
    assert stored(instance.id).usage_count == 2
