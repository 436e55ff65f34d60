"""The contestants of the study, with the same number of candidates each for their tuning.

A candidate is fitted on the rows to train on, stops on its own loss on the rows set aside, and is chosen by
what it reaches there. Whatever a contestant does to probabilities and can be undone in closed form is undone:
the link for focal loss, a shift of the logit for class weights and for undersampling.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from focal_gbm.compare import Contestant, Parts, Settings
from focal_gbm.compare.contestants import Fitted
from focal_gbm.losses.links import BinaryFocalLink

GAMMAS = (0.5, 1.0, 2.0)

#: Trees of the library's own size, and others: the candidates of the log loss and of every γ.
TREES: dict[str, list[dict[str, Any]]] = {
    "xgboost": [
        {}, {"max_depth": 3}, {"min_child_weight": 5}, {"subsample": 0.7, "colsample_bytree": 0.7},
    ],
    "lightgbm": [
        {}, {"num_leaves": 7}, {"min_child_samples": 50},
        {"subsample": 0.7, "subsample_freq": 1, "colsample_bytree": 0.7},
    ],
}  # fmt: skip

#: Candidates of every contestant.
CANDIDATES = 4

#: XGBoost's own default, in LightGBM, whose own is 0.001: with rare positives its leaves become too large.
PRUDENT = "log loss, min_child_weight=1"

#: Probabilities of a library are float32, and may be 0 or 1.
_LEAST = 1e-7


@dataclass(frozen=True, eq=False)
class Outcome:
    """Probabilities of all classes on the rows set aside and on new rows, undone; and what they took.

    Attributes
    ----------
    on_stop, new : ndarray of float64 of shape (n_rows, n_classes)
    after : callable or None
        (rows, rounds) -> the probabilities after so many rounds, where that is asked for.
    """

    on_stop: np.ndarray
    new: np.ndarray
    seconds: float
    rounds: int
    leaves: float
    after: Callable[[pd.DataFrame, int], np.ndarray] | None = None


@dataclass(frozen=True)
class Candidate:
    """A contestant with one setting of what it tunes."""

    contestant: str
    setting: str
    trained: Contestant | None = None
    ratio: int | None = None
    catboost: dict[str, Any] = field(default_factory=dict)

    @property
    def library(self) -> str:
        return "catboost" if self.trained is None else self.trained.library

    def run(self, parts: Parts, X_new: pd.DataFrame, settings: Settings) -> Outcome:
        """Fit and predict."""
        if self.trained is None:
            return _run_catboost(self.catboost, parts, X_new, settings)
        if self.ratio is not None:
            return _run_undersampled(self.trained, self.ratio, parts, X_new, settings)
        fitted = self.trained.fit(parts, settings)
        # with class weights their shift is undone, without them it is predict_proba
        on_stop, new = (_bounded(fitted.predict_proba_shifted(X)) for X in (parts.X_stop, X_new))
        after = None if self.trained.loss == "weights" else _after(fitted, self.trained.library)
        return Outcome(on_stop, new, fitted.seconds, fitted.rounds, fitted.leaves, after)


def candidates(
    many_classes: bool = False, catboost: bool = False, link: str | None = None
) -> list[Candidate]:
    """Return all candidates of all contestants; undersampling and CatBoost's Focal know two classes only."""
    found = []
    of_focal = {} if link is None else {"focal_link": link}
    for library, trees in TREES.items():
        found += [
            Candidate("log loss", str(one), Contestant(library, "log_loss", parameters=one)) for one in trees
        ]
        for gamma in GAMMAS:
            for one in trees:
                trained = Contestant(library, "focal", gamma=gamma, parameters={**one, **of_focal})
                found.append(Candidate(f"focal γ={gamma:g}", str(one), trained))
        for power in (0.5, 1.0):
            for one in trees[:2]:
                trained = Contestant(library, "weights", weight_power=power, parameters=one)
                found.append(Candidate("class weights", f"power {power:g} {one}", trained))
        for ratio in () if many_classes else (3, 10):
            for one in trees[:2]:
                trained = Contestant(library, "log_loss", parameters=one)
                found.append(Candidate("undersampling", f"1:{ratio} {one}", trained, ratio=ratio))
    if catboost and not many_classes:
        for depth in (4, 6):
            for l2 in (1, 3):
                parameters = {"depth": depth, "l2_leaf_reg": l2}
                found.append(Candidate("CatBoost log loss", str(parameters), catboost=parameters))
        for depth in (4, 6):
            for gamma in (1.0, 2.0):
                parameters = {"depth": depth, "focal_gamma": gamma}
                found.append(Candidate("CatBoost Focal", str(parameters), catboost=parameters))
    return found


