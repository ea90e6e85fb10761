"""The measurements' own eyes: clients who did not notice a loss would prove nothing."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

from bench.traffic import Plan, Seen, Traffic
from bench.trial import Trial

GOOD = b'{"text": "The gate does not close"}'


def answer(status: str, body: bytes, header: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode() + body


def serve(listener: socket.socket, answers: list[bytes | None]) -> None:
    """One request after the other; None hangs up instead of answering."""
    connection: socket.socket | None = None
    for one in answers:
        data = b""
        while not data.endswith(b"}}}"):
            if connection is None:
                connection = listener.accept()[0]
            data += connection.recv(65_536)
        if one is not None:
            connection.sendall(one)
        if one is None or b"Connection: close" in one:
            connection.close()
            connection = None


def test_what_is_refused_wrong_or_lost_is_seen_and_a_connection_that_ends_in_peace_is_not(tmp_path: Path) -> None:
    crowd = tmp_path / "crowd.json"
    crowd.write_text(json.dumps({"endpoints": [["id", "token"]] * 6, "hanging": [], "viewers": [["", ""]]}))
    answers = [
        answer("200 OK", GOOD),
        answer("200 OK", GOOD, "Connection: close\r\n"),
        answer("503 Service Unavailable", b"busy"),
        None,
        answer("200 OK", b"something else"),
        answer("200 OK", GOOD),
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener, answers), daemon=True)
        server.start()
        port = listener.getsockname()[1]
        seen = Traffic(Plan(port, str(crowd), clients=1, kinds={"call": 1}, in_turn=True)).run()
        server.join(5)

    assert [(one.status, one.is_good) for one in seen] == [
        (200, True), (200, True), (503, False), (0, False), (200, False), (200, True),
    ]  # fmt: skip
    assert "busy" in seen[2].words


def test_a_port_where_nobody_listens_is_a_failure_and_not_the_end(tmp_path: Path) -> None:
    crowd = tmp_path / "crowd.json"
    crowd.write_text(json.dumps({"endpoints": [["id", "token"]] * 2, "hanging": [], "viewers": [["", ""]]}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    seen = Traffic(Plan(port, str(crowd), clients=1, kinds={"call": 1}, in_turn=True)).run()

    assert [one.status for one in seen] == [0, 0]


def test_a_trial_counts_what_was_under_way_and_how_long_failures_went_on() -> None:
    def seen(sent_at: float, took_s: float, is_good: bool) -> Seen:
        return Seen("call", sent_at, took_s, 200 if is_good else 502, is_good, "")

    trial = Trial(
        began=10,
        over=12,
        seen=[seen(9.0, 0.5, True), seen(9.9, 0.2, False), seen(11, 0.5, False), seen(13, 0.5, False)],
    )

    assert trial.in_flight == 1
    assert len(trial.failed) == 3
    assert trial.normal_s == 1.5
    assert [one.sent_at for one in trial.before()] == [9.0]
    assert [one.sent_at for one in trial.during()] == [11]
