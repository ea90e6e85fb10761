"""docs/operations.md names every place that is written to, so that nothing grows unseen."""

from __future__ import annotations

import re
from pathlib import Path

import mcpweb.application  # noqa: F401 - knows all tables
from mcpweb.database import Base

TEXT = (Path(__file__).parent.parent / "docs" / "operations.md").read_text()
FILES, _, TABLES = TEXT.partition("## Tables")


def test_every_table_is_listed_with_what_bounds_it():
    rows = re.findall(r"^\| (`.+`) \|", TABLES, re.MULTILINE)

    listed = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]

    assert sorted(listed) == sorted(Base.metadata.tables)


def is_listed(path: Path) -> bool:
    """Whether this path, below the home, is in the table of files."""
    return any(f"| `{place}`" in FILES for place in (f"{path.parts[0]}/", "/".join(path.parts[:2]) + "/", str(path)))
