"""The tables of the study, and how each is split; the calibration benchmark takes those of two classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from _study_made import Case, noisy_and_drifting, rare_tables
from _tables import FOLDER

from focal_gbm.compare import Parts, Table, embedded_table, prepare, read_frame, splits

#: Of many classes the rarest that has as many rows is told apart from the rest; a rarer one is left out where
#: all are told apart.
LEAST_ROWS = 30

#: From so many rows on a table is split 3-fold once: its differences vary less than those of the small.
LARGE = 20_000
SMALL_SPLITS, LARGE_SPLITS, MANY_SPLITS = (5, 2), (3, 1), (5, 1)

#: How often a made table is drawn; one of 10⁶ rows takes minutes.
DRAWS, DRAWS_OF_RARE = 5, 2

#: Names of files end so whose target has many classes.
_MANY = "_mc"


@dataclass(frozen=True, eq=False)
class Problem:
    """A table of the study.

    Attributes
    ----------
    name : str
    kind : {"two classes", "many classes", "made", "rare"}
    folds, repeats : int
        Of a made table: 1 and how often it is drawn.
    cases : callable
        Returns the splits, in order.
    about : callable
        Rows, features and classes in words.
    """

    name: str
    kind: str
    folds: int
    repeats: int
    cases: Callable[[], Iterator[Case]]
    about: Callable[[], str]

    @property
    def n_splits(self) -> int:
        return self.folds * self.repeats


def table_names(folder: str = FOLDER) -> dict[str, Path | None]:
    """Return {name: file} of a folder's CSV files, the smallest first, and scikit-learn's digits."""
    files = sorted(Path(folder).glob("*.csv*"), key=lambda path: path.stat().st_size) if folder else []
    names: dict[str, Path | None] = {
        path.name.split(".")[0]: path for path in files if path.name != "MANIFEST.csv"
    }
    return {"digits": None, **names}


def load(path: Path | None, folds: int = 5, many: bool = False) -> Table:
    """Return a table of two classes, or of many; the last column of a file is its target."""
    if path is None:
        return embedded_table(folds)
    frame = read_frame(path).dropna(axis="columns", how="all")
    target = str(frame.columns[-1])
    counts = frame[target].value_counts()
    positive = str(counts[counts >= LEAST_ROWS].idxmin()) if len(counts) > 2 and not many else None
    if many:
        frame = frame[frame[target].isin(counts[counts >= LEAST_ROWS].index)].reset_index(drop=True)
    return prepare(
        frame, target, name=path.name.split(".")[0], positive=positive, folds=folds, allow_leaky=True
    )


def described(table: Table) -> str:
    """Return rows, features and the share of the rare class in words."""
    shares = np.bincount(table.y) / len(table.y)
    classes = f"{shares[1]:.1%} positives" if len(shares) == 2 else f"{len(shares)} classes"
    return f"{len(table.y):,} rows, {len(table.columns)} features, {classes}"


def problems(rare_rows: Sequence[int] = ()) -> dict[str, Problem]:
    """Return {name: problem}: small real tables, made ones, many classes, large real ones."""
    small, many, large = [], [], []
    for name, path in table_names().items():
        n_rows = 0 if path is None else len(pd.read_csv(path, usecols=[0]))
        folds, repeats = SMALL_SPLITS if n_rows < LARGE else LARGE_SPLITS
        (small if n_rows < LARGE else large).append(_real(name, path, folds, repeats, many=False))
        if path is not None and name.endswith(_MANY):
            many.append(_real(name, path, *MANY_SPLITS, many=True))
    drawn = [_made(name, "made", draw, DRAWS) for name, draw in noisy_and_drifting().items()]
    rare = [
        _made(name, "rare", draw, DRAWS_OF_RARE)
        for rows in rare_rows
        for name, draw in rare_tables(rows).items()
    ]
    found = [*small, *drawn, *many, *large, *rare]
    return {one.name: one for one in found}


def _real(name: str, path: Path | None, folds: int, repeats: int, many: bool) -> Problem:
    def cases() -> Iterator[Case]:
        table = load(path, folds, many)
        X, y = table.X, table.y
        for fit, stop, test in splits(y, folds, repeats):
            yield Case(Parts(X.iloc[fit], y[fit], X.iloc[stop], y[stop]), X.iloc[test], y[test], y[test])

    def about() -> str:
        return described(load(path, folds, many))

    if many:
        return Problem(f"{name} all classes", "many classes", folds, repeats, cases, about)
    return Problem(name, "two classes", folds, repeats, cases, about)


def _made(name: str, kind: str, draw: Callable[[np.random.Generator], Case], draws: int) -> Problem:
    def cases() -> Iterator[Case]:
        for number in range(draws):
            yield draw(np.random.default_rng(number))

    return Problem(name, kind, 1, draws, cases, lambda: "made")
