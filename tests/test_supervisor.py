"""`mcpweb up`, with small programs in the places of web, worker and ticker, and a real Redis server."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 20
ROOT = Path(__file__).parent.parent

DRIVER = """
import json, pathlib, sys
from mcpweb.supervisor import Options, loop, supervise
loop.BACK_OFF_S = (0.01, 0.01, 0.01, 0.01)
options = json.loads(sys.argv[1])
options["home"] = pathlib.Path(options["home"])
options["bind"] = tuple(options["bind"])
sys.exit(supervise(Options(**options)))
"""
# Every program says who and where it is; the supervisor passes that on, as these tests run it in its verbose mode.
HELLO = "import os, signal, sys, time; print('started', os.getpid(), flush=True)\n"
STAY = HELLO + "signal.pause()\n"
WEB = HELLO + (
    "import socket\n"
    "host, port = os.environ['MCPWEB_BIND'].rsplit(':', 1)\n"
    "server = socket.create_server((host, int(port)))\n"
    "while True:\n"
    "    client = server.accept()[0]\n"
    "    client.recv(4096)\n"
    "    client.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')\n"
    "    client.close()\n"
)
PREPARED = {"setup_link": "http://example.org/sign-in/first", "mailbox": "http://example.org/mail", "warnings": ["Oh."]}
PREPARE = f"print({json.dumps(json.dumps(PREPARED))})"


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-I", "-S", "-c", code]


class Up:
    """A running `mcpweb up`."""

    def __init__(self, home: Path, *, port: int, environ: dict[str, str], options: dict[str, object]):
        commands = {"web": WEB, "prepare": PREPARE, "worker": STAY, "ticker": STAY, **options.pop("commands", {})}
        told = {"is_verbose": True, **options, "home": str(home), "bind": ["127.0.0.1", port]}
        told["commands"] = {name: python(code) if isinstance(code, str) else code for name, code in commands.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(told)],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, times: int = 1) -> str:
        """The line with the n-th occurrence of `text`."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line][times - 1 : times]

        with self._news:
            assert self._news.wait_for(found, PATIENCE_S), f"never said {text!r}:\n{self.said}"
            return found()[0]

    def ready(self) -> "Up":
        self.wait_for("To stop")
        return self

    def pid_of(self, role: str, times: int = 1) -> int:
        return int(self.wait_for(f"{role} | started", times).split()[-1])

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def exit_code(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.exit_code()


def all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, PATIENCE_S)[1]


def an_unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


StartUp = Callable[..., Up]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[StartUp]:
    started: list[Up] = []

    def start(home: Path | None = None, port: int = 0, environ: dict[str, str] | None = None, **options: object) -> Up:
        one = Up(home or tmp_path / "home", port=port or an_unused_port(), environ=environ or {}, options=options)
        started.append(one)
        return one

    yield start
    for one in started:
        one.process.kill()
        one.exit_code()


def test_when_everything_runs_one_block_says_where_to_go(up, tmp_path):
    port = an_unused_port()
    one = up(port=port).ready()

    block = one.said[one.said.index("mcpweb is ready") :]
    assert f"mcpweb is ready: http://127.0.0.1:{port}\n" in block
    assert "http://example.org/sign-in/first\n" in block
    assert "http://example.org/mail\n" in block
    assert f"{tmp_path / 'home'}\n" in block
    assert "mcpweb: Oh.\n" in one.said


def test_the_programs_learn_the_home_the_address_and_the_redis(up, tmp_path):
    show = HELLO + "[print(key, value) for key, value in os.environ.items() if 'MCPWEB' in key]\nsignal.pause()"
    port = an_unused_port()
    one = up(port=port, commands={"worker": show})

    assert one.wait_for("MCPWEB_HOME").endswith(f" {tmp_path / 'home'}")
    assert one.wait_for("MCPWEB_BIND").endswith(f" 127.0.0.1:{port}")
    assert one.wait_for("MCPWEB_PUBLIC_URL").endswith(f" http://127.0.0.1:{port}")
    assert one.wait_for("MCPWEB_REDIS_URL").endswith(f" unix://{tmp_path / 'home' / 'run' / 'redis.sock'}?db=0")


def test_the_preparation_finds_redis_answering_and_the_worker_finds_the_preparation_done(up, tmp_path):
    mark = tmp_path / "prepared"
    ping = (
        "import os, socket\n"
        "redis = socket.socket(socket.AF_UNIX)\n"
        "redis.connect(os.environ['MCPWEB_REDIS_URL'][7:].partition('?')[0])\n"
        "redis.sendall(b'PING\\r\\n')\n"
        f"open({str(mark)!r}, 'wb').write(redis.recv(100))\n"
        "print('{}')\n"
    )
    look = HELLO + f"print('read', open({str(mark)!r}).read(), flush=True)\nsignal.pause()"
    one = up(commands={"prepare": ping, "worker": look, "ticker": look})

    assert one.wait_for("worker | read").endswith("+PONG")
    assert one.wait_for("ticker | read").endswith("+PONG")
    assert "ended with" not in one.said


