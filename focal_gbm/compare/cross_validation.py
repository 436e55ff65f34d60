"""Repeated stratified cross-validation of all contestants on the same rows."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split

from focal_gbm._validation import FloatArray
from focal_gbm.compare.contestants import LIBRARIES, Contestant, Parts, Settings
from focal_gbm.compare.errors import TableError
from focal_gbm.compare.scores import METRICS, score
from focal_gbm.compare.statistics import Paired, compare_paired
from focal_gbm.compare.table import Table

#: Names of the contestants that every library has.
OWN, WEIGHTS, CHOSEN = "own loss", "class weights", "focal loss"

#: Share of each fold's training rows that are set aside to stop on, and to choose γ and α on.
_STOP_SHARE = 0.2

#: A table of fewer rows is cross-validated twice: its splits differ more, and its fits are quick. More
#: repeats would narrow the corrected interval by 10 % at most.
_REPEATED_BELOW = 20_000

#: More fits side by side cost memory: a worker loads both libraries.
_MOST_JOBS = 8

#: Measured beside the scores.
COSTS = {"seconds": "training time, s", "rounds": "rounds", "leaves": "leaves"}


@dataclass(frozen=True)
class Protocol:
    """What is compared, and how.

    Attributes
    ----------
    libraries : tuple of {"xgboost", "lightgbm"}
    gammas, alphas : tuple
        The grid of focal loss.
    folds : int
    repeats : int or None
        None is 2, and 1 from 20,000 rows on.
    settings : Settings
        The same for every contestant.
    precision : float
        For the recall at this precision.
    top : int or None
        Look at the precision among so many rows instead.
    minutes : float
        Start no split that would probably end later than this, but two in any case.
    jobs : int or None
        Fits side by side, each on `settings.threads`; None is the number of cores, eight at most.
    """

    libraries: tuple[str, ...] = tuple(LIBRARIES)
    gammas: tuple[float, ...] = (0.5, 1.0, 2.0)
    alphas: tuple[Any, ...] = (None, "balanced")
    folds: int = 5
    repeats: int | None = None
    settings: Settings = field(default_factory=Settings)
    precision: float = 0.9
    top: int | None = None
    minutes: float = 10.0
    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError(f"folds must be an integer >= 2, got {self.folds!r}.")
        if self.repeats is not None and self.repeats < 1:
            raise ValueError(f"repeats must be an integer >= 1, got {self.repeats!r}.")
        if not 0.0 < self.precision <= 1.0:
            raise ValueError(f"precision must lie in (0, 1], got {self.precision!r}.")
        if self.top is not None and self.top < 1:
            raise ValueError(f"top must be an integer >= 1, got {self.top!r}.")
        if not self.minutes > 0:
            raise ValueError(f"minutes must be a number > 0, got {self.minutes!r}.")
        if not (self.libraries and self.gammas and self.alphas):
            raise ValueError("libraries, gammas and alphas must have one entry or more each.")

    def contestants(self, library: str) -> list[Contestant]:
        """Return who meets with one library: its own loss first."""
        grid = [Contestant(library, "focal", gamma, alpha) for gamma in self.gammas for alpha in self.alphas]
        return [Contestant(library, "own"), Contestant(library, "weights"), *grid]

    def metrics(self) -> list[str]:
        """Return the names of the scores that are reported."""
        other = "recall_at_precision" if self.top is not None else "precision_at_top"
        return [name for name in METRICS if name != other]

    def label(self, metric: str) -> str:
        """Return the name of a score for people."""
        if metric == "recall_at_precision":
            return f"recall at precision {self.precision:g}"
        if metric == "precision_at_top":
            return f"precision in the top {self.top}"
        return METRICS[metric].label

    def repeats_for(self, n_rows: int) -> int:
        """Return how often cross-validation is repeated on a table of so many rows."""
        if self.repeats is not None:
            return self.repeats
        return 2 if n_rows < _REPEATED_BELOW else 1


class Split(NamedTuple):
    """Positions of the rows to train on, to stop on and to test on."""

    fit: NDArray[np.intp]
    stop: NDArray[np.intp]
    test: NDArray[np.intp]


def splits(y: NDArray[np.int64], folds: int, repeats: int, seed: int = 0) -> Iterator[Split]:
    """Yield the splits of repeated stratified k-fold, each with rows set aside to stop on.

    Parameters
    ----------
    y : ndarray of int of shape (n_rows,)
    folds, repeats, seed : int

    Yields
    ------
    Split
    """
    outer = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    for number, (train, test) in enumerate(outer.split(np.zeros((len(y), 1)), y)):
        fit, stop = train_test_split(
            train, test_size=_STOP_SHARE, stratify=y[train], random_state=seed + number
        )
        yield Split(fit, stop, test)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out.

    Attributes
    ----------
    table : Table
    protocol : Protocol
    results : DataFrame
        A row for each library, contestant and split: scores, seconds, rounds, leaves. The contestant
        "focal loss" is the point of the grid with the smallest log loss on the rows set aside, in each
        split; its seconds are those of the whole grid.
    chosen : dict of {library: Counter}
        How often each point of the grid was chosen.
    out_of_fold : dict of {(library, contestant): ndarray of shape (n_rows, n_classes)}
        Of the first repeat, for the three that every library has; NaN where time ran out.
    n_splits, n_splits_planned : int
    seconds : float
    notes : tuple of str
        Warnings of the models.
    """

    table: Table
    protocol: Protocol
    results: pd.DataFrame
    chosen: dict[str, Counter[str]]
    out_of_fold: dict[tuple[str, str], FloatArray]
    n_splits: int
    n_splits_planned: int
    seconds: float
    notes: tuple[str, ...]

    def names(self, library: str) -> list[str]:
        """Return the contestants of a library in their order."""
        return list(dict.fromkeys(self.results.loc[self.results.library == library, "contestant"]))

    def values(self, library: str, contestant: str, metric: str) -> NDArray[np.float64]:
        """Return a score by split, of shape (n_splits,)."""
        rows = (self.results.library == library) & (self.results.contestant == contestant)
        return self.results.loc[rows].sort_values("split")[metric].to_numpy(dtype=np.float64)

    def paired(self, library: str, contestant: str, metric: str, base: str = OWN) -> Paired:
        """Return the difference of a contestant to the host's own loss, tested on the same splits."""
        differences = self.values(library, contestant, metric) - self.values(library, base, metric)
        return compare_paired(differences, self.protocol.folds)


