"""The forms of signing in."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import Field, HiddenField, StringField
from wtforms.validators import InputRequired, Length, ValidationError

from mcpweb.accounts import addresses
from mcpweb.errors import InvalidInput


class EmailForm(FlaskForm):  # type: ignore[misc]
    """One address; `next` is where to go after signing in."""

    email = StringField("E-mail address", validators=[InputRequired("Enter your e-mail address."), Length(max=320)])
    next = HiddenField(validators=[Length(max=500)])

    def validate_email(self, field: Field) -> None:
        """Keep the address in its stored spelling."""
        try:
            field.data = addresses.normalise(field.data)
        except InvalidInput as error:
            raise ValidationError(error.sentence) from None


class CodeForm(FlaskForm):  # type: ignore[misc]
    """The code of a sign-in mail."""

    code = StringField(
        "Code from the mail",
        validators=[
            InputRequired("Enter the code from the mail."),
            Length(max=40, message="The code has 8 characters."),
        ],
    )
