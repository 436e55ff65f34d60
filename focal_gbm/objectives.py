"""The focal objective in the forms in which XGBoost and LightGBM call an objective."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_gbm._cuda import gradients_on, is_cuda
from focal_gbm._threads import RowThreads
from focal_gbm._validation import FloatArray, check_choice, check_raw_prediction, check_sample_weight
from focal_gbm.losses import BinaryFocalLoss, FocalLoss, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm.losses.binary import HESSIANS

#: XGBoost keeps gradients as float32 and sums them as float64, exactly for so few rows. With this many
#: last bits of a gradient zero, so is the product with a whole weight up to 2^bits, and a weight of k is
#: k copies of the row to the last bit of the model. scikit-learn checks that on 15 rows, to 1e-7.
_EXACT_ROWS, _SPARE_BITS = 1024, 3


class BoundObjective:
    """The objective of one fit: labels and weights are known, buffers are reused every round.

    Both hosts' native training functions can call it with ``(raw_prediction, data)``. What it returns
    is overwritten by the next call.
    """

    def __init__(
        self,
        objective: FocalObjective,
        host: str,
        labels: NDArray[Any],
        weight: FloatArray | None,
        device: str | None = None,
        overwrite_raw_prediction: bool = False,
    ) -> None:
        self._objective = objective
        self._host = host
        self._overwrite = overwrite_raw_prediction
        self._copies: FloatArray | None = None
        self.on_card = None
        if host == "xgboost" and is_cuda(device) and len(labels) > _EXACT_ROWS:
            self.on_card = gradients_on(
                str(device),
                objective.loss,
                objective.hessian,
                objective.scale,
                objective.hessian_factor(host),
                labels,
                weight,
            )
            if self.on_card is not None:
                return
        if host == "xgboost" and len(labels) <= _EXACT_ROWS:
            shape = (len(labels), *[1] * (len(objective.loss.raw_shape(1)) - 1))
            ones = np.ones(len(labels)) if weight is None else weight
            with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
                self._copies, weight = ones.astype(np.float32).reshape(shape), None
        self._targets = PreparedTargets.of(objective, labels, weight)
        self._shape = objective.loss.raw_shape(len(labels))
        self._hessian = _empty(self._shape, host)

    @cached_property
    def _gradient(self) -> FloatArray:
        return _empty(self._shape, self._host)

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundObjective:
        # lightgbm.train deep-copies its parameters, the objective among them
        return self

    def __call__(self, raw_prediction: FloatArray, data: object = None) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian of the rows bound, as float32; on a card as CuPy's arrays."""
        if self.on_card is not None:
            gradient, hessian = self.on_card.gradient, self.on_card.hessian
            if not self.on_card(raw_prediction):
                _raise_if_not_finite(np.asarray(raw_prediction))
                _raise_if_not_finite_results(gradient.get(), hessian.get())
            return gradient, hessian
        overwrites = self._overwrite and raw_prediction.flags.writeable
        out = (raw_prediction if overwrites else self._gradient), self._hessian
        self._objective.evaluate(self._targets, raw_prediction, self._host, out)
        if self._copies is not None:
            for array in out:
                bits = array.view(np.int32)
                bits += 1 << (_SPARE_BITS - 1)
                bits &= -1 << _SPARE_BITS
                with np.errstate(over="ignore", invalid="ignore"):
                    array *= self._copies
            _raise_if_not_finite_results(*out)
        return out


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
    loss : BinaryFocalLoss, MulticlassFocalLoss or MultilabelFocalLoss, default=BinaryFocalLoss()
        The loss, with its γ and α. Many classes need the host's ``num_class``; many labels are
        XGBoost's alone.
    hessian : {"floored", "exact", "majorizing"}, default="floored"
        The second derivative handed to the host, see `BinaryFocalLoss.gradient_hessian`. For many
        classes it carries the host's own factor at γ=0, 2 in XGBoost and K/(K-1) in LightGBM.
    scale : float or tuple of floats, default=1.0
        Multiplies the loss; for many labels possibly one number each. It changes no minimum, only how
        large gradients and Hessians are beside the host's min_child_weight and penalties. See
        `loss_scale_of_host`.
    n_jobs : int or None, default=None
        The host's number of threads: None or 0 is all cores, or OMP_NUM_THREADS of them; a negative
        number leaves that many minus one free. The rows are shared out to no more threads, at most 8, on
        the cores left free; on the host's own only where OMP_WAIT_POLICY=passive or GOMP_SPINCOUNT up to
        10000 in the environment makes its threads sleep when idle. The result does not depend on it.

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

    loss: FocalLoss = field(default_factory=BinaryFocalLoss)
    hessian: str = "floored"
    scale: float | tuple[float, ...] = 1.0
    n_jobs: int | None = None
    # Labels and weights of the last call with what was prepared from them: hosts hand over equal
    # labels every round. Compared by value, as a copy of them is all a host gives.
    _last: tuple[Any, Any, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.loss, FocalLoss):
            raise TypeError(f"loss must be a focal loss, got {self.loss!r} ({type(self.loss).__name__}).")
        check_choice(self.hessian, HESSIANS, "hessian")
        scale = np.asarray(self.scale, dtype=np.float64)
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(f"scale must be finite and > 0, got {self.scale!r}.")
        if self.n_jobs is not None and not isinstance(self.n_jobs, Integral):
            raise TypeError(f"n_jobs must be None or an integer, got {self.n_jobs!r}.")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    def bind(
        self,
        labels: NDArray[Any],
        sample_weight: FloatArray | None,
        host: str,
        device: str | None = None,
        overwrite_raw_prediction: bool = False,
    ) -> BoundObjective:
        """Return the objective for one training set whose labels and weights were checked.

        `host` is "xgboost" or "lightgbm". With XGBoost's name of a CUDA device as `device`, labels,
        weights and gradients are kept there, if CuPy is installed and there are more than a thousand rows.
        With `overwrite_raw_prediction` the gradient may be written over the raw prediction, which saves
        four bytes a row: `xgboost.train` hands over a copy that nobody else looks at, LightGBM does not.
        """
        return BoundObjective(self, host, labels, sample_weight, device, overwrite_raw_prediction)

    def hessian_factor(self, host: str) -> float:
        """Return the host's own factor of the Hessian of many classes, 1 for the other losses."""
        if not isinstance(self.loss, MulticlassFocalLoss):
            return 1.0
        return 2.0 if host == "xgboost" else self.loss.n_classes / (self.loss.n_classes - 1.0)

    def __call__(
        self, y_true: Any, raw_prediction: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian.

        Called as ``(y_true, raw_prediction, sample_weight)`` by the hosts' scikit-learn classes, or
        as ``(raw_prediction, data)``, data an ``xgboost.DMatrix`` or ``lightgbm.Dataset``, by their
        training functions. The parameters' number and names are what the hosts look at.

        Returns
        -------
        gradient, hessian : ndarrays of float32 of the shape of the raw prediction

        Raises
        ------
        ValueError
            If labels are not those of the loss, or a prediction, weight or result is not finite.
        """
        # XGBoost's raw predictions are float32 and LightGBM's float64, always.
        host = "xgboost"
        if hasattr(raw_prediction, "get_label"):
            raw_prediction, data = y_true, raw_prediction
            y_true, sample_weight = data.get_label(), data.get_weight()
        if getattr(raw_prediction, "dtype", None) == np.float64:
            host = "lightgbm"
        if sample_weight is not None and np.size(sample_weight) == 0:
            sample_weight = None  # XGBoost's way to say that there is none
        targets = self._targets(y_true, sample_weight)
        shape = self.loss.raw_shape(len(y_true))
        out = _empty(shape, host), _empty(shape, host)
        self.evaluate(targets, raw_prediction, host, out)
        return out

    def evaluate(
        self, targets: PreparedTargets, raw_prediction: Any, host: str, out: tuple[FloatArray, FloatArray]
    ) -> None:
        """Write gradient and Hessian for prepared targets into `out`; raise if one is not finite.

        The gradient may be written over the raw prediction.
        """
        z = check_raw_prediction(raw_prediction, out[1].shape)
        options: dict[str, Any] = {"loss_scale": self.scale}
        if isinstance(self.loss, MulticlassFocalLoss):
            options["hessian_factor"] = self.hessian_factor(host)
        threads = targets.threads
        finite = [False] * len(threads.parts)

        def work(i: int) -> None:
            rows = threads.parts[i]
            if not _is_finite(z[rows]):
                return  # and leave it to be named
            gradient, hessian = out[0][rows], out[1][rows]
            # what is not finite is raised on; NumPy keeps this setting thread by thread
            with np.errstate(over="ignore", invalid="ignore"):
                self.loss.gradient_hessian_prepared(
                    targets.parts[i], z[rows], self.hessian, gradient, hessian, **options
                )
            finite[i] = _is_finite(gradient) and _is_finite(hessian)

        threads.run(work)
        if not all(finite):
            _raise_if_not_finite(z)
            _raise_if_not_finite_results(*out)

    def _targets(self, y_true: Any, sample_weight: Any) -> Any:
        last = self._last
        if last is not None and _same(y_true, last[0]) and _same(sample_weight, last[1]):
            return last[2]
        labels = self.loss.check_labels(y_true)
        weight = check_sample_weight(sample_weight, len(labels))
        targets = PreparedTargets.of(self, labels, weight)
        # copies: LightGBM hands over the user's own array, who may have written to it by the next fit
        object.__setattr__(self, "_last", (_copy(y_true), _copy(sample_weight), targets))
        return targets


class PreparedTargets(NamedTuple):
    """Checked labels and weights in the form of the loss, by the parts of the rows that threads work on."""

    threads: RowThreads
    parts: list[Any]

    @classmethod
    def of(
        cls, objective: FocalObjective, labels: NDArray[Any], weight: FloatArray | None
    ) -> PreparedTargets:
        """Prepare them once for many calls."""
        n_rows, *row_shape = objective.loss.raw_shape(len(labels))
        threads = RowThreads(n_rows, math.prod(row_shape), objective.n_jobs)
        with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
            targets = objective.loss.prepare(labels, weight)
        return cls(threads, [targets.rows(part) for part in threads.parts])


def loss_scale_of_host(
    loss: FocalLoss, class_shares: FloatArray, hessian: str = "floored"
) -> float | tuple[float, ...]:
    """Return the `scale` at which the hosts' parameters mean what they mean for their own loss.

    At its best constant, focal loss has a Hessian of another size than the equally weighted log
    loss has at its own (2.6 times for γ=2 and 2 % positives). min_child_weight, reg_lambda and the
    minimum gain of a split are numbers beside that Hessian, and would be that much weaker. The
    quotient of the two, 1 for γ=0, undoes it.

    Parameters
    ----------
    loss : focal loss
    class_shares : ndarray of shape (n_classes,), or (n_labels, 2) for many labels
        Share of the weight that each class has, all > 0.
    hessian : str, default="floored"
        As for `FocalObjective`.

    Returns
    -------
    float, or one a label

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm import BinaryFocalLoss
    >>> round(loss_scale_of_host(BinaryFocalLoss(2.0), np.array([0.98, 0.02])), 3)
    0.382
    """
    if isinstance(loss, MultilabelFocalLoss):
        return tuple(
            _scale_of(column, shares, hessian)
            for column, shares in zip(loss.columns, class_shares, strict=True)
        )
    return _scale_of(loss, class_shares, hessian)


def _scale_of(loss: BinaryFocalLoss | MulticlassFocalLoss, shares: FloatArray, hessian: str) -> float:
    own, log_loss = (_hessian_at_start(loss, shares, hessian) for loss in (loss, replace(loss, gamma=0.0)))
    return log_loss / own


def _hessian_at_start(loss: BinaryFocalLoss | MulticlassFocalLoss, shares: FloatArray, hessian: str) -> float:
    """Return the mean Hessian of rows in these shares at the best constant."""
    labels = np.arange(len(shares))
    start = loss.fit_intercept_only(labels, shares)
    z = np.empty(loss.raw_shape(len(shares)))
    z[...] = start
    return float(loss.gradient_hessian(labels, z, shares, hessian=hessian)[1].sum())


def _empty(shape: tuple[int, ...], host: str) -> FloatArray:
    # float32 is all that either host keeps; class after class is how LightGBM takes them without a copy
    return np.empty(shape, np.float32, order="F" if host == "lightgbm" else "C")


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


def _copy(a: Any) -> Any:
    return a.copy() if isinstance(a, np.ndarray) else a


def _is_finite(array: FloatArray) -> bool:
    """Say whether all numbers are finite; where their sum is, one pass tells."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(array, axis=None)) or np.isfinite(array).all())


def _raise_if_not_finite(raw_prediction: FloatArray) -> None:
    """Raise on a NaN or an infinity, of which there may be finite gradients: what led there is not sound."""
    if not _is_finite(raw_prediction):
        row = _first_not_finite(raw_prediction)
        raise ValueError(
            f"The focal objective must return finite numbers, which it cannot at row {row}, where the raw "
            f"prediction is {raw_prediction[row]}. It comes from the host: diverged training, base_margin "
            "or init_score."
        )


def _raise_if_not_finite_results(gradient: FloatArray, hessian: FloatArray) -> None:
    """Raise on a NaN or an infinity, which either host would take without a word."""
    if not (_is_finite(gradient) and _is_finite(hessian)):
        row = min(_first_not_finite(array) for array in (gradient, hessian) if not _is_finite(array))
        raise ValueError(
            f"The focal objective must return finite numbers, got gradient {gradient[row]} and Hessian "
            f"{hessian[row]} at row {row}: sample_weight or alpha is too large for float32."
        )


def _first_not_finite(array: FloatArray) -> int:
    return int((~np.isfinite(array)).reshape(len(array), -1).any(axis=1).argmax())
