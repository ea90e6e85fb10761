"""Python imports this by itself in the programs of a host: several on one machine have a name of their own each."""

import os
import select
import socket
import time

import mcpweb

socket.gethostname = lambda: os.environ["HOST_NAME"]
mcpweb.__version__ = os.environ.get("HOST_VERSION", mcpweb.__version__)
if "FAKETIME" in os.environ:
    # libfaketime 0.9.10 breaks clock_nanosleep, which time.sleep calls, as soon as it leaves the monotonic clock alone.
    time.sleep = lambda seconds: select.select([], [], [], seconds)
