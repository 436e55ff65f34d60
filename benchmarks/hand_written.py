"""Claim: what goes wrong with a hand-written focal objective is around its formula.

The objective that blog posts show, in NumPy with p clipped at 1e-15, given to xgboost.train and
lightgbm.train: once as it comes, starting at 0, once with the best constant as `init_score` or base margin.
Beside it this package's estimator, and the library's own log loss; γ=2, learning rate 0.1, the library's
default parameters, everybody stops early on the loss that it trains on. Three splits of the small tables of
two classes, and three made tables each with one positive in 10³ and 10⁴ of 10⁵ rows. Prints and writes to
results/hand_written.json the log loss of σ(z), which one would read by hand, over that of the library's own
loss; the same with the link that this package knows; average precision, rounds and leaves a tree.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/hand_written.py
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from _report import write
from _study_made import Case, rare
from _study_run import average_precision, log_loss
from _study_tables import problems
from scipy.optimize import minimize_scalar
from scipy.special import expit

from focal_gbm.compare import Contestant, Settings
from focal_gbm.losses.links import BinaryFocalLink

GAMMA, ROUNDS, PATIENCE, RATE = 2.0, 500, 30, 0.1
SPLITS = 3

#: A probability of 0 or 1 has no log loss.
LEAST = 1e-7

LINK = BinaryFocalLink(GAMMA)


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


class Result(NamedTuple):
    """Scores z of new rows, or probabilities; rounds, and leaves a tree."""

    score: np.ndarray
    proba: np.ndarray
    rounds: int
    leaves: float


def on_lightgbm(case: Case, start: float) -> Result:
    ours, parts = HandWritten(), case.parts
    train, stop = (
        lightgbm.Dataset(X, y.astype(float), init_score=np.full(len(y), start))
        for X, y in ((parts.X, parts.y), (parts.X_stop, parts.y_stop))
    )
    booster = lightgbm.train(
        {"objective": ours, "learning_rate": RATE, "verbose": -1, "num_threads": 1, "metric": "None"},
        train, ROUNDS, valid_sets=[stop],
        feval=lambda z, data: ("focal", ours.loss(data.get_label(), expit(z)), False),
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )  # fmt: skip
    z = start + np.asarray(booster.predict(case.X, raw_score=True))
    return Result(z, expit(z), booster.best_iteration, _leaves(booster))


def on_xgboost(case: Case, start: float) -> Result:
    ours, parts = HandWritten(), case.parts
    train, stop, new = (
        xgboost.DMatrix(X, y, base_margin=np.full(len(X), start), enable_categorical=True)
        for X, y in ((parts.X, parts.y), (parts.X_stop, parts.y_stop), (case.X, None))
    )
    booster = xgboost.train(
        {"eta": RATE, "base_score": 0.0, "nthread": 1, "disable_default_eval_metric": 1},
        train, ROUNDS, obj=ours, evals=[(stop, "stop")], verbose_eval=False,
        custom_metric=lambda z, data: ("focal", ours.loss(data.get_label(), expit(z))),
        early_stopping_rounds=PATIENCE,
    )  # fmt: skip
    rounds = booster.best_iteration + 1
    z = booster.predict(new, output_margin=True, iteration_range=(0, rounds)).astype(float)
    return Result(z, expit(z), rounds, _leaves(booster))


def by_estimator(library: str, case: Case, loss: str) -> Result:
    fitted = Contestant(library, loss, gamma=GAMMA).fit(case.parts, Settings(ROUNDS, RATE, PATIENCE))
    proba = fitted.predict_proba(case.X)[:, 1]
    booster = fitted.model.get_booster() if library == "xgboost" else fitted.model.booster_
    return Result(np.full(len(proba), np.nan), proba, fitted.rounds, _leaves(booster))


def _leaves(booster: xgboost.Booster | lightgbm.Booster) -> float:
    if isinstance(booster, lightgbm.Booster):
        return float(np.mean([tree["num_leaves"] for tree in booster.dump_model()["tree_info"]]))
    return sum(tree.count("leaf=") for tree in booster.get_dump()) / booster.num_boosted_rounds()


def contestants(library: str) -> dict[str, Callable[[Case], Result]]:
    by_hand = on_xgboost if library == "xgboost" else on_lightgbm
    return {
        "own loss": lambda case: by_estimator(library, case, "log_loss"),
        "focal_gbm": lambda case: by_estimator(library, case, "focal"),
        "by hand, start at 0": lambda case: by_hand(case, 0.0),
        "by hand, init_score": lambda case: by_hand(case, HandWritten().init_score(case.parts.y)),
    }


def cases() -> Iterator[tuple[str, Case]]:
    """Yield the first splits of each table."""
    for problem in problems().values():
        if problem.kind == "two classes" and problem.folds == 5:
            yield from ((problem.name, case) for case, _ in zip(problem.cases(), range(SPLITS), strict=False))
    for one_in in (1_000, 10_000):
        for seed in range(SPLITS):
            yield f"rare 1 in {one_in}", rare(1 / one_in, 100_000, np.random.default_rng(seed))


def two_columns(positive: np.ndarray) -> np.ndarray:
    bounded = np.clip(positive, LEAST, 1 - LEAST)
    return np.column_stack([1 - bounded, bounded])


def loss_of(case: Case, positive: np.ndarray) -> float:
    return log_loss(case.seen, two_columns(positive))


def main() -> None:
    rows = []
    for name, case in cases():
        for library in ("xgboost", "lightgbm"):
            for contestant, run in contestants(library).items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    result = run(case)
                undone = LINK.inverse(result.score) if "hand" in contestant else result.proba
                rows.append(
                    {"table": name, "library": library, "contestant": contestant,
                     "rounds": result.rounds, "leaves a tree": result.leaves,
                     "log loss": loss_of(case, result.proba), "log loss with the link": loss_of(case, undone),
                     "average precision": average_precision(case.true, two_columns(result.proba))}
                )  # fmt: skip
        print(name, flush=True)
    frame = pd.DataFrame(rows)
    mean = frame.groupby(["library", "table", "contestant"], sort=False).mean().reset_index()
    own = mean[mean.contestant == "own loss"].set_index(["library", "table"])["log loss"]
    of_row = own.loc[list(zip(mean.library, mean.table, strict=True))].to_numpy()
    for column in ("log loss", "log loss with the link"):
        mean[f"{column}, over own"] = mean[column] / of_row
    print(mean.round(3).to_string(index=False))
    write("hand_written", "hand_written.py", mean.round(5).to_dict("records"))


if __name__ == "__main__":
    main()
