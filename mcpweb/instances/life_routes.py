"""What an owner changes on an instance: each route finds it through its owner, calls one function, and goes back."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.catalog import checking
from mcpweb.catalog.checking import CheckRefused
from mcpweb.catalog.registry import Service
from mcpweb.crypto import KeyUnusable
from mcpweb.errors import AppError, Conflict, InvalidInput, NotFound
from mcpweb.extensions import limiter
from mcpweb.instances import lifecycle, pages, queries, rekeying, routes, tokens
from mcpweb.instances.forms import CredentialForm, LifetimeForm, NameForm
from mcpweb.instances.house import house
from mcpweb.instances.life_forms import DeleteForm, OverlapForm, ToolsForm
from mcpweb.instances.models import Instance
from mcpweb.instances.reveal import keep_for_once
from mcpweb.logs import events

bp = Blueprint("life", __name__, url_prefix="/instances/<uuid:instance_id>")

_CHECKS = "10 per minute"


@bp.errorhandler(Conflict)
@bp.errorhandler(InvalidInput)
def refused(error: AppError) -> ResponseReturnValue:
    """A change that can not be made is said on the instance's page, where the owner can do something else."""
    flash(error.sentence, "error")
    return routes.page((request.view_args or {})["instance_id"]), int(error.status)


@bp.post("/deactivate")
def deactivate(instance_id: UUID) -> ResponseReturnValue:
    """Switch off."""
    instance = _mine(instance_id)
    lifecycle.deactivate(instance, current_user.email)
    return _back(instance, f"{instance.label} is switched off. Calls are refused from now on.")


@bp.post("/activate")
def activate(instance_id: UUID) -> ResponseReturnValue:
    """Switch on."""
    instance = _mine(instance_id)
    lifecycle.activate(instance, current_user.email)
    return _back(instance, f"{instance.label} is switched on.")


@bp.post("/renew")
def renew(instance_id: UUID) -> ResponseReturnValue:
    """Bring an ended instance back."""
    instance = _mine(instance_id)
    form = LifetimeForm().limited(routes.longest_days())
    if not form.validate_on_submit():
        return _retry(instance, form)
    lifecycle.renew(instance, form.expires_at, _longest(), current_user.email)
    return _back(instance, f"{instance.label} is renewed until {instance.expires_at:%d %B %Y}.")


@bp.route("/extend", methods=["GET", "POST"])
def extend(instance_id: UUID) -> ResponseReturnValue:
    """Move the end away. The page is where reminders lead; what has ended meanwhile is renewed there."""
    instance = _mine(instance_id)
    if request.method != "POST":
        page = pages.extend_page(instance, house().registry, clock.utcnow(), routes.longest_days())
        return render_template("instances/extend.html", **page, nav="instances")
    form = LifetimeForm().limited(routes.longest_days())
    if not form.validate_on_submit():
        return _retry(instance, form)
    lifecycle.extend(instance, form.expires_at, _longest(), current_user.email)
    return _back(instance, f"{instance.label} now works until {instance.expires_at:%d %B %Y}.")


@bp.post("/rename")
def rename(instance_id: UUID) -> ResponseReturnValue:
    """Give it another name."""
    instance, form = _mine(instance_id), NameForm()
    if not form.validate_on_submit():
        return _retry(instance, form)
    lifecycle.rename(instance, str(form.label.data), current_user.email)
    return _back(instance, f"It is called {instance.label} now.")


@bp.route("/tools", methods=["GET", "POST"])
def tools(instance_id: UUID) -> ResponseReturnValue:
    """Choose what clients see and may call."""
    instance = _mine(instance_id)
    service = _service(instance)
    form = ToolsForm.of(instance, service)
    if not form.validate_on_submit():
        html = render_template("instances/tools.html", **pages.tools_page(instance, service, form), nav="instances")
        return html, 422 if form.is_submitted() else 200
    lifecycle.choose_tools(instance, form.chosen(service), current_user.email)
    return _back(instance, "The choice of tools is saved.")


@bp.post("/tokens")
def add_token(instance_id: UUID) -> ResponseReturnValue:
    """A further token, shown once."""
    instance, form = _mine(instance_id), NameForm()
    if not form.validate_on_submit():
        return _retry(instance, form)
    token = tokens.add(instance, str(form.label.data), current_user.email)
    return _back(instance, "The token is made.", token)


