"""The form of a section of policies: a number for each, within its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from flask_wtf import FlaskForm
from wtforms import Field, IntegerField
from wtforms.validators import ValidationError

from mcpweb.policies import POLICIES


def _within_bounds(form: FlaskForm, field: Field) -> None:
    policy = POLICIES[field.name]
    field.errors = []  # what is no number is out of bounds too, and is not said twice
    if field.data is None or not policy.low <= field.data <= policy.high:
        raise ValidationError(f"Give a whole number from {policy.low:,} to {policy.high:,}.")


class PolicyForm(FlaskForm):  # type: ignore[misc]
    """The numbers of one section; `drawn_from` makes the class for it."""

    names: tuple[str, ...] = ()

    @classmethod
    def drawn_from(cls, present: Mapping[str, int]) -> Self:
        """This form with the present numbers in it."""
        fields: dict[str, Any] = {
            name: IntegerField(f"{POLICIES[name].title} ({POLICIES[name].unit})", [_within_bounds]) for name in present
        }
        form: Self = type(cls.__name__, (cls,), {**fields, "names": tuple(present)})(data=dict(present))
        return form

    @property
    def wished(self) -> dict[str, int]:
        """The numbers by name, once the form is valid."""
        return {name: self[name].data for name in self.names}
