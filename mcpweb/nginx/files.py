"""The files that nginx serves itself."""

from __future__ import annotations

from pathlib import Path

from mcpweb.web import static_errors, static_files


def publish(folder: Path) -> list[Path]:
    """Write static files and error pages below `folder`, where everybody may read them; returns the two places.

    Static files have a folder of their own for each version, so that pages of the version before still find theirs
    while hosts are changed one after the other. May be repeated, also while nginx serves.
    """
    static = folder.resolve() / static_files.address().lstrip("/")
    errors = folder.resolve() / "errors"
    for path in sorted(path for path in static_files.FOLDER.rglob("*") if path.is_file()):
        _place(path.read_bytes(), static / path.relative_to(static_files.FOLDER), folder.resolve())
    for name, text in static_errors.pages().items():
        _place(text.encode(), errors / name, folder.resolve())
    return [static, errors]


def _place(data: bytes, target: Path, top: Path) -> None:
    """A file that is there as a whole or not at all, whatever the umask says."""
    missing = [parent for parent in (target.parent, *target.parent.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        if parent.is_relative_to(top):
            parent.chmod(0o755)
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_bytes(data)
    fresh.chmod(0o644)
    fresh.replace(target)
