"""All contestants on the same splits of a table."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from focal_gbm._validation import FloatArray
from focal_gbm.compare.contestants import LIBRARIES, Contestant, Parts
from focal_gbm.compare.errors import TableError
from focal_gbm.compare.money import cheapest_threshold, mean_cost, share_at_stake
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS, Protocol
from focal_gbm.compare.scores import score
from focal_gbm.compare.splits import Split, n_splits, splits
from focal_gbm.compare.statistics import Paired, compare_paired
from focal_gbm.compare.table import Table

#: More fits side by side cost memory: a worker loads both libraries.
_MOST_JOBS = 8

#: Measured beside the scores.
EFFORT = {"seconds": "training time, s", "rounds": "rounds", "leaves": "leaves"}


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
        split; its seconds are those of the whole grid. "class weights, shifted" is the same models as
        "class weights", with the weights undone in their probabilities.
    chosen : dict of {library: Counter}
        How often each point of the grid was chosen, by its label.
    out_of_fold : dict of {(library, contestant): ndarray of shape (n_rows, n_classes)}
        Of the first repeat, for the four that every library has; NaN where a row was not tested.
    split_of : ndarray of int of shape (n_rows,)
        In which split of the first repeat a row was tested; -1 for none.
    n_splits, n_splits_planned : int
    test_to_train : float
        Rows to test on over rows to train and stop on, the mean over the splits.
    seconds : float
    notes : tuple of str
        Warnings of the models.
    """

    table: Table
    protocol: Protocol
    results: pd.DataFrame
    chosen: dict[str, Counter[str]]
    out_of_fold: dict[tuple[str, str], FloatArray]
    split_of: NDArray[np.intp]
    n_splits: int
    n_splits_planned: int
    test_to_train: float
    seconds: float
    notes: tuple[str, ...]

    @property
    def metrics(self) -> list[str]:
        """The names of the scores that are reported."""
        return self.protocol.metrics(self.table.rows)

    @property
    def decisive(self) -> list[str]:
        """The two or three of them that decide."""
        return self.protocol.decisive(self.table.rows)

    def names(self, library: str) -> list[str]:
        """Return the contestants of a library: log loss, class weights, focal loss, then the grid."""
        found = dict.fromkeys(self.results.loc[self.results.library == library, "contestant"])
        four = [LOG_LOSS, WEIGHTS, SHIFTED, CHOSEN]
        return [*four, *(name for name in found if name not in four)]

    def values(self, library: str, contestant: str, metric: str) -> NDArray[np.float64]:
        """Return a score by split, of shape (n_splits,)."""
        rows = (self.results.library == library) & (self.results.contestant == contestant)
        return self.results.loc[rows].sort_values("split")[metric].to_numpy(dtype=np.float64)

    def paired(self, library: str, contestant: str, metric: str, base: str = LOG_LOSS) -> Paired:
        """Return the difference of a contestant to the log loss, tested on the same splits."""
        differences = self.values(library, contestant, metric) - self.values(library, base, metric)
        return compare_paired(differences, self.protocol.folds, self.test_to_train)


class _Outcome(NamedTuple):
    split: int
    contestant: Contestant
    rows: list[dict[str, Any]]
    proba: dict[str, FloatArray]
    test: NDArray[np.intp]
    test_to_train: float
    loss_on_stop: float
    warnings: list[str]


def run(
    table: Table,
    protocol: Protocol,
    step: Callable[[int, int, str], None] | None = None,
    seconds_before: float = 0.0,
) -> Comparison:
    """Compare on a table.

    Parameters
    ----------
    table : Table
    protocol : Protocol
    step : callable or None, default=None
        Called after each fit with (fits done, fits in all, what was fitted).
    seconds_before : float
        What reading and checking the table took, which counts in `Protocol.minutes`.

    Returns
    -------
    Comparison

    Raises
    ------
    TableError
        Where a split lacks a class.
    """
    started = time.perf_counter() - seconds_before
    smallest = int(np.bincount(table.y).min())
    if smallest < protocol.folds:
        raise TableError(f"the smallest class has {smallest} rows, fewer than the {protocol.folds} folds.")
    protocol.decisive(table.rows)  # says now what cannot be decided
    contestants = [one for library in protocol.libraries for one in protocol.contestants(library)]
    repeats = protocol.repeats_for(len(table.y))
    planned = n_splits(protocol.folds, repeats, table.rows)
    every = list(splits(table.y, protocol.folds, repeats, protocol.settings.seed, table.rows))
    finished: list[_Outcome] = []
    began = time.perf_counter()

    def fits() -> Iterator[tuple[int, Split, Contestant]]:
        for number, split in enumerate(every):
            so_far = len(finished) / len(contestants)
            of_fits, of_all = time.perf_counter() - began, time.perf_counter() - started
            left = of_fits / so_far * (number + 1 - so_far) if so_far else 0.0
            if number >= 2 and of_all + left > 60 * protocol.minutes:
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
    weight = table.rows.weight
    parts = Parts(
        table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop],
        None if weight is None else weight[split.fit], None if weight is None else weight[split.stop],
    )  # fmt: skip
    X_test = table.X.iloc[split.test]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = contestant.fit(parts, protocol.settings)
        on_test = {contestant.label: fitted.predict_proba(X_test)}
        on_stop = {contestant.label: fitted.predict_proba(parts.X_stop)}
        if fitted.class_weights is not None:
            on_test[SHIFTED] = fitted.predict_proba_shifted(X_test)
            on_stop[SHIFTED] = fitted.predict_proba_shifted(parts.X_stop)
    rows = [
        {
            "library": contestant.library, "contestant": name, "split": number,
            **_scores(table, protocol, split, on_test[name], on_stop[name]),
            "seconds": fitted.seconds, "rounds": fitted.rounds, "leaves": fitted.leaves,
        }
        for name in on_test
    ]  # fmt: skip
    proba = on_stop[contestant.label]
    loss = log_loss(parts.y_stop, proba, labels=np.arange(proba.shape[1]), sample_weight=parts.weight_stop)
    messages = [f"{contestant.label}: {one.message}" for one in caught]
    ratio = len(split.test) / (len(split.fit) + len(split.stop))
    return _Outcome(number, contestant, rows, on_test, split.test, ratio, float(loss), messages)


