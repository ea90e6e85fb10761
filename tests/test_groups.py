"""What shares a port, a browser or an installation runs in one process: the groups of pytest-xdist hold."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("nothing else")
def test_a_group_is_known_to_whoever_deals_out_the_tests(request):
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@nothing else")
