"""What the person in front of the terminal gets to see."""

import re
import sys
from contextlib import suppress
from typing import TextIO

_notable = re.compile(
    r"\b(WARNING|ERROR|CRITICAL|FATAL)\b"
    r'|"level": ?"(warning|error|critical)"'
    r"|^Traceback "
    r"|^\d+:\w \d+ \w+ \d+ [\d:.]+ # "  # Redis marks warnings with a hash sign
)
# Redis marks these as warnings too. The first comes at every start on most machines, and matters to servers with much
# more data than our queues; the others come at every end.
_noise = re.compile(r"overcommit|User requested shutdown|bye bye")


class LogFilter:
    """Picks the lines of one program's log that a person should see: warnings, errors and whole tracebacks."""

    def __init__(self) -> None:
        self._in_traceback = False

    def is_notable(self, line: str) -> bool:
        """Whether to show this line; to be asked about every line in turn."""
        if self._in_traceback:
            # The first line that is not indented names the error; it is the last one.
            self._in_traceback = line.startswith((" ", "\t")) or not line
            return True
        self._in_traceback = line.startswith("Traceback ")
        return bool(_notable.search(line)) and not _noise.search(line)


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
