"""What both estimators share: labels, α, the start, and the way from scores to probabilities."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, check_consistent_length, column_or_1d

from focal_gbm._arrays import in_few_bytes, on_host
from focal_gbm._state import FOCAL_PARAMETERS, FocalState, state_to_json
from focal_gbm._validation import (
    FloatArray,
    check_binary_labels,
    check_choice,
    check_sample_weight,
)
from focal_gbm.alpha import resolve_alpha
from focal_gbm.gamma import resolve_gamma
from focal_gbm.losses import BinaryFocalLoss, FocalLoss, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm.losses.binary import HESSIANS
from focal_gbm.objectives import BoundObjective, FocalObjective, loss_scale_of_host


class ClassPlan(NamedTuple):
    """What a fit derives from the weight of each class alone, wherever the rows are."""

    state: FocalState
    objective: FocalObjective
    start: FloatArray  #: the constant scores at which training starts, one a tree of a round
    class_counts: FloatArray  #: weight of each class
    n_samples: int
    host: str

    def hessian_at_start(self) -> float:
        """Return the largest sum of Hessians that a tree of the first round has for its leaves."""
        codes = np.arange(len(self.class_counts))
        shape = self.state.loss.raw_shape(len(codes))
        objective = self.objective.bind(codes, self.class_counts, self.host)
        _, hessian = objective(np.broadcast_to(self.start.reshape(shape[1:]), shape))
        return float(hessian.sum(axis=0, dtype=np.float64).max())


class FitPlan(NamedTuple):
    """All that one fit needs to know about its labels."""

    state: FocalState
    encoder: LabelEncoder | None  #: None for many labels
    labels: NDArray[Any]  #: codes into `state.classes`, of shape (n,); booleans of shape (n, n_labels)
    sample_weight: FloatArray | None
    objective: BoundObjective
    start: FloatArray  #: the constant scores at which training starts, one a tree of a round

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def hessian_at_start(self) -> float:
        """Return the largest sum of Hessians that a tree of the first round has for its leaves."""
        shape = self.state.loss.raw_shape(len(self.labels))
        _, hessian = self.objective(np.broadcast_to(self.start.reshape(shape[1:]), shape))
        return float(hessian.sum(axis=0, dtype=np.float64).max())

    def encode(self, y: ArrayLike, name: str, X: Any) -> NDArray[Any]:
        """Return the codes of the labels of an evaluation set of the rows X."""
        codes = self._encode(y, name)
        try:
            check_consistent_length(X, codes)
        except ValueError as error:
            raise ValueError(f"{name} must be as many as the rows they are for. {error}") from None
        return codes

    def _encode(self, y: ArrayLike, name: str) -> NDArray[Any]:
        if self.encoder is None:
            return _as_indicator(y, name, n_labels=self.labels.shape[1])
        classes = self.encoder.classes_
        return in_few_bytes(encode_labels(y, classes, name), len(classes))


class Rows(NamedTuple):
    """Rows of a table, in whatever type the host takes."""

    X: Any
    y: Any
    sample_weight: FloatArray | None


class FocalClassifierMixin:
    """The focal half of an estimator; the host's classifier is the other base class."""

    focal_gamma: Any
    focal_alpha: Any
    focal_scale: float | str
    hessian: str
    probability: str
    _focal_state: FocalState

    _host: str  #: "xgboost" or "lightgbm"
    _takes_many_labels = False

    # What FocalSearchCV asks of an estimator

    #: Parameters that the host's binned data do not depend on. Models that differ in these alone can be
    #: trained on the same binned data; a name that is not here costs time, never a wrong result.
    _free_of_binning: frozenset[str]

    #: Names of the parameters for the number of rounds and for early stopping. The first that is set counts.
    _rounds_names: tuple[str, ...] = ("n_estimators",)
    _stopping_names: tuple[str, ...] = ("early_stopping_rounds",)

    def _fit_shared(
        self, train: Rows, stop: Rows | None, early_stopping_rounds: int | None, binned: Any = None
    ) -> tuple[Any, int]:
        """Fit as `fit` does with `stop` as its evaluation set, on data that can be shared.

        Parameters
        ----------
        train, stop : Rows
            Without rows to stop on, all rounds are trained.
        early_stopping_rounds : int or None
        binned : object or None
            What this method returned for the same rows; None to bin them.

        Returns
        -------
        binned : object
        n_rounds : int
            Rounds that the fitted model predicts with.
        """
        raise NotImplementedError

    def _host_alpha(self, classes: NDArray[Any], class_counts: FloatArray) -> list[tuple[str, Any]]:
        """Return (name, α) for each of the host's own parameters that weights the classes."""
        raise NotImplementedError

    def _n_threads(self) -> int | None:
        """Return the number of threads as the user gave it, None or 0 for as many as the host finds good."""
        n_threads: int | None = self.n_jobs  # type: ignore[attr-defined]
        return n_threads

    def _plan_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None) -> FitPlan:
        """Check parameters, labels and weights, and derive loss, objective and start from them."""
        self._check_focal_parameters()
        labels = as_target(y)
        if labels.ndim == 2:
            return self._plan_many_labels(X, labels, sample_weight)
        check_consistent_length(X, labels)
        encoder = LabelEncoder()
        labels = in_few_bytes(encoder.fit_transform(labels), len(encoder.classes_))
        check_two_classes(encoder.classes_)
        weight = check_sample_weight(sample_weight, len(labels))
        counts = _class_counts(labels, weight, encoder.classes_)
        return self._plan(self._state_of(encoder.classes_, counts), encoder, labels, weight, counts)

    def _plan_classes(self, classes: NDArray[Any], class_counts: FloatArray, n_samples: int) -> ClassPlan:
        """Check parameters and classes, and derive loss, objective and start from the classes' weights."""
        self._check_focal_parameters()
        check_two_classes(classes)
        check_class_counts(class_counts, classes)
        state = self._state_of(classes, class_counts)
        objective, start = self._objective_and_start(state, class_counts)
        return ClassPlan(state, objective, start, class_counts, n_samples, self._host)

    def _check_focal_parameters(self) -> None:
        check_choice(self.hessian, HESSIANS, "hessian")
        check_choice(self.probability, ("posterior", "score"), "probability")
        unknown = sorted(
            name
            for name in self.get_params(deep=False)  # type: ignore[attr-defined]
            if name.startswith("focal_") and name not in FOCAL_PARAMETERS
        )
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {', '.join(unknown)}.")

    def _state_of(self, classes: NDArray[Any], counts: FloatArray) -> FocalState:
        weights = self._class_weights(classes, counts)
        return FocalState(classes, loss_of_classes(classes, self.focal_gamma, weights))

    def _plan_many_labels(self, X: Any, y: NDArray[Any], sample_weight: ArrayLike | None) -> FitPlan:
        if not self._takes_many_labels:
            raise ValueError(
                f"y should be a 1d array of shape (n_samples,), got shape {y.shape}. LightGBM has no "
                f"many-label model: wrap this estimator, MultiOutputClassifier({type(self).__name__}()) or "
                f"ClassifierChain({type(self).__name__}())."
            )
        labels = _as_indicator(y, "y")
        check_consistent_length(X, labels)
        weight = check_sample_weight(sample_weight, len(labels))
        n_labels = labels.shape[1]
        classes = np.arange(2)
        counts = np.array([_class_counts(labels[:, j], weight, classes, j) for j in range(n_labels)])
        # a tuple is one α for all labels, ("effective", beta) or the weights of 0 and 1
        gammas = _one_a_label(self.focal_gamma, list | tuple | np.ndarray, n_labels, "focal_gamma", "γ")
        alphas = _one_a_label(self.focal_alpha, list | np.ndarray, n_labels, "focal_alpha", "α")
        columns = tuple(
            BinaryFocalLoss(
                resolve_gamma(gamma, classes, name),
                self._class_weights(classes, counts[j], alpha),  # type: ignore[arg-type]
            )
            for j, ((name, gamma), (_, alpha)) in enumerate(zip(gammas, alphas, strict=True))
        )
        state = FocalState(classes, MultilabelFocalLoss(columns))
        return self._plan(state, None, labels, weight, counts)

    def _plan(
        self,
        state: FocalState,
        encoder: LabelEncoder | None,
        labels: NDArray[Any],
        weight: FloatArray | None,
        class_counts: FloatArray,
    ) -> FitPlan:
        objective, start = self._objective_and_start(state, class_counts)
        return FitPlan(
            state=state,
            encoder=encoder,
            labels=labels,
            sample_weight=weight,
            objective=objective.bind(
                labels,
                weight,
                self._host,
                getattr(self, "device", None),
                overwrite_raw_prediction=self._host == "xgboost",
            ),
            start=start,
        )

    def _objective_and_start(
        self, state: FocalState, class_counts: FloatArray
    ) -> tuple[FocalObjective, FloatArray]:
        shares = class_counts / class_counts.sum(axis=-1, keepdims=True)
        # a base rate a tree: of class 1, of every class, of every label
        rates = shares if isinstance(state.loss, MulticlassFocalLoss) else shares[..., 1]
        start = np.atleast_1d(state.loss.link.link(rates))
        if isinstance(state.loss, MulticlassFocalLoss) and self._host == "lightgbm":
            start -= logsumexp(start)  # any constant will do; for γ=0 this is the host's own start
        scale = self._scale(state.loss, shares)
        return FocalObjective(state.loss, self.hessian, scale, self._n_threads()), start

    def _class_weights(
        self, classes: NDArray[Any], counts: FloatArray, alpha: Any = ...
    ) -> tuple[float, ...] | None:
        alpha = self.focal_alpha if alpha is ... else alpha
        alphas = self._host_alpha(classes, counts)
        if alpha is not None or not alphas:
            alphas.append(("focal_alpha", alpha))
        if len(alphas) > 1:
            given = " and ".join(f"{name}={getattr(self, name)!r}" for name, _ in alphas)
            raise ValueError(f"Only one parameter can weight the classes, got {given}.")
        name, alpha = alphas[0]
        if name == "scale_pos_weight" and len(classes) > 2:
            raise ValueError(f"scale_pos_weight is for two classes, got {len(classes)}: use focal_alpha.")
        return resolve_alpha(alpha, classes, counts, name)

    def _scale(self, loss: FocalLoss, shares: FloatArray) -> float | tuple[float, ...]:
        scale = self.focal_scale
        if isinstance(scale, str) and scale == "host":
            return loss_scale_of_host(loss, shares, self.hessian)
        if isinstance(scale, (bool, np.bool_)) or not isinstance(scale, Real):
            raise TypeError(f"focal_scale must be 'host' or a number > 0, got {scale!r}.")
        if not 0.0 < float(scale) < np.inf:
            raise ValueError(f"focal_scale must be 'host' or a number > 0, got {scale!r}.")
        return float(scale)

    def _state(self) -> FocalState:
        if not hasattr(self, "_focal_state"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with appropriate "
                "arguments before using this estimator."
            )
        return self._focal_state

    def _probabilities(self, raw_prediction: FloatArray) -> FloatArray:
        check_choice(self.probability, ("posterior", "score"), "probability")
        return self._state().link(self.probability).probabilities(raw_prediction)

    def _warn_no_split(self, why: str) -> None:
        if self.hessian == "exact":
            why += ' Or the Hessian is negative at a start that you gave: hessian="floored" never is.'
        warnings.warn(
            f"{type(self).__name__} grew no split in any tree: every row gets the same prediction, the "
            f"base rate. {why}",
            UserWarning,
            stacklevel=3,
        )

    def _state_as_json(self) -> str:
        return state_to_json(self._state(), {name: getattr(self, name) for name in FOCAL_PARAMETERS})


