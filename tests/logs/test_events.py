"""What goes through `logging` and what the program says by itself end up in the right file, without secrets."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mcpweb import clock
from mcpweb.logs import context, events
from mcpweb.logs.writing import LogFiles
from tests.spec_server import TOKENS

SECRET = TOKENS["github"]["good"]


@pytest.fixture
def folder(tmp_path: Path, process_state: None) -> Path:
    """An empty log folder in use."""
    events.start(LogFiles(tmp_path))
    return tmp_path


def lines(folder: Path, category: str) -> list[dict[str, Any]]:
    """The lines of a category, in order."""
    found = []
    for path in sorted((folder / "system").glob(f"{category}-*.jsonl")):
        found += [json.loads(one) for one in path.read_text().splitlines()]
    return found


def test_a_message_of_a_module_is_an_app_line_with_its_fields(folder):
    logging.getLogger("mcpweb.some.module").warning("something %s", "happened", extra={"count": 3})

    [line] = lines(folder, "app")
    assert (line["message"], line["level"], line["count"]) == ("something happened", "warning", 3)
    assert (line["logger"], line["category"]) == ("mcpweb.some.module", "app")
    assert line["time"].endswith("+00:00")


def test_what_the_database_library_says_is_a_database_line(folder):
    logging.getLogger("sqlalchemy.pool").warning("slow")

    assert [line["message"] for line in lines(folder, "database")] == ["slow"]
    assert lines(folder, "app") == []


def test_debug_messages_are_left_out(folder):
    logging.getLogger("anything").debug("detail")

    assert lines(folder, "app") == []


def test_a_secret_is_blacked_out_in_message_arguments_fields_and_exception(folder):
    log = logging.getLogger("mcpweb")
    log.info("key " + SECRET)
    log.info("key %s", SECRET)
    log.info("key %(key)s", {"key": SECRET})
    log.info("key", extra={"header": f"Bearer {SECRET}", "deep": [{"x": SECRET}]})
    try:
        raise ValueError(f"bad key {SECRET}") from KeyError(SECRET)
    except ValueError:
        log.exception("failed for %s", SECRET)
    events.security("refused", detail=SECRET)
    events.app("did", detail=SECRET)
    events.audit("did", detail=SECRET)
    events.instance(1, uuid4(), "did", detail=SECRET)
    events.call(1, uuid4(), {"error": SECRET}, failed=True)

    everything = b"".join(path.read_bytes() for path in folder.rglob("*.jsonl"))
    assert everything.count(b"[redacted]") >= 11
    assert SECRET.encode() not in everything


def test_a_traceback_comes_without_the_values_of_variables(folder):
    def fail(hidden: str) -> None:
        raise RuntimeError("it broke")

    try:
        fail("hunter2-hunter2")
    except RuntimeError:
        logging.getLogger("mcpweb").exception("failed")

    [line] = lines(folder, "app")
    assert "RuntimeError: it broke" in line["traceback"]
    assert "in fail" in line["traceback"]
    assert 'File "' in line["traceback"]


class Rude:
    """Can not be written."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "arguments", [("%s %s", 1), ("%d", "x"), ("%(name)s", {"other": 1}), ("%s", Rude()), (Rude(),)]
)
def test_a_message_that_can_not_be_put_together_raises_nothing_and_is_noted(arguments, folder):
    log = logging.getLogger("mcpweb.alone")
    log.handlers, log.propagate = [events.JsonHandler()], False  # pytest's own handler raises on such a message

    log.warning(*arguments)

    assert len(lines(folder, "app")) == 1


def test_the_context_of_the_work_is_on_every_line_and_ends_with_it(folder):
    context.set_fields()  # another test of this process may have left its own
    context.set_fields()  # whatever a test before has left
    with context.work(request_id="r1", job="clean_up"):
        context.add_fields(user=7)
        events.security("inside")
        threads = [threading.Thread(target=events.security, args=("another thread",))]
        for thread in threads:
            thread.start()
            thread.join()
    events.security("outside")

    inside, other, outside = lines(folder, "security")
    assert (inside["request_id"], inside["job"], inside["user"]) == ("r1", "clean_up", 7)
    assert "request_id" not in other and "request_id" not in outside


def test_a_call_stands_in_the_system_log_and_in_the_instances_own_and_an_error_twice(folder):
    instance = uuid4()

    events.call(5, instance, {"tool": "get_me", "outcome": "ok"}, failed=False)
    events.call(5, instance, {"tool": "get_me", "outcome": "error"}, failed=True)
    events.instance(5, instance, "instance created")

    own = folder / "users" / "user_5" / f"mcp_{instance}"
    counted = {path.name.split("-")[0]: len(path.read_text().splitlines()) for path in own.iterdir()}
    assert counted == {"access": 2, "error": 1, "app": 1}
    assert [line["outcome"] for line in lines(folder, "performance")] == ["ok", "error"]


def test_nothing_is_written_before_logging_was_started(process_state, monkeypatch, tmp_path):
    monkeypatch.setattr(events, "_files", None)

    events.security("early")
    with pytest.raises(RuntimeError, match="not started"):
        events.files()


def test_the_name_of_a_file_is_the_day_of_its_lines_in_utc(folder, monkeypatch):
    monkeypatch.setattr(clock, "utcnow", lambda: datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    events.security("old year")
    monkeypatch.setattr(clock, "utcnow", lambda: datetime(2027, 1, 1, tzinfo=UTC))
    events.security("new year")

    names = sorted(path.name for path in (folder / "system").iterdir())
    assert names == ["security-2026-12-31.jsonl", "security-2027-01-01.jsonl"]
