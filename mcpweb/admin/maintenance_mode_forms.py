"""The form that switches maintenance mode on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, Field, StringField
from wtforms.validators import DataRequired, Length, ValidationError

from mcpweb import clock, closure
from mcpweb.closure import Closure

_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]


class ModeForm(FlaskForm):  # type: ignore[misc]
    """What everybody is told, and until when, in UTC."""

    message = StringField(
        "Message",
        filters=[lambda text: " ".join(text.split()) if text else text],
        validators=[
            DataRequired("Say what is going on: everybody reads it."),
            Length(max=closure.MESSAGE_LENGTH, message=f"A message has at most {closure.MESSAGE_LENGTH} characters."),
        ],
    )
    ends_at = DateTimeLocalField("Ends at (UTC)", format=_FORMATS)

    @classmethod
    def of(cls, row: Closure | None) -> Self:
        """The form with what holds, or else with an hour from now."""
        ends_at = row.ends_at if row else clock.utcnow() + closure.USUAL
        message = row.message if row else "We are updating the server."
        return cls(data={"message": message, "ends_at": ends_at.replace(tzinfo=None)})

    def validate_message(self, field: Field) -> None:
        """Nothing invisible."""
        if field.data and not field.data.isprintable():
            raise ValidationError("The message holds characters that can not be shown.")

    def validate_ends_at(self, field: Field) -> None:
        """In the future, and not for ever."""
        latest = clock.utcnow() + closure.LONGEST
        if field.data is None or not clock.utcnow() < field.data.replace(tzinfo=UTC) <= latest:
            field.errors = []  # what can not be read is not said twice
            raise ValidationError(f"Give a time after now and before {latest:%Y-%m-%d %H:%M}.")

    @property
    def end(self) -> datetime:
        """The chosen end, once the form is valid."""
        if self.ends_at.data is None:
            raise ValueError("the form was not validated")
        return self.ends_at.data.replace(tzinfo=UTC)
