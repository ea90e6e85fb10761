"""Everything that the scenarios of the conformance suite want to find. The first tool must run without arguments."""

from .answering import *  # noqa: F403 - a service is what its tools module holds
from .asking import *  # noqa: F403
from .reading import *  # noqa: F403
