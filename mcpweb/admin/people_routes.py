"""Users: who there is, what they may do, and shutting them out. No secret of theirs is on any page."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.accounts import administration, directory
from mcpweb.accounts.directory import UserFilter
from mcpweb.accounts.forms import EmailForm
from mcpweb.accounts.models import Role, User
from mcpweb.admin import people_pages
from mcpweb.admin.people_forms import LeaverForm
from mcpweb.errors import Conflict, InvalidInput
from mcpweb.extensions import limiter
from mcpweb.instances import owners
from mcpweb.web.current import idle_span

bp = Blueprint("admin_people", __name__, url_prefix="/admin/users")

_MAILS = "30 per hour"
"""How many mails one administrator has sent from here at most: whoever has taken over an account may not spam."""


@bp.errorhandler(Conflict)
def refused(error: Conflict) -> ResponseReturnValue:
    """A change that can not be made is said on the page of the user, or on the list."""
    flash(error.sentence, "error")
    user_id = (request.view_args or {}).get("user_id")
    return (_page(directory.get(user_id)) if user_id else _list()), int(error.status)


@bp.get("")
def index() -> ResponseReturnValue:
    """Who has an account."""
    return _list()


@bp.post("/invite")
@limiter.limit(_MAILS, key_func=lambda: f"mails of user {current_user.id}")
def invite() -> ResponseReturnValue:
    """Make an account for somebody, and mail them a link."""
    form = EmailForm()
    if not form.validate_on_submit():
        return _list(form), 422
    user = administration.invite(str(form.email.data), current_user)
    return _back(user, f"{user.email} has an account now, and a sign-in link is on its way.")


@bp.get("/<int(max=2147483647):user_id>")
def show(user_id: int) -> ResponseReturnValue:
    """One user."""
    return _page(directory.get(user_id))


@bp.post("/<int(max=2147483647):user_id>/role")
def role(user_id: int) -> ResponseReturnValue:
    """Make them an administrator, or no longer one."""
    user, wanted = directory.get(user_id), request.form.get("role", "")
    if wanted not in tuple(Role):
        raise InvalidInput("There is no such role.")
    administration.set_role(user, Role(wanted), current_user)
    is_now = "an administrator now" if user.is_admin else "no administrator any more"
    return _back(user, f"{user.email} is {is_now}.")


@bp.post("/<int(max=2147483647):user_id>/disable")
def disable(user_id: int) -> ResponseReturnValue:
    """Shut them out."""
    user = directory.get(user_id)
    owners.disable(user, current_user)
    return _back(user, f"{user.email} is disabled, signed out everywhere, and their endpoints refuse every call.")


@bp.post("/<int(max=2147483647):user_id>/enable")
def enable(user_id: int) -> ResponseReturnValue:
    """Let them in again."""
    user = directory.get(user_id)
    administration.enable(user, current_user)
    return _back(user, f"{user.email} is enabled. They can sign in, and their endpoints answer again.")


@bp.post("/<int(max=2147483647):user_id>/sign-out")
def sign_out(user_id: int) -> ResponseReturnValue:
    """End their sessions."""
    user = directory.get(user_id)
    administration.sign_out(user, current_user)
    return _back(user, f"{user.email} is signed out everywhere.")


@bp.post("/<int(max=2147483647):user_id>/link")
@limiter.limit(_MAILS, key_func=lambda: f"mails of user {current_user.id}")
def send_link(user_id: int) -> ResponseReturnValue:
    """Mail them a link."""
    user = directory.get(user_id)
    administration.send_link(user, current_user)
    return _back(user, f"A sign-in link for {user.email} is on its way.")


@bp.route("/<int(max=2147483647):user_id>/delete-instances", methods=["GET", "POST"])
def delete_instances(user_id: int) -> ResponseReturnValue:
    """Ask for the address, then delete what a disabled user connected."""
    user = directory.get(user_id)
    form = LeaverForm.of(user)
    if user.is_enabled or not form.validate_on_submit():
        html = render_template("admin/user_leaver.html", form=form, **_shown(user))
        return html, 422 if form.is_submitted() else 200
    gone = owners.remove_all(user, current_user)
    return _back(user, f"Everything that {user.email} connected is deleted ({gone}), with its keys and tokens.")


def _back(user: User, said: str) -> ResponseReturnValue:
    flash(said, "success")
    return redirect(url_for(".show", user_id=user.id), code=303)


def _list(form: EmailForm | None = None) -> str:
    shown = people_pages.users(UserFilter.of(request.args))
    form = form or EmailForm(formdata=None)
    return render_template("admin/users.html", form=form, **shown, nav="admin", section="users")


def _page(user: User) -> str:
    return render_template("admin/user.html", **_shown(user))


def _shown(user: User) -> dict[str, object]:
    shown = people_pages.user(user, current_user, idle_span(), clock.utcnow())
    return {**shown, "nav": "admin", "section": "users"}
