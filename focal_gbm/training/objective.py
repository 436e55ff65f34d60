"""The objective: a loss in the form in which libraries call one."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_gbm._validation import FloatArray, check_raw_prediction, check_sample_weight
from focal_gbm.kernels.cpu import CompiledKernel, PlainKernel, cpu_kernel
from focal_gbm.kernels.cuda import cuda_kernel, is_cuda
from focal_gbm.kernels.task import Task, raise_if_results_not_finite
from focal_gbm.kernels.threads import Threads
from focal_gbm.losses import BinaryFocalLoss, Loss
from focal_gbm.losses.focal import Focal
from focal_gbm.training.library import Library

#: With so many last bits of a float32 gradient zero, so is the product with a whole weight up to 2^bits, and
#: a weight of k is k copies of the row to the last bit of the model. scikit-learn checks that on 15 rows, to
#: 1e-7.
_SPARE_BITS = 3


def is_log_loss(loss: Loss) -> bool:
    """Say whether γ is 0 in every class: whether the library has this loss itself, but for class weights."""
    return all(margin == Focal(0.0) for margin, _ in loss.weighted_losses())


class BoundObjective:
    """The objective of one fit: labels and weights are known, buffers are reused every round.

    The libraries' training functions can call it with ``(raw_prediction, data)``. What it returns is
    overwritten by the next call.

    Parameters
    ----------
    task : Task
    library : Library
    n_jobs : int or None
        The library's number of threads.
    device : str or None
        The library's name of the device on which it trains.
    """

    def __init__(
        self,
        task: Task,
        library: Library,
        n_jobs: int | None,
        device: str | None,
    ) -> None:
        self._arguments = task, library, n_jobs, device
        self._shape = task.shape
        self._copies: FloatArray | None = None
        # the log loss is the library's own, whose gradients are not rounded: exact ties between splits tell
        is_small = len(task.labels) <= library.exact_rows and not is_log_loss(task.loss)
        self.on_device = (
            cuda_kernel(str(device), task, library.cuda_major)
            if library.cuda_major and is_cuda(device) and len(task.labels) > library.exact_rows
            else None
        )
        if self.on_device is not None:
            return
        if is_small:
            ones = np.ones(len(task.labels)) if task.weight is None else task.weight
            with np.errstate(over="ignore"):  # an infinite weight makes the first gradient raise
                self._copies = ones.astype(np.float32).reshape(-1, *[1] * (len(self._shape) - 1))
            task = Task(task.loss, task.hessian, task.scale, task.hessian_factor, task.labels, None)
        self._kernel = cpu_kernel(task, Threads(library.shared_object, n_jobs))
        self._out = library.empty(self._shape), library.empty(self._shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments  # addresses of buffers mean nothing in another process

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundObjective:
        # lightgbm.train deep-copies its parameters, the objective among them
        return self

    def __call__(self, raw_prediction: Any, data: object = None) -> tuple[Any, Any]:
        """Return gradient and Hessian of the rows bound, as float32; on a CUDA device as CuPy's arrays."""
        if self.on_device is not None:
            return self.on_device(raw_prediction)
        z = check_raw_prediction(raw_prediction, self._shape)
        out = self._out
        self._kernel(z, out)
        if self._copies is not None:
            for array in out:
                bits = array.view(np.int32)
                bits += 1 << (_SPARE_BITS - 1)
                bits &= -1 << _SPARE_BITS
                with np.errstate(over="ignore", invalid="ignore"):
                    array *= self._copies
            raise_if_results_not_finite(*out)
        return out


