"""Claim: what goes wrong with a hand-written focal objective is around its formula.

The objective that blog posts show, in NumPy with p clipped at 1e-15, given to xgboost.train and
lightgbm.train: once as it comes, starting at 0, once with the best constant as `init_score` or base margin.
Beside it are this package's estimator and the library's own log loss, LightGBM's also with
min_child_weight=1; γ=2, a learning rate of 0.1, the library's default parameters. The objective by hand stops
early on its own loss, all others on the log loss. Ten splits of each small table of two classes, and ten made
tables each with one positive in 10³ and 10⁴ of 10⁵ rows. Prints, and writes to results/hand_written.json, the
log loss of what one would read as the probability over that of the library's own loss, the same for the
calibration error, average precision and rounds.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/hand_written.py [--splits 10]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from _report import write
from _tables import LARGE, PATIENCE, RATE, ROUNDS, Split, fitted, problems, rounds_of
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit
from sklearn.metrics import average_precision_score, log_loss

GAMMA = 2.0
LIBRARIES = ("xgboost", "lightgbm")

#: XGBoost's own default, in LightGBM, whose own is 0.001: with rare positives its leaves become too large.
PRUDENT = "own loss, min_child_weight=1"
CONTESTANTS = ("own loss", PRUDENT, "focal_gbm", "by hand, start at 0", "by hand, init_score")

#: A probability of 0 or 1 has no log loss.
LEAST = 1e-7


class HandWritten:
    """Focal loss as it is found in blog posts: formulas of the clipped probability."""

    def pt(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The probability of the true class."""
        p = np.clip(p, 1e-15, 1 - 1e-15)
        return np.where(y == 1, p, 1 - p)

    def grad(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The first derivative in the score."""
        pt, s = self.pt(y, p), 2 * y - 1
        return s * (1 - pt) ** GAMMA * (GAMMA * pt * np.log(pt) + pt - 1)

    def hess(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The second derivative."""
        pt, s = self.pt(y, p), 2 * y - 1
        u, du = s * (1 - pt) ** GAMMA, -s * GAMMA * (1 - pt) ** (GAMMA - 1)
        v, dv = GAMMA * pt * np.log(pt) + pt - 1, GAMMA * np.log(pt) + GAMMA + 1
        return (du * v + u * dv) * s * (pt * (1 - pt))

    def loss(self, y: np.ndarray, p: np.ndarray) -> float:
        """The mean loss."""
        pt = self.pt(y, p)
        return float(-((1 - pt) ** GAMMA * np.log(pt)).mean())

    def init_score(self, y: np.ndarray) -> float:
        """The constant score with the least loss."""
        found = minimize_scalar(lambda p: self.loss(y, np.full(len(y), p)), bounds=(0, 1), method="bounded")
        return float(np.log(found.x / (1 - found.x)))

    def __call__(self, scores: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian, as both libraries ask for them."""
        y, p = np.asarray(data.get_label()), expit(scores)
        return self.grad(y, p), self.hess(y, p)


def by_hand(library: str, split: Split, start: float) -> tuple[np.ndarray, int]:
    """Return σ(z) of new rows, and rounds."""
    ours = HandWritten()
    if library == "lightgbm":
        train, stop = (
            lightgbm.Dataset(X, y.astype(float), init_score=np.full(len(y), start))
            for X, y in ((split.X, split.y), (split.X_stop, split.y_stop))
        )
        booster: Any = lightgbm.train(
            {"objective": ours, "learning_rate": RATE, "verbose": -1, "num_threads": 1, "metric": "None"},
            train, ROUNDS, valid_sets=[stop],
            feval=lambda z, data: ("focal", ours.loss(data.get_label(), expit(z)), False),
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )  # fmt: skip
        return expit(start + np.asarray(booster.predict(split.X_test, raw_score=True))), booster.best_iteration
    train, stop, new = (
        xgboost.DMatrix(X, y, base_margin=np.full(len(X), start), enable_categorical=True)
        for X, y in ((split.X, split.y), (split.X_stop, split.y_stop), (split.X_test, None))
    )
    booster = xgboost.train(
        {"eta": RATE, "base_score": 0.0, "nthread": 1, "disable_default_eval_metric": 1},
        train, ROUNDS, obj=ours, evals=[(stop, "stop")], verbose_eval=False,
        custom_metric=lambda z, data: ("focal", ours.loss(data.get_label(), expit(z))),
        early_stopping_rounds=PATIENCE,
    )  # fmt: skip
    rounds = booster.best_iteration + 1
    z = booster.predict(new, output_margin=True, iteration_range=(0, rounds)).astype(float)
    return expit(z), rounds


def run(library: str, contestant: str, split: Split) -> tuple[np.ndarray, int]:
    """Return what one would read as the probability of new rows, and rounds."""
    if contestant.startswith("by hand"):
        start = HandWritten().init_score(split.y) if contestant.endswith("init_score") else 0.0
        return by_hand(library, split, start)
    parameters = {"min_child_weight": 1.0} if contestant == PRUDENT else {}
    model = fitted(library, split, GAMMA if contestant == "focal_gbm" else 0.0, **parameters)
    return model.predict_proba(split.X_test)[:, 1].astype(float), rounds_of(model)


def rare(one_in: int, rows: int, seed: int) -> Split:
    """Return a made table with one positive in so many rows, a fifth of them to stop on."""
    draw = np.random.default_rng(seed)
    X = draw.standard_normal((2 * rows, 10)).astype(np.float32)
    a, b, c, d, e = X[:, :5].T
    log_odds = 1.2 * a * b + 1.5 * (c > 0.5) + np.sin(2 * d) + e
    y = (draw.random(len(X)) < expit(log_odds + shift_to(log_odds, 1 / one_in))).astype(int)
    frame, stop = pd.DataFrame(X, columns=[f"x{i}" for i in range(10)]), rows // 5
    parts = slice(stop, rows), slice(0, stop), slice(rows, None)
    return Split(*(array for part in parts for array in (frame[part], y[part])))


def shift_to(log_odds: np.ndarray, rate: float) -> float:
    """Return what to add to log-odds for this mean probability."""
    return float(brentq(lambda shift: expit(log_odds + shift).mean() - rate, -40.0, 40.0))


def cases(splits: int, rows: int) -> Iterator[tuple[str, Split]]:
    """Yield the first splits of each small table of two classes, and made tables."""
    for problem in problems():
        if problem.n_classes == 2 and len(problem.y) < LARGE:
            yield from ((problem.name, split) for split, _ in zip(problem.splits(), range(splits), strict=False))
    for one_in in (1_000, 10_000):
        for seed in range(splits):
            yield f"rare 1 in {one_in}", rare(one_in, rows, seed)


def calibration_error(y: np.ndarray, p: np.ndarray, bins: int = 10) -> float:
    """Return the mean distance of predicted and observed shares, in bins of equal numbers of rows."""
    parts = np.array_split(np.argsort(p), bins)
    return float(sum(abs(p[part].sum() - y[part].sum()) for part in parts) / len(y))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100_000, help="of the made tables")
    arguments = parser.parse_args()
    rows = []
    for name, split in cases(arguments.splits, arguments.rows):
        for library in LIBRARIES:
            for contestant in CONTESTANTS:
                if contestant == PRUDENT and library == "xgboost":
                    continue
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    positive, rounds = run(library, contestant, split)
                y = split.y_test
                rows.append(
                    {"table": name, "library": library, "contestant": contestant, "rounds": rounds,
                     "log loss": log_loss(y, np.clip(positive, LEAST, 1 - LEAST), labels=[0, 1]),
                     "calibration error": calibration_error(y, positive),
                     "average precision": average_precision_score(y, positive)}
                )  # fmt: skip
        print(name, flush=True)
    keys = ["library", "table", "contestant"]
    mean = pd.DataFrame(rows).groupby(keys, sort=False).mean().reset_index()
    own = mean[mean.contestant == "own loss"].set_index(keys[:2])
    for column in ("log loss", "calibration error"):
        of_row = own.loc[list(zip(mean.library, mean.table, strict=True)), column].to_numpy()
        mean[f"{column}, over own"] = mean[column] / of_row
    print(mean.round(3).to_string(index=False))
    write("hand_written", "hand_written.py", mean.round(6).to_dict("records"))


if __name__ == "__main__":
    main()