def _one_a_label(value: Any, sequences: Any, n_labels: int, name: str, symbol: str) -> list[tuple[str, Any]]:
    """Return (name, value) of a parameter for each label, given one for all or a sequence of one each."""
    if not isinstance(value, sequences):
        return [(name, value)] * n_labels
    if len(value) != n_labels:
        raise ValueError(
            f"{name} must be one {symbol} for all labels or a list of one for each of the {n_labels} "
            f"labels, got {len(value)}."
        )
    return [(f"{name}[{j}]", one) for j, one in enumerate(value)]


def loss_of_classes(
    classes: NDArray[Any], gamma: Any, weights: tuple[float, ...] | None, name: str = "focal_gamma"
) -> BinaryFocalLoss | MulticlassFocalLoss:
    """Return the focal loss of two classes or of more, with a γ as a user writes it."""
    gamma = resolve_gamma(gamma, classes, name)
    if len(classes) == 2:
        return BinaryFocalLoss(gamma, weights)  # type: ignore[arg-type]
    return MulticlassFocalLoss(len(classes), gamma, weights)


def check_two_classes(classes: NDArray[Any]) -> None:
    """Raise unless there are two classes or more."""
    if len(classes) < 2:
        raise ValueError(
            "y must hold two classes or more, got "
            + (f"one class only: {classes[0]!r}." if len(classes) else "0 samples.")
        )