def test_a_preparation_that_fails_ends_everything_and_shows_why(up):
    one = up(is_verbose=False, commands={"prepare": "import sys; sys.exit('the disk is full')"})

    assert one.exit_code() == 1
    assert "The preparation ended with exit code 1." in one.said
    assert "the disk is full" in one.said
    assert "mcpweb is ready" not in one.said


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
    mcpweb = [sys.executable, "-m", "mcpweb"]
    commands = {"prepare": [*mcpweb, "prepare"], "web": [*mcpweb, "web"], "ticker": [*mcpweb, "ticker"]}
    one = up(commands={**commands, "worker": [sys.executable, "-c", busy_worker]}).ready()
    one.wait_for("worker | horse")
    family = one.descendants()
    assert len(family) == 6  # redis, gunicorn and its worker, RQ's worker and its horse, ticker

    one.process.kill()

    assert all_gone(family)


def test_a_child_whose_parent_is_gone_before_it_can_ask_ends_at_once():
    late = "import os; from mcpweb.lifeline import die_with_parent; die_with_parent(os.getpid()); print('alive')"

    ended = subprocess.run([sys.executable, "-c", late], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (1, "")


def test_a_taken_port_is_named_and_the_next_one_used(up):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        one = up(port=taken).ready()

    said = one.wait_for(f"port {taken} is taken; using ")
    assert f"mcpweb is ready: http://127.0.0.1:{said.split()[-1].rstrip('.')}" in one.said


def test_a_second_start_on_the_same_home_says_where_the_first_one_is(up):
    first = up().ready()
    url = first.wait_for("mcpweb is ready").split()[-1]

    second = up()

    assert second.exit_code() == 1
    assert f"at {url} (process {first.process.pid})" in second.said
    assert first.interrupt() == 0


def test_after_kill_9_the_next_start_gets_the_same_home_and_port(up):
    port = an_unused_port()
    first = up(port=port).ready()
    first.process.kill()

    second = up(port=port).ready()

    assert f"mcpweb is ready: http://127.0.0.1:{port}" in second.said


def test_an_address_of_another_machine_is_refused_in_a_sentence(tmp_path):
    code = DRIVER.replace('tuple(options["bind"])', '("192.0.2.1", 8080)')
    told = json.dumps({"home": str(tmp_path / "home"), "bind": []})

    ended = subprocess.run([sys.executable, "-c", code, told], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr.startswith("mcpweb: 192.0.2.1:8080 can not be used as the address to listen on")
    assert "Traceback" not in ended.stderr


def test_a_home_that_can_not_be_made_is_refused_in_a_sentence(up, tmp_path):
    (tmp_path / "file").write_text("")

    one = up(home=tmp_path / "file" / "home")

    assert one.exit_code() == 1
    assert "can not be written: Not a directory." in one.said


def test_a_home_with_a_long_path_gets_a_short_private_socket_that_goes_at_the_end(up, tmp_path):
    show = HELLO + "print(os.environ['MCPWEB_REDIS_URL'], flush=True)\nsignal.pause()"
    one = up(home=tmp_path / ("long" * 30), commands={"worker": show}).ready()
    path = Path(one.wait_for("worker | unix://").split("unix://")[1].partition("?")[0])

    assert path.is_socket()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert one.interrupt() == 0
    assert not path.parent.exists()


def test_the_redis_socket_and_data_are_for_the_owner_alone(up, tmp_path):
    up().ready()

    for name in ("run", "redis"):
        assert (tmp_path / "home" / name).stat().st_mode & 0o777 == 0o700


def test_with_a_redis_of_ones_own_none_is_started(up):
    show = HELLO + "print('redis is', os.environ['MCPWEB_REDIS_URL'], flush=True)\nsignal.pause()"
    one = up(has_redis=True, environ={"MCPWEB_REDIS_URL": "redis://127.0.0.1:1/0"}, commands={"worker": show}).ready()

    assert one.wait_for("redis is").endswith(" redis://127.0.0.1:1/0")
    assert not [child for child in one.descendants() if "redis.sock" in "".join(child.cmdline())]


def test_only_warnings_and_tracebacks_are_passed_on(up):
    talk = (
        "import signal\n"
        "print('2026-11-23 INFO all is well')\n"
        "print('2026-11-23 WARNING disk \\x1b[2Jalmost full')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError:\n"
        "    import traceback; traceback.print_exc()\n"
        "print('2026-11-23 INFO all is well again', flush=True)\n"
        "print('2026-11-23 ERROR last', flush=True)\n"
        "signal.pause()\n"
    )
    one = up(is_verbose=False, commands={"worker": talk})
    one.wait_for("worker | 2026-11-23 ERROR last")

    shown = [line.split(" | ")[1] for line in one.lines if line.startswith(" worker |")]
    assert shown[0] == "2026-11-23 WARNING disk \ufffd[2Jalmost full"
    assert shown[1] == "Traceback (most recent call last):"
    assert shown[-2] == "ZeroDivisionError: division by zero"
    assert len([line for line in shown if "INFO" in line]) == 0


def test_a_redis_on_the_path_goes_first_unless_it_is_too_old(tmp_path, monkeypatch):
    from mcpweb import embedded_redis

    server = tmp_path / "redis-server"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def installed(version: str) -> Path:
        server.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=00000000:0 malloc=libc bits=64'\n")
        server.chmod(0o755)
        return embedded_redis.find_server()

    assert installed("7.0.15") == server
    assert installed("6.0.16") != server
    assert installed("6.0.16").name == "valkey-server"
