"""What happens to programs that die, and what is shown of what they print."""

import os
import signal
import socket
from contextlib import closing

import psutil

from tests.supervisor.running import HELLO, all_gone


def test_a_killed_program_is_started_again(up):
    one = up().ready()

    os.kill(one.pid_of("web"), signal.SIGKILL)

    assert one.pid_of("web", times=2) != one.pid_of("web")
    assert "The web server was killed by signal 9; it is started again." in one.said
    assert one.interrupt() == 0


def test_a_restart_first_kills_what_the_dead_program_left_behind(up):
    forking = HELLO + "child = os.fork()\nif child: print('forked', child, flush=True)\nsignal.pause()"
    one = up(commands={"worker": forking}).ready()
    left_behind = psutil.Process(int(one.wait_for("worker | forked").split()[-1]))

    os.kill(one.pid_of("worker"), signal.SIGKILL)

    one.pid_of("worker", times=2)
    assert all_gone([left_behind])
    assert one.interrupt() == 0


def test_a_restarted_redis_still_has_its_data(up, tmp_path):
    one = up().ready()

    def ask(request: bytes) -> bytes:
        with closing(socket.socket(socket.AF_UNIX)) as redis:
            redis.connect(str(tmp_path / "home" / "run" / "redis.sock"))
            redis.sendall(request)
            return redis.recv(1000)

    # WAITAOF answers once the write is on disk, so that no second has to pass.
    assert ask(b"SET queued yes\r\nWAITAOF 1 0 5000\r\n").startswith(b"+OK")
    redis = next(child for child in one.descendants() if "redis.sock" in "".join(child.cmdline()))
    redis.kill()
    one.wait_for("Redis was killed by signal 9; it is started again.")
    one.wait_for("Ready to accept connections", times=2)

    assert b"yes" in ask(b"GET queued\r\n")


def test_a_web_server_that_keeps_dying_ends_everything_with_its_last_words(up):
    one = up(is_verbose=False, commands={"web": "raise SystemExit('no such module')"})

    assert one.exit_code() == 1
    assert "The web server ended with exit code 1, 5 times in a row." in one.said
    assert "no such module" in one.said


def test_a_worker_that_keeps_dying_is_reported_and_the_pages_stay(up):
    one = up(commands={"worker": "raise SystemExit('Redis has gone')"}).ready()

    one.wait_for("The worker ended with exit code 1, 5 times in a row; next try in 30 s.")

    assert psutil.pid_exists(one.pid_of("web"))
    assert one.process.poll() is None


def test_a_program_that_can_not_be_started_is_a_failure_like_any_other(up):
    one = up(is_verbose=False, commands={"web": ["/nowhere/python"]})

    assert one.exit_code() == 1
    assert "The web server ended with exit code 127, 5 times in a row." in one.said
    assert "/nowhere/python can not be started: No such file or directory" in one.said


def test_what_the_programs_print_is_shown_without_the_informational_and_without_control_characters(up):
    talk = (
        "import signal\n"
        "print('2026-11-23 INFO all is well')\n"
        "print('2026-11-23 WARNING disk \\x1b[2Jalmost full')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError:\n"
        "    import traceback; traceback.print_exc()\n"
        "print('2026-11-23 INFO all is well again', flush=True)\n"
        "print('last', flush=True)\n"
        "signal.pause()\n"
    )
    one = up(is_verbose=False, commands={"worker": talk})
    one.wait_for("worker | last")

    shown = [line.split(" | ")[1] for line in one.lines if line.startswith(" worker |")]
    assert shown[0] == "2026-11-23 WARNING disk \ufffd[2Jalmost full"
    assert shown[1] == "Traceback (most recent call last):"
    assert shown[-2:] == ["ZeroDivisionError: division by zero", "last"]
    assert one.interrupt() == 0
    assert not [line for line in one.lines if line.startswith("  redis |")]
