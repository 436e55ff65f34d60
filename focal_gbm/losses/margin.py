"""A loss of the margin: all that a new loss brings. Two classes, many and labels are made of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from focal_gbm._arrays import EXP_LIMIT
from focal_gbm._validation import FloatArray

#: "floored" is max(exact, FLOOR |gradient|): a leaf of rows with a negative Hessian then takes a step of
#: at most 1/FLOOR. Anything from 0.05 to 0.1 trained alike (see benchmarks/hessian_policy.py).
FLOOR = 0.05

#: Whole powers of q up to this one are products: as fast as exp for the usual γ, and in float32 the
#: rounding error of an exp grows with its argument. Beyond it the products are slower than they are worth.
_MAX_PRODUCT = 32

#: The losses that a saved model can name, by name.
_REGISTERED: dict[str, type[MarginLoss]] = {}


class Margin:
    """Margins m of the true class of some rows, and what losses are made of.

    ``p = σ(m)`` is the probability of the true class and ``q = σ(-m)``, neither of them one minus the other.
    All are finite, and p, q and the odds are never 0: past a size of m of 87 in float32 and 708 in float64
    they stay as they are, where they have long underflowed against what they are added to.

    Parameters
    ----------
    odds : ndarray of float32 or float64
        exp(-m), within those limits.
    minus_m : ndarray of the same shape, or None
        -m without limits: `minus_log_p` and `minus_log_q` then go on growing beyond them.
    """

    def __init__(self, odds: FloatArray, minus_m: FloatArray | None = None) -> None:
        self.odds = odds
        self._minus_m = minus_m

    @classmethod
    def of(cls, minus_m: FloatArray) -> Margin:
        """Return the margins of -m."""
        return cls(odds_of(minus_m), minus_m)

    @cached_property
    def p(self) -> FloatArray:
        """σ(m)."""
        return np.reciprocal(self.odds + 1)

    @cached_property
    def q(self) -> FloatArray:
        """σ(-m)."""
        return self.odds * self.p

    @cached_property
    def minus_log_p(self) -> FloatArray:
        """-log p = softplus(-m), the log loss."""
        log_loss = np.log1p(self.odds)
        return log_loss if self._minus_m is None else np.maximum(log_loss, self._minus_m)

    @cached_property
    def minus_log_q(self) -> FloatArray:
        """-log q = softplus(m)."""
        log_loss = np.log1p(1 / self.odds)
        return log_loss if self._minus_m is None else np.maximum(log_loss, -self._minus_m)

    @cached_property
    def r(self) -> FloatArray:
        """-p log(p) / q = softplus(-m) exp(m), in (0, 1]: no quotient of two small numbers."""
        return np.log1p(self.odds) / self.odds

    def power_of_q(self, exponent: float) -> FloatArray:
        """Return q^exponent, without the loss of digits of a power of a q near 1."""
        whole, fraction = split_exponent(exponent)
        power = np.sqrt(self.q) if fraction == 0.5 else np.exp(-fraction * np.log1p(1 / self.odds))
        if not fraction:
            power = np.ones_like(self.q)
        for _ in range(int(whole)):
            power *= self.q
        return power

    def __getitem__(self, rows: Any) -> Margin:
        return Margin(self.odds[rows], None if self._minus_m is None else self._minus_m[rows])


def odds_of(minus_m: FloatArray, room: float = 0.0) -> FloatArray:
    """Return exp(-m), -m within the limits of the dtype, the upper one lowered by `room`."""
    limit = EXP_LIMIT[minus_m.dtype]
    odds = np.clip(minus_m, -limit, limit - room)
    return np.exp(odds, out=odds)


def split_exponent(exponent: float) -> tuple[float, float]:
    """Return how many factors q make a power of q, and the exponent that is left."""
    whole, fraction = divmod(exponent, 1.0)
    return (0.0, exponent) if whole > _MAX_PRODUCT else (whole, fraction)


class MarginLoss(ABC):
    """A loss φ of the probability p of the true class, decreasing and convex in p, by the margin.

    A new loss is a frozen dataclass of its parameters in a file of its own, with a name, which saved models
    keep: ``class MyLoss(MarginLoss, name="my-loss")``. It states the first three methods below for arrays,
    element by element, right to rounding at every margin. That is all: `BinaryFocalLoss`,
    `MulticlassFocalLoss` and `MultilabelFocalLoss` take it as `margin_loss`, as the estimators do.

    Attributes
    ----------
    name : str
        The name that it is registered by, empty for a class without one.
    symbol : str
        What a legend says of it.
    is_log_loss : bool
        Whether it is -log p, the log loss, for which a score is the log-odds themselves.
    floor : float
        The "floored" Hessian is never less than this times the gradient's absolute value.
    kernel_gamma : float or None
        The γ with which the compiled and the CUDA kernel compute it; None where they cannot, and NumPy does.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from focal_gbm import BinaryFocalLoss
    >>> from focal_gbm.losses import MarginLoss
    >>> @dataclass(frozen=True)
    ... class Brier(MarginLoss, name="doctest-brier"):
    ...     '''(1-p)²/2'''
    ...     def value(self, m):
    ...         return m.q**2 / 2
    ...     def derivatives(self, m):
    ...         return m.p * m.q**2, m.p * m.q**2 * (2 * m.p - m.q)
    ...     def link_term(self, m):
    ...         return m.minus_log_q
    >>> loss = BinaryFocalLoss(margin_loss=Brier())
    >>> loss.loss([1, 0], [0.0, 0.0])
    array([0.125, 0.125])
    """

    name: ClassVar[str] = ""
    is_log_loss: bool = False
    floor: float = FLOOR
    kernel_gamma: float | None = None

    def __init_subclass__(cls, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = name
        other = _REGISTERED.get(name)
        if name and other is not None and other.__qualname__ != cls.__qualname__:
            raise ValueError(f"name must be new, got {name!r}, which is that of {other.__qualname__}.")
        if name:
            _REGISTERED[name] = cls

    @abstractmethod
    def value(self, m: Margin) -> FloatArray:
        """Return φ."""

    @abstractmethod
    def derivatives(self, m: Margin) -> tuple[FloatArray, FloatArray]:
        """Return ``g = -dφ/dm``, which is positive, and ``h = d²φ/dm²``."""

    @abstractmethod
    def link_term(self, m: Margin) -> FloatArray:
        """Return ``-log(-dφ/dp) = log(p q / g)``: the link is made of it.

        At the minimum of the expected loss the probability of a class is in proportion to its exponential
        over the class weight. It increases with the margin, as φ is convex in p.
        """

    def link_slope(self, m: Margin) -> FloatArray:
        """Return the derivative of `link_term` in the margin, ``q - p + h/g``, which is positive.

        Where it is NaN, as g has underflowed, the search that asks for it takes smaller steps.
        """
        g, h = self.derivatives(m)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(m.q - m.p + h / g)

    def share_slope(self, m: Margin) -> FloatArray:
        """Return the derivative of ``log(p q / link_slope)`` in `link_term`.

        The exact Hessian in log-odds is made of it, and nothing else.
        That is ``[(q - p) t' - t''] / t'²`` with t' = `link_slope` and its derivative t'', arranged so that
        nothing cancels where t' vanishes with q. Of the log loss it is 1.

        Raises
        ------
        NotImplementedError
            If the loss does not state it: no more than that Hessian needs it.
        """
        raise NotImplementedError(
            f'hessian="exact" and "floored" with focal_link="logit" need {type(self).__name__}.share_slope, '
            'which it does not have: use hessian="expected".'
        )

    @property
    def has_share_slope(self) -> bool:
        """Whether the class states `share_slope`."""
        return type(self).share_slope is not MarginLoss.share_slope

    def link_logit(self, z: FloatArray, pair: Margin) -> FloatArray:
        """Return the link term of the margin z less that of -z: the logit of two classes of this loss.

        `pair` holds the margins -z and z, of shape ``(2, *z.shape)``.
        """
        of_0, of_1 = self.link_term(pair)
        return np.asarray(of_1 - of_0)

    def majorant(self, m: Margin) -> FloatArray:
        """Return an upper bound of h that is never negative, for the "majorizing" Hessian."""
        return np.abs(self.derivatives(m)[1])

    @property
    def symbol(self) -> str:
        """What a legend says of it."""
        return repr(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the registered name and the parameters, for a file.

        Raises
        ------
        TypeError
            If the class has no name of its own: a saved model would be read as another loss.
        """
        if not self.name:
            raise TypeError(
                "margin_loss must be of a class with a registered name to be saved, got "
                f'{type(self).__name__}: define it as class {type(self).__name__}(MarginLoss, name="...").'
            )
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]  # a dataclass


