"""Claim: what goes wrong with a hand-written focal objective is around its formula.

The objective that blog posts show, in NumPy with p clipped at 1e-15, given to xgboost.train and lightgbm.train:
once as it comes, starting at 0, once with the best constant as `init_score` or base margin. Beside it this
package's estimator, and the library's own log loss; γ=2, 100 rounds at a learning rate of 0.1, the library's
default parameters, 5-fold. Tables: the small ones of two classes, and made ones with one positive in 10³ and
10⁴ of 10⁵ rows. Prints and writes to results/hand_written.json, over the tables, the log loss of the
probability that one would read, over that of the library's own loss; on each made table also leaves a tree.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/hand_written.py
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from _report import write
from _study_made import Case, rare
from _study_run import average_precision, log_loss
from _study_tables import LARGE, problems
from scipy.optimize import minimize_scalar
from scipy.special import expit

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

GAMMA, ROUNDS, RATE = 2.0, 100, 0.1

#: A probability of 0 or 1 has no log loss.
LEAST = 1e-7


class HandWritten:
    """Focal loss as it is found in blog posts: formulas of the clipped probability."""

    def pt(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        p = np.clip(p, 1e-15, 1 - 1e-15)
        return np.where(y == 1, p, 1 - p)

    def grad(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        pt, s = self.pt(y, p), 2 * y - 1
        return s * (1 - pt) ** GAMMA * (GAMMA * pt * np.log(pt) + pt - 1)

    def hess(self, y: np.ndarray, p: np.ndarray) -> np.ndarray:
        pt, s = self.pt(y, p), 2 * y - 1
        u, du = s * (1 - pt) ** GAMMA, -s * GAMMA * (1 - pt) ** (GAMMA - 1)
        v, dv = GAMMA * pt * np.log(pt) + pt - 1, GAMMA * np.log(pt) + GAMMA + 1
        return (du * v + u * dv) * s * (pt * (1 - pt))

    def init_score(self, y: np.ndarray) -> float:
        def total(p: float) -> float:
            pt = self.pt(y, np.full(len(y), p))
            return float(-((1 - pt) ** GAMMA * np.log(pt)).sum())

        p = minimize_scalar(total, bounds=(0, 1), method="bounded").x
        return float(np.log(p / (1 - p)))

    def __call__(self, scores: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
        y, p = np.asarray(data.get_label()), expit(scores)
        return self.grad(y, p), self.hess(y, p)


def by_hand(library: str, X: pd.DataFrame, y: np.ndarray, new: pd.DataFrame, start: float) -> tuple[np.ndarray, float]:
    """Return σ of the scores, and leaves a tree."""
    objective = HandWritten()
    if library == "lightgbm":
        data = lightgbm.Dataset(X, y.astype(float), init_score=np.full(len(y), start))
        params = {"objective": objective, "learning_rate": RATE, "verbose": -1, "num_threads": 1}
        booster = lightgbm.train(params, data, num_boost_round=ROUNDS)
        leaves = np.mean([tree["num_leaves"] for tree in booster.dump_model()["tree_info"]])
        return expit(start + np.asarray(booster.predict(new, raw_score=True))), float(leaves)
    margins = xgboost.DMatrix(X, y, base_margin=np.full(len(y), start), enable_categorical=True)
    booster = xgboost.train({"eta": RATE, "base_score": 0.0, "nthread": 1}, margins, ROUNDS, obj=objective)
    rows = xgboost.DMatrix(new, base_margin=np.full(len(new), start), enable_categorical=True)
    return expit(booster.predict(rows, output_margin=True)), _leaves(booster)


def _leaves(booster: xgboost.Booster) -> float:
    return sum(tree.count("leaf=") for tree in booster.get_dump()) / ROUNDS


def estimator(library: str, focal: bool) -> Any:
    common = {"n_estimators": ROUNDS, "learning_rate": RATE, "n_jobs": 1}
    if library == "xgboost":
        kind = FocalXGBClassifier if focal else xgboost.XGBClassifier
        return kind(**common, enable_categorical=True)
    return (FocalLGBMClassifier if focal else lightgbm.LGBMClassifier)(**common, verbose=-1)


def contestants(library: str) -> dict[str, Callable[[Case], tuple[np.ndarray, float]]]:
    """Return {name: function of a split that returns probabilities and leaves a tree}."""

    def fitted(case: Case, focal: bool) -> tuple[np.ndarray, float]:
        model = estimator(library, focal).fit(case.parts.X, case.parts.y)
        if library == "xgboost":
            leaves = _leaves(model.get_booster())
        else:
            leaves = float(np.mean([tree["num_leaves"] for tree in model.booster_.dump_model()["tree_info"]]))
        return model.predict_proba(case.X)[:, 1].astype(float), leaves

    def hand(case: Case, best_start: bool) -> tuple[np.ndarray, float]:
        y = case.parts.y
        return by_hand(library, case.parts.X, y, case.X, HandWritten().init_score(y) if best_start else 0.0)

    return {
        "own loss": lambda case: fitted(case, False),
        "focal_gbm": lambda case: fitted(case, True),
        "by hand, start at 0": lambda case: hand(case, False),
        "by hand, init_score": lambda case: hand(case, True),
    }


def cases() -> Iterator[tuple[str, Case]]:
    """Yield the first five splits of each table."""
    for problem in problems(LARGE).values():
        if problem.kind == "two classes" and problem.folds == 5:
            yield from ((problem.name, case) for case, _ in zip(problem.cases(), range(5), strict=False))
    for one_in in (1_000, 10_000):
        for seed in range(3):
            yield f"rare 1 in {one_in}", rare(1 / one_in, 100_000, np.random.default_rng(seed))


def main() -> None:
    rows = []
    for name, case in cases():
        for library in ("xgboost", "lightgbm"):
            for contestant, run in contestants(library).items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    positive, leaves = run(case)
                bounded = np.clip(positive, LEAST, 1 - LEAST)
                proba = np.column_stack([1 - bounded, bounded])
                rows.append(
                    {"table": name, "library": library, "contestant": contestant, "leaves a tree": leaves,
                     "log loss": log_loss(case.seen, proba), "average precision": average_precision(case.true, proba)}
                )  # fmt: skip
        print(name, flush=True)
    frame = pd.DataFrame(rows)
    mean = frame.groupby(["library", "table", "contestant"], sort=False).mean().reset_index()
    own = mean[mean.contestant == "own loss"].set_index(["library", "table"])["log loss"]
    mean["log loss over own"] = mean["log loss"] / own.loc[list(zip(mean.library, mean.table, strict=True))].to_numpy()
    print(mean.round(3).to_string(index=False))
    write("hand_written", "hand_written.py", mean.round(5).to_dict("records"))


if __name__ == "__main__":
    main()
