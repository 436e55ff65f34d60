"""The newest releases of the libraries that were tested with, and a warning about later ones."""

from __future__ import annotations

import re
import warnings

#: Major and minor version: the whole suite ran on these. A later one is not known to fail.
NEWEST_TESTED = {"xgboost": (3, 4), "lightgbm": (4, 7)}


class UntestedLibraryWarning(UserWarning):
    """XGBoost or LightGBM is a later release than any that this version was tested with."""


def warn_if_untested(library: str, installed: str) -> None:
    """Warn where a library is later than the newest release tested, once for each process that loads it."""
    found = re.match(r"(\d+)\.(\d+)", installed)
    newest = NEWEST_TESTED[library]
    if found is None or (int(found[1]), int(found[2])) <= newest:
        return
    warnings.warn(
        f"{library} {installed} is later than {newest[0]}.{newest[1]}, the newest release that this version "
        f"of focal_gbm was tested with: defaults may have changed, and a model with focal_gamma=0 may not be "
        f"{library}'s own. Compare both on your table, or install '{library}<{newest[0]}.{newest[1] + 1}'.",
        UntestedLibraryWarning,
        stacklevel=2,
    )