class _Outcome(NamedTuple):
    split: int
    contestant: Contestant
    row: dict[str, Any]
    proba: FloatArray
    test: NDArray[np.intp]
    loss_on_stop: float
    warnings: list[str]


def run(table: Table, protocol: Protocol, step: Callable[[int, int, str], None] | None = None) -> Comparison:
    """Compare on a table.

    Parameters
    ----------
    table : Table
    protocol : Protocol
    step : callable or None, default=None
        Called after each fit with (fits done, fits in all, what was fitted).

    Returns
    -------
    Comparison
    """
    started = time.perf_counter()
    smallest = int(np.bincount(table.y).min())
    if smallest < protocol.folds:
        raise TableError(f"the smallest class has {smallest} rows, fewer than the {protocol.folds} folds.")
    contestants = [one for library in protocol.libraries for one in protocol.contestants(library)]
    planned = protocol.folds * protocol.repeats_for(len(table.y))
    finished: list[_Outcome] = []

    def fits() -> Iterator[tuple[int, Split, Contestant]]:
        repeats = protocol.repeats_for(len(table.y))
        for number, split in enumerate(splits(table.y, protocol.folds, repeats, protocol.settings.seed)):
            passed, so_far = time.perf_counter() - started, len(finished) / len(contestants)
            if number >= 2 and so_far and passed * (number + 1) / so_far > 60 * protocol.minutes:
                return
            yield from ((number, split, contestant) for contestant in contestants)

    jobs = protocol.jobs or min(joblib.cpu_count(), _MOST_JOBS)
    parallel = joblib.Parallel(jobs, return_as="generator_unordered", pre_dispatch=jobs)
    for outcome in parallel(joblib.delayed(_fit_one)(table, protocol, *fit) for fit in fits()):
        finished.append(outcome)
        if step is not None:
            contestant = outcome.contestant
            what = f"{LIBRARIES[contestant.library]}, {contestant.label}"
            step(len(finished), planned * len(contestants), what)
    order = {contestant: place for place, contestant in enumerate(contestants)}
    finished.sort(key=lambda outcome: (outcome.split, order[outcome.contestant]))
    return _collect(table, protocol, finished, planned, time.perf_counter() - started)


def _fit_one(table: Table, protocol: Protocol, number: int, split: Split, contestant: Contestant) -> _Outcome:
    parts = Parts(table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = contestant.fit(parts, protocol.settings)
        proba = fitted.predict_proba(table.X.iloc[split.test])
        on_stop = fitted.predict_proba(parts.X_stop)
    row = {
        "library": contestant.library, "contestant": contestant.label, "split": number,
        **score(table.y[split.test], proba, precision=protocol.precision, top=protocol.top),
        "seconds": fitted.seconds, "rounds": fitted.rounds, "leaves": fitted.leaves,
    }  # fmt: skip
    loss = log_loss(parts.y_stop, on_stop, labels=np.arange(on_stop.shape[1]))
    messages = [f"{contestant.label}: {one.message}" for one in caught]
    return _Outcome(number, contestant, row, proba, split.test, float(loss), messages)


def _collect(
    table: Table, protocol: Protocol, finished: list[_Outcome], planned: int, seconds: float
) -> Comparison:
    """Put the fits together, and choose a point of the grid in each split."""
    shape = len(table.y), len(table.labels)
    three = [(library, name) for library in protocol.libraries for name in (OWN, WEIGHTS, CHOSEN)]
    out_of_fold: dict[tuple[str, str], FloatArray] = {key: np.full(shape, np.nan) for key in three}
    chosen: dict[str, Counter[str]] = {library: Counter() for library in protocol.libraries}
    grids: dict[tuple[int, str], list[_Outcome]] = {}
    for outcome in finished:
        library, label = outcome.contestant.library, outcome.contestant.label
        if outcome.contestant.loss == "focal":
            grids.setdefault((outcome.split, library), []).append(outcome)
        elif outcome.split < protocol.folds:
            out_of_fold[library, label][outcome.test] = outcome.proba
    rows = [outcome.row for outcome in finished]
    for (split, library), grid in grids.items():
        best = min(grid, key=lambda outcome: outcome.loss_on_stop)
        chosen[library][best.contestant.label] += 1
        seconds_of_grid = sum(outcome.row["seconds"] for outcome in grid)
        rows.append({**best.row, "contestant": CHOSEN, "seconds": seconds_of_grid})
        if split < protocol.folds:
            out_of_fold[library, CHOSEN][best.test] = best.proba
    notes = Counter(message for outcome in finished for message in outcome.warnings)
    return Comparison(
        table,
        protocol,
        pd.DataFrame(rows),
        chosen,
        out_of_fold,
        len({outcome.split for outcome in finished}),
        planned,
        seconds,
        tuple(f"{note} ({times} times)" for note, times in notes.items()),
    )
