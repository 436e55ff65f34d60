"""Real imbalanced tables: a folder of CSV files where one is given, one of scikit-learn's otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

#: Folder of CSV files whose last column is the target, 0 the majority class.
FOLDER = os.environ.get("FOCAL_GBM_DATA", "")


#: Rows that a class must have to be in every part of a 3-fold split with rows to stop on; rarer classes are
#: left out.
LEAST_ROWS = 12


def tables_of(kind: str, folder: str = FOLDER) -> dict[str, tuple[pd.DataFrame, np.ndarray]]:
    """Return {name: (X, y)} of the tables with two ("binary") or more ("multiclass") classes.

    Without a folder it is digits, one against the rest or all ten.
    """
    tables: dict[str, tuple[pd.DataFrame, np.ndarray]] = {}
    for path in sorted(Path(folder).glob("*.csv*")) if folder else []:
        if path.name == "MANIFEST.csv":
            continue
        frame = pd.read_csv(path)
        counts = frame.iloc[:, -1].value_counts()
        frame = frame[frame.iloc[:, -1].isin(counts[counts >= LEAST_ROWS].index)]
        X, y = frame.iloc[:, :-1], np.unique(frame.iloc[:, -1], return_inverse=True)[1]
        if (len(np.unique(y)) == 2) == (kind == "binary"):
            tables[path.name.split(".")[0]] = as_categories(X), y
    if not tables:
        X, y = load_digits(return_X_y=True, as_frame=True)
        tables["digits"] = X, (y == 8).astype(int).to_numpy() if kind == "binary" else y.to_numpy()
    return tables


def as_categories(X: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with text columns as categories, which both libraries take."""
    text = [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name])]
    return X.astype(dict.fromkeys(text, "category"))
