"""The form that connects a service, drawn from the service's manifest."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

from flask_wtf import FlaskForm
from wtforms import DateField, Field, HiddenField, PasswordField, RadioField, StringField
from wtforms.validators import InputRequired, Length, StopValidation, ValidationError

from mcpweb import clock
from mcpweb.catalog.manifest import Manifest
from mcpweb.instances import credentials

PRESETS = (1, 7, 30, 90)
_PREFIX = "credential-"


def _only_when_chosen(form: FlaskForm, field: Field) -> None:
    """The day counts only with the life time "until a day", and then it must be there."""
    if form.lifetime.data != "custom":
        field.errors = []
        raise StopValidation
    if not any(field.raw_data or ()):
        field.errors = []
        raise StopValidation("Choose the last day, as 2026-12-31.")


class ConnectForm(FlaskForm):  # type: ignore[misc]
    """What is asked of everyone; `for_service` adds the fields of the credential."""

    label = StringField(
        "Name",
        filters=[lambda text: " ".join(text.split()) if text else text],
        validators=[InputRequired("Give it a name."), Length(max=80, message="A name has at most 80 characters.")],
    )
    lifetime = RadioField("Works for", validators=[InputRequired("Choose how long it works.")])
    custom_day = DateField("Last day", validators=[_only_when_chosen])
    creation_key = HiddenField(default=lambda: str(uuid4()))

    manifest: Manifest
    max_days: int

    def validate_label(self, field: Field) -> None:
        """A name is shown in many places, so it holds nothing invisible."""
        if field.data and not field.data.isprintable():
            raise ValidationError("The name holds characters that can not be shown.")

    def validate_creation_key(self, field: Field) -> None:
        """The form's own id must be there: left out, it would be a new one each time."""
        try:
            UUID((field.raw_data or [""])[0])
        except (ValueError, AttributeError, TypeError):
            raise ValidationError("This form is damaged. Open it anew.") from None

    def validate_custom_day(self, field: Field) -> None:
        """A chosen day lies in the future and within the operator's maximum."""
        if field.data is None:
            return  # it could not be read, which has been said
        last = (clock.utcnow() + timedelta(days=self.max_days)).date()
        if not clock.utcnow().date() <= field.data <= last:
            raise ValidationError(f"The last day is between today and {last:%Y-%m-%d}.")

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

    @property
    def expires_at(self) -> datetime:
        """The chosen end: so many days from now, or the end of the chosen day, in UTC and within the maximum."""
        latest = clock.utcnow() + timedelta(days=self.max_days)
        if self.lifetime.data == "custom":
            day = self.custom_day.data or latest.date()
            return min(latest, datetime.combine(day, time(23, 59, 59), UTC))
        return min(latest, clock.utcnow() + timedelta(days=int(self.lifetime.data)))


def for_service(manifest: Manifest, max_days: int) -> ConnectForm:
    """A form with this service's credential fields and the life times that the operator allows."""
    fields = {
        _PREFIX + field.name: (PasswordField if field.secret else StringField)(field.label) for field in manifest.fields
    }
    form: ConnectForm = type("ServiceForm", (ConnectForm,), {**fields, "manifest": manifest, "max_days": max_days})()
    presets = [days for days in PRESETS if days <= max_days]
    form.lifetime.choices = [(str(days), "1 day" if days == 1 else f"{days} days") for days in presets]
    form.lifetime.choices.append(("custom", "Another day"))
    if form.lifetime.data is None:
        form.lifetime.data = "30" if 30 in presets else form.lifetime.choices[0][0]
    if form.label.data is None:
        form.label.data = manifest.title
    return form
