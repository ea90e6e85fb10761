"""What can go wrong by design: each error carries a sentence for the person and an HTTP status."""

from __future__ import annotations

from http import HTTPStatus


class AppError(Exception):
    """An expected failure. Its text is shown to the user, so it never holds a secret."""

    status = HTTPStatus.BAD_REQUEST

    @property
    def sentence(self) -> str:
        """What to tell the person, ready to print."""
        return str(self)


class NotFound(AppError):
    """The thing does not exist, or belongs to somebody else: the two are not told apart."""

    status = HTTPStatus.NOT_FOUND


class Gone(AppError):
    """The thing existed, was the asker's own, and was deleted."""

    status = HTTPStatus.GONE


class Conflict(AppError):
    """The thing is not in a state that allows this change."""

    status = HTTPStatus.CONFLICT


class InvalidInput(AppError):
    """A value of a form or a request can not be taken as it is."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Unavailable(AppError):
    """Something that we need (database, Redis) does not answer at the moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
