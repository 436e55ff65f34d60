"""What both estimators share: labels, α, the start, and the way from scores to probabilities."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_consistent_length, column_or_1d

from focal_gbm._validation import FloatArray, check_choice, check_gamma, check_sample_weight
from focal_gbm.alpha import resolve_alpha
from focal_gbm.losses import BinaryFocalLoss
from focal_gbm.losses.binary import HESSIANS
from focal_gbm.objectives import BoundObjective, FocalObjective

#: The parameters that the estimators add to their host's.
FOCAL_PARAMETERS = ("focal_gamma", "focal_alpha", "hessian", "probability")

#: Layout of the saved state; raised when an older reader could not understand a newer writer.
_STATE_FORMAT = 1


@dataclass(frozen=True, eq=False)
class FocalState:
    """What a fitted estimator knows beyond its booster."""

    classes: NDArray[Any]
    loss: BinaryFocalLoss

    def probabilities(self, raw_prediction: FloatArray, probability: str) -> FloatArray:
        """Return class probabilities of shape (n, 2): the posterior or the focal score."""
        link = self.loss.link if probability == "posterior" else BinaryFocalLoss(gamma=0.0).link
        return link.probabilities(raw_prediction)

    def decisions(self, raw_prediction: FloatArray) -> NDArray[Any]:
        """Return the labels with the largest focal score."""
        return np.asarray(self.classes[(raw_prediction > 0).astype(np.intp)])


class FitPlan(NamedTuple):
    """All that one fit needs to know about its labels."""

    state: FocalState
    encoder: LabelEncoder
    labels: NDArray[np.intp]  #: codes into `state.classes`
    sample_weight: FloatArray | None
    objective: BoundObjective
    start: float  #: the constant score at which training starts

    def hessian_at_start(self) -> float:
        """Return the sum of all Hessians in the first round, what a leaf's least weight is part of."""
        _, hessian = self.objective(np.full(len(self.labels), self.start))
        return float(hessian.sum(dtype=np.float64))


