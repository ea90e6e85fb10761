"""The forms that change an instance."""

from __future__ import annotations

from typing import Self

from flask_wtf import FlaskForm
from wtforms import Field, RadioField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, ValidationError

from mcpweb.catalog.registry import Service
from mcpweb.instances.models import Instance
from mcpweb.instances.tokens import OVERLAPS


class OverlapForm(FlaskForm):  # type: ignore[misc]
    """How long a replaced token goes on working."""

    overlap = RadioField(
        "The old token ends",
        choices=[(word, word if word == "now" else f"in {word}") for word in OVERLAPS],
        default="24 hours",
    )


class DeleteForm(FlaskForm):  # type: ignore[misc]
    """Deleting asks for the instance's name, so that it is never a slip."""

    label = StringField("Name of the instance", validators=[InputRequired("Type the name of the instance.")])
    expected = ""

    @classmethod
    def of(cls, instance: Instance) -> Self:
        """The form for this instance."""
        form = cls()
        form.expected = instance.label
        return form

    def validate_label(self, field: Field) -> None:
        """The typed name is the instance's."""
        if " ".join((field.data or "").split()) != self.expected:
            raise ValidationError(f"This is not its name. Type: {self.expected}")


class ToolsForm(FlaskForm):  # type: ignore[misc]
    """All tools, those that only read, or picked ones."""

    choice = RadioField(
        "Tools",
        choices=[("all", "All tools"), ("read_only", "Only those that read"), ("picked", "The ones picked below")],
    )
    picked = SelectMultipleField("Picked tools")

    @classmethod
    def of(cls, instance: Instance, service: Service) -> Self:
        """The form with the instance's present choice."""
        now = instance.enabled_tools
        reading = [tool.name for tool in service.tools.values() if tool.read_only]
        choice = "all" if now is None else "read_only" if sorted(now) == sorted(reading) else "picked"
        form = cls(data={"choice": choice, "picked": list(service.tools) if now is None else now})
        form.picked.choices = [(name, name) for name in service.tools]
        return form

    def validate_picked(self, field: Field) -> None:
        """Picking means at least one."""
        if self.choice.data == "picked" and not field.data:
            raise ValidationError("Pick at least one tool, or switch the instance off.")

    def chosen(self, service: Service) -> list[str] | None:
        """The names to keep; None for all."""
        match self.choice.data:
            case "all":
                return None
            case "read_only":
                return [tool.name for tool in service.tools.values() if tool.read_only]
            case _:
                return [name for name in service.tools if name in (self.picked.data or ())]
