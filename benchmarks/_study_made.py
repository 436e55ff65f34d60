"""Made tables whose probabilities are known: noisy labels, rare positives, drift.

Scores are expected ones over these probabilities, not over drawn labels, so that only the rows to train on
bring noise; every repeat draws new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from focal_gbm.compare import Parts

FEATURES = 10

#: Rows to train on (a fifth of them to stop on) and to test on, of the noisy and drifting tables.
ROWS, ROWS_OF_TEST = 10_000, 20_000
BASE_RATE = 0.05

#: Rows to test on of the rare tables; of expected scores no more are needed.
ROWS_OF_RARE_TEST = 200_000

#: Two of them to stop on.
LEAST_POSITIVES = 10


@dataclass(frozen=True, eq=False)
class Case:
    """One split: rows to train and to stop on, new rows, and what is true of them.

    Attributes
    ----------
    parts : Parts
    X : DataFrame
        New rows.
    true : ndarray
        Their labels, or the probability of class 1 where it is known.
    seen : ndarray
        The same as the rows to train on have it: with noisy labels another one.
    """

    parts: Parts
    X: pd.DataFrame
    true: np.ndarray
    seen: np.ndarray


def score(X: np.ndarray, other: bool = False) -> np.ndarray:
    """Return log-odds without an intercept: products, steps and waves of the features."""
    a, b, c, d, e = (X[:, i] for i in ((5, 6, 7, 8, 9) if other else range(5)))
    return 1.2 * a * b + 1.5 * (c > 0.5) + np.sin(2 * d) + e


def with_rate(log_odds: np.ndarray, rate: float) -> np.ndarray:
    """Return probabilities with this mean."""
    return expit(log_odds + brentq(lambda shift: expit(log_odds + shift).mean() - rate, -40.0, 40.0))


def noisy(kind: str, share: float, draw: np.random.Generator) -> Case:
    """Flip a share of all labels ("symmetric"), or of the positives ("hidden"), to train and to stop on."""
    X = draw.standard_normal((ROWS + ROWS_OF_TEST, FEATURES))
    true = with_rate(score(X), BASE_RATE)
    seen = true * (1 - share) + (1 - true) * share if kind == "symmetric" else true * (1 - share)
    y = (draw.random(ROWS) < seen[:ROWS]).astype(np.int64)
    return _case(X, y, true[ROWS:], seen[ROWS:], ROWS // 5)


def rare(rate: float, rows: int, draw: np.random.Generator) -> Case:
    """Return a table with exactly rate * rows positives, of which a fifth are among the rows to stop on."""
    X = draw.standard_normal((rows + ROWS_OF_RARE_TEST, FEATURES)).astype(np.float32)
    true = with_rate(score(X), rate)
    odds = np.log(true[:rows]) - np.log1p(-true[:rows])
    positives = round(rate * rows)
    if positives < LEAST_POSITIVES:
        raise ValueError(
            f"rows must hold {LEAST_POSITIVES} positives or more at a rate of {rate:g}, got {rows}."
        )
    # the largest of log-odds plus logistic noise: labels of the same law, given their number
    drawn = odds + draw.logistic(size=rows)
    y = np.zeros(rows, dtype=np.int64)
    y[np.argpartition(drawn, -positives)[-positives:]] = 1
    chosen = np.flatnonzero(y)
    y_last = draw.permutation(chosen)[: positives // 5]
    others = draw.permutation(np.flatnonzero(y == 0))[: rows // 5 - len(y_last)]
    last = np.concatenate([others, y_last])
    order = np.concatenate([np.setdiff1d(np.arange(rows), last), last])
    X[:rows], y = X[order], y[order]
    return _case(X, y, true[rows:], true[rows:], rows // 5)


def drifting(kind: str, draw: np.random.Generator) -> Case:
    """Train on the past and test on the future: the features, the base rate or the relation moves."""
    n = ROWS + ROWS_OF_TEST
    time = np.concatenate([np.sort(draw.uniform(0, 0.7, ROWS)), draw.uniform(0.7, 1, ROWS_OF_TEST)])
    X = draw.standard_normal((n, FEATURES))
    if kind == "features":
        X[:, [0, 2, 4]] += 1.5 * time[:, None]
    odds = score(X)
    if kind == "relation":
        odds = (1 - time) * odds + time * score(X, other=True)
    if kind == "base rate":
        odds = odds + 2.0 * time
    true = with_rate(odds, BASE_RATE)
    y = (draw.random(ROWS) < true[:ROWS]).astype(np.int64)
    return _case(X, y, true[ROWS:], true[ROWS:], ROWS // 5)


def _case(X: np.ndarray, y: np.ndarray, true: np.ndarray, seen: np.ndarray, stop: int) -> Case:
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])])
    n = len(y)
    parts = Parts(frame[: n - stop], y[: n - stop], frame[n - stop : n], y[n - stop :])
    return Case(parts, frame[n:], true, seen)


def noisy_and_drifting() -> dict[str, Callable[[np.random.Generator], Case]]:
    """Return {name: function of a random generator}."""
    tables: dict[str, Callable[[np.random.Generator], Case]] = {
        "labels as they are": partial(noisy, "hidden", 0.0)
    }
    for kind in ("symmetric", "hidden"):
        for share in (0.05, 0.1, 0.2):
            tables[f"labels {kind} {share:.0%}"] = partial(noisy, kind, share)
    for kind in ("features", "base rate", "relation"):
        tables[f"drift of {kind}"] = partial(drifting, kind)
    return tables


def rare_tables(rows: int) -> dict[str, Callable[[np.random.Generator], Case]]:
    """Return {name: function of a random generator} at the rates that leave so many rows enough positives."""
    return {
        f"rare 1 in {one_in} of {rows}": partial(rare, 1 / one_in, rows)
        for one_in in (1_000, 10_000, 100_000)
        if rows >= LEAST_POSITIVES * one_in
    }
