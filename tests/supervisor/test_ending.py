"""Nothing is left behind, however it ends."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.supervisor.running import HELLO, REAL, ROOT, all_gone, an_unused_port


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_and_redis_last(up, tmp_path, number):
    # Each says goodbye only if its connection to Redis outlives its being asked to end.
    goodbye = HELLO + (
        "import socket\n"
        "redis = socket.socket(socket.AF_UNIX)\n"
        "redis.connect(os.environ['MCPWEB_REDIS_URL'][7:].partition('?')[0])\n"
        "redis.settimeout(0.2)\n"
        "def end(*_):\n"
        "    try: redis.recv(1)\n"
        "    except TimeoutError: print('goodbye', flush=True)\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('on guard', flush=True)\n"
        "signal.pause()\n"
    )
    one = up(commands={"worker": goodbye, "ticker": goodbye}).ready()
    one.wait_for("worker | on guard")
    one.wait_for("ticker | on guard")
    family = one.descendants()

    one.process.send_signal(number)

    assert one.exit_code() == 0
    assert all_gone(family)
    assert "worker | goodbye" in one.said
    assert "ticker | goodbye" in one.said
    assert one.lines[-1] == "mcpweb: stopped."


def test_a_second_ctrl_c_does_not_wait_for_a_program_that_will_not_end(up):
    stubborn = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('not yet', flush=True))\n"
        + HELLO
        + "while True: signal.pause()\n"
    )
    one = up(commands={"worker": stubborn}).ready()
    worker = psutil.Process(one.pid_of("worker"))

    one.process.send_signal(signal.SIGINT)
    one.wait_for("worker | not yet")

    assert one.interrupt() == 0
    assert all_gone([worker])


def test_kill_9_of_the_supervisor_leaves_none_of_the_real_programs_behind(up):
    """Neither gunicorn's workers, nor a work horse, which leaves its worker's process group."""
    busy_worker = (
        "import signal\n"
        "from mcpweb.application import create_app\n"
        "from mcpweb.jobs import worker\n"
        "class Busy(worker._Worker):\n"
        "    def perform_job(self, *_):\n"
        "        print('horse', flush=True)\n"
        "        signal.pause()\n"
        "worker._Worker = Busy\n"
        "worker.run(create_app())\n"
    )
    one = up(commands={**REAL, "worker": [sys.executable, "-c", busy_worker]}).ready()
    one.wait_for("worker | horse")
    family = one.descendants()
    assert len(family) == 6  # redis, gunicorn and its worker, RQ's worker and its horse, ticker

    one.process.kill()

    assert all_gone(family)


def test_a_child_whose_parent_is_gone_before_it_can_ask_ends_at_once():
    late = "import os; from mcpweb.lifeline import die_with_parent; die_with_parent(os.getpid()); print('alive')"

    ended = subprocess.run([sys.executable, "-c", late], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (1, "")


def test_after_kill_9_the_next_start_gets_the_same_home_and_port(up):
    port = an_unused_port()
    first = up(port=port).ready()
    first.process.kill()

    second = up(port=port).ready()

    assert f"mcpweb is ready: http://127.0.0.1:{port}" in second.said
