"""The form that stops something."""

from __future__ import annotations

from datetime import timedelta

from flask_wtf import FlaskForm
from wtforms import Field, IntegerField, RadioField
from wtforms.validators import StopValidation

from mcpweb.admin.people_forms import reason
from mcpweb.instances.stopping import LONGEST, SPANS

_WORDS = {"15m": "15 minutes", "1h": "1 hour", "1d": "1 day"}
_MOST_HOURS = LONGEST.days * 24


def _only_when_chosen(form: FlaskForm, field: Field) -> None:
    """The hours count only with the span "other", and then they must be within what a stop may last."""
    is_wrong = form.lasts.data == "custom" and not (field.data and 1 <= field.data <= _MOST_HOURS)
    field.errors = []
    raise StopValidation(f"Type a number of hours from 1 to {_MOST_HOURS}." if is_wrong else "")


class StopForm(FlaskForm):  # type: ignore[misc]
    """Why, and for how long; there is no stop without an end."""

    reason = reason("Say why. Whoever is stopped reads it.")
    lasts = RadioField(
        "It ends after", choices=[*((name, _WORDS[name]) for name in SPANS), ("custom", "Other")], default="1h"
    )
    hours = IntegerField("Hours", validators=[_only_when_chosen])

    @property
    def span(self) -> timedelta:
        """How long it lasts."""
        return timedelta(hours=self.hours.data or 0) if self.lasts.data == "custom" else SPANS[self.lasts.data]
