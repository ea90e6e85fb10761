"""The sign-in mail, written by a job: the link exists in the mail only, and neither in Redis nor in the request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import or_, select, update

from mcpweb import mailer
from mcpweb.accounts import links, sign_in
from mcpweb.accounts.links import INVITE_LIFE, LINK_LIFE, Links
from mcpweb.accounts.models import Purpose, UserToken
from mcpweb.database import db, now, transaction
from mcpweb.logs import events
from mcpweb.queue import job, remember, remembers
from mcpweb.web import agents
from mcpweb.web.current import settings

log = logging.getLogger(__name__)


_TRIES = 4
_AWAY = "mail server away"


@job("sign_in_mail")
def sign_in_mail(token_id: int) -> None:
    """Mail the link and code of a pending request, if its address may sign in. A second run sends new ones.

    For an address that may not, the server is greeted all the same: else the waiting page, which tells everybody
    when the server is away, would tell who may sign in.

    Raises:
        MailRefused: the mail server did not take it; `sign_in_mails_left` tries again.
    """
    token = db.session.get(UserToken, token_id)
    if token is None or token.mailed_at is not None or not _claim_try(token_id):
        return
    if not sign_in.may_sign_in(token.email, settings()):
        _noting(mailer.greet)
        _is_done(token_id)
        events.security("sign-in mail not sent", email=token.email, reason="not allowed")
        return
    minted = links.mint(token_id, Links.of(settings()))
    if minted is None:
        return  # used, replaced or over: a dead link is never mailed
    _noting(lambda: _send(token, *minted))
    _is_done(token_id)
    events.security("sign-in mail sent", email=token.email, ip=token.requested_ip, agent=token.requested_agent)


def server_is_away() -> bool:
    """Whether the last sign-in mail, to whomever, found no mail server: true of everybody, and of no address."""
    return remembers(_AWAY)


def _noting(talk: Callable[[], None]) -> None:
    """Talk to the mail server, and let the pages of signing in know whether it was there."""
    try:
        talk()
    except mailer.MailRefused as refused:
        remember(_AWAY, int(LINK_LIFE.total_seconds()) if refused.is_away else 0)
        raise
    remember(_AWAY, 0)


def _is_done(token_id: int) -> None:
    """Nothing is left to mail."""
    with transaction():
        db.session.execute(update(UserToken).where(UserToken.id == token_id).values(mailed_at=now()))


def _send(token: UserToken, link: str, code: str) -> None:
    told: dict[str, object] = {"link": f"{settings().url}/sign-in/{link}", "product_url": settings().url}
    if token.purpose == Purpose.INVITE:
        mailer.send(token.email, "Your sign-in link for mcpweb", "invitation", hours=INVITE_LIFE.days * 24, **told)
        return
    asked_from = {"ip": token.requested_ip, "agent": agents.label(token.requested_agent)}
    minutes = LINK_LIFE.seconds // 60
    mailer.send(token.email, "Sign in to mcpweb", "sign_in", code=code, minutes=minutes, asked_from=asked_from, **told)


@job("sign_in_mails_left")
def sign_in_mails_left() -> None:
    """Every 30 seconds: send what a failed mail server, worker or Redis left behind, as long as its link lives."""
    moment = now()
    left = select(UserToken.id).where(
        # What was printed for somebody came from no address.
        or_(UserToken.purpose == Purpose.INVITE, UserToken.requested_ip != ""),
        UserToken.purpose != Purpose.SET_UP,
        UserToken.mailed_at.is_(None),
        UserToken.mail_tries < _TRIES,
        UserToken.created_at < moment - timedelta(seconds=20),
        *links.still_open(moment),
    )
    for token_id in list(db.session.scalars(left)):
        try:
            sign_in_mail(token_id)
        except mailer.MailRefused as refused:
            log.warning("a sign-in mail could not be sent", extra={"reason": str(refused)})


def _claim_try(token_id: int) -> bool:
    """Count a try, so that a mail server that hangs or refuses is not asked for ever."""
    with transaction():
        claimed = db.session.execute(
            update(UserToken)
            .where(UserToken.id == token_id, UserToken.mail_tries < _TRIES, UserToken.mailed_at.is_(None))
            .values(mail_tries=UserToken.mail_tries + 1)
        )
    return bool(claimed.rowcount)  # type: ignore[attr-defined]
