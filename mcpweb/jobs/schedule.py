"""The periodic jobs: name, and seconds from one run to the next. Data only, so that the ticker stays small."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that runs once in every slot of `period_s` seconds, on whichever host is first."""

    name: str
    period_s: int


SCHEDULES = (Schedule("expire_instances", 30), Schedule("sign_in_mails_left", 30), Schedule("clean_up", 3600))
