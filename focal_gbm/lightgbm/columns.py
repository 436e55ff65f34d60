"""Columns of Arrow's types, of which LightGBM ends the process at those that it does not know."""

from __future__ import annotations

import re
from typing import Any

#: Types of polars and pyarrow, by name, that LightGBM reads.
_IS_READ = re.compile(r"u?int\d+|float\d*|halffloat|double|bool(ean)?", re.IGNORECASE).fullmatch


def check_columns(X: Any) -> None:
    """Raise on a table of polars or pyarrow with a column that LightGBM would end the process at."""
    package = type(X).__module__.partition(".")[0]
    if package not in ("polars", "pyarrow") or not hasattr(X, "schema"):
        return
    if package == "polars":
        types = {name: str(kind) for name, kind in X.schema.items()}
    else:
        types = {field.name: str(field.type) for field in X.schema}
    for name, kind in types.items():
        if not _IS_READ(kind):
            raise TypeError(
                f"X must hold numbers and booleans, got the type {kind} in column {name!r}, at which "
                "LightGBM would end the process. Give the table as a pandas data frame, in which LightGBM "
                "takes categories."
            )
