"""What administrators decide while everything runs: how long logs are kept, how long instances live, and the like."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mcpweb import clock
from mcpweb.admin import policy_decisions, policy_effects, policy_pages
from mcpweb.admin.policy_forms import PolicyForm
from mcpweb.web.current import settings

bp = Blueprint("admin_policies", __name__, url_prefix="/admin/maintenance/policies")


@bp.get("")
def index() -> ResponseReturnValue:
    """All policies, with what holds and who decided it."""
    return _page("admin/policies.html", **policy_pages.overview(settings()))


@bp.get("/<section>")
def form(section: str) -> ResponseReturnValue:
    """The policies of one section, to be changed."""
    shown = PolicyForm.drawn_from(policy_pages.present(policy_pages.section_of(section), settings()))
    return _section_page(section, shown)


@bp.post("/<section>")
def change(section: str) -> ResponseReturnValue:
    """Change the policies of a section, or only say what that would do."""
    asked = PolicyForm.drawn_from(policy_pages.present(policy_pages.section_of(section), settings()))
    if not asked.validate_on_submit():
        return _section_page(section, asked), 422
    if "preview" in request.form:
        return _section_page(section, asked, is_preview=True)
    count = policy_decisions.decide(asked.wished, current_user.email, settings())
    flash("The new values hold from now on." if count else "Nothing was changed.", "success")
    return redirect(url_for(".index"), code=303)


@bp.post("/<policy>/restore")
def restore(policy: str) -> ResponseReturnValue:
    """Go back to the operator's setting."""
    title = policy_decisions.get(policy).title
    is_new = policy_decisions.restore(policy, current_user.email, settings())
    flash(f"{title}: the default holds again." if is_new else "Nothing was changed.", "success")
    return redirect(url_for(".index"), code=303)


def _section_page(section: str, form: PolicyForm, *, is_preview: bool = False) -> str:
    effect = policy_effects.effect_of(section, form.wished, settings(), clock.utcnow()) if is_preview else None
    return _page(
        "admin/policy.html",
        form=form,
        effect=effect,
        has_effect=policy_effects.has_effect(section),
        **policy_pages.section_page(section, settings()),
    )


def _page(template: str, **shown: object) -> str:
    return render_template(template, nav="admin", section="maintenance", **shown)
