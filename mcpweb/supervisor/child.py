"""A child process that leads its own group, dies with its parent, and whose output is read without threads."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mcpweb.lifeline import die_with_parent

CHUNK = 65536
LINE_LIMIT = 16384


class LinePipe:
    """The reading end of a pipe, which hands over whole lines and never blocks."""

    def __init__(self, descriptor: int, sink: Callable[[str], None]):
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._sink = sink
        self._rest = b""

    def pump(self) -> bool:
        """Pass on what has arrived. False once the other end is closed."""
        while True:
            try:
                chunk = os.read(self.descriptor, CHUNK)
            except BlockingIOError:
                return True
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            if self._rest and (not chunk or len(self._rest) > LINE_LIMIT):
                lines.append(self._rest)
                self._rest = b""
            for line in lines:
                self._sink(printable(line))
            if not chunk:
                return False


def printable(line: bytes) -> str:
    """The text of a log line without anything that a terminal would obey."""
    text = line[:LINE_LIMIT].decode("utf-8", "replace")
    return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


class Child:
    """A running program, the leader of a process group of its own.

    Each line of its output goes to `log`; with `answer`, standard output goes there instead.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        log: Callable[[str], None],
        answer: Callable[[str], None] | None = None,
    ):
        parent = os.getpid()
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if answer else subprocess.STDOUT,
            process_group=0,
            # Sound here: the supervisor has no second thread that could hold a lock while this one forks.
            preexec_fn=lambda: die_with_parent(parent),
        )
        outputs = [(self._process.stdout, answer or log), (self._process.stderr, log)]
        self.pipes = [LinePipe(file.fileno(), sink) for file, sink in outputs if file]

    @property
    def pid(self) -> int:
        """Process number, which is also the number of its group."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs. What it leaves behind in its group is killed."""
        code = self._process.poll()
        if code is not None:
            self.kill()
        return code

    def terminate(self) -> None:
        """Ask it to end in its own way."""
        self._process.terminate()

    def kill(self) -> None:
        """End it and its whole group at once."""
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS has the second word for that
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Pass on its last lines and give up its pipes; for a child that has ended."""
        for pipe in self.pipes:
            pipe.pump()
        for file in (self._process.stdout, self._process.stderr):
            if file:
                file.close()
