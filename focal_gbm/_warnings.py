"""Warnings that point at the user's own line."""

from __future__ import annotations

import inspect
import warnings
from itertools import takewhile

#: Packages through which a call of the user's comes to a warning.
_BETWEEN = ("focal_gbm", "xgboost", "lightgbm", "contextlib")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the first line outside of this package and of the libraries."""

    def is_between(frame: inspect.FrameInfo) -> bool:
        return str(frame.frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN

    inside = takewhile(is_between, inspect.stack(context=0))
    warnings.warn(message, category, stacklevel=1 + len(list(inside)))
