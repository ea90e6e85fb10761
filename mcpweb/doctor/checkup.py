"""One run of all checks: side by side, each within its time, and none stopped by what another one finds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import redis
from sqlalchemy.exc import SQLAlchemyError

from mcpweb import clock, config, embedded_redis, setting_names
from mcpweb.admin.maintenance_words import title
from mcpweb.application import create_app
from mcpweb.doctor import outside, stores, surroundings
from mcpweb.errors import AppError
from mcpweb.jobs import health
from mcpweb.monitoring.check import Check
from mcpweb.monitoring.host_health import Asked
from mcpweb.settings import Settings

_LIMIT_S = 20.0
"""More than the checks of the health page take one after the other when everything is away."""

Question = tuple[str, Callable[[Settings], Check | Sequence[Check]]]

_QUESTIONS: Sequence[Question] = (
    ("Home folder", surroundings.home),
    ("Tables", stores.tables),
    ("Stored keys", stores.keys),
    ("Health", lambda settings: health.checks(Asked(settings), clock.utcnow(), title)),
    ("Redis server", stores.redis_server),
    ("Clocks", stores.clocks),
    ("Mail server", outside.mail_server),
    ("Ports", surroundings.ports),
    ("Public address", outside.public_address),
)


def run(environ: Mapping[str, str], mail_to: str = "") -> list[Check]:
    """Check everything, within half a minute; with `mail_to`, a mail is sent there."""
    found = [Check("Settings", "warn", sentence, "Rename or remove it.") for sentence in setting_names.unknown(environ)]
    try:
        settings = _as_it_runs(config.load(environ))
    except AppError as error:
        return [*found, Check("Settings", "bad", " ".join(error.sentence.split()), "Correct them, then ask again.")]
    found = found or [Check("Settings", "good", "All are known and can be used")]
    if not settings.home.is_dir():
        advice = "Start `mcpweb up`, or run `mcpweb migrate`; or look at MCPWEB_HOME."
        return [*found, Check("Home folder", "bad", f"There is no {settings.home}", advice)]
    try:
        app = create_app(settings)
    except (AppError, OSError, SQLAlchemyError) as error:
        sentence = error.sentence if isinstance(error, AppError) else type(error).__name__
        return [*found, surroundings.home(settings), Check("Start", "bad", sentence, "Nothing can start like this.")]
    questions = list(_QUESTIONS)
    if mail_to:
        questions.append(("Test mail", lambda settings: outside.test_mail(settings, mail_to)))
    return [*found, *_ask_all(questions, settings, app.app_context)]


def _as_it_runs(settings: Settings) -> Settings:
    """The settings with what `mcpweb up` has found for itself: its Redis, and another port than the taken one."""
    changes: dict[str, Any] = {}
    run = settings.home.resolve() / "run"
    if not settings.redis_url and (run / "redis.sock").exists():
        changes["redis_url"] = embedded_redis.url(run / "redis.sock")
    if bind := surroundings.address_of_up(run):
        changes["bind"] = bind
    return replace(settings, **changes)


def _ask_all(
    questions: Sequence[Question], settings: Settings, context: Callable[[], AbstractContextManager[Any]]
) -> Iterator[Check]:
    """All at once, told in their order; one that hangs is given up and ends with the process."""
    answers: dict[str, Sequence[Check]] = {}

    def ask(name: str, question: Callable[[Settings], Check | Sequence[Check]]) -> None:
        with context():
            try:
                answer = question(settings)
            except redis.RedisError:
                answer = Check(name, "bad", "Redis does not answer", "See the line about Redis.")
            except SQLAlchemyError:
                answer = Check(name, "bad", "The database does not answer", "See the line about the database.")
            except OSError as error:
                answer = Check(name, "bad", f"Can not be asked: {error.strerror or type(error).__name__}")
            answers[name] = [answer] if isinstance(answer, Check) else answer

    threads = [(name, threading.Thread(target=ask, args=(name, one), daemon=True)) for name, one in questions]
    for _, thread in threads:
        thread.start()
    for name, thread in threads:
        thread.join(_LIMIT_S)
        nothing = Check(name, "bad", f"No answer within {_LIMIT_S:.0f} s", "Something on the way to it hangs.")
        yield from answers.get(name, [nothing])
