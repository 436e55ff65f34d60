"""What is compared: a library with its log loss, with class weights, or with focal loss."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import PredefinedSplit

from focal_gbm.compare.columns import FloatArray
from focal_gbm.compare.errors import nearest
from focal_gbm.compare.scores import Metric, metrics, rows_at_top, score
from focal_gbm.compare.splits import Split
from focal_gbm.compare.table import Table

LIBRARIES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}

LOG_LOSS, WEIGHTS, SHIFTED = "log loss", "class weights", "class weights, shifted"

#: The best γ and α of the grid by the log loss on the rows set aside, in each split.
CHOSEN = "focal loss"

#: XGBoost's own default, in LightGBM, whose own is 0.001: with rare positives its leaves become too large.
PRUDENT = "log loss, min_child_weight=1"

#: A class rarer than this brings `PRUDENT` into the comparison.
RARE = 1 / 500

#: Probabilities of XGBoost are float32, whose 1 - p has no smaller step.
_LEAST = 1e-7

#: A table of fewer rows is cross-validated twice: its splits differ more, and its fits are quick.
_REPEATED_BELOW = 20_000

_LIMITS = (
    ("folds", 2, 100), ("repeats", 1, 1000), ("rounds", 1, 1e6), ("patience", 1, 1e6), ("jobs", 1, 1000),
    ("precision", 0.001, 1), ("learning_rate", 0.0001, 1), ("margin", 0, 1),
)  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """What is compared, and how.

    Attributes
    ----------
    library : {"both", "xgboost", "lightgbm"}
    gamma, alpha : tuple
        The grid of focal loss; α is None, "balanced", "effective" or a number in (0, 1).
    folds : int
        Folds of cross-validation, or windows of time.
    repeats : int or None
        None is 2, and 1 from 20,000 rows on. In order of time there is one.
    rounds, patience : int
        Boosting rounds at most, and rounds without a better log loss on the rows set aside to stop after.
    learning_rate : float
    seed : int
    top : tuple of str
        Report precision and recall in the rows with the highest probabilities: shares ("1%") or numbers.
    precision : float or None
        Report the recall at this precision.
    decide : str or None
        The score that the verdict is about, besides the log loss. None is the cost where costs are given, and
        average precision otherwise.
    margin : float
        A difference of less than this share of the log loss contestant's score does not matter.
    jobs : int or None
        Fits in parallel, each on one thread; None is the number of cores, eight at most.
    """

    library: str = "both"
    gamma: tuple[float, ...] = (0.5, 1.0, 2.0)
    alpha: tuple[Any, ...] = (None,)
    folds: int = 5
    repeats: int | None = None
    rounds: int = 500
    patience: int = 30
    learning_rate: float = 0.1
    seed: int = 0
    top: tuple[str, ...] = ("0.5%", "1%", "5%")
    precision: float | None = None
    decide: str | None = None
    margin: float = 0.02
    jobs: int | None = None

    def __post_init__(self) -> None:
        for name in ("gamma", "alpha", "top"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.library not in ("both", *LIBRARIES):
            raise ValueError(f"library must be both, xgboost or lightgbm, got {self.library!r}.")
        for name, least, most in _LIMITS:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} must lie between {least:g} and {most:g}, got {value!r}.")
        if not (self.gamma and self.alpha):
            raise ValueError("gamma and alpha must have one entry or more each.")
        for rows in self.top:
            rows_at_top(rows, 1)

    @property
    def libraries(self) -> list[str]:
        """The libraries that are compared on."""
        return list(LIBRARIES) if self.library == "both" else [self.library]

    def metrics(self, table: Table) -> dict[str, Metric]:
        """Return the scores that are reported on a table."""
        return metrics(self.top, self.precision, table.has_amounts, table.cost_fp is not None)

    def decisive(self, table: Table) -> list[str]:
        """Return the two scores that decide: the verdict's own and the log loss."""
        known = self.metrics(table)
        first = self.decide or next(iter(known))
        if first not in known:
            raise ValueError(f"decide must be a score that is reported: {nearest(first, known)}")
        return [first, "average_precision" if first == "log_loss" else "log_loss"]

    def repeats_for(self, n_rows: int) -> int:
        """Return how often cross-validation is repeated on a table of so many rows."""
        return self.repeats or (2 if n_rows < _REPEATED_BELOW else 1)

    def contestants(self, library: str, y: NDArray[np.int64]) -> list[Contestant]:
        """Return who meets with one library on such class codes."""
        found = [Contestant(library, LOG_LOSS)]
        if library == "lightgbm" and np.bincount(y).min() < RARE * len(y):
            found.append(Contestant(library, PRUDENT, parameters={"min_child_weight": 1.0}))
        found.append(Contestant(library, WEIGHTS))
        for gamma in self.gamma:
            for alpha in self.alpha:
                label = f"focal γ={gamma:g}" + ("" if alpha is None else f", α {alpha}")
                found.append(Contestant(library, label, gamma, alpha))
        return found


