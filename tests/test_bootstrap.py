"""./run, ./test and the package: tried on a small checkout that needs one library, which pip finds in a folder."""

import configparser
import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SETUP = """
[options]
install_requires =
    tiny >=1
[options.extras_require]
test =
"""
MAIN = "import sys, tiny; print('tiny', tiny.version, *sys.argv[1:])"


def make_wheel(folder: Path, version: str) -> None:
    """A wheel of the library `tiny`, which knows its version."""
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


@dataclass
class Checkout:
    """A copy of the two commands, with a program that prints its arguments."""

    folder: Path
    wheels: Path

    def start(self, *command: str, cwd: Path | None = None, **environ: str) -> subprocess.Popen[str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "PIP_CONFIG_FILE": os.devnull}
        return subprocess.Popen(
            command,
            cwd=cwd or self.folder,
            env={**os.environ, "PATH": path, **pip, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *command: str, cwd: Path | None = None, **environ: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = self.start(*command, cwd=cwd, **environ)
        said, errors = process.communicate(timeout=120)
        return process.returncode, said, errors

    def pin(self, version: str) -> None:
        (self.folder / "constraints.txt").write_text(f"tiny=={version}\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    here = Checkout(tmp_path / "check out", tmp_path / "wheels")
    (here.folder / "mcpweb").mkdir(parents=True)
    here.wheels.mkdir()
    for name in ("run", "test", "bootstrap.py"):
        shutil.copy(ROOT / name, here.folder)
    (here.folder / "setup.cfg").write_text(SETUP)
    (here.folder / "mcpweb" / "__main__.py").write_text(MAIN)
    here.pin("1.0")
    make_wheel(here.wheels, "1.0")
    return here


def test_each_run_installs_what_has_changed_and_without_a_change_it_needs_neither_pip_nor_a_network(checkout, tmp_path):
    """One walk, as making a virtual environment takes longest."""
    assert checkout.call("./run", "--verbose")[:2] == (0, "tiny 1.0 up --verbose\n")

    (tmp_path / "mcpweb").mkdir()
    (tmp_path / "mcpweb" / "__main__.py").write_text("print('not the program')")
    command = str(checkout.folder / ".venv" / "bin" / "mcpweb")
    assert checkout.call(command, "doctor", cwd=tmp_path) == (0, "tiny 1.0 doctor\n", ""), "in any folder"

    make_wheel(checkout.wheels, "2.0")
    checkout.pin("2.0")
    assert checkout.call("./run")[1] == "tiny 2.0 up\n", "other constraints"

    checkout.folder = checkout.folder.rename(tmp_path / "elsewhere")
    assert checkout.call("./run")[1] == "tiny 2.0 up\n", "a checkout that was moved gets a new .venv"
    assert checkout.call(".venv/bin/mcpweb", "doctor")[1] == "tiny 2.0 doctor\n"
    assert str(tmp_path / "elsewhere") in (checkout.folder / ".venv" / "bin" / "pip").read_text()

    (packages,) = checkout.folder.glob(".venv/lib/python*/site-packages")
    shutil.rmtree(packages / "pip")
    shutil.rmtree(checkout.wheels)
    assert checkout.call("./run", "--verbose") == (0, "tiny 2.0 up --verbose\n", "")


def test_two_first_runs_at_once_install_once(checkout):
    both = [checkout.start("./run") for _ in range(2)]

    said = [process.communicate(timeout=120) for process in both]

    assert [out for out, _ in said] == ["tiny 1.0 up\n"] * 2
    assert sum("Installing" in errors for _, errors in said) == 1


def test_an_installation_that_broke_off_is_repaired_by_the_next_run(checkout):
    checkout.pin("2.0")
    code, said, errors = checkout.call("./run")
    assert (code != 0, said) == (True, "")
    assert "the next run starts it anew" in errors
    (packages,) = checkout.folder.glob(".venv/lib/python*/site-packages")
    shutil.rmtree(packages / "pip" / "_internal")

    make_wheel(checkout.wheels, "2.0")

    assert checkout.call("./run")[1] == "tiny 2.0 up\n"


def test_a_python_that_is_too_old_is_named(checkout, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "dirname").symlink_to(shutil.which("dirname"))
    (tools / "python3").write_text("#!/bin/sh\n[ $1 = -V ] && echo Python 3.9.2\nexit 1\n")
    (tools / "python3").chmod(0o755)

    for command in ("./run", "./test"):
        code, said, errors = checkout.call(command, PATH=str(tools))
        assert (code, said) == (1, "")
        assert "mcpweb needs Python 3.11 or newer" in errors
        assert "python3 is Python 3.9.2" in errors


def test_a_python_without_ensurepip_is_told_the_package_before_anything_is_made(checkout, tmp_path):
    (tmp_path / "usercustomize").mkdir()
    (tmp_path / "usercustomize" / "sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None")

    code, said, errors = checkout.call("./run", PYTHONPATH=str(tmp_path / "usercustomize"))

    assert (code, said) == (1, "")
    assert "lacks the part that makes virtual environments (ensurepip)" in errors
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in errors
    if Path("/etc/debian_version").exists():
        assert f"apt install python{sys.version_info.major}.{sys.version_info.minor}-venv" in errors
    assert not (checkout.folder / ".venv").exists()


def test_freeze_pins_the_newest_version_inside_the_ranges(checkout):
    make_wheel(checkout.wheels, "1.5")

    checkout.call("python3", "bootstrap.py", "freeze")

    assert (checkout.folder / "constraints.txt").read_text().splitlines()[1:] == ["tiny==1.5"]


def test_the_frozen_versions_lie_inside_the_ranges_that_were_chosen_with_care():
    assert importlib.metadata.version("flask-limiter").startswith("4.")
    assert importlib.metadata.version("redis").startswith("8.")
    assert importlib.metadata.version("gunicorn").startswith("25.3.")


def test_setup_cfg_names_every_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = {name for name in setup["options"]["packages"].split() if "_shipped" not in name}

    there = {str(init.parent.relative_to(ROOT)).replace("/", ".") for init in ROOT.glob("mcpweb/**/__init__.py")}

    assert named == there


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install .` puts into site-packages."""
    source, wheels, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site-packages"))
    for name in ("mcpweb", "plugins", "migrations", "deploy"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    quietly = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *quietly, "--wheel-dir", wheels, source], check=True)
    (wheel,) = wheels.iterdir()
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_the_installed_package_holds_every_file_of_the_checkout(installed):
    def files(folder: Path) -> set[str]:
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {str(path) for path in found if "__pycache__" not in path.parts and not is_for_tests(path.name)}

    def is_for_tests(name: str) -> bool:
        return name.startswith("test_") or name == "conftest.py"

    for name in ("plugins", "migrations", "deploy"):
        assert files(installed / "mcpweb" / "_shipped" / name) == files(ROOT / name)
    assert files(installed / "mcpweb") - files(installed / "mcpweb" / "_shipped") >= files(ROOT / "mcpweb")


def test_the_installed_package_finds_its_own_plugins(installed, tmp_path):
    show = "from mcpweb import shipped; print(shipped.folder('plugins'))"
    environ = {**os.environ, "PYTHONPATH": str(installed)}

    said = subprocess.run([sys.executable, "-c", show], cwd=tmp_path, env=environ, capture_output=True, text=True)

    assert said.stdout == f"{installed / 'mcpweb' / '_shipped' / 'plugins'}\n", said.stderr


@pytest.fixture
def pytest_with_a_skip(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_one(): pass\ndef test_two(): pytest.skip('no Chromium')\n"
    )

    def call(ci: str) -> subprocess.CompletedProcess[str]:
        # A folder of its own: with the usual one, pytest would first remove what earlier runs of the suite left there.
        command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.skips", "-n", "1", "-c", os.devnull]
        command += ["--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "of-its-own"), str(tmp_path)]
        environ = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # Hypothesis is slow to start
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    return call


def test_what_was_skipped_is_named_at_the_end_with_its_reason(pytest_with_a_skip):
    ended = pytest_with_a_skip("")

    assert ended.returncode == 0
    assert "no Chromium: test_it.py::test_two" in ended.stdout.splitlines()[-2]
    assert "1 passed, 1 skipped" in ended.stdout.splitlines()[-1]


def test_where_ci_is_true_a_skipped_test_is_a_failure(pytest_with_a_skip):
    ended = pytest_with_a_skip("true")

    assert ended.returncode == 1
    assert "no Chromium: test_it.py::test_two" in ended.stdout