def _scores(
    table: Table, protocol: Protocol, split: Split, on_test: FloatArray, on_stop: FloatArray
) -> dict[str, float]:
    """Return the scores of probabilities on the rows to test on."""
    rows, test, stop = table.rows, split.test, split.stop
    weight = None if rows.weight is None else rows.weight[test]
    amount = rows.cost_fn[test] if rows.has_amounts and rows.cost_fn is not None else None
    scores = score(
        table.y[test], on_test, precision=protocol.precision, top=protocol.top, weight=weight, amount=amount
    )
    if rows.cost_fp is not None and rows.cost_fn is not None:
        costs, positive = (rows.cost_fp[test], rows.cost_fn[test]), table.y[test] == 1
        at_stake = share_at_stake(on_test[:, 1], *costs)
        threshold = cheapest_threshold(
            table.y[stop] == 1,
            share_at_stake(on_stop[:, 1], rows.cost_fp[stop], rows.cost_fn[stop]),
            rows.cost_fp[stop], rows.cost_fn[stop], None if rows.weight is None else rows.weight[stop],
        )  # fmt: skip
        scores["cost"] = mean_cost(positive, at_stake > 0.5, *costs, weight)
        scores["cost_at_threshold"] = mean_cost(positive, at_stake >= threshold, *costs, weight)
    return scores


def _collect(
    table: Table, protocol: Protocol, finished: list[_Outcome], planned: int, seconds: float
) -> Comparison:
    """Put the fits together, and choose a point of the grid in each split."""
    shape = len(table.y), len(table.labels)
    four = [
        (library, name) for library in protocol.libraries for name in (LOG_LOSS, WEIGHTS, SHIFTED, CHOSEN)
    ]
    out_of_fold: dict[tuple[str, str], FloatArray] = {key: np.full(shape, np.nan) for key in four}
    split_of = np.full(len(table.y), -1)
    chosen: dict[str, Counter[str]] = {library: Counter() for library in protocol.libraries}
    grids: dict[tuple[int, str], list[_Outcome]] = {}
    for outcome in finished:
        is_new = (split_of[outcome.test] < 0) | (split_of[outcome.test] == outcome.split)
        if is_new.all():  # of the first repeat
            split_of[outcome.test] = outcome.split
            for name, proba in outcome.proba.items():
                if (outcome.contestant.library, name) in out_of_fold:
                    out_of_fold[outcome.contestant.library, name][outcome.test] = proba
        if outcome.contestant.loss == "focal":
            grids.setdefault((outcome.split, outcome.contestant.library), []).append(outcome)
    rows = [row for outcome in finished for row in outcome.rows]
    for (split, library), grid in grids.items():
        best = min(grid, key=lambda outcome: outcome.loss_on_stop)
        chosen[library][best.contestant.label] += 1
        seconds_of_grid = sum(outcome.rows[0]["seconds"] for outcome in grid)
        rows.append({**best.rows[0], "contestant": CHOSEN, "seconds": seconds_of_grid})
        if (split_of[best.test] == split).all():
            out_of_fold[library, CHOSEN][best.test] = best.proba[best.contestant.label]
    notes = Counter(message for outcome in finished for message in outcome.warnings)
    return Comparison(
        table,
        protocol,
        pd.DataFrame(rows),
        chosen,
        out_of_fold,
        split_of,
        len({outcome.split for outcome in finished}),
        planned,
        float(np.mean([outcome.test_to_train for outcome in finished])),
        seconds,
        tuple(f"{note} ({times} times)" for note, times in notes.items()),
    )