@dataclass(frozen=True)
class Contestant:
    """A library, a loss and what else is set; `gamma` is None where the loss is not focal."""

    library: str
    name: str
    gamma: float | None = None
    alpha: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def settings(self, protocol: Protocol) -> dict[str, Any]:
        """Return the parameters of the estimator that are not the library's defaults."""
        found = {"n_estimators": protocol.rounds, "learning_rate": protocol.learning_rate, **self.parameters}
        found |= {"enable_categorical": True} if self.library == "xgboost" else {"verbose": -1}
        found |= {} if self.gamma is None else {"focal_gamma": self.gamma}
        return found if self.alpha is None else {**found, "focal_alpha": self.alpha}

    def model(self, protocol: Protocol, **more: Any) -> Any:
        """Return the estimator of the library, before it is fitted."""
        name = {"xgboost": "XGBClassifier", "lightgbm": "LGBMClassifier"}[self.library]
        place = self.library if self.gamma is None else "focal_gbm"
        estimator = getattr(import_module(place), name if self.gamma is None else f"Focal{name}")
        return estimator(**self.settings(protocol), random_state=protocol.seed, **more)


def fit(
    table: Table, protocol: Protocol, split: Split, contestant: Contestant
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Train a contestant on one split, stop it early on the log loss, and score it on the rows to test on.

    Parameters
    ----------
    table : Table
    protocol : Protocol
    split : Split
    contestant : Contestant

    Returns
    -------
    scores : dict of {str: dict of float}
        By name, as class weights come shifted, too; with "seconds", "rounds" and "loss_on_stop", the log loss
        on the rows set aside.
    warnings : list of str
    """
    from focal_gbm.early_stopping import EarlyStoppingClassifier

    train, y, weight = np.concatenate([split.fit, split.stop]), table.y, table.weight
    by_class = class_weights(y[train], None if weight is None else weight[train])
    weight_train = None if weight is None else weight[train]
    if contestant.name == WEIGHTS:
        weight_train = by_class[y[train]] * (1.0 if weight_train is None else weight_train)
    set_aside = PredefinedSplit(np.repeat([-1, 0], [len(split.fit), len(split.stop)]))
    model = EarlyStoppingClassifier(
        contestant.model(protocol, n_jobs=1), validation=set_aside, rounds=protocol.patience, refit=False
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started = time.perf_counter()
        model.fit(table.X.iloc[train], y[train], sample_weight=weight_train)
        seconds = time.perf_counter() - started
        on_test, on_stop = (_clipped(model.predict_proba(table.X.iloc[rows])) for rows in (split.test, split.stop))
    losses = -np.log(on_stop[np.arange(len(on_stop)), y[split.stop]])
    loss = np.average(losses, weights=None if weight is None else weight[split.stop])
    effort = {"seconds": seconds, "rounds": float(model.n_rounds_), "loss_on_stop": float(loss)}
    proba = {contestant.name: on_test}
    if contestant.name == WEIGHTS:
        # trained with weights w_k, a model finds probabilities proportional to w_k η_k
        proba[SHIFTED] = _clipped(on_test / by_class)
    of_rows = {"weight": weight, "cost_fp": table.cost_fp, "cost_fn": table.cost_fn}
    of_test = {name: None if rows is None else rows[split.test] for name, rows in of_rows.items()}
    how: dict[str, Any] = {"top": protocol.top, "precision": protocol.precision, **of_test}
    scores = {name: {**score(y[split.test], one, **how), **effort} for name, one in proba.items()}
    return scores, [str(one.message) for one in caught]


def class_weights(y: NDArray[np.int64], weight: FloatArray | None = None) -> FloatArray:
    """Return the weight of each class, n / (K n_k), made such that the mean row weighs 1.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 0, 1])).round(3).tolist()
    [0.667, 2.0]
    """
    counts = np.bincount(y, weights=weight)
    weights: FloatArray = counts.sum() / (len(counts) * counts)
    return weights


def _clipped(proba: Any) -> FloatArray:
    """Return probabilities as float64 rows that sum to 1, none of them 0."""
    wide = np.clip(np.asarray(proba, dtype=np.float64), _LEAST, None)
    normalised: FloatArray = wide / wide.sum(axis=1, keepdims=True)
    return normalised
