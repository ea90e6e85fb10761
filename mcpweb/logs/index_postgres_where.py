"""What fits a question about the logs, as PostgreSQL is asked for it, and a line's words as they are searched there."""

from __future__ import annotations

from typing import Any

from mcpweb.logs.query import Plan, Term

_MAX_WORD = 500
"""Characters; PostgreSQL takes 2046 bytes."""


def where(plan: Plan, time: str = "ts") -> tuple[str, tuple[Any, ...]]:
    """The condition that the plan means, as SQL with its values; `time` is the column that the plan's times are of."""
    conditions, values = ["true"], list[Any]()
    for bound, operator in ((plan.since_ms, ">="), (plan.until_ms, "<")):
        if bound is not None:
            conditions.append(f"{time} {operator} %s")
            values.append(bound)
    terms = [*plan.wanted, *plan.unwanted]
    if terms:
        marks = ["%s::tsquery"] * len(plan.wanted) + ["!!%s::tsquery"] * len(plan.unwanted)
        conditions.append(f"words @@ ({' && '.join(marks)})")
        values += [_following(term) for term in terms]
    for wish, sign in ((plan.equal, ""), (plan.unequal, "NOT ")):
        for name, some in wish.items():
            # Of a single value the planner knows that lines of it stand in order in an index.
            conditions.append(f"{sign}{name} = %s" if len(some) == 1 else f"{sign}{name} = ANY(%s)")
            values.append(next(iter(some)) if len(some) == 1 else list(some))
    return f"WHERE {' AND '.join(conditions)}", tuple(values)


def lexemes(words: str) -> str:
    """A text as a tsvector is written. Repeated words are put together by PostgreSQL."""
    return " ".join([f"{word[:_MAX_WORD]}:{place}" for place, word in enumerate(words.split(), 1)])


def _following(term: Term) -> str:
    """Words hold letters and digits only, so that quotes make lexemes of them that PostgreSQL can not misread."""
    return " <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.is_prefix else "")
