"""The focal objective in the forms in which XGBoost and LightGBM call an objective."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_gbm._validation import (
    FloatArray,
    check_binary_labels,
    check_choice,
    check_raw_prediction,
    check_sample_weight,
)
from focal_gbm.losses.binary import HESSIANS, BinaryFocalLoss, BinaryTargets


class BoundObjective:
    """The objective of one fit: labels and weights are known, buffers are reused every round.

    Both hosts' native training functions can call it with ``(raw_prediction, data)``. What it returns
    is overwritten by the next call.
    """

    def __init__(self, loss: BinaryFocalLoss, hessian: str, targets: BinaryTargets) -> None:
        self._loss = loss
        self._hessian = hessian
        self._targets = targets
        # float32 is all that either host keeps
        self._out = np.empty((2, len(targets.negative_sign)), dtype=np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundObjective:
        # lightgbm.train deep-copies its parameters, the objective among them
        return self

    def __call__(self, raw_prediction: FloatArray, data: object = None) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian of the rows bound, as float32."""
        gradient, hessian = self._out
        z = check_raw_prediction(raw_prediction, gradient.shape)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is raised on
            self._loss.gradient_hessian_prepared(self._targets, z, self._hessian, gradient, hessian)
            _raise_if_not_finite(z, gradient, hessian)
        return gradient, hessian


@dataclass(frozen=True)
class FocalObjective:
    """Focal loss as a custom objective: one object for all four entry points of the hosts.

    It goes unchanged into ``xgboost.train(obj=)``, ``XGBClassifier(objective=)``,
    ``lightgbm.train({"objective": ...})`` and ``LGBMClassifier(objective=)``. Sample weights are
    applied here, as neither host applies them to a custom objective. Gradients are returned as
    float32, computed in the precision of the raw prediction.

    Neither host starts a custom objective at its base rate: give the start yourself
    (``loss.fit_intercept_only(y)`` as ``base_margin``, ``init_score`` or, through a sigmoid,
    XGBoost's ``base_score``), or use the estimators, which do.

    Parameters
    ----------
    loss : BinaryFocalLoss, default=BinaryFocalLoss()
        The loss, with its γ and α.
    hessian : {"floored", "exact", "majorizing"}, default="floored"
        The second derivative handed to the host, see `BinaryFocalLoss.gradient_hessian`.

    Examples
    --------
    >>> import numpy as np, xgboost
    >>> from focal_gbm import BinaryFocalLoss, FocalObjective
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = (X[:, 0] + rng.normal(size=500) > 2).astype(int)
    >>> loss = BinaryFocalLoss(gamma=2.0)
    >>> start = np.full(len(y), loss.fit_intercept_only(y))
    >>> data = xgboost.DMatrix(X, y, base_margin=start)
    >>> params = {"objective": "binary:logistic", "max_depth": 2}
    >>> booster = xgboost.train(params, data, num_boost_round=5, obj=FocalObjective(loss))
    """

    loss: BinaryFocalLoss = field(default_factory=BinaryFocalLoss)
    hessian: str = "floored"
    # Labels and weights of the last call with what was prepared from them: hosts hand over equal
    # labels every round. Compared by value, as a copy of them is all a host gives.
    _last: tuple[Any, Any, BinaryTargets] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.loss, BinaryFocalLoss):
            raise TypeError(
                f"loss must be a BinaryFocalLoss, got {self.loss!r} ({type(self.loss).__name__})."
            )
        check_choice(self.hessian, HESSIANS, "hessian")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    def bind(
        self,
        positive: NDArray[np.bool_],
        sample_weight: FloatArray | None,
    ) -> BoundObjective:
        """Return the objective for one training set whose labels and weights were checked."""
        return BoundObjective(self.loss, self.hessian, self._prepare(positive, sample_weight))

    def __call__(
        self, y_true: Any, raw_prediction: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian.

        Called as ``(y_true, raw_prediction, sample_weight)`` by the hosts' scikit-learn classes, or
        as ``(raw_prediction, data)``, data an ``xgboost.DMatrix`` or ``lightgbm.Dataset``, by their
        training functions. The parameters' number and names are what the hosts look at.

        Returns
        -------
        gradient, hessian : ndarrays of float32 of shape (n_samples,)

        Raises
        ------
        ValueError
            If labels are not 0 and 1, or a prediction, weight or result is not finite.
        """
        if hasattr(raw_prediction, "get_label"):
            raw_prediction, data = y_true, raw_prediction
            y_true, sample_weight = data.get_label(), data.get_weight()
        if sample_weight is not None and np.size(sample_weight) == 0:
            sample_weight = None  # XGBoost's way to say that there is none
        targets = self._targets(y_true, sample_weight)
        z = check_raw_prediction(raw_prediction, targets.negative_sign.shape)
        gradient, hessian = np.empty((2, *z.shape), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is raised on
            self.loss.gradient_hessian_prepared(targets, z, self.hessian, gradient, hessian)
            _raise_if_not_finite(z, gradient, hessian)
        return gradient, hessian

    def _targets(self, y_true: Any, sample_weight: Any) -> BinaryTargets:
        last = self._last
        if last is not None and _same(y_true, last[0]) and _same(sample_weight, last[1]):
            return last[2]
        positive = check_binary_labels(y_true)
        weight = check_sample_weight(sample_weight, len(positive))
        targets = self._prepare(positive, weight)
        # copies: LightGBM hands over the user's own array, who may have written to it by the next fit
        object.__setattr__(self, "_last", (_copy(y_true), _copy(sample_weight), targets))
        return targets

    def _prepare(self, positive: NDArray[np.bool_], weight: FloatArray | None) -> BinaryTargets:
        with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
            return self.loss.prepare(positive, weight)


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


def _copy(a: Any) -> Any:
    return a.copy() if isinstance(a, np.ndarray) else a


def _raise_if_not_finite(z: FloatArray, gradient: FloatArray, hessian: FloatArray) -> None:
    """Raise on NaN or infinity, which either host would take without a word."""
    # A sum is finite only if all its terms are, and costs a tenth of isfinite().all(); float64, as
    # finite float32 terms must not overflow it. Raw predictions may be float64: their extremes instead
    # (the gradient is finite at an infinite raw prediction, the training that led there is not sound).
    if np.isfinite(gradient.sum(dtype=np.float64) + hessian.sum(dtype=np.float64)) and (
        not z.size or (np.isfinite(z.min()) and np.isfinite(z.max()))
    ):
        return
    row = int((~(np.isfinite(gradient) & np.isfinite(hessian) & np.isfinite(z))).argmax())
    raise ValueError(
        f"The focal objective must return finite numbers, got gradient {gradient[row]} and Hessian "
        f"{hessian[row]} at row {row}, where the raw prediction is {z[row]}. A raw prediction that is "
        "not finite comes from the host (diverged training, base_margin or init_score); otherwise "
        "sample_weight or alpha is too large for float32."
    )
