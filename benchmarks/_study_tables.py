"""The tables of the study and of the calibration benchmark, each as two classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _tables import FOLDER

from focal_gbm.compare import Table, embedded_table, prepare, read_frame

#: A larger table is sampled: time, and the differences between the small tables are larger.
LARGEST = 12_000

#: Of many classes the rarest that has as many rows is told apart from the rest.
LEAST_ROWS = 30


def table_names(folder: str = FOLDER) -> dict[str, Path | None]:
    """Return {name: file} of a folder's CSV files, and scikit-learn's digits."""
    files = sorted(Path(folder).glob("*.csv*")) if folder else []
    names: dict[str, Path | None] = {
        path.name.split(".")[0]: path for path in files if path.name != "MANIFEST.csv"
    }
    return {**names, "digits": None}


def load(path: Path | None, folds: int = 5) -> Table:
    """Return a table; the last column of a file is its target."""
    if path is None:
        return embedded_table(folds)
    frame = read_frame(path).dropna(axis="columns", how="all")
    target = str(frame.columns[-1])
    counts = frame[target].value_counts()
    positive = str(counts[counts >= LEAST_ROWS].idxmin()) if len(counts) > 2 else None
    return prepare(
        frame, target, name=path.name.split(".")[0], positive=positive, folds=folds, max_rows=LARGEST,
        allow_leaky=True,
    )  # fmt: skip


def described(table: Table) -> str:
    """Return rows, features and the share of the rare class in words."""
    return f"{len(table.y):,} rows, {len(table.columns)} features, {np.mean(table.y):.1%} positives"
