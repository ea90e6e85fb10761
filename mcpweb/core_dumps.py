"""No process that dies leaves its memory, with keys and credentials in it, in a file."""

import resource


def forbid() -> None:
    """For this process and all that it starts, for good."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
