"""The forms of an instance's making: its name, how long it works, and the credential its service wants."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, Self
from uuid import UUID, uuid4

from flask_wtf import FlaskForm
from wtforms import DateField, Field, HiddenField, PasswordField, RadioField, StringField
from wtforms.validators import DataRequired, InputRequired, Length, StopValidation, ValidationError

from mcpweb import clock
from mcpweb.catalog.manifest import Manifest
from mcpweb.instances import credentials
from mcpweb.web import time_zone

PRESETS = (1, 7, 30, 90)
_PREFIX = "credential-"


def _only_when_chosen(form: FlaskForm, field: Field) -> None:
    """The day counts only with the life time "another day", and then it must be there."""
    if form.lifetime.data != "custom":
        field.errors = []
        raise StopValidation
    if not any(field.raw_data or ()):
        field.errors = []
        raise StopValidation("Choose the last day, as 2026-12-31.")


class NameForm(FlaskForm):  # type: ignore[misc]
    """A name: of an instance, or of a further token."""

    label = StringField(
        "Name",
        filters=[lambda text: " ".join(text.split()) if text else text],
        validators=[DataRequired("Give it a name."), Length(max=80, message="A name has at most 80 characters.")],
    )

    def validate_label(self, field: Field) -> None:
        """A name is shown in many places, so it holds nothing invisible."""
        if field.data and not field.data.isprintable():
            raise ValidationError("The name holds characters that can not be shown.")


class LifetimeForm(FlaskForm):  # type: ignore[misc]
    """How long an instance works: a number of days, or until a day, within the operator's maximum."""

    lifetime = RadioField("Works for", validators=[InputRequired("Choose how long it works.")])
    custom_day = DateField("Last day", validators=[_only_when_chosen])
    max_days = 0

    def limited(self, max_days: int) -> Self:
        """The form with the life times that the operator allows, 30 days chosen."""
        self.max_days = max_days
        presets = [days for days in PRESETS if days <= max_days]
        self.lifetime.choices = [(str(days), "1 day" if days == 1 else f"{days} days") for days in presets]
        self.lifetime.choices.append(("custom", "Another day"))
        if self.lifetime.data is None:
            self.lifetime.data = "30" if 30 in presets else self.lifetime.choices[0][0]
        return self

    def validate_custom_day(self, field: Field) -> None:
        """A chosen day lies in the future and within the operator's maximum."""
        if field.data is None:
            return  # it could not be read, which has been said
        today = clock.utcnow().astimezone(time_zone.zone())
        last = (today + timedelta(days=self.max_days)).date()
        if not today.date() <= field.data <= last:
            raise ValidationError(f"The last day is between today and {last:%Y-%m-%d}.")

    @property
    def zone_name(self) -> str:
        """The reader's time zone, in which the chosen day ends."""
        return time_zone.chosen() or "UTC"

    @property
    def expires_at(self) -> datetime:
        """The chosen end, within the maximum: so many days from now, or the end of a day of the reader's zone."""
        latest = clock.utcnow() + timedelta(days=self.max_days)
        if self.lifetime.data == "custom":
            day = self.custom_day.data or latest.date()
            return min(latest, datetime.combine(day, time(23, 59, 59), time_zone.zone()).astimezone(UTC))
        return min(latest, clock.utcnow() + timedelta(days=int(self.lifetime.data)))


class CredentialForm(FlaskForm):  # type: ignore[misc]
    """The fields that a service wants; `drawn_from` makes the class for one service."""

    manifest: Manifest

    def validate(self, extra_validators: Any = None) -> bool:
        """Check the fields, then the credential's format."""
        valid: bool = super().validate(extra_validators)
        for name, sentence in credentials.problems(self.manifest, self.credential).items():
            self[_PREFIX + name].errors = [sentence]
            valid = False
        return valid

    @property
    def credential(self) -> dict[str, str]:
        """The credential's fields by name, trimmed: a pasted key often brings a blank or a line end."""
        return {field.name: (self[_PREFIX + field.name].data or "").strip() for field in self.manifest.fields}

    @property
    def credential_fields(self) -> list[dict[str, Any]]:
        """What the template needs of each credential field."""
        return [
            {
                "field": self[_PREFIX + field.name],
                "help": field.help,
                "link": field.link,
                "link_label": field.link_label,
                "scopes": field.scopes,
                "secret": field.secret,
                "format": field.format,
            }
            for field in self.manifest.fields
        ]

    @classmethod
    def drawn_from(cls, manifest: Manifest) -> Self:
        """This form with the fields of one service."""
        fields = {
            _PREFIX + field.name: (PasswordField if field.secret else StringField)(field.label)
            for field in manifest.fields
        }
        form: Self = type(cls.__name__, (cls,), {**fields, "manifest": manifest})()
        return form


class ConnectForm(CredentialForm, LifetimeForm, NameForm):
    """All that connecting a service asks for."""

    creation_key = HiddenField(default=lambda: str(uuid4()))

    def validate_creation_key(self, field: Field) -> None:
        """The form's own id must be there: left out, it would be a new one each time."""
        try:
            UUID((field.raw_data or [""])[0])
        except (ValueError, AttributeError, TypeError):
            raise ValidationError("This form is damaged. Open it anew.") from None


def for_service(manifest: Manifest, max_days: int) -> ConnectForm:
    """The form that connects this service."""
    form = ConnectForm.drawn_from(manifest).limited(max_days)
    if form.label.data is None:
        form.label.data = manifest.title
    return form
