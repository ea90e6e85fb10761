"""What a provider does beyond its document: where the token stands, how it refuses, what it echoes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tests.specs.document import Problem
from tests.specs.exchange import Answer, Seen
from tests.specs.figma import Figma
from tests.specs.github import GitHub


class Provider(Protocol):
    """The part of the spec server that is different for each provider."""

    def token(self, headers: Mapping[str, str]) -> str | None:
        """The credential of a request, None when there is none."""

    def unauthenticated(self) -> Answer:
        """The answer to a request without a token."""

    def refusal(self, behaviour: str, seen: Seen) -> Answer | None:
        """How a token of this behaviour is refused here; None when it is let through."""

    def not_found(self, seen: Seen) -> Answer:
        """The answer for what does not exist."""

    def invalid(self, problems: list[Problem], seen: Seen) -> Answer:
        """The answer to a request that the document does not allow."""

    def example_name(self, seen: Seen, names: list[str]) -> str:
        """Which of the documented examples fits this request."""

    def adjust(self, body: Any, seen: Seen) -> Any:
        """A copy of the example, made to fit the request."""

    def finish(self, answer: Answer, seen: Seen, behaviour: str, base_url: str) -> Answer:
        """The answer with the headers that the provider always sends."""


PROVIDERS: dict[str, Provider] = {"github": GitHub(), "figma": Figma()}
