"""What ends a thread, a process or a request before any of our code sees it is in the log, once and without secrets."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.served import served
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, threading
from pathlib import Path
from mcpweb.logs import events
from mcpweb.logs.writing import LogFiles

events.start(LogFiles(Path(sys.argv[1])))
events.last_words()

def fail():
    credential = "canary-in-a-local"
    raise ZeroDivisionError("Bearer ghp_" + "a" * 36)

thread = threading.Thread(target=fail, name="follower")
thread.start()
thread.join()
fail()
"""


def lines(logs: Path) -> list[dict[str, str]]:
    """The lines of the app log."""
    found = sorted((logs / "system").glob("app-*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def of_gunicorn(logs: Path) -> list[dict[str, str]]:
    """Those of the web server itself."""
    return [line for line in lines(logs) if line.get("logger") == "gunicorn.error"]


def test_a_thread_and_a_process_that_fail_say_so_once_in_the_log_without_secrets(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    said = [line for line in lines(tmp_path) if "failed" in line["message"]]
    assert [(line["message"], line["level"]) for line in said] == [
        ("a thread failed", "error"),
        ("the process failed", "critical"),
    ]
    assert all("ZeroDivisionError" in line["traceback"] for line in said)
    assert said[0]["thread_name"] == "follower"
    assert "canary" not in str(said) and "ghp_a" not in str(said)


def test_a_request_that_is_none_is_in_our_log_without_what_was_secret_in_it(tmp_path):
    with served("github", "alice@example.com", MCPWEB_HOME=str(tmp_path)) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"GET /sign-in/" + b"s3cret" * 8 + b" NO-HTTP\r\n\r\n")
            connection.recv(1000)
        said = until(
            lambda: [line for line in lines(tmp_path / "logs") if line.get("logger") == "gunicorn.error"],
            "it is logged",
        )

    assert len(said) == 1 and "Invalid" in said[0]["message"]
    assert "s3cret" not in str(said)
