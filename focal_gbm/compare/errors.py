"""What is wrong with a table, and what names are near to one that is not there."""

from __future__ import annotations

import difflib


class TableError(ValueError):
    """The table cannot be compared on; the message says where and why."""


def nearest(name: str, known: list[str]) -> str:
    """Return the end of a sentence that says which names there are, near ones first."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(map(repr, known[:20]))
    return f"there are {shown}{', ...' if len(known) > 20 else ''}."


def some_of(values: list[str], most: int = 3) -> str:
    """Return the first few values as text, and how many more there are."""
    shown = ", ".join(map(repr, values[:most]))
    return shown if len(values) <= most else f"{shown} and {len(values) - most:,} more"