def _class_counts(
    labels: NDArray[Any], weight: FloatArray | None, classes: NDArray[Any], column: int | None = None
) -> FloatArray:
    """Return the weight of every class; each must have some."""
    counts = np.bincount(labels, weights=weight, minlength=len(classes)).astype(np.float64)
    check_class_counts(counts, classes, column)
    return counts


def check_class_counts(counts: FloatArray, classes: NDArray[Any], column: int | None = None) -> None:
    """Raise unless every class has some weight."""
    if not counts.all():
        empty = classes.tolist()[int(counts.argmin())]
        if column is None:
            raise ValueError(f"sample_weight must leave every class some weight, got none for {empty!r}.")
        raise ValueError(
            f"y must hold rows of 0 and of 1, with a positive sample_weight, in every column, got none of "
            f"{empty} in column {column}."
        )


def _as_indicator(y: Any, name: str, n_labels: int | None = None) -> NDArray[np.bool_]:
    """Return 0/1 labels of shape (n_samples, n_labels) as booleans."""
    labels = _as_array(y, name)
    if labels.ndim != 2 or labels.shape[1] != (n_labels or labels.shape[1]):
        raise ValueError(
            f"{name} must have shape (n_samples, {n_labels or 'n_labels'}), got shape {labels.shape}."
        )
    columns = [*labels.T]
    if labels.dtype == np.object_:  # numbers of several types, or a data frame's nullable ones
        columns = [np.array(column.tolist()) for column in columns]
    return np.column_stack(
        [check_binary_labels(column, f"column {j} of {name}") for j, column in enumerate(columns)]
    )


