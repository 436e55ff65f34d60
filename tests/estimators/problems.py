"""Small problems of every kind, and the differences between the two libraries' estimators in one place."""

import inspect
from dataclasses import dataclass
from functools import cached_property, lru_cache

import lightgbm
import numpy as np
import xgboost
from scipy.special import expit, softmax

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

OURS = {"xgboost": FocalXGBClassifier, "lightgbm": FocalLGBMClassifier}
OWN = {"xgboost": xgboost.XGBClassifier, "lightgbm": lightgbm.LGBMClassifier}
SMALL = {
    "xgboost": {"n_estimators": 10, "max_depth": 3, "n_jobs": 1},
    "lightgbm": {"n_estimators": 10, "num_leaves": 7, "n_jobs": 1, "verbose": -1},
}
#: Predictions of one model by different ways: XGBoost's are float32.
CLOSE = {"xgboost": 1e-6, "lightgbm": 1e-12}

HAS_EVAL_X = "eval_X" in inspect.signature(lightgbm.LGBMClassifier.fit).parameters  # from 4.7 on


@dataclass(frozen=True)
class Rows:
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray


@lru_cache
def rows(kind, seed=0, n=300):
    """Five features. Two classes (a quarter positives), three classes, or three labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    if kind == "two":
        y = (rng.random(n) < expit(1.5 * X[:, 0] - np.abs(X[:, 1]) * X[:, 2] - 1.5)).astype(np.int64)
    elif kind == "many":
        scores = np.column_stack([1.5 + 0 * X[:, 0], X[:, 0] + X[:, 1] + 1, 2 * X[:, 2] - X[:, 0] - 0.5])
        y = (softmax(scores, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    else:
        scores = np.column_stack([X[:, 0] * 1.5, X[:, 1] + np.abs(X[:, 2]) - 2.2, 1.5 * X[:, 3] + X[:, 0] - 2.5])
        y = (rng.random(scores.shape) < expit(scores)).astype(np.int64)
    weight = rng.uniform(0.2, 3.0, n).astype(np.float32).astype(np.float64)  # as the libraries keep them
    return Rows(X, y, weight)


def ours(library, **params):
    """Return a small estimator of γ=2, whose model is far from that of the log loss."""
    gamma = {} if params.get("margin_loss") is not None else {"focal_gamma": 2.0}
    return OURS[library](**{**SMALL[library], **gamma, **params})


def own(library, **params):
    """Return the library's estimator with the same parameters."""
    return OWN[library](**{**SMALL[library], **params})


def fit(model, train, *evaluate, stop=None, weighted=False, **arguments):
    """Fit, with evaluation sets of which the last may stop early."""
    if weighted:
        arguments["sample_weight"] = train.weight
    if isinstance(model, xgboost.XGBClassifier):
        if stop:
            model.set_params(early_stopping_rounds=stop)
        if evaluate:
            arguments["eval_set"] = [(one.X, one.y) for one in evaluate]
        if weighted and evaluate:
            arguments["sample_weight_eval_set"] = [one.weight for one in evaluate]
        return model.fit(train.X, train.y, **{"verbose": False, **arguments})
    if evaluate and HAS_EVAL_X:
        arguments["eval_X"] = tuple(one.X for one in evaluate)
        arguments["eval_y"] = tuple(one.y for one in evaluate)
    elif evaluate:
        arguments["eval_set"] = [(one.X, one.y) for one in evaluate]
    if weighted and evaluate:
        arguments["eval_sample_weight"] = [one.weight for one in evaluate]
    if stop:
        stopping = lightgbm.early_stopping(stop, verbose=False)
        arguments["callbacks"] = [*arguments.get("callbacks", ()), stopping]
    return model.fit(train.X, train.y, **arguments)


def booster(model):
    return model.get_booster() if isinstance(model, xgboost.XGBClassifier) else model.booster_


def log(model, i=-1):
    """Return the metrics of an evaluation set, the last by default."""
    results = model.evals_result() if isinstance(model, xgboost.XGBClassifier) else model.evals_result_
    return [*results.values()][i]


def n_best(model):
    """Return the number of rounds that predictions use."""
    if isinstance(model, xgboost.XGBClassifier):
        return model.best_iteration + 1
    return model.best_iteration_


def staged(model, X, k):
    """Return the probabilities after k rounds."""
    if isinstance(model, xgboost.XGBClassifier):
        return model.predict_proba(X, iteration_range=(0, k))
    return model.predict_proba(X, num_iteration=k)


def plain(library, model_file, X):
    """Return what the plain library predicts, as `predict_proba` would."""
    if library == "xgboost":
        p = xgboost.Booster(model_file=str(model_file)).predict(xgboost.DMatrix(X))
    else:
        p = lightgbm.Booster(model_file=str(model_file)).predict(X)
    return as_columns(p)


def as_columns(p):
    """Return probabilities of class 1 as those of both classes."""
    p = np.asarray(p)
    return np.column_stack([1 - p, p]) if p.ndim == 1 else p


@dataclass(frozen=True)
class Problem:
    """A library with a kind of labels."""

    library: str
    kind: str

    @cached_property
    def train(self):
        return rows(self.kind)

    @cached_property
    def valid(self):
        return rows(self.kind, 1, 200)

    @property
    def close(self):
        return CLOSE[self.library]

    def ours(self, **params):
        return ours(self.library, **params)

    def own(self, **params):
        return own(self.library, **params)

    @property
    def native(self):
        """Parameters of `train` for the model that `ours` is."""
        params = {"xgboost": {"max_depth": 3, "nthread": 1}, "lightgbm": {"num_leaves": 7, "num_threads": 1}}
        return {
            **params[self.library],
            **({"num_class": 3} if self.kind == "many" else {}),
            **({"verbose": -1} if self.library == "lightgbm" else {}),
        }


PROBLEMS = [
    Problem("xgboost", "two"), Problem("xgboost", "many"), Problem("xgboost", "labels"),
    Problem("lightgbm", "two"), Problem("lightgbm", "many"),
]  # fmt: skip
if tuple(map(int, xgboost.__version__.split(".")[:2])) < (3, 1):  # cannot start each class at its own base rate
    PROBLEMS = [p for p in PROBLEMS if p.library == "lightgbm" or p.kind == "two"]
