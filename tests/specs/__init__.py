"""Official API documents, cut, and what the spec server makes of them."""

from pathlib import Path

FOLDER = Path(__file__).parent
"""Where the cut documents are."""