def _as_array(y: Any, name: str) -> NDArray[Any]:
    if y is None:
        raise ValueError(f"The estimator requires {name} to be passed, but the target {name} is None.")
    y = on_host(y)
    if hasattr(y, "collect"):  # a polars LazyFrame
        y = y.collect()
    if hasattr(y, "toarray"):  # SciPy's sparse labels
        y = y.toarray()
    nullable = getattr(getattr(y, "dtype", None), "numpy_dtype", None)  # of pandas: Int64, boolean, ...
    if nullable is not None and not y.isna().any():
        y = y.to_numpy(dtype=nullable)  # scikit-learn would make floats of all of them
    return np.asarray(y)


def as_target(y: Any) -> NDArray[Any]:
    """Return checked labels of shape (n_samples,), or many labels of shape (n_samples, n_labels)."""
    y = _as_array(y, "y")
    return y if y.ndim == 2 and y.shape[1] > 1 else _as_labels(y, "y")


def encode_labels(y: Any, classes: NDArray[Any], name: str) -> NDArray[np.intp]:
    """Return the positions of labels in the sorted `classes`."""
    labels = _as_labels(y, name)
    encoder = LabelEncoder()
    encoder.classes_ = classes
    try:
        return np.asarray(encoder.transform(labels))
    except (ValueError, TypeError):
        unseen = sorted({str(label) for label in np.unique(labels)} - {str(label) for label in classes})
        raise ValueError(
            f"{name} must hold only labels seen in y, {classes.tolist()}, got {', '.join(unseen)}."
        ) from None


def _as_labels(y: Any, name: str) -> NDArray[Any]:
    labels = np.asarray(column_or_1d(_as_array(y, name), warn=True))
    if labels.dtype == np.float16:
        raise TypeError(f"{name} must hold labels of an exact type, got float16.")
    assert_all_finite(labels, input_name=name)
    if labels.dtype.kind == "O" and any(label is None for label in labels):
        raise ValueError(f"{name} must hold a label in every row, got None.")
    check_classification_targets(labels)
    return labels
