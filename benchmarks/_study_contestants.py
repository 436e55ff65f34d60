"""The contestants of the study, with the same number of candidates each for their tuning.

A candidate is fitted on the rows to train on, stops on its own loss on the rows set aside, and is chosen by
what it reaches there. Whatever a contestant does to probabilities and can be undone in closed form is undone:
the link for focal loss, a shift of the logit for class weights and for undersampling.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from scipy.special import expit, logit

from focal_gbm.compare import Contestant, Parts, Settings
from focal_gbm.losses.links import BinaryFocalLink

#: Candidates of every contestant.
CANDIDATES = 6

_DEFAULT: dict[str, Any] = {}

#: Trees of about half the library's own size, and of other sizes and regularisation.
_CAPACITY: dict[str, list[dict[str, Any]]] = {
    "xgboost": [
        _DEFAULT, {"max_depth": 3}, {"max_depth": 4, "min_child_weight": 5}, {"max_depth": 8},
        {"min_child_weight": 5}, {"subsample": 0.7, "colsample_bytree": 0.7},
    ],
    "lightgbm": [
        _DEFAULT, {"num_leaves": 7}, {"num_leaves": 15, "min_child_samples": 40}, {"num_leaves": 63},
        {"min_child_samples": 50}, {"subsample": 0.7, "subsample_freq": 1, "colsample_bytree": 0.7},
    ],
}  # fmt: skip
_SMALL = {"xgboost": {"max_depth": 3}, "lightgbm": {"num_leaves": 7}}


@dataclass(frozen=True, eq=False)
class Outcome:
    """Probabilities of class 1 on the rows set aside and on new rows, as they come and undone."""

    on_stop: np.ndarray
    as_they_come: np.ndarray
    undone: np.ndarray
    seconds: float
    rounds: int


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

    def run(self, parts: Parts, X_new: Any, settings: Settings) -> Outcome:
        """Fit and predict."""
        if self.trained is None:
            return _run_catboost(self.catboost, parts, X_new, settings)
        shift = 0.0
        fitting = parts
        if self.trained.loss == "weights":
            shift = self.trained.weight_power * float(logit(np.mean(parts.y)))
        elif self.ratio is not None:
            keep, keep_stop = (_fewer(y, self.ratio, settings.seed) for y in (parts.y, parts.y_stop))
            fitting = Parts(
                parts.X.iloc[keep], parts.y[keep], parts.X_stop.iloc[keep_stop], parts.y_stop[keep_stop]
            )
            shift = float(logit(np.mean(parts.y)) - logit(np.mean(fitting.y)))
        fitted = self.trained.fit(fitting, settings)
        on_stop, new = (fitted.predict_proba(X)[:, 1] for X in (parts.X_stop, X_new))
        return Outcome(_shifted(on_stop, shift), new, _shifted(new, shift), fitted.seconds, fitted.rounds)


def candidates(catboost: bool) -> list[Candidate]:
    """Return all candidates of all contestants."""
    found = []
    for library in ("xgboost", "lightgbm"):
        small = _SMALL[library]
        found += [
            Candidate("own loss", str(one), Contestant(library, "log_loss", parameters=one))
            for one in _CAPACITY[library]
        ]
        for power in (0.25, 0.5, 1.0):
            for one in (_DEFAULT, small):
                trained = Contestant(library, "weights", weight_power=power, parameters=one)
                found.append(Candidate("class weights", f"power {power:g} {one}", trained))
        for gamma in (0.5, 1.0, 2.0):
            for alpha in (None, "balanced"):
                trained = Contestant(library, "focal", gamma=gamma, alpha=alpha)
                found.append(Candidate("focal loss", f"γ={gamma:g}, α {alpha}", trained))
        for ratio in (1, 3, 10):
            for one in (_DEFAULT, small):
                trained = Contestant(library, "log_loss", parameters=one)
                found.append(Candidate("undersampling", f"1:{ratio} {one}", trained, ratio=ratio))
    if catboost:
        for depth in (4, 6):
            for l2 in (1, 3, 10):
                parameters = {"depth": depth, "l2_leaf_reg": l2}
                found.append(Candidate("CatBoost own loss", str(parameters), catboost=parameters))
        for gamma in (1.0, 2.0):
            for alpha in (0.25, 0.5, 0.75):
                parameters = {"focal_gamma": gamma, "focal_alpha": alpha}
                found.append(Candidate("CatBoost Focal", str(parameters), catboost=parameters))
    return found


def catboost_is_installed() -> bool:
    return find_spec("catboost") is not None


def _fewer(y: np.ndarray, ratio: int, seed: int) -> np.ndarray:
    """Return the rows of class 1 and `ratio` times as many of class 0, drawn at random."""
    rare, common = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    drawn = np.random.default_rng(seed).permutation(common)[: ratio * len(rare)]
    return np.sort(np.concatenate([rare, drawn]))


def _shifted(proba: np.ndarray, shift: float) -> np.ndarray:
    # float32 probabilities of a library may be 0 or 1
    return expit(logit(np.clip(proba, 1e-7, 1 - 1e-7)) + shift) if shift else proba


def _run_catboost(parameters: dict[str, Any], parts: Parts, X_new: Any, settings: Settings) -> Outcome:
    from catboost import CatBoostClassifier

    parameters = dict(parameters)
    gamma, alpha = parameters.pop("focal_gamma", None), parameters.pop("focal_alpha", None)
    loss = "Logloss" if gamma is None else f"Focal:focal_alpha={alpha};focal_gamma={gamma}"
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
    raw_stop, raw = (
        np.asarray(model.predict(frame, prediction_type="RawFormulaVal"), dtype=np.float64)
        for frame in (X_stop, X_new)
    )
    rounds = int(model.tree_count_)
    if gamma is None:
        return Outcome(expit(raw_stop), expit(raw), expit(raw), seconds, rounds)
    link = BinaryFocalLink(gamma, (1 - alpha, alpha))
    return Outcome(link.inverse(raw_stop), expit(raw), link.inverse(raw), seconds, rounds)
