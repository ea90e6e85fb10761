"""Pages of signing in and of the account."""

from __future__ import annotations

import secrets

from flask import Blueprint, flash, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from mcpweb import clock
from mcpweb.accounts import links, mails, sessions, sign_in
from mcpweb.accounts.forms import CodeForm, EmailForm
from mcpweb.accounts.links import LinkRefused, Links
from mcpweb.accounts.models import Purpose, User, UserToken
from mcpweb.crypto import hash_secret
from mcpweb.extensions import limiter
from mcpweb.logs import events
from mcpweb.web import agents, time_zone
from mcpweb.web.current import idle_span, settings
from mcpweb.web.guard import public
from mcpweb.web.local_paths import local_path

bp = Blueprint("accounts", __name__)

_TRIES = "30 per minute"
_MAILS_IN_ALL = "1000 per hour"
"""What one installation mails at most, whoever asks from wherever."""


@bp.get("/sign-in")
@public
def ask() -> ResponseReturnValue:
    """The form that asks for an address."""
    if current_user.is_authenticated:
        return redirect(local_path(request.args.get("next", "")), code=303)
    form = EmailForm(data={"next": local_path(request.args.get("next", ""))})
    return render_template("sign_in/ask.html", form=form, is_late=mails.server_is_away())


@bp.post("/sign-in")
@public
@limiter.limit(_TRIES)
@limiter.limit(_MAILS_IN_ALL, key_func=lambda: "everybody")
def send() -> ResponseReturnValue:
    """Ask for a link; the answer is the same for every address."""
    form = EmailForm()
    if not form.validate_on_submit():
        return render_template("sign_in/ask.html", form=form), 422
    email = str(form.email.data)
    browser = session.setdefault("browser", secrets.token_urlsafe(32))
    session["asked"] = email
    sign_in.ask(
        email,
        browser=browser,
        next_path=local_path(form.next.data or ""),
        ip=request.remote_addr or "",
        agent=request.user_agent.string,
    )
    return redirect(url_for(".sent"), code=303)


@bp.get("/sign-in/sent")
@public
def sent() -> ResponseReturnValue:
    """Waits for the link to be used, and takes the code."""
    return _sent_page(CodeForm())


@bp.post("/sign-in/code")
@public
@limiter.limit(_TRIES)
def code() -> ResponseReturnValue:
    """Sign in with the typed code, in the browser that asked."""
    form = CodeForm()
    if not form.validate_on_submit():
        return _sent_page(form, 422)
    try:
        token = links.use_code(session.get("browser", ""), str(form.code.data), Links.of(settings()))
    except LinkRefused as refused:
        _note(refused)
        if refused.reason != "wrong-code":
            return _refused(refused)
        form.code.errors = ["This is not the code of the newest mail."]
        return _sent_page(form, 422)
    return _enter(token)


@bp.get("/sign-in/<token>")
@public
def look(token: str) -> ResponseReturnValue:
    """Show what a link would do. Opening it uses nothing up: mail scanners open links too."""
    try:
        row = links.look_up(token, Links.of(settings()))
    except LinkRefused as refused:
        if current_user.is_authenticated and refused.reason == "used":
            return redirect("/", code=303)
        _note(refused)
        return _refused(refused)
    page = render_template("sign_in/setup.html", form=EmailForm()) if row.purpose == Purpose.SET_UP else None
    response = make_response(page or _confirm_page(row, token))
    # The address holds the link's secret: what the page loads learns no more than our origin of it.
    response.headers["Referrer-Policy"] = "strict-origin"
    return response


