"""All instances: whose they are, how they are, and switching one off with a reason."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import people_pages
from mcpweb.admin.people_forms import ReasonForm
from mcpweb.instances import lifecycle, oversight
from mcpweb.instances.models import Instance
from mcpweb.instances.oversight import InstanceFilter

bp = Blueprint("admin_instances", __name__, url_prefix="/admin/instances")


@bp.get("")
def index() -> ResponseReturnValue:
    """Everybody's instances."""
    shown = people_pages.instances(InstanceFilter.of(request.args), clock.utcnow())
    return render_template("admin/instances.html", **shown, nav="admin", section="users")


@bp.get("/<uuid:instance_id>")
def show(instance_id: UUID) -> ResponseReturnValue:
    """One instance, as far as it is an administrator's business."""
    return _page(oversight.get(instance_id), ReasonForm(formdata=None))


@bp.post("/<uuid:instance_id>/stop")
def stop(instance_id: UUID) -> ResponseReturnValue:
    """Switch it off; its owner is told why."""
    instance, form = oversight.get(instance_id), ReasonForm()
    if not form.validate_on_submit():
        return _page(instance, form), 422
    lifecycle.stop(instance, str(form.reason.data), current_user.email)
    return _back(instance, f"{instance.label} is switched off. Its owner reads the reason on its page.")


@bp.post("/<uuid:instance_id>/lift")
def lift(instance_id: UUID) -> ResponseReturnValue:
    """Let its owner switch it on again."""
    instance = oversight.get(instance_id)
    lifecycle.lift(instance, current_user.email)
    return _back(instance, f"The owner of {instance.label} can switch it on again.")


def _back(instance: Instance, said: str) -> ResponseReturnValue:
    flash(said, "success")
    return redirect(url_for(".show", instance_id=instance.id), code=303)


def _page(instance: Instance, form: ReasonForm) -> str:
    shown = people_pages.instance(instance, clock.utcnow())
    return render_template(
        "admin/instance.html", instance=shown, owner=instance.owner, form=form, nav="admin", section="users"
    )
