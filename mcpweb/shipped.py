"""Finds the folders that lie beside the package in a checkout and inside it once installed."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `plugins`, `migrations` or `deploy`, wherever this mcpweb keeps it."""
    installed = PACKAGE / "_shipped" / name
    return installed if installed.is_dir() else PACKAGE.parent / name