def margin_loss_from_dict(saved: dict[str, Any]) -> MarginLoss:
    """Return the loss that `MarginLoss.to_dict` described."""
    parameters = dict(saved)
    name = parameters.pop("name")
    if name not in _REGISTERED:
        raise ValueError(
            f"the loss {name!r} is not known, only {', '.join(sorted(_REGISTERED))}: import the module "
            "that defines it first"
        )
    return _REGISTERED[name](**parameters)


def check_margin_loss(margin_loss: object) -> None:
    """Raise unless it is None or a loss of the margin."""
    if margin_loss is not None and not isinstance(margin_loss, MarginLoss):
        raise TypeError(
            f"margin_loss must be None or a MarginLoss, got {margin_loss!r} ({type(margin_loss).__name__})."
        )


def by_class(losses: Sequence[MarginLoss], method: str, m: Margin, label: NDArray[Any]) -> FloatArray:
    """Return what a method of the loss of each element's class returns.

    Parameters
    ----------
    losses : sequence of MarginLoss
        One for all classes, or one a class.
    method : str
        "value", "link_term", "link_slope" or "share_slope".
    m : Margin
    label : ndarray of int
        The class of every element, of a shape that broadcasts to that of the margins.
    """
    if len(losses) == 1:
        return np.asarray(getattr(losses[0], method)(m))
    out = np.empty_like(m.odds)
    label = np.broadcast_to(label, out.shape)
    for k, loss in enumerate(losses):
        of_class = label == k
        out[of_class] = getattr(loss, method)(m[of_class])
    return out


def derivatives_by_class(
    losses: Sequence[MarginLoss], hessian: str, m: Margin, label: NDArray[Any]
) -> tuple[FloatArray, FloatArray, FloatArray | float]:
    """Return g, the h that `hessian` names, and the least h, each by the loss of the row's class."""
    if len(losses) > 1:
        g, h, floor = np.empty((3, *m.odds.shape), dtype=m.odds.dtype)
        for k, loss in enumerate(losses):
            rows = label == k
            g[rows], h[rows], floor[rows] = derivatives_by_class([loss], hessian, m[rows], label)
        return g, h, floor
    (loss,) = losses
    g, h = loss.derivatives(m)
    if hessian == "majorizing":
        h = loss.majorant(m)
    return g, h, loss.floor * g if hessian == "floored" and loss.floor else -math.inf