class FocalClassifierMixin:
    """The focal half of an estimator; the host's classifier is the other base class."""

    focal_gamma: float
    focal_alpha: Any
    hessian: str
    probability: str
    _focal_state: FocalState

    def _host_alpha(self, classes: NDArray[Any], class_counts: FloatArray) -> list[tuple[str, Any]]:
        """Return (name, α) for each of the host's own parameters that weights the classes."""
        raise NotImplementedError

    def _plan_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> FitPlan:
        """Check parameters, labels and weights, and derive loss, objective and start from them."""
        gamma = check_gamma(self.focal_gamma, "focal_gamma")
        check_choice(self.hessian, HESSIANS, "hessian")
        check_choice(self.probability, ("posterior", "score"), "probability")
        unknown = sorted(
            name
            for name in self.get_params(deep=False)  # type: ignore[attr-defined]
            if name.startswith("focal_") and name not in FOCAL_PARAMETERS
        )
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {', '.join(unknown)}.")
        y = _as_labels(y, "y")
        check_consistent_length(X, y)
        encoder = LabelEncoder()
        labels = encoder.fit_transform(y)
        classes = encoder.classes_
        if len(classes) == 0:
            raise ValueError("y must hold two classes, got 0 samples.")
        if len(classes) == 1:
            raise ValueError(f"y must hold two classes, got one class only: {classes[0]!r}.")
        if len(classes) > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is multiclass: y must "
                f"hold two classes, got {len(classes)}."
            )
        weight = check_sample_weight(sample_weight, len(labels))
        counts = np.bincount(labels, weights=weight, minlength=2).astype(np.float64)
        if not counts.all():
            empty = classes[int(counts.argmin())]
            raise ValueError(f"sample_weight must leave every class some weight, got none for {empty!r}.")
        alphas = self._host_alpha(classes, counts)
        if self.focal_alpha is not None or not alphas:
            alphas.append(("focal_alpha", self.focal_alpha))
        if len(alphas) > 1:
            given = " and ".join(f"{name}={value!r}" for name, value in alphas)
            raise ValueError(f"Only one parameter can weight the classes, got {given}.")
        name, alpha = alphas[0]
        weights = resolve_alpha(alpha, classes, counts, name)
        loss = BinaryFocalLoss(gamma, weights)  # type: ignore[arg-type]
        return FitPlan(
            state=FocalState(classes, loss),
            encoder=encoder,
            labels=labels,
            sample_weight=weight,
            objective=FocalObjective(loss, self.hessian).bind(labels == 1, weight),
            start=float(loss.link.link(counts[1] / counts.sum())),
        )

    def _state(self) -> FocalState:
        if not hasattr(self, "_focal_state"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate "
                "arguments before using this estimator."
            )
        return self._focal_state

    def _probabilities(self, raw_prediction: FloatArray) -> FloatArray:
        check_choice(self.probability, ("posterior", "score"), "probability")
        return self._state().probabilities(raw_prediction, self.probability)

    def _warn_no_split(self, why: str) -> None:
        warnings.warn(
            f"{type(self).__name__} grew no split in any tree: every row gets the same prediction, the "
            f"base rate. {why}",
            UserWarning,
            stacklevel=3,
        )

    # The state as text, so that a saved model needs no pickle.

    def _state_to_json(self) -> str:
        state = self._state()
        return json.dumps(
            {
                "format": _STATE_FORMAT,
                "gamma": state.loss.gamma,
                "alpha": None if state.loss.alpha is None else list(state.loss.class_weights),
                "classes": _array_to_json(state.classes, "the class labels"),
                "parameters": {
                    "focal_gamma": float(self.focal_gamma),
                    "focal_alpha": _alpha_to_json(self.focal_alpha),
                    "hessian": self.hessian,
                    "probability": self.probability,
                },
            }
        )

    @staticmethod
    def _state_from_json(text: str) -> tuple[FocalState, dict[str, Any]]:
        """Return the state and the focal parameters that `_state_to_json` wrote."""
        try:
            saved = json.loads(text)
            if saved["format"] != _STATE_FORMAT:
                raise ValueError(f"its layout is {saved['format']!r}, this version reads {_STATE_FORMAT}")
            alpha = None if saved["alpha"] is None else tuple(saved["alpha"])
            state = FocalState(_array_from_json(saved["classes"]), BinaryFocalLoss(saved["gamma"], alpha))
            parameters = {name: saved["parameters"][name] for name in FOCAL_PARAMETERS}
            parameters["focal_alpha"] = _alpha_from_json(parameters["focal_alpha"])
            if state.classes.shape != (2,):
                raise ValueError(f"it holds class labels of shape {state.classes.shape}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"The focal_gbm entry of the model cannot be read: {error}.") from error
        return state, parameters


def encode_labels(y: ArrayLike, encoder: LabelEncoder, name: str) -> NDArray[np.intp]:
    """Return the codes of the labels of an evaluation set."""
    labels = _as_labels(y, name)
    try:
        return np.asarray(encoder.transform(labels))
    except (ValueError, TypeError):
        unseen = sorted({str(label) for label in np.unique(labels)} - {str(c) for c in encoder.classes_})
        raise ValueError(
            f"{name} must hold only labels seen in y, {encoder.classes_.tolist()}, got {', '.join(unseen)}."
        ) from None


def _as_labels(y: Any, name: str) -> NDArray[Any]:
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    if hasattr(y, "collect"):  # a polars LazyFrame
        y = y.collect()
    nullable = getattr(getattr(y, "dtype", None), "numpy_dtype", None)  # of pandas: Int64, boolean, ...
    if nullable is not None and not y.isna().any():
        y = y.to_numpy(dtype=nullable)  # scikit-learn would make floats of all of them
    labels = np.asarray(column_or_1d(y, warn=True))
    if labels.dtype == np.float16:
        raise TypeError(f"{name} must hold labels of an exact type, got float16.")
    assert_all_finite(labels, input_name=name)
    if labels.dtype.kind == "O" and any(label is None for label in labels):
        raise ValueError(f"{name} must hold a label in every row, got None.")
    check_classification_targets(labels)
    return labels


def _array_to_json(array: NDArray[Any], what: str) -> dict[str, Any]:
    # tolist() leaves NumPy's own scalars in an array of objects
    values = [value.item() if isinstance(value, np.generic) else value for value in array.tolist()]
    if not all(isinstance(value, (str, int, float, bool)) for value in values):
        raise TypeError(f"{what} must be strings, numbers or booleans to be saved, got {values!r}.")
    return {"dtype": array.dtype.str, "values": values}


def _array_from_json(saved: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(saved["dtype"])
    if dtype.kind not in "biufUO":
        raise ValueError(f"it holds class labels of dtype {dtype}")
    return np.array(saved["values"], dtype=dtype)


def _alpha_to_json(alpha: Any) -> Any:
    """Return a form of `focal_alpha` that JSON keeps apart: tuple, dict and array become objects."""
    if alpha is None or isinstance(alpha, str):
        return alpha
    if isinstance(alpha, tuple) and len(alpha) == 2 and isinstance(alpha[0], str):
        return {"effective": float(alpha[1])}
    if hasattr(alpha, "items"):
        labels = _array_to_json(np.array(list(alpha), dtype=object), "the labels of focal_alpha")
        return {"labels": labels["values"], "weights": [float(weight) for weight in alpha.values()]}
    if np.ndim(alpha) == 0:
        return float(alpha)
    return [float(weight) for weight in alpha]


def _alpha_from_json(saved: Any) -> Any:
    if not isinstance(saved, dict):
        return saved
    if "effective" in saved:
        return "effective", saved["effective"]
    return dict(zip(saved["labels"], saved["weights"], strict=True))
