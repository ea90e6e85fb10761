"""The tokens of an instance: further ones, each with a name; revoked, or replaced with an overlap."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, update

from mcpweb.crypto import hash_secret, mint_token
from mcpweb.database import db, now
from mcpweb.errors import Conflict, NotFound
from mcpweb.instances.lifecycle import changing, record
from mcpweb.instances.models import Instance, InstanceToken

MOST = 20
OVERLAPS = {"now": timedelta(0), "1 hour": timedelta(hours=1), "24 hours": timedelta(hours=24)}
"""How long a replaced token goes on working, by the word in the form."""


def new_token(name: str, moment: datetime) -> tuple[InstanceToken, str]:
    """A fresh token: the row that keeps its hash, and the text that is shown once."""
    token = mint_token()
    return InstanceToken(name=name, token_hash=hash_secret(token), last_four=token[-4:], created_at=moment), token


def add(instance: Instance, name: str, actor: str) -> str:
    """A further token; returns its text, which is shown once.

    Raises:
        Conflict: the instance has as many as one may have.
    """
    with changing(instance):
        _check_room(instance)
        token = _insert(instance, name)
        record("token.create", instance, actor, name=name, last_four=token[-4:])
    return token


def revoke(instance: Instance, token_id: int, actor: str) -> None:
    """End a token at once.

    Raises:
        NotFound: the instance has no such token, or it has ended already.
    """
    with changing(instance):
        _end(instance, token_id, timedelta(0))
        record("token.revoke", instance, actor, token=token_id)


def rotate(instance: Instance, token_id: int, overlap: timedelta, actor: str) -> str:
    """Replace a token: the new one works at once, the old one for the overlap; returns the new one's text.

    Raises:
        NotFound: the instance has no such token, or it has ended already.
        Conflict: with an overlap, the instance would have more tokens than one may have.
    """
    with changing(instance):
        if overlap:
            _check_room(instance)
        name = _end(instance, token_id, overlap)
        token = _insert(instance, name)
        record("token.rotate", instance, actor, token=token_id, overlap_s=int(overlap.total_seconds()), name=name)
    return token


def valid(instance: Instance) -> list[InstanceToken]:
    """The tokens that open the endpoint at the moment."""
    moment = now()
    return [
        row for row in instance.tokens if row.revoked_at is None and (row.expires_at is None or row.expires_at > moment)
    ]


def _check_room(instance: Instance) -> None:
    db.session.expire(instance, ["tokens"])
    if len(valid(instance)) >= MOST:
        raise Conflict(f"An instance has at most {MOST} tokens. Revoke one first.")


def _insert(instance: Instance, name: str) -> str:
    row, token = new_token(name, now())
    row.instance_id = instance.id
    db.session.add(row)
    db.session.expire(instance, ["tokens"])
    return token


def _end(instance: Instance, token_id: int, overlap: timedelta) -> str:
    """Claim a token that is still valid, and end it now or after the overlap; returns its name."""
    moment = now()
    ended = {"expires_at": moment + overlap} if overlap else {"revoked_at": moment}
    name = db.session.execute(
        update(InstanceToken)
        .where(
            InstanceToken.id == token_id,
            InstanceToken.instance_id == instance.id,
            InstanceToken.revoked_at.is_(None),
            or_(InstanceToken.expires_at.is_(None), InstanceToken.expires_at > moment + overlap),
        )
        .values(**ended)
        .returning(InstanceToken.name)
    ).scalar_one_or_none()
    if name is None:
        raise NotFound("There is no such token, or it has ended already.")
    return name
