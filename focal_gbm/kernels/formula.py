"""Which focal loss: the numbers that compiled code needs of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: In the order of the numbers of job.h and kernel.h.
LOSSES = ("sigmoid", "softmax")
LINKS = ("focal", "logit")
HESSIANS = ("exact", "floored", "majorizing", "expected")
TASKS = ("derivatives", "focal_loss", "log_loss")

#: The Hessians of each link.
HESSIANS_OF_LINK = {"focal": ("floored", "exact", "majorizing"), "logit": ("floored", "exact", "expected")}

#: "floored" is max(Hessian, this min(γ, 1) |gradient|): anything from 0.05 to 0.1 trained alike.
FLOOR = 0.05


@dataclass(frozen=True)
class Formula:
    """Which loss, with which numbers.

    Parameters
    ----------
    loss : {"sigmoid", "softmax"}
        Of each column by itself, with labels 0 and 1, or over all columns.
    gamma, class_weight : array-like of shape (n_columns, 2) for "sigmoid", (n_columns,) for "softmax"
        γ >= 0, and the α of each class times the scale of the objective, > 0. Class 0 comes first.
    link : {"focal", "logit"}, default="focal"
        Whether raw predictions are focal scores, or log-odds (for "softmax": log-probabilities but for a
        constant).
    hessian : {"floored", "exact", "majorizing", "expected"}, default=None
        None is "floored".

        - "exact": the second derivative, which can be negative.
        - "expected": logit link; its mean over the labels that the log-odds foresee, never negative.
        - "floored": ``max(h, floor min(γ, 1) |gradient|)`` with h the exact one, γ that of the row's class.
        - "majorizing": focal link; the exact one without its one negative term, an upper bound.
    hessian_factor : float, default=1.0
        Of "softmax": the library's own factor of the Hessian, on all but the floor.
    floor : float, default=0.05
        See "floored".

    Raises
    ------
    ValueError
        If a choice is none of those named, shapes do not fit, or a number is out of range.

    Examples
    --------
    >>> from focal_gbm.kernels.formula import Formula
    >>> Formula("softmax", gamma=[2.0] * 3, class_weight=[1.0] * 3, hessian="exact").hessian
    'exact'
    """

    loss: str
    gamma: ArrayLike
    class_weight: ArrayLike
    link: str = "focal"
    hessian: str | None = None
    hessian_factor: float = 1.0
    floor: float = FLOOR

    def __post_init__(self) -> None:
        _check_choice("loss", self.loss, LOSSES)
        _check_choice("link", self.link, LINKS)
        if self.hessian is None:
            object.__setattr__(self, "hessian", "floored")
        _check_choice("hessian", self.hessian, HESSIANS_OF_LINK[self.link])
        gamma, weight = (np.asarray(x, dtype=np.float64) for x in (self.gamma, self.class_weight))
        n_axes = 2 if self.loss == "sigmoid" else 1
        if gamma.ndim != n_axes or gamma.shape != weight.shape or (n_axes == 2 and gamma.shape[1] != 2):
            raise ValueError(
                "gamma and class_weight must have shape (n_columns, 2) for 'sigmoid' and (n_columns,) for "
                f"'softmax', got {gamma.shape} and {weight.shape} for {self.loss!r}."
            )
        if len(gamma) < 3 - n_axes:
            raise ValueError(f"{self.loss!r} needs at least {3 - n_axes} columns, got {len(gamma)}.")
        if not ((gamma >= 0) & np.isfinite(gamma)).all():
            raise ValueError(f"gamma must be finite and >= 0, got {gamma.tolist()}.")
        if not (weight > 0).all():
            raise ValueError(f"class_weight must be > 0, got {weight.tolist()}.")
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "class_weight", weight)

    @property
    def n_columns(self) -> int:
        """Numbers a row."""
        return len(np.asarray(self.gamma))

    @property
    def classes(self) -> NDArray[np.float64]:
        """γ, weight and log(weight) of every class, for "sigmoid" of both classes of every column."""
        weight = np.asarray(self.class_weight)
        return np.stack([np.asarray(self.gamma), weight, np.log(weight)], axis=-1)

    @property
    def link_number(self) -> int:
        """The link as compiled code takes it: of the log loss both are one, the focal the faster."""
        return LINKS.index("focal" if self.is_log_loss else self.link)

    @property
    def all_gamma_zero(self) -> bool:
        """Whether the loss is a weighted log loss."""
        return not np.any(self.gamma)

    @property
    def is_log_loss(self) -> bool:
        """Whether the loss is the log loss times a constant, so that both links are one."""
        weight = np.asarray(self.class_weight)
        return self.all_gamma_zero and bool((weight == weight[..., :1]).all())


def _check_choice(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}.")
