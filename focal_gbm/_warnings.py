"""Warnings that point at the user's own line."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from itertools import takewhile
from pathlib import Path

#: Files that are not the user's; the second is where a context manager of ours is entered.
_OURS = (str(Path(__file__).parent), contextlib.__file__)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line outside of this package."""
    inside = takewhile(lambda frame: frame.filename.startswith(_OURS), inspect.stack(context=0))
    warnings.warn(message, category, stacklevel=1 + len(list(inside)))
