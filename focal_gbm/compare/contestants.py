"""Who meets in a comparison: a host with its own loss, with class weights, or with focal loss."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
        Rounds without improvement of the contestant's own loss on the rows set aside, after which it
        stops.
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
    """Rows to train on and rows to stop on; labels are class codes from 0."""

    X: pd.DataFrame
    y: NDArray[np.int64]
    X_stop: pd.DataFrame
    y_stop: NDArray[np.int64]


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
    """

    model: Any
    seconds: float
    rounds: int
    leaves: int

    def predict_proba(self, X: pd.DataFrame) -> FloatArray:
        """Return probabilities as float64 rows that sum to 1, of shape (n_rows, n_classes)."""
        return as_probabilities(self.model.predict_proba(X))


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
    loss : {"own", "weights", "focal"}
        The host's own; the same with rows weighted by the inverse frequency of their class; focal loss.
    gamma, alpha : float, and None, str or float
        Of focal loss.
    weight_power : float
        Of the weights: 1 balances the classes, 0.5 goes half the way (on the scale of logarithms).
    parameters : Mapping
        More parameters of the host.
    """

    library: str
    loss: str
    gamma: float = 0.0
    alpha: Any = None
    weight_power: float = 1.0
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_choice(self.library, tuple(LIBRARIES), "library")
        check_choice(self.loss, ("own", "weights", "focal"), "loss")

    @property
    def label(self) -> str:
        """The loss, for people."""
        if self.loss == "focal":
            alpha = "" if self.alpha is None else f", α {self.alpha}"
            return f"focal γ={self.gamma:g}{alpha}"
        return "own loss" if self.loss == "own" else "class weights"

    def row_weights(self, y: NDArray[np.int64], y_stop: NDArray[np.int64]) -> tuple[Any, Any]:
        """Return weights of the rows to train and to stop on: n / (K n_k) to the power `weight_power`."""
        if self.loss != "weights":
            return None, None
        counts = np.bincount(y)
        weights = (len(y) / (len(counts) * counts)) ** self.weight_power
        weights /= weights[y].mean()  # the mean row weighs 1: min_child_weight keeps its meaning
        return weights[y], weights[y_stop]

    def fit(self, parts: Parts, settings: Settings) -> Fitted:
        """Train with early stopping on the contestant's own loss.

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
        started = time.perf_counter()
        rounds = (_fit_xgboost if on_xgboost else _fit_lightgbm)(self, model, parts, settings)
        seconds = time.perf_counter() - started
        return Fitted(model, seconds, rounds, _count_leaves(model, self.library, rounds))


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


def _fit_xgboost(contestant: Contestant, model: Any, parts: Parts, settings: Settings) -> int:
    weight, weight_stop = contestant.row_weights(parts.y, parts.y_stop)
    model.fit(
        parts.X,
        parts.y,
        sample_weight=weight,
        eval_set=[(parts.X_stop, parts.y_stop)],
        sample_weight_eval_set=None if weight_stop is None else [weight_stop],
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


def _fit_lightgbm(contestant: Contestant, model: Any, parts: Parts, settings: Settings) -> int:
    from lightgbm import early_stopping

    weight, weight_stop = contestant.row_weights(parts.y, parts.y_stop)
    evaluation: dict[str, Any] = {"eval_X": parts.X_stop, "eval_y": parts.y_stop}
    if "eval_X" not in inspect.signature(model.fit).parameters:  # before LightGBM 4.7
        evaluation = {"eval_set": [(parts.X_stop, parts.y_stop)]}
    model.fit(
        parts.X,
        parts.y,
        sample_weight=weight,
        eval_sample_weight=None if weight_stop is None else [weight_stop],
        callbacks=[early_stopping(settings.patience, verbose=False)],
        **evaluation,
    )
    return int(model.best_iteration_ or settings.rounds)


def _count_leaves(model: Any, library: str, rounds: int) -> int:
    if library == "xgboost":
        trees = model.get_booster()[:rounds].get_dump()
        return sum(tree.count("leaf=") for tree in trees)
    text = model.booster_.model_to_string(num_iteration=rounds, importance_type="split")
    return sum(map(int, re.findall(r"^num_leaves=(\d+)$", text, flags=re.MULTILINE)))
