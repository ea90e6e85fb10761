"""The endpoint while the database has another revision than this program: every call is told to come again."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from uuid import UUID

from mcpweb.gateway import answers
from mcpweb.gateway.doors import Endpoint, Environ, StartResponse
from mcpweb.gateway.entrance import drain
from mcpweb.jsonrpc import INTERNAL_ERROR, RpcError
from mcpweb.revision import SENTENCE, RevisionWatch


class OnRightRevision:
    """Lets calls through to the endpoint as long as the revision is the right one."""

    def __init__(self, endpoint: Endpoint, revision: RevisionWatch) -> None:
        self._endpoint, self._revision = endpoint, revision

    def __call__(
        self, environ: Environ, start_response: StartResponse, instance_id: UUID | None, service: str | None
    ) -> Iterable[bytes]:
        """Answer one HTTP request, as the endpoint does."""
        if self._revision.is_right:
            return self._endpoint(environ, start_response, instance_id, service)
        drain(environ)
        failure = RpcError(INTERNAL_ERROR, f"{SENTENCE} Try again.", status=HTTPStatus.SERVICE_UNAVAILABLE)
        answer = answers.failure(failure)
        start_response(answers.STATUS_LINES[answer.status], answer.headers)
        return answer.body if environ["REQUEST_METHOD"] != "HEAD" else ()
