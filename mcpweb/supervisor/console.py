"""What the person in front of the terminal gets to see."""

import re
import sys
from contextlib import suppress
from typing import TextIO

_informational = re.compile(
    r"\b(INFO|DEBUG)\b"
    r"|^\d+:\w \d+ \w+ \d+ [\d:.]+ [*.-] "  # Redis marks its levels; the missing one, #, is a warning
    r"|^\d+:signal-handler "
    r"|\] (LOG|ERROR|HINT|DETAIL|STATEMENT):  "  # PostgreSQL; whoever sent a wrong statement logs it
)
# Redis 7 and Valkey mark these as warnings, too. The last is said at every start on most machines, and matters to
# servers with much more data than our queues.
_noise = re.compile(
    r" # (oO0O|\w+ version=|Configuration loaded|Server initialized|User requested shutdown|\w+ is now ready to exit"
    r"|WARNING Memory overcommit)"
    r"|FATAL:  the database system is starting up$"
)


def is_notable(line: str) -> bool:
    """Whether a person should see this line. The programs log to files, so what they print is rarely good news."""
    return not (_informational.search(line) or _noise.search(line) or not line.strip())


def say(sentence: str) -> None:
    """Tell the person something that is not the result itself."""
    _print(f"mcpweb: {sentence}", sys.stderr)


def show_line(name: str, line: str) -> None:
    """Pass on a line of a program's log."""
    _print(f"{name:>7} | {line}", sys.stderr)


def show_block(text: str) -> None:
    """Print what the person was waiting for."""
    _print(text, sys.stdout)


def _print(text: str, stream: TextIO) -> None:
    # A terminal that was closed must not keep us from ending the children properly.
    with suppress(OSError):
        print(text, file=stream, flush=True)
