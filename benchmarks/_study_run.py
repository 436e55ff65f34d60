"""What the study measures of every candidate in every split."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from _study_contestants import Candidate, Outcome, candidates, for_rare
from _study_made import Case
from _study_tables import Problem
from sklearn.metrics import average_precision_score

from focal_gbm.compare import Settings

#: What a missed positive costs, where a false alarm costs 1.
COST_OF_A_MISS = 10.0

#: The rounds to a log loss are counted in steps of so many, on at most so many rows.
_STEP, _ROWS = 5, 5_000

#: "The same log loss" is that of the log loss's own model, and 1 % more: its last digits take many rounds.
_AS_GOOD = 1.01

_DEFAULT = "{}"


def run_case(
    problem: Problem,
    number: int,
    case: Case,
    catboost: bool,
    link: str | None,
    known: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return one row a candidate; those that do not depend on the link are taken from `known`."""
    settings = Settings(seed=number)
    many = problem.kind == "many classes"
    chosen = candidates(many, catboost and problem.kind == "two classes", link)
    if problem.kind == "rare":
        chosen = for_rare(chosen)  # a fit of 10⁶ rows takes long
    if known is not None:
        chosen = [one for one in chosen if one.contestant.startswith("focal") or _is_aim(one)]
    rows, aim = [], {}
    for one in chosen:
        with warnings.catch_warnings():
            # "no split": 28 rows of an undersampled table may grow none; its scores say so
            warnings.simplefilter("ignore", UserWarning)
            outcome = one.run(case.parts, case.X, settings)
        row = {"table": problem.name, "kind": problem.kind, "split": number, "library": one.library,
               "contestant": one.contestant, "setting": one.setting, **scores(case, outcome)}  # fmt: skip
        if problem.kind == "two classes" and one.setting == _DEFAULT and outcome.after is not None:
            if _is_aim(one):
                aim[one.library] = _AS_GOOD * _few_log_loss(
                    case, outcome.after(case.X[:_ROWS], outcome.rounds)
                )
            row |= to_the_same_loss(case, one, outcome, aim[one.library])
        rows.append(row)
    found = pd.DataFrame(rows)
    if known is None:
        return found
    keys = ["library", "contestant", "setting"]
    is_new = known.set_index(keys).index.isin(found.set_index(keys).index)
    return pd.concat([found, known[~is_new]], ignore_index=True)


def _is_aim(one: Candidate) -> bool:
    """Whether its log loss is the one that the others are to reach."""
    return one.contestant == "log loss" and one.setting == _DEFAULT


def scores(case: Case, outcome: Outcome) -> dict[str, float]:
    """Return scores on the rows set aside and on new rows, and what the fit took."""
    y_stop = case.parts.y_stop
    found = {
        "average precision on stop": average_precision(y_stop, outcome.on_stop),
        "log loss on stop": log_loss(y_stop, outcome.on_stop),
        "average precision": average_precision(case.true, outcome.new),
        "log loss": log_loss(case.seen, outcome.new),
        "seconds": outcome.seconds, "rounds": outcome.rounds, "leaves": outcome.leaves,
    }  # fmt: skip
    if outcome.new.shape[1] == 2:
        found["cost, threshold chosen"] = cost(
            case.true, outcome.new[:, 1], cheapest_threshold(y_stop, outcome.on_stop[:, 1])
        )
        found["cost, threshold by arithmetic"] = cost(case.true, outcome.new[:, 1], 1 / (1 + COST_OF_A_MISS))
    return found


def average_precision(truth: np.ndarray, proba: np.ndarray) -> float:
    """Return that of class 1, or the mean over many classes; of probabilities the expected one."""
    if proba.shape[1] > 2:
        present = [k for k in range(proba.shape[1]) if (truth == k).any()]
        return float(np.mean([average_precision_score(truth == k, proba[:, k]) for k in present]))
    if np.issubdtype(truth.dtype, np.integer):
        return float(average_precision_score(truth, proba[:, 1]))
    # each row once as a positive and once as a negative, with the weight of either
    labels = np.repeat([1, 0], len(truth))
    weight = np.concatenate([truth, 1 - truth])
    return float(average_precision_score(labels, np.tile(proba[:, 1], 2), sample_weight=weight))


def log_loss(truth: np.ndarray, proba: np.ndarray) -> float:
    """Return the log loss of labels, or the expected one of probabilities."""
    if np.issubdtype(truth.dtype, np.integer):
        return float(-np.mean(np.log(proba[np.arange(len(truth)), truth])))
    return float(-np.mean((1 - truth) * np.log(proba[:, 0]) + truth * np.log(proba[:, 1])))


def cheapest_threshold(y: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability from which on to say 1, by what these rows cost; of several the middle one."""
    levels = np.unique(positive)
    thresholds = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    # rows at or above a threshold are called positive
    order = np.sort(positive[y == 0])
    false_alarms = len(order) - np.searchsorted(order, thresholds)
    misses = np.searchsorted(np.sort(positive[y == 1]), thresholds)
    costs = false_alarms + COST_OF_A_MISS * misses
    best = np.flatnonzero(costs == costs.min())
    return float(thresholds[best[len(best) // 2]])


def cost(truth: np.ndarray, positive: np.ndarray, threshold: float) -> float:
    """Return what a row costs."""
    called = positive >= threshold
    return float(np.mean(np.where(called, 1 - truth, COST_OF_A_MISS * truth)))


def to_the_same_loss(case: Case, one: Candidate, outcome: Outcome, aim: float) -> dict[str, float]:
    """Return after how many rounds, and leaves, the log loss of new rows is `aim`; NaN where it never is."""
    assert outcome.after is not None
    X = case.X[:_ROWS]
    for rounds in [*range(_STEP, outcome.rounds, _STEP), outcome.rounds]:
        if _few_log_loss(case, outcome.after(X, rounds)) <= aim:
            return {
                "rounds to the loss": rounds,
                "leaves to the loss": outcome.leaves * rounds / outcome.rounds,
            }
    return {"rounds to the loss": np.nan, "leaves to the loss": np.nan}


def _few_log_loss(case: Case, proba: np.ndarray) -> float:
    return log_loss(case.seen[:_ROWS], proba)