@bp.post("/sign-in/<token>")
@public
@limiter.limit(_TRIES)
def use(token: str) -> ResponseReturnValue:
    """Use a link up and sign in."""
    try:
        row = links.look_up(token, Links.of(settings()))
    except LinkRefused as refused:
        _note(refused)
        return _refused(refused)
    if row.purpose != Purpose.SET_UP:
        return _enter(row)
    form = EmailForm()
    if not form.validate_on_submit():
        return render_template("sign_in/setup.html", form=form), 422
    return _enter(row, str(form.email.data))


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this session, on the server first."""
    sessions.end_by_key(current_user.session_key)
    logout_user()
    session.clear()
    response = redirect(url_for(".ask"), code=303)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@bp.get("/account")
def account() -> ResponseReturnValue:
    """Who I am here, and where I am signed in."""
    mine = hash_secret(current_user.session_key)
    rows = [
        {
            "id": row.id,
            "agent_label": agents.label(row.agent),
            "ip": row.ip,
            "created_at": row.created_at,
            "last_seen_at": row.last_seen_at,
            "is_current": row.id_hash == mine,
        }
        for row in sessions.alive(current_user, idle_span())
    ]
    return render_template(
        "account.html", user=current_user, sessions=rows, zones=time_zone.regions(), now=clock.utcnow(), nav="account"
    )


@bp.post("/account/sessions/<int(max=2147483647):session_id>/revoke")
def revoke_session(session_id: int) -> ResponseReturnValue:
    """End one of my sessions."""
    sessions.end(current_user, session_id)
    flash("The session has ended.", "success")
    return redirect(url_for(".account"), code=303)


@bp.post("/account/sessions/revoke-all")
def revoke_all_sessions() -> ResponseReturnValue:
    """Sign out everywhere, here too."""
    sessions.end_all(current_user)
    session.clear()
    flash("You are signed out everywhere.", "success")
    return redirect(url_for(".ask"), code=303)


def _enter(token: UserToken, email: str = "") -> ResponseReturnValue:
    # Noted before: of one who signs in again, the object is the same, and then carries the new session's key.
    before = current_user.session_key if current_user.is_authenticated else ""
    try:
        user = sign_in.use(
            token, email=email, ip=request.remote_addr or "", agent=request.user_agent.string, settings=settings()
        )
    except LinkRefused as refused:
        _note(refused)
        return _refused(refused)
    if before:
        sessions.end_by_key(before)
    session.clear()  # a new session id and a new form token: nothing set before signing in lives on
    session.permanent = True
    login_user(user)
    flash(f"You are signed in as {user.email}.", "success")
    return redirect(local_path(token.next_path), code=303)


def _confirm_page(row: UserToken, token: str) -> str:
    browser = session.get("browser")
    other = current_user.email if current_user.is_authenticated and current_user.email != row.email else None
    return render_template(
        "sign_in/confirm.html",
        email=row.email,
        same_browser=browser is not None and row.browser_hash == hash_secret(browser),
        is_invitation=row.purpose == Purpose.INVITE,
        asked_from={"ip": row.requested_ip, "agent": agents.label(row.requested_agent), "at": row.created_at},
        signed_in_as=other,
        token=token,
    )


def _sent_page(form: CodeForm, status: int = 200) -> ResponseReturnValue:
    email, browser = session.get("asked"), session.get("browser")
    if not email or not browser:
        return redirect(url_for(".ask"), code=303)
    row = links.of_browser(browser)
    # An address beyond its limits has no row, and must look like any other.
    expires_at = row.expires_at if row else links.latest_end()
    html = render_template(
        "sign_in/sent.html",
        email=email,
        expires_at=expires_at,
        form=form,
        again_form=EmailForm(formdata=None, data={"email": email, "next": row.next_path if row else ""}),
        state=links.state_of(row),
        is_late=mails.server_is_away(),
        waiting_url=url_for(".sent"),
    )
    return html, status


def _refused(refused: LinkRefused) -> ResponseReturnValue:
    form = EmailForm(formdata=None, data={"email": refused.email})
    return render_template("sign_in/refused.html", reason=refused.reason, form=form), 410


def _note(refused: LinkRefused) -> None:
    events.security("sign-in refused", level="warning", reason=refused.reason, email=refused.email)


def load_user(raw: str) -> User | None:
    """What Flask-Login asks on every request with a cookie."""
    return sessions.load(raw, idle_span())
