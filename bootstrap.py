"""Makes .venv from setup.cfg and constraints.txt, then does what was asked for. Standard library only.

python3 bootstrap.py run [ARGUMENTS OF mcpweb up]
python3 bootstrap.py loopback [ARGUMENTS OF mcpweb loopback]
python3 bootstrap.py test [ARGUMENTS OF pytest]      with arguments, pytest alone runs
python3 bootstrap.py freeze                          writes constraints.txt anew from the ranges in setup.cfg
"""

import configparser
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "mcpweb-installed.json"
CONSTRAINTS = ROOT / "constraints.txt"

CHECKS = {
    "ruff check": ["ruff", "check", "--quiet"],
    "ruff format": ["ruff", "format", "--check", "--quiet"],
    "mypy": ["mypy", "--no-error-summary"],
    "pytest": ["pytest", "-p", "tests.skips", "-p", "tests.dealing", "-n", "3"],
}


def main(arguments: list[str]) -> int:
    """Carry out one command; see the module's text."""
    command, *rest = arguments or [""]
    os.chdir(ROOT)
    if command == "freeze":
        return freeze()
    if command not in ("run", "loopback", "test"):
        print(__doc__)
        return 2
    install(extras=["test"] if command == "test" else [])
    return test(rest) if command == "test" else become("up" if command == "run" else command, rest)


def become(command: str, rest: list[str]) -> NoReturn:
    """Become `mcpweb` with this command."""
    os.execv(PYTHON, [str(PYTHON), "-m", "mcpweb", command, *rest])


def test(rest: list[str]) -> int:
    """Run all checks, or only pytest when it is given arguments. Gives the exit code."""
    # The tests start some hundred programs, each of which would compile everything anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if rest:
        return subprocess.call([PYTHON, "-m", "pytest", "-p", "tests.skips", *rest])
    subprocess.call([PYTHON, "-m", "tests.tooling"])
    failed = []
    for name, command in CHECKS.items():
        print(f"== {name}", flush=True)
        if subprocess.call([PYTHON, "-m", *command]):
            failed.append(name)
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def requirements(extras: list[str]) -> list[str]:
    """What setup.cfg asks for: the libraries of the program itself, then those of the extras."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    texts = [setup["options"]["install_requires"], *(setup["options.extras_require"][extra] for extra in extras)]
    return [line for text in texts for line in text.splitlines() if line]


def install(extras: list[str]) -> None:
    """Bring .venv up to date. With nothing to do, this neither runs pip nor needs a network."""
    if is_installed(extras):
        return
    lock = os.open(ROOT, os.O_RDONLY)  # the folder itself, so that no lock file stays behind
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not is_installed(extras):
        is_whole = stamp().get("place") == place()
        # From here until the new stamp is written, an interruption leaves a .venv that the next run makes anew.
        STAMP.unlink(missing_ok=True)
        if not is_whole:
            make_venv()
        pip_install(extras)
        link_checkout()
        write_stamp(extras)
    os.close(lock)


def place() -> list[str]:
    """What a virtual environment is tied to: its folder and the interpreter behind it."""
    return [str(VENV), os.path.realpath(PYTHON)]


def wanted(extras: list[str]) -> str:
    """Changes whenever other libraries are to be installed."""
    parts = [CONSTRAINTS.read_text(encoding="utf-8"), *requirements(extras)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def stamp() -> dict[str, object]:
    """What the last completed installation noted, or nothing."""
    try:
        noted = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if os.access(PYTHON, os.X_OK) else {}


def is_installed(extras: list[str]) -> bool:
    """Whether the last installation was completed and is still the one that is wanted."""
    noted = stamp()
    return noted.get("place") == place() and noted.get(",".join(extras)) == wanted(extras)


def write_stamp(extras: list[str]) -> None:
    """Note a completed installation; what the program itself needs is part of every one."""
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps({"place": place(), "": wanted([]), ",".join(extras): wanted(extras)}), encoding="utf-8")
    fresh.replace(STAMP)


def make_venv() -> None:
    """Make an empty virtual environment in place of whatever is there."""
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(how_to_get_venv())
    shutil.rmtree(VENV, ignore_errors=True)
    # Not sys.executable: that may be the .venv that has just been removed.
    subprocess.run([getattr(sys, "_base_executable", sys.executable), "-m", "venv", VENV], check=True)


def how_to_get_venv() -> str:
    """What to do when this Python can not make virtual environments, as Debian's can not by itself."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"Python {version} ({sys.executable}) lacks the part that makes virtual environments (ensurepip)."]
    if Path("/etc/debian_version").exists():
        sudo = "" if os.geteuid() == 0 else "sudo "
        lines += ["Install it, then try again:", "", f"    {sudo}apt install python{version}-venv", ""]
    else:
        lines += [f"Install your system's package for venv or ensurepip of Python {version}, then try again."]
    return "\n".join(lines)


def pip_install(extras: list[str]) -> None:
    """Install what is required, in the frozen versions."""
    print("Installing the libraries into .venv; this takes about a minute, and only this time.", file=sys.stderr)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if code := subprocess.call([*pip, "--constraint", CONSTRAINTS, *requirements(extras)]):
        print("The installation is not complete; the next run starts it anew.", file=sys.stderr)
        sys.exit(code)


def link_checkout() -> None:
    """Make the checkout importable in .venv, and put a `mcpweb` command there that runs it."""
    for packages in VENV.glob("lib/python*/site-packages"):
        (packages / "mcpweb-checkout.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    command = VENV / "bin" / "mcpweb"
    # -P: a folder named mcpweb where the command is called is not the program.
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -P -m mcpweb "$@"\n', encoding="utf-8")
    command.chmod(0o755)


def freeze() -> int:
    """Write constraints.txt: the newest versions inside the ranges, as resolved for the oldest Python supported."""
    if sys.version_info[:2] != (3, 11):
        print(
            "Better call this with Python 3.11: a newer one may choose versions that 3.11 can not use.", file=sys.stderr
        )
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = subprocess.run([*pip, *requirements(["test"])], check=True, stdout=subprocess.PIPE).stdout
    found = [item["metadata"] for item in json.loads(report)["install"]]
    pins = sorted(f"{re.sub('[-_.]+', '-', one['name']).lower()}=={one['version']}" for one in found)
    header = "# The versions that ./run and ./test install. Written by: python3.11 bootstrap.py freeze\n"
    CONSTRAINTS.write_text(header + "\n".join(pins) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