@bp.post("/tokens/<int(max=2147483647):token_id>/revoke")
def revoke_token(instance_id: UUID, token_id: int) -> ResponseReturnValue:
    """End a token at once."""
    instance = _mine(instance_id)
    tokens.revoke(instance, token_id, current_user.email)
    return _back(instance, "The token is revoked. Clients that use it are refused from now on.")


@bp.post("/tokens/<int(max=2147483647):token_id>/rotate")
def rotate_token(instance_id: UUID, token_id: int) -> ResponseReturnValue:
    """Replace a token."""
    instance, form = _mine(instance_id), OverlapForm()
    if not form.validate_on_submit():
        return _retry(instance, form)
    token = tokens.rotate(instance, token_id, tokens.OVERLAPS[form.overlap.data], current_user.email)
    return _back(instance, "The token is replaced.", token)


@bp.route("/credential", methods=["GET", "POST"])
@limiter.limit(_CHECKS, methods=["POST"], key_func=lambda: f"user {current_user.id}")
def credential(instance_id: UUID) -> ResponseReturnValue:
    """Replace the key: format, live check, and only then stored."""
    instance = _mine(instance_id)
    service = _service(instance)
    form = CredentialForm.drawn_from(service.manifest)
    refusal = None
    if form.validate_on_submit():
        try:
            checked = checking.check(service, form.credential, house().client)
        except CheckRefused as refused:
            events.security("credential checked", service=service.name, outcome=refused.kind, level="warning")
            refusal = refused
        else:
            other = rekeying.replace(instance, form.credential, checked, current_user.email)
            whose = f" It belongs to another account now: {checked.account}." if other else ""
            return _back(instance, f"The new key works and is in use.{whose}")
    html = render_template(
        "instances/credential.html", **pages.key_page(instance, service, form, refusal), nav="instances"
    )
    return html, 422 if form.is_submitted() else 200


@bp.post("/credential/check")
@limiter.limit(_CHECKS, key_func=lambda: f"user {current_user.id}")
def check_credential(instance_id: UUID) -> ResponseReturnValue:
    """Try the present key again."""
    instance = _mine(instance_id)
    try:
        checked = rekeying.check_again(instance, _service(instance), current_user.email)
    except (CheckRefused, KeyUnusable) as refused:
        flash(refused.sentence, "error")
        return redirect(url_for("instances.show", instance_id=instance.id), code=303)
    return _back(instance, f"The key works. It belongs to {checked.account or 'an account that is not told'}.")


@bp.route("/delete", methods=["GET", "POST"])
def delete(instance_id: UUID) -> ResponseReturnValue:
    """Ask for the name, then delete."""
    instance = _mine(instance_id)
    form = DeleteForm.of(instance)
    if not form.validate_on_submit():
        page = pages.summary(instance, house().registry, clock.utcnow())
        html = render_template("instances/delete.html", instance=page, form=form, nav="instances")
        return html, 422 if form.is_submitted() else 200
    gone = lifecycle.remove(instance, current_user.email)
    flash(
        f"{gone['label']} was deleted on {clock.utcnow():%d %B %Y, %H:%M} UTC, with its key and its tokens.", "success"
    )
    return redirect(url_for("instances.index"), code=303)


def _mine(instance_id: UUID) -> Instance:
    return queries.get_owned(instance_id, current_user)


def _longest() -> timedelta:
    return timedelta(days=routes.longest_days())


def _service(instance: Instance) -> Service:
    service = house().registry.services.get(instance.service_name)
    if service is None:
        raise NotFound("The service of this instance is not available at the moment.")
    return service


def _back(instance: Instance, said: str, token: str = "") -> ResponseReturnValue:
    if token:
        keep_for_once(session, instance.id, {"token": token, "check": None}, house().keyring)
    flash(said, "success")
    return redirect(url_for("instances.show", instance_id=instance.id), code=303)


def _retry(instance: Instance, form: NameForm | LifetimeForm | OverlapForm) -> ResponseReturnValue:
    for sentences in form.errors.values():
        flash(" ".join(map(str, sentences)), "error")
    return routes.page(instance.id), 422