def for_rare(all_: list[Candidate]) -> list[Candidate]:
    """Return one candidate of each contestant, that with the library's own trees, and a prudent LightGBM."""
    found: dict[tuple[str, str], Candidate] = {}
    for one in all_:
        found.setdefault((one.library, one.contestant), one)
    prudent = Contestant("lightgbm", "log_loss", parameters={"min_child_weight": 1.0})
    return [*found.values(), Candidate(PRUDENT, "{}", prudent)]


def catboost_is_installed() -> bool:
    return find_spec("catboost") is not None


def _bounded(proba: np.ndarray) -> np.ndarray:
    bounded = np.clip(proba, _LEAST, 1 - _LEAST)
    return bounded / bounded.sum(axis=1, keepdims=True)


def _two_columns(positive: np.ndarray) -> np.ndarray:
    return _bounded(np.column_stack([1 - positive, positive]))


def _after(fitted: Fitted, library: str) -> Callable[[pd.DataFrame, int], np.ndarray]:
    def after(X: pd.DataFrame, rounds: int) -> np.ndarray:
        many = {"iteration_range": (0, rounds)} if library == "xgboost" else {"num_iteration": rounds}
        return _bounded(np.asarray(fitted.model.predict_proba(X, **many), dtype=np.float64))

    return after


def _run_undersampled(
    trained: Contestant, ratio: int, parts: Parts, X_new: pd.DataFrame, settings: Settings
) -> Outcome:
    keep, keep_stop = (_fewer(y, ratio, settings.seed) for y in (parts.y, parts.y_stop))
    fewer = Parts(parts.X.iloc[keep], parts.y[keep], parts.X_stop.iloc[keep_stop], parts.y_stop[keep_stop])
    shift = float(logit(np.mean(parts.y)) - logit(np.mean(fewer.y)))
    fitted = trained.fit(fewer, settings)
    on_stop, new = (
        _two_columns(_shifted(fitted.predict_proba(X)[:, 1], shift)) for X in (parts.X_stop, X_new)
    )
    return Outcome(on_stop, new, fitted.seconds, fitted.rounds, fitted.leaves)


def _fewer(y: np.ndarray, ratio: int, seed: int) -> np.ndarray:
    """Return the rows of class 1 and `ratio` times as many of class 0, drawn at random."""
    rare, common = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    drawn = np.random.default_rng(seed).permutation(common)[: ratio * len(rare)]
    return np.sort(np.concatenate([rare, drawn]))


def _shifted(proba: np.ndarray, shift: float) -> np.ndarray:
    return expit(logit(np.clip(proba, _LEAST, 1 - _LEAST)) + shift)


def _run_catboost(parameters: dict[str, Any], parts: Parts, X_new: Any, settings: Settings) -> Outcome:
    from catboost import CatBoostClassifier

    parameters = dict(parameters)
    gamma = parameters.pop("focal_gamma", None)
    loss = "Logloss" if gamma is None else f"Focal:focal_alpha=0.5;focal_gamma={gamma}"
    categorical = [name for name, kind in parts.X.dtypes.items() if kind == "category"]
    X, X_stop, X_new = (
        frame.assign(**{name: frame[name].cat.codes for name in categorical})
        for frame in (parts.X, parts.X_stop, X_new)
    )
    model = CatBoostClassifier(
        loss_function=loss, iterations=settings.rounds, learning_rate=settings.learning_rate,
        random_seed=settings.seed, thread_count=settings.threads, cat_features=categorical or None,
        early_stopping_rounds=settings.patience, allow_writing_files=False, verbose=False, **parameters,
    )  # fmt: skip
    started = time.perf_counter()
    model.fit(X, parts.y, eval_set=(X_stop, parts.y_stop))
    seconds = time.perf_counter() - started
    to_probability = expit if gamma is None else BinaryFocalLink(gamma, (0.5, 0.5)).inverse
    on_stop, new = (
        _two_columns(to_probability(np.asarray(model.predict(frame, prediction_type="RawFormulaVal"), float)))
        for frame in (X_stop, X_new)
    )
    rounds = int(model.tree_count_)
    return Outcome(on_stop, new, seconds, rounds, float(rounds * 2 ** parameters["depth"]))
