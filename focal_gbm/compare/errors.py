"""What is wrong with a table or an option, and which names are near to one that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Collection


class TableError(ValueError):
    """The table cannot be compared on; the message says where, why and what to do."""


def nearest(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence that says which names there are, near ones first."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"there are {some_of(known, 20)}."


def some_of(values: Collection[str], most: int = 3) -> str:
    """Return the first few values as text, and how many more there are."""
    shown = ", ".join(map(repr, list(values)[:most]))
    return shown if len(values) <= most else f"{shown} and {len(values) - most:,} more"
