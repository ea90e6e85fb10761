"""The form that changes when a job runs."""

from __future__ import annotations

import re
from typing import Self

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, IntegerField, RadioField, SelectField, StringField
from wtforms.validators import ValidationError

from mcpweb.admin.maintenance_words import in_units
from mcpweb.jobs import rescheduling
from mcpweb.jobs.models import Schedule
from mcpweb.jobs.schedule import When

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_TIME = re.compile("([01][0-9]|2[0-3]):[0-5][0-9]")


class ScheduleForm(FlaskForm):  # type: ignore[misc]
    """Every so often, or at a time of day; of the two, only the chosen one is looked at."""

    kind = RadioField("Runs", choices=[("every", "Every so often"), ("daily", "Once a day")])
    number = IntegerField("Every")
    unit = SelectField("Unit", choices=[(unit, f"{unit}s") for unit in _SECONDS])
    at_time = StringField("Time of day")
    timezone = StringField("Time zone")
    is_enabled = BooleanField("Runs by itself")

    @classmethod
    def of(cls, row: Schedule) -> Self:
        """The form with the present schedule."""
        number, unit = in_units(row.every_s or 3600)
        return cls(
            data={
                "kind": "daily" if row.at_time else "every",
                "number": number,
                "unit": unit,
                "at_time": row.at_time or "03:00",
                "timezone": row.timezone,
                "is_enabled": row.is_enabled,
            }
        )

    def validate_number(self, field: Field) -> None:
        """Within bounds; not looked at for a daily job."""
        field.errors = []  # what is no number is out of bounds too, and is not said twice
        if self.kind.data == "every" and not rescheduling.SHORTEST_S <= self._span_s <= rescheduling.LONGEST_S:
            raise ValidationError("Choose a span from 10 seconds to 7 days.")

    def validate_at_time(self, field: Field) -> None:
        """A time of day."""
        if self.kind.data == "daily" and not _TIME.fullmatch(field.data or ""):
            raise ValidationError("Give a time of day as 03:10.")

    def validate_timezone(self, field: Field) -> None:
        """One that the server knows."""
        if self.kind.data == "daily" and (field.data or "").strip() not in rescheduling.zones():
            raise ValidationError("The server knows no such time zone. Give one as Europe/Berlin, or UTC.")

    @property
    def when(self) -> When:
        """What was chosen, once the form is valid."""
        if self.kind.data == "daily":
            return When(at_time=self.at_time.data, timezone=(self.timezone.data or "").strip())
        return When(every_s=self._span_s)

    @property
    def _span_s(self) -> int:
        return (self.number.data or 0) * _SECONDS.get(self.unit.data, 0)
