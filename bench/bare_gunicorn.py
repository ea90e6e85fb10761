"""gunicorn's settings for the applications that mcpweb is compared with: the same ones, without mcpweb's own hooks."""

import runpy
from pathlib import Path

_OURS = ("on_starting", "post_worker_init", "worker_exit", "child_exit", "on_exit")

globals().update(
    {
        name: value
        for name, value in runpy.run_path(str(Path(__file__).parents[1] / "deploy" / "gunicorn.conf.py")).items()
        if not name.startswith("_") and name not in _OURS
    }
)
