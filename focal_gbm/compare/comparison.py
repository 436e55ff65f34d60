"""All contestants on the same splits of a table, and what came out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd

from focal_gbm.compare.columns import FloatArray
from focal_gbm.compare.contestants import (
    CHOSEN,
    LIBRARIES,
    LOG_LOSS,
    PRUDENT,
    SHIFTED,
    WEIGHTS,
    Protocol,
    fit,
)  # fmt: skip
from focal_gbm.compare.scores import Metric
from focal_gbm.compare.splits import splits
from focal_gbm.compare.table import Table
from focal_gbm.compare.verdict import MANY_SPLITS, Improvement, Verdict, improvement, sentence

#: More fits side by side cost memory: a worker loads both libraries.
_MOST_JOBS = 8

#: A column that alone explains so much of what the log loss model explains, and of the target, is noted.
_MOST, _SOMETHING = 0.5, 0.05

#: Where in a sentence a score is.
_PLACES = {"average_precision": "in ranking (average precision)", "log_loss": "for probabilities (log loss)"}


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result of a comparison.

    Attributes
    ----------
    table : Table
    protocol : Protocol
    scores : DataFrame
        A row for each library, contestant and split: the scores, seconds, rounds, log loss on the rows set
        aside ("loss_on_stop"). The contestant "focal loss" is the γ and α for which that is the smallest, in
        each split; its seconds are those of all.
    chosen : dict of {str: Counter}
        By library, how often each of them was chosen.
    test_to_train : float
        Rows to test on over rows to train and stop on, the mean over the splits.
    seconds : float
        Wall-clock time.
    notes : tuple of str
        What was found in the table, and warnings of the models.
    """

    table: Table
    protocol: Protocol
    scores: pd.DataFrame
    chosen: dict[str, Counter[str]]
    test_to_train: float
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def n_splits(self) -> int:
        """The number of splits."""
        return int(self.scores.split.nunique())

    @property
    def metrics(self) -> dict[str, Metric]:
        """The scores by name, in the order in which people read them."""
        return self.protocol.metrics(self.table)

    @property
    def decisive(self) -> list[str]:
        """The two scores that decide."""
        return self.protocol.decisive(self.table)

    def names(self, library: str) -> list[str]:
        """Return the contestants of a library, those that decide first."""
        found = list(dict.fromkeys(self.scores.contestant[self.scores.library == library]))
        grid = [name for name in found if name.startswith("focal γ")]
        first = [name for name in (LOG_LOSS, CHOSEN, PRUDENT, SHIFTED, WEIGHTS) if name in found]
        return first + (grid if len(grid) > 1 else [])

    def values(self, library: str, name: str, metric: str) -> FloatArray:
        """Return a score (or "seconds", "rounds") by split, of shape (n_splits,)."""
        rows = (self.scores.library == library) & (self.scores.contestant == name)
        return self.scores[rows].sort_values("split")[metric].to_numpy(dtype=np.float64)

    def improvement(self, library: str, name: str, metric: str, base: str = LOG_LOSS) -> Improvement:
        """Return what a contestant gains over the log loss, tested on the same splits.

        The verdict is about one comparison, "focal loss" against the log loss; the intervals of all others
        are widened for their number.
        """
        over = self.values(library, base, metric)
        sign = 1 if self.metrics[metric].higher_is_better else -1
        margin = self.protocol.margin * abs(float(over.mean()))
        tests = 1 if name == CHOSEN else max(len(self.names(library)) - 2, 1)
        gains = sign * (self.values(library, name, metric) - over)
        return improvement(gains, self.test_to_train, margin, tests)

    def verdict(self, library: str) -> Verdict:
        """Return the answer for one library."""
        found = {metric: self.improvement(library, CHOSEN, metric) for metric in self.decisive}
        words = {metric: one.word for metric, one in found.items()}
        places = {_PLACES.get(one, f"in {self.metrics[one].label}"): word for one, word in words.items()}
        untold = self._why_untold(all(one.told_by_splits for one in found.values() if not one.word))
        name, advice = self._advice(library, list(words.values()))
        said = f"{LIBRARIES[library]}: {sentence(places, untold)}. {advice}."
        return Verdict(words, said, name, self._snippet(library, name))

    def _advice(self, library: str, words: list[str]) -> tuple[str, str]:
        """Return the contestant to take, and the advice in words."""
        has_rival = PRUDENT in self.names(library)
        if "better" in words and words[0] != "worse":
            if has_rival and not self._gains(library, CHOSEN, PRUDENT):
                return PRUDENT, f"Take {PRUDENT}, which does as well"
            name = self.chosen[library].most_common(1)[0][0]
            return name, f"Take {name}" + (", if probabilities matter less" if "worse" in words else "")
        if has_rival and self._gains(library, PRUDENT, LOG_LOSS):
            return PRUDENT, f"Take {PRUDENT}, which is better than the library's own"
        return LOG_LOSS, "Keep the log loss"

    def _gains(self, library: str, name: str, base: str) -> bool:
        words = [self.improvement(library, name, metric, base).word for metric in self.decisive]
        return "better" in words and "worse" not in words

    def _why_untold(self, told_by_splits: bool) -> str:
        table = self.table
        if len(table.y) < table.rows_in_file:
            return f"a sample of {len(table.y):,} rows is too small to tell (--max-rows {table.rows_in_file})"
        if table.time is None and told_by_splits and self.n_splits < MANY_SPLITS:
            repeats = -(-MANY_SPLITS // self.protocol.folds)
            return f"{self.n_splits} splits are too few to tell (--repeats {repeats})"
        return f"{len(table.y):,} rows are too few to tell"

    def _snippet(self, library: str, name: str) -> str:
        """Return Python that fits a contestant on features X (texts as categories) and labels y."""
        every = self.protocol.contestants(library, self.table.y)
        contestant = next(one for one in every if one.name == name)
        model = type(contestant.model(self.protocol)).__name__
        settings = ", ".join(f"{key}={value!r}" for key, value in contestant.settings(self.protocol).items())
        own = f"from focal_gbm import EarlyStoppingClassifier, {model}"
        imports = own if contestant.gamma is not None else f"from {library} import {model}\n{own.split(',')[0]}"
        weight = ", sample_weight=weight" if self.table.roles.weight else ""
        return (
            f"{imports}\n\nmodel = {model}({settings})\n"
            f"model = EarlyStoppingClassifier(model, rounds={self.protocol.patience}).fit(X, y{weight})"
        )

    def __str__(self) -> str:
        return "\n".join(self.verdict(library).sentence for library in self.protocol.libraries)


def run(table: Table, protocol: Protocol, step: Callable[[int, int, str], None] = lambda *what: None) -> Comparison:
    """Compare on a table.

    Parameters
    ----------
    table : Table
    protocol : Protocol
    step : callable
        Called after each fit with (fits done, fits in all, what was fitted).

    Returns
    -------
    Comparison

    Raises
    ------
    TableError
        Where a split lacks a class.
    """
    started = time.perf_counter()
    protocol.decisive(table)  # says now what cannot be decided
    repeats = protocol.repeats_for(len(table.y))
    every = splits(table.y, protocol.folds, repeats, protocol.seed, time=table.time, group=table.group)
    contestants = [one for library in protocol.libraries for one in protocol.contestants(library, table.y)]
    fits = [(split, one, number) for number, split in enumerate(every) for one in contestants]
    parallel = joblib.Parallel(protocol.jobs or min(joblib.cpu_count(), _MOST_JOBS), return_as="generator")
    rows: list[dict[str, Any]] = []
    warnings: Counter[str] = Counter()
    found = parallel(joblib.delayed(fit)(table, protocol, split, one) for split, one, _ in fits)
    for done, ((_, contestant, number), (scores, messages)) in enumerate(zip(fits, found, strict=True), 1):
        of = {"library": contestant.library, "split": number}
        rows += [{**of, "contestant": name, **one} for name, one in scores.items()]
        warnings.update(f"{contestant.library}, {contestant.name}: {message}" for message in messages)
        step(done, len(fits), f"{LIBRARIES[contestant.library]}, {contestant.name}")
    of_all = pd.DataFrame(rows)
    grid = of_all[of_all.contestant.str.startswith("focal γ")]
    by_split = grid.groupby(["library", "split"])
    best = grid.loc[by_split.loss_on_stop.idxmin()]
    chosen = {library: Counter(best.contestant[best.library == library]) for library in protocol.libraries}
    best = best.assign(contestant=CHOSEN, seconds=by_split.seconds.sum().to_numpy())
    of_all = pd.concat([of_all, best], ignore_index=True)
    ratio = float(np.mean([len(one.test) / (len(one.fit) + len(one.stop)) for one in every]))
    notes = [*table.notes, *_about_alone(table, of_all)]
    notes += [f"{message} ({times} times)" for message, times in warnings.items()]
    return Comparison(table, protocol, of_all, chosen, ratio, time.perf_counter() - started, tuple(notes))


def _about_alone(table: Table, scores: pd.DataFrame) -> list[str]:
    """Return a note on a column that alone explains most of what the best log loss model explains."""
    shares = np.bincount(table.y) / len(table.y)
    variance = float((shares * (1 - shares)).sum()) / (2 if len(shares) == 2 else 1)
    brier = scores[scores.contestant == LOG_LOSS].groupby("library").brier.mean().min()
    explained = 1 - brier / variance
    name, alone = max(table.alone.items(), key=lambda one: one[1])
    if len(table.columns) < 2 or alone < max(_MOST * explained, _SOMETHING):
        return []
    return [
        f"{name!r} alone explains {alone:.0%} of the target's variance, all columns {explained:.0%}: is it "
        "known when the model is used? (--drop leaves it out)"
    ]
