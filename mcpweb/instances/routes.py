"""Pages of services and instances."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, send_from_directory, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock, policies
from mcpweb.catalog import checking
from mcpweb.catalog.checking import Checked, CheckRefused
from mcpweb.catalog.registry import Service
from mcpweb.errors import NotFound
from mcpweb.extensions import limiter
from mcpweb.instances import creation, forms, pages, queries, usage
from mcpweb.instances.forms import ConnectForm, LifetimeForm, NameForm
from mcpweb.instances.house import house
from mcpweb.instances.life_forms import OverlapForm
from mcpweb.instances.models import Instance, Status
from mcpweb.instances.reveal import keep_for_once, take_once
from mcpweb.logs import events
from mcpweb.web.current import settings
from mcpweb.web.guard import public

bp = Blueprint("instances", __name__)


@bp.get("/services")
def catalogue() -> ResponseReturnValue:
    """What can be connected."""
    return render_template(
        "services/catalogue.html", services=_tiles(), mine=queries.count_by_service(current_user), nav="services"
    )


@bp.get("/services/<name>/logo.svg")
@public
def logo(name: str) -> ResponseReturnValue:
    """A service's logo."""
    service = _service(name)
    return send_from_directory(service.manifest.folder.resolve(), service.manifest.logo, max_age=3600)


@bp.get("/services/<name>/connect")
def connect_form(name: str) -> ResponseReturnValue:
    """The form that connects a service."""
    return _connect_page(_service(name, enabled=True))


@bp.post("/services/<name>/connect")
@limiter.limit("10 per minute", key_func=lambda: f"user {current_user.id}")
def connect(name: str) -> ResponseReturnValue:
    """Check the credential at the service, then open an instance."""
    service = _service(name, enabled=True)
    form = forms.for_service(service.manifest, longest_days())
    if not form.validate_on_submit():
        return _connect_page(service, form, status=422)
    key = UUID(form.creation_key.data)
    if creation.made_before(current_user, key):
        return _created(*creation.repeat(current_user, key), None)
    try:
        checked = checking.check(service, form.credential, house().client)
        events.security("credential checked", service=name, outcome="ok")
    except CheckRefused as refusal:
        events.security("credential checked", service=name, outcome=refusal.kind, level="warning")
        if refusal.kind != "unreachable" or "save_unverified" not in request.form:
            return _connect_page(service, form, refusal, status=422)
        checked = None
    wish = creation.Wish(str(form.label.data), form.credential, form.expires_at, key)
    made = creation.create(current_user, service, wish, checked, house().keyring, settings().instances_per_user)
    return _created(*made, checked)


@bp.get("/instances")
def index() -> ResponseReturnValue:
    """My instances."""
    now = clock.utcnow()
    # Without NUL, which PostgreSQL takes in no text, not even to look for it.
    filters = {name: request.args.get(name, "").replace("\0", "")[:80] for name in ("q", "service", "state")}
    if filters["state"] not in ("", *Status):
        filters["state"] = ""
    found = queries.list_owned(
        current_user, now, text=filters["q"], service=filters["service"], status=filters["state"]
    )
    calls = usage.sparkline([instance.id for instance in found])
    return render_template(
        "instances/list.html",
        instances=[
            pages.summary(instance, house().registry, now) | {"calls_by_hour": calls[instance.id]} for instance in found
        ],
        filters=filters,
        services=_tiles(),
        mine=queries.count_by_service(current_user),
        nav="instances",
    )


@bp.get("/instances/<uuid:instance_id>")
def show(instance_id: UUID) -> ResponseReturnValue:
    """One of my instances; a token only right after it was made."""
    return page(instance_id)


def page(instance_id: UUID) -> str:
    """The page of one of my instances; what has just been said by `flash` stands on it.

    Raises:
        NotFound: there is none, or it is not mine.
    """
    instance = queries.get_owned(instance_id, current_user)
    once = take_once(session, instance.id, house().keyring) or {} if request.method == "GET" else {}
    endpoint_url = f"{settings().url}/mcp/{instance.id}"
    shown = pages.detail(instance, house().registry, clock.utcnow(), endpoint_url, once.get("token"))
    return render_template(
        "instances/show.html", **shown, check=pages.check_result(once.get("check")), **_changes(), nav="instances"
    )


def longest_days() -> int:
    """Most days that an instance lives from now on."""
    return policies.value("instance_days_max", settings())


def _changes() -> dict[str, object]:
    """The forms on an instance's page."""
    return {
        "end_form": LifetimeForm().limited(longest_days()),
        "name_form": NameForm(formdata=None),
        "overlap_form": OverlapForm(formdata=None),
    }


def _created(instance: Instance, token: str, checked: Checked | None) -> ResponseReturnValue:
    check = checked and {
        "account": checked.account,
        "scopes_found": checked.scopes,
        "scopes_missing": checked.missing,
        "key_expires_at": checked.expires_at,
    }
    keep_for_once(session, instance.id, {"token": token, "check": check}, house().keyring)
    flash(f"{instance.label} is connected.", "success")
    return redirect(url_for(".show", instance_id=instance.id), code=303)


def _connect_page(
    service: Service, form: ConnectForm | None = None, refusal: CheckRefused | None = None, status: int = 200
) -> ResponseReturnValue:
    html = render_template(
        "services/connect.html",
        service=pages.service_tile(service, enabled=True),
        form=form or forms.for_service(service.manifest, longest_days()),
        max_days=longest_days(),
        refusal=refusal,
        nav="services",
    )
    return html, status


def _tiles() -> list[dict[str, object]]:
    enabled = queries.enabled_services()
    return [pages.service_tile(service, service.name in enabled) for service in house().registry.services.values()]


def _service(name: str, enabled: bool = False) -> Service:
    service = house().registry.services.get(name)
    if service is None or (enabled and name not in queries.enabled_services()):
        raise NotFound("There is no such service, or it can not be connected at the moment.")
    return service
