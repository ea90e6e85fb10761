"""The RQ worker: `python worker.py`, the same as `mcpweb worker`."""

import sys

from mcpweb.cli import cli

if __name__ == "__main__":
    cli(["worker", *sys.argv[1:]])
