"""The forms of an administrator's pages about people and what they connected."""

from __future__ import annotations

from typing import Self

from flask_wtf import FlaskForm
from wtforms import Field, StringField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from mcpweb.accounts.models import User


def reason(why: str) -> StringField:
    """A field for a reason, in one line; `why` says that there must be one."""
    return StringField(
        "Reason",
        validators=[DataRequired(why), Length(max=300, message="A reason has at most 300 characters.")],
        filters=[lambda text: " ".join((text or "").replace("\0", "").split())],
    )


class ReasonForm(FlaskForm):  # type: ignore[misc]
    """Why an instance is switched off."""

    reason = reason("Say why. Its owner reads it.")


class LeaverForm(FlaskForm):  # type: ignore[misc]
    """Deleting everything of a user asks for their address, so that it is never a slip."""

    email = StringField("E-mail address of the user", validators=[InputRequired("Type the address of the user.")])
    expected = ""

    @classmethod
    def of(cls, user: User) -> Self:
        """The form for this user."""
        form = cls()
        form.expected = user.email
        return form

    def validate_email(self, field: Field) -> None:
        """The typed address is the user's."""
        if (field.data or "").strip().lower() != self.expected:
            raise ValidationError(f"This is not their address. Type: {self.expected}")
