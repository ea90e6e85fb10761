"""From an empty folder to the block that says where to go, and what may be in the way."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.supervisor.running import DRIVER, HELLO, ROOT, an_unused_port


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


def test_with_a_redis_of_ones_own_none_is_started(up):
    show = HELLO + "print('redis is', os.environ['MCPWEB_REDIS_URL'], flush=True)\nsignal.pause()"
    one = up(has_redis=True, environ={"MCPWEB_REDIS_URL": "redis://127.0.0.1:1/0"}, commands={"worker": show}).ready()

    assert one.wait_for("redis is").endswith(" redis://127.0.0.1:1/0")
    assert not [child for child in one.descendants() if "redis.sock" in "".join(child.cmdline())]


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


def test_what_lies_in_the_home_is_for_its_owner_alone(up, tmp_path):
    (tmp_path / "home").mkdir(mode=0o755)
    write = (
        HELLO + "open(os.environ['MCPWEB_HOME'] + '/note', 'w').close(); print('written', flush=True)\nsignal.pause()"
    )
    up(commands={"worker": write}).wait_for("worker | written")

    for name in ("run", "redis"):
        assert (tmp_path / "home" / name).stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / "note").stat().st_mode & 0o777 == 0o600
