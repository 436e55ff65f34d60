"""Who meets in a comparison: a library with its log loss, with class weights, or with focal loss."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax

from focal_gbm._validation import FloatArray, check_choice

LIBRARIES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}


@dataclass(frozen=True)
class Settings:
    """What all contestants have in common.

    Attributes
    ----------
    rounds : int
        At most.
    learning_rate : float
    patience : int
        Rounds without improvement of the loss that the contestant trains on, on the rows set aside, after
        which it stops.
    seed : int
    threads : int
        Of one fit; several fits run side by side.
    """

    rounds: int = 500
    learning_rate: float = 0.1
    patience: int = 30
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("rounds", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be an integer >= 1, got {getattr(self, name)!r}.")
        if not 0.0 < self.learning_rate <= 1.0:
            raise ValueError(f"learning_rate must lie in (0, 1], got {self.learning_rate!r}.")


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows to train on and rows to stop on; labels are class codes from 0, weights may be missing."""

    X: pd.DataFrame
    y: NDArray[np.int64]
    X_stop: pd.DataFrame
    y_stop: NDArray[np.int64]
    weight: FloatArray | None = None
    weight_stop: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained contestant.

    Attributes
    ----------
    model : estimator
    seconds : float
        Of wall clock, for training.
    rounds : int
        Up to the best one.
    leaves : int
        Of all trees up to that round.
    class_weights : ndarray of float64 of shape (n_classes,) or None
        What the rows of each class were weighted by.
    """

    model: Any
    seconds: float
    rounds: int
    leaves: int
    class_weights: FloatArray | None = None

    def predict_proba(self, X: pd.DataFrame) -> FloatArray:
        """Return probabilities as float64 rows that sum to 1, of shape (n_rows, n_classes)."""
        return as_probabilities(self.model.predict_proba(X))

    def predict_proba_shifted(self, X: pd.DataFrame) -> FloatArray:
        """Return probabilities with the class weights undone.

        Training with weights w_k finds probabilities proportional to w_k η_k, so that the raw prediction of
        each class less log w_k is that of η_k. (From raw predictions: 1 - p of a float32 p near 1 has no
        digits left.)
        """
        if self.class_weights is None:
            return self.predict_proba(X)
        shift = np.log(self.class_weights)
        if type(self.model).__module__.startswith("xgboost"):
            raw = np.asarray(self.model.predict(X, output_margin=True), dtype=np.float64)
        else:
            raw = np.asarray(self.model.predict(X, raw_score=True), dtype=np.float64)
        if raw.ndim == 1:
            positive: FloatArray = expit(raw - (shift[1] - shift[0]))
            return np.column_stack([1 - positive, positive])
        shifted: FloatArray = softmax(raw - shift, axis=1)
        return shifted


def as_probabilities(proba: Any) -> FloatArray:
    """Return predicted probabilities as float64, in which float32 rows sum to 1 again."""
    wide = np.asarray(proba, dtype=np.float64)
    normalised: FloatArray = wide / wide.sum(axis=1, keepdims=True)
    return normalised


@dataclass(frozen=True)
class Contestant:
    """A library, a loss and what else is set.

    Attributes
    ----------
    library : {"xgboost", "lightgbm"}
    loss : {"log_loss", "weights", "focal"}
        The log loss; the same with rows weighted by the inverse frequency of their class; focal loss.
    gamma, alpha : float, and None, str or float
        Of focal loss.
    weight_power : float
        Of the weights: 1 balances the classes, 0.5 goes half the way (on the scale of logarithms).
    parameters : Mapping
        More parameters of the library.
    """

    library: str
    loss: str
    gamma: float = 0.0
    alpha: Any = None
    weight_power: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_choice(self.library, tuple(LIBRARIES), "library")
        check_choice(self.loss, ("log_loss", "weights", "focal"), "loss")

    @property
    def label(self) -> str:
        """The loss, for people."""
        if self.loss == "focal":
            alpha = "" if self.alpha is None else f", α {self.alpha}"
            return f"focal γ={self.gamma:g}{alpha}"
        return "log loss" if self.loss == "log_loss" else "class weights"

    def class_weights(self, parts: Parts) -> FloatArray | None:
        """Return the weight of each class, n / (K n_k) to the power `weight_power`; None without weights."""
        if self.loss != "weights":
            return None
        rows = np.ones(len(parts.y)) if parts.weight is None else parts.weight
        counts = np.bincount(parts.y, weights=rows)
        weights: FloatArray = (rows.sum() / (len(counts) * counts)) ** self.weight_power
        # the mean row weighs 1: min_child_weight keeps its meaning
        return weights / np.average(weights[parts.y], weights=rows)

    def fit(self, parts: Parts, settings: Settings) -> Fitted:
        """Train with early stopping on the loss that is trained on.

        Parameters
        ----------
        parts : Parts
        settings : Settings

        Returns
        -------
        Fitted
        """
        on_xgboost = self.library == "xgboost"
        model = (_of_xgboost if on_xgboost else _of_lightgbm)(self, settings, int(parts.y.max()) + 1)
        by_class = self.class_weights(parts)
        weighted = parts if by_class is None else _weighted(parts, by_class)
        started = time.perf_counter()
        rounds = (_fit_xgboost if on_xgboost else _fit_lightgbm)(model, weighted, settings)
        seconds = time.perf_counter() - started
        return Fitted(model, seconds, rounds, _count_leaves(model, self.library, rounds), by_class)


def _weighted(parts: Parts, by_class: FloatArray) -> Parts:
    weight, weight_stop = (
        by_class[y] * (1.0 if weight is None else weight)
        for y, weight in ((parts.y, parts.weight), (parts.y_stop, parts.weight_stop))
    )
    return replace(parts, weight=weight, weight_stop=weight_stop)


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "n_estimators": settings.rounds,
        "learning_rate": settings.learning_rate,
        "random_state": settings.seed,
        "n_jobs": settings.threads,
    }


def _of_xgboost(contestant: Contestant, settings: Settings, n_classes: int) -> Any:
    from xgboost import XGBClassifier

    from focal_gbm.xgboost import FocalXGBClassifier

    parameters = {
        **_common(settings), **contestant.parameters,
        "early_stopping_rounds": settings.patience, "enable_categorical": True,
    }  # fmt: skip
    if contestant.loss == "focal":
        return FocalXGBClassifier(focal_gamma=contestant.gamma, focal_alpha=contestant.alpha, **parameters)
    return XGBClassifier(eval_metric="logloss" if n_classes == 2 else "mlogloss", **parameters)


def _fit_xgboost(model: Any, parts: Parts, settings: Settings) -> int:
    model.fit(
        parts.X,
        parts.y,
        sample_weight=parts.weight,
        eval_set=[(parts.X_stop, parts.y_stop)],
        sample_weight_eval_set=None if parts.weight_stop is None else [parts.weight_stop],
        verbose=False,
    )
    return int(model.best_iteration) + 1


def _of_lightgbm(contestant: Contestant, settings: Settings, n_classes: int) -> Any:
    from lightgbm import LGBMClassifier

    from focal_gbm.lightgbm import FocalLGBMClassifier

    parameters = {**_common(settings), "verbose": -1, **contestant.parameters}
    if contestant.loss == "focal":
        return FocalLGBMClassifier(focal_gamma=contestant.gamma, focal_alpha=contestant.alpha, **parameters)
    return LGBMClassifier(**parameters)


def _fit_lightgbm(model: Any, parts: Parts, settings: Settings) -> int:
    from lightgbm import early_stopping

    model.fit(
        parts.X,
        parts.y,
        sample_weight=parts.weight,
        eval_sample_weight=None if parts.weight_stop is None else [parts.weight_stop],
        callbacks=[early_stopping(settings.patience, verbose=False)],
        eval_X=parts.X_stop,
        eval_y=parts.y_stop,
    )
    return int(model.best_iteration_ or settings.rounds)


def _count_leaves(model: Any, library: str, rounds: int) -> int:
    if library == "xgboost":
        trees = model.get_booster()[:rounds].get_dump()
        return sum(tree.count("leaf=") for tree in trees)
    text = model.booster_.model_to_string(num_iteration=rounds, importance_type="split")
    return sum(map(int, re.findall(r"^num_leaves=(\d+)$", text, flags=re.MULTILINE)))
