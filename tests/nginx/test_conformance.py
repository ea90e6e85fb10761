"""The official suite and the official client once more, through nginx: what collects, splits or drops shows here."""

import pytest

from tests.conformance.test_conformance import (  # noqa: F401 - the same tests, with the fixtures of this folder
    command,
    test_2025_11_25_lacks_only_what_needs_a_session,
    test_2026_07_28_passes_whole_with_what_is_pending,
)
from tests.conformance.test_official_client import (  # noqa: F401 - as above
    test_the_client_answers_the_questions_of_a_tool,
    test_the_client_hears_progress,
    test_the_client_lists_and_calls,
    test_the_client_reads_resources_prompts_and_proposals,
    test_the_client_repeats_an_argument_in_a_header,
)

pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("service ports")]