@dataclass(frozen=True)
class FocalObjective:
    """A loss as the custom objective of a library; `FocalXGBObjective` and `FocalLGBMObjective` are that.

    Sample weights are applied here, as neither library applies them to a custom objective. Gradients are
    returned as float32, computed in the precision of the raw prediction.

    Neither library starts a custom objective at its base rate: give the start yourself
    (``loss.fit_intercept_only(y)`` as ``base_margin``, ``init_score`` or, through a sigmoid,
    XGBoost's ``base_score``), or use the estimators, which do.

    Parameters
    ----------
    loss : BinaryFocalLoss, MulticlassFocalLoss or MultilabelFocalLoss, default=BinaryFocalLoss()
        The loss, with its γ and α. Many classes need the library's ``num_class``; many labels are
        XGBoost's alone.
    hessian : {"floored", "exact", "majorizing", "expected"} or None, default=None
        The second derivative handed to the library, see `BinaryFocalLoss.gradient_hessian`. For many
        classes it carries the library's own factor at γ=0, 2 in XGBoost and K/(K-1) in LightGBM.
    scale : float or tuple of floats, default=1.0
        Multiplies the loss; for many labels possibly one number each. It changes no minimum, only how
        large gradients and Hessians are beside the library's min_child_weight and penalties. See
        `BinaryFocalLoss.log_loss_scale`.
    n_jobs : int or None, default=None
        The library's number of threads: None or 0 is all cores, or OMP_NUM_THREADS of them; a negative
        number leaves that many minus one free. Gradients are computed in C on the library's own threads,
        as many of them; the result does not depend on it.
    """

    loss: Loss = field(default_factory=BinaryFocalLoss)
    hessian: str | None = None
    scale: float | tuple[float, ...] = 1.0
    n_jobs: int | None = None
    # Labels and weights of the last call with what was prepared from them: libraries hand over equal
    # labels every round. Compared by value, as a copy of them is all that a library gives.
    _last: tuple[Any, Any, Any] | None = field(default=None, init=False, repr=False, compare=False)

    library: ClassVar[Library]

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            raise TypeError(f"loss must be a focal loss, got {self.loss!r} ({type(self.loss).__name__}).")
        object.__setattr__(self, "hessian", self.loss.hessian_of(self.hessian))
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
        device: str | None = None,
    ) -> BoundObjective:
        """Return the objective for one training set whose labels and weights were checked.

        With the library's name of a CUDA device as `device`, labels, weights and gradients are kept there,
        if CuPy is installed and there are more than a thousand rows.
        """
        return BoundObjective(self._task(labels, sample_weight), self.library, self.n_jobs, device)

    @property
    def hessian_factor(self) -> float:
        """The library's own factor of the Hessian of many classes, 1 for the other losses."""
        return self.loss.hessian_factor(self.library.hessian_of_softmax)

    def __call__(
        self, y_true: Any, raw_prediction: Any, sample_weight: ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Hessian.

        Called as ``(y_true, raw_prediction, sample_weight)`` by the libraries' scikit-learn classes, or
        as ``(raw_prediction, data)``, data an ``xgboost.DMatrix`` or ``lightgbm.Dataset``, by their
        training functions. The parameters' number and names are what the libraries look at.

        Returns
        -------
        gradient, hessian : ndarrays of float32 of the shape of the raw prediction

        Raises
        ------
        ValueError
            If labels are not those of the loss, or a prediction, weight or result is not finite.
        """
        if hasattr(raw_prediction, "get_label"):
            raw_prediction, data = y_true, raw_prediction
            y_true, sample_weight = data.get_label(), data.get_weight()
        if sample_weight is not None and np.size(sample_weight) == 0:
            sample_weight = None  # XGBoost's way to say that there is none
        kernel = self._kernel(y_true, sample_weight)
        shape = self.loss.raw_shape(len(y_true))
        out = self.library.empty(shape), self.library.empty(shape)
        kernel(check_raw_prediction(raw_prediction, shape), out)
        return out

    def _task(self, labels: NDArray[Any], weight: FloatArray | None) -> Task:
        hessian = self.loss.hessian_of(self.hessian)
        return Task(self.loss, hessian, self.scale, self.hessian_factor, labels, weight)

    def _kernel(self, y_true: Any, sample_weight: Any) -> PlainKernel | CompiledKernel:
        last = self._last
        if last is not None and _same(y_true, last[0]) and _same(sample_weight, last[1]):
            kernel: PlainKernel | CompiledKernel = last[2]
            return kernel
        labels = self.loss.check_labels(y_true)
        task = self._task(labels, check_sample_weight(sample_weight, len(labels)))
        kernel = cpu_kernel(task, Threads(self.library.shared_object, self.n_jobs))
        # copies: LightGBM hands over the user's own array, who may have written to it by the next fit
        object.__setattr__(self, "_last", (_copy(y_true), _copy(sample_weight), kernel))
        return kernel


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


def _copy(a: Any) -> Any:
    return a.copy() if isinstance(a, np.ndarray) else a
