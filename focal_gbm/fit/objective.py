"""The bare custom objective: a loss in the form in which both libraries call one."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from focal_gbm._validation import FloatArray, check_sample_weight
from focal_gbm.kernels import Threads, kernel_of


@dataclass(frozen=True)
class FocalObjective:
    """A loss as a custom objective; `FocalXGBObjective` and `FocalLGBMObjective` are its two kinds.

    For experts: with a custom objective, neither library starts at the base rate, transforms predictions or
    computes metrics on probabilities. The estimators, `focal_gbm.xgboost.train`
    and `focal_gbm.lightgbm.train` do all of that.

    Sample weights are applied here, as neither library applies them to a custom objective.

    Parameters
    ----------
    loss : BinaryFocalLoss, MulticlassFocalLoss or MultilabelFocalLoss
        With ``link="logit"``, its default, raw predictions are log-odds; with ``link="focal"`` they are the
        published score. Many classes need the library's ``num_class``; many labels are XGBoost's alone.
    scale : float, default=1.0
        Multiplies the loss. It changes no minimum, only the size of gradients and Hessians relative to
        min_child_weight and the penalties.
    n_jobs : int or None, default=None
        Number of threads, as the library reads it. Results do not depend on it.
    """

    loss: Any
    scale: float = 1.0
    n_jobs: int | None = None
    # Labels and weights of the last call with the kernel made of them: libraries hand over equal labels every
    # round. Compared by value, as a library may give copies, and a user may write to the array between fits.
    _last: tuple[Any, Any, Any] | None = field(default=None, init=False, repr=False, compare=False)

    #: Memory order in which the library takes gradients of many columns without a copy.
    order: ClassVar[Literal["C", "F"]]
    #: The library, on whose threads gradients are computed.
    shared_object: ClassVar[str | None]

    def __post_init__(self) -> None:
        if not hasattr(self.loss, "margin_loss"):
            raise TypeError(
                f"loss must be a BinaryFocalLoss, MulticlassFocalLoss or MultilabelFocalLoss, got {self.loss!r}."
            )
        if not (isinstance(self.scale, Real) and 0.0 < self.scale < np.inf):
            raise ValueError(f"scale must be a finite number > 0, got {self.scale!r}.")
        if self.n_jobs is not None and not isinstance(self.n_jobs, Integral):
            raise TypeError(f"n_jobs must be None or an integer, got {self.n_jobs!r}.")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    @staticmethod
    def softmax_hessian_factor(n_classes: int) -> float:
        """Return the factor of the library's own Hessian of the softmax, ``factor * p (1-p)``."""
        raise NotImplementedError

    def __call__(
        self, y_true: Any, raw_prediction: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian.

        Called as ``(y_true, raw_prediction, sample_weight)`` by the libraries' scikit-learn classes, or
        as ``(raw_prediction, data)``, data an ``xgboost.DMatrix`` or ``lightgbm.Dataset``, by their
        training functions. The number and the names of the parameters are what the libraries look at.

        Returns
        -------
        gradient, hessian : ndarrays of float32 of the shape of the raw prediction

        Raises
        ------
        ValueError
            If labels do not fit the loss, or a prediction, weight or result is not finite.
        """
        if hasattr(raw_prediction, "get_label"):
            raw_prediction, data = y_true, raw_prediction
            y_true, sample_weight = data.get_label(), data.get_weight()
        if sample_weight is not None and np.size(sample_weight) == 0:
            sample_weight = None  # XGBoost's way to say that there is none
        last = self._last
        if last is None or not (_same(y_true, last[0]) and _same(sample_weight, last[1])):
            labels = self.loss.check_labels(y_true)
            kernel = kernel_of(
                self.loss,
                labels,
                check_sample_weight(sample_weight, len(labels)),
                scale=self.scale,
                hessian_factor=(
                    self.softmax_hessian_factor(self.loss.n_classes) if self.loss.kind == "multiclass" else 1.0
                ),
                order=self.order,
                threads=Threads(self.shared_object, self.n_jobs),
            )
            last = _copy(y_true), _copy(sample_weight), kernel
            object.__setattr__(self, "_last", last)
        # copies: the kernel writes to the same arrays again, which a caller may have kept
        gradient, hessian = last[2](raw_prediction)
        return gradient.copy(order="K"), hessian.copy(order="K")


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


def _copy(a: Any) -> Any:
    return a.copy() if isinstance(a, np.ndarray) else a
