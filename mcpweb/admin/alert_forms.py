"""What an administrator writes when they know of an alert."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import Length


class AcknowledgeForm(FlaskForm):  # type: ignore[misc]
    """A note for the others."""

    note = StringField(
        "Note for the others",
        validators=[Length(max=300, message="A note has at most 300 characters.")],
        filters=[lambda text: " ".join((text or "").replace("\0", "").split())],
    )
