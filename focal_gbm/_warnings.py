"""Warnings that point at the user's own line."""

from __future__ import annotations

import inspect
import warnings
from itertools import takewhile
from pathlib import Path

_PACKAGE = str(Path(__file__).parent)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line outside of this package."""
    inside = takewhile(lambda frame: frame.filename.startswith(_PACKAGE), inspect.stack(context=0))
    warnings.warn(message, category, stacklevel=1 + len(list(inside)))
