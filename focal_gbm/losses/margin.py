"""A loss of the margin: all that a new loss brings. Two classes, many and labels are made of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from focal_gbm._validation import FloatArray, check_gamma

#: "floored" is max(exact, FLOOR |gradient|): a leaf of rows with a negative Hessian then takes a step of
#: at most 1/FLOOR. Anything from 0.05 to 0.1 trained alike.
FLOOR = 0.05

#: exp(x) and exp(-x) are both normal numbers up to here.
EXP_LIMIT = 708.0

#: Whole powers of q up to this one are products, which are as fast as exp for the usual γ.
_MAX_PRODUCT = 32

#: Margins at which one of two classes is certain to all digits.
_ENDS = np.array([-300.0, 300.0])

#: Where the methods of a loss are compared with each other, and how far apart they may be, which a wrong
#: formula is and a difference for γ = 10000 is not. A smaller g has lost its digits.
_TRIED = np.array([-8.0, -2.0, -0.5, 0.0, 1.0, 3.0, 8.0])
_CONSISTENT = 1e-3
_LEAST_G = 1e-100

#: Step of differences: what fourth order leaves out and the rounding error over the step are about 1e-13.
_STEP = 1e-3

#: As far as differences are taken, within EXP_LIMIT.
_FAR = 700.0

#: A link slope, a sum of numbers of size 1, has no digit left below this.
_NOISE = 1e-14

#: The losses that can be saved by name.
_REGISTERED: dict[str, type[MarginLoss]] = {}


class Margin:
    r"""Margins m of the true class, and what losses are made of.

    ``p = σ(m)`` is the probability of the true class and ``q = σ(-m)``; neither is one minus the other.
    Beyond \|m\| = 708, p, q and the odds stay constant, so that none of them is 0. By then they are
    negligible in any sum. `minus_log_p` and `minus_log_q` have no such limit.

    Parameters
    ----------
    m : ndarray of float64
    """

    def __init__(self, m: FloatArray) -> None:
        self.m = m
        self.odds = np.exp(np.clip(-m, -EXP_LIMIT, EXP_LIMIT))  #: q / p

    @cached_property
    def p(self) -> FloatArray:
        """σ(m)."""
        return np.reciprocal(self.odds + 1.0)

    @cached_property
    def q(self) -> FloatArray:
        """σ(-m)."""
        return self.odds * self.p

    @cached_property
    def minus_log_p(self) -> FloatArray:
        """-log p = softplus(-m), the log loss."""
        return np.maximum(np.log1p(self.odds), -self.m)

    @cached_property
    def minus_log_q(self) -> FloatArray:
        """-log q = softplus(m)."""
        return np.maximum(np.log1p(1.0 / self.odds), self.m)

    @cached_property
    def r(self) -> FloatArray:
        """-p log(p) / q = softplus(-m) exp(m), in (0, 1], without a quotient of two small numbers."""
        return np.log1p(self.odds) / self.odds

    def power_of_q(self, exponent: float) -> FloatArray:
        """Return q^exponent, without the digits that a power loses where q is near 1."""
        whole, fraction = divmod(exponent, 1.0)
        if whole > _MAX_PRODUCT:
            whole, fraction = 0.0, exponent
        if fraction == 0.0:
            power = np.ones_like(self.q)
        elif fraction == 0.5:
            power = np.sqrt(self.q)
        else:
            power = np.exp(-fraction * self.minus_log_q)
        for _ in range(int(whole)):
            power *= self.q
        return power


class MarginLoss(ABC):
    """A loss φ of the probability p of the true class, decreasing and convex in p, given by the margin.

    A new loss is a frozen dataclass of its parameters: ``class MyLoss(MarginLoss, name="my-loss")``. It
    defines `value`, `derivatives` and `link_term`, which take a `Margin` and return arrays of float64,
    element by element and right to rounding. `BinaryFocalLoss`, `MulticlassFocalLoss` and
    `MultilabelFocalLoss` take it as `margin_loss`, and so do the estimators. The compiled kernel works with
    it as with focal loss: it looks up tables that are made of these methods.

    Attributes
    ----------
    name : str
        The registered name, empty for a class without one.
    symbol : str
        Its label in a legend.
    is_log_loss : bool
        Whether it is -log p, whose scores are the log-odds themselves.
    floor : float
        The "floored" Hessian is at least this times the absolute value of the gradient.

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
        """Return ``-log(-dφ/dp) = log(p q / g)``, up to a constant.

        At the minimum of the expected loss, the probability of a class is proportional to its exponential
        divided by the class weight. It increases with the margin, as φ is convex in p.
        """

    def link_slope(self, m: Margin) -> FloatArray:
        """Return the derivative of `link_term` in the margin, ``q - p + h/g``, which is positive.

        By default it is that sum, which has few digits left where it is below 1e-8. A loss for many classes
        whose slope vanishes with q, as that of the log loss does, should define it.
        """
        g, h = self.derivatives(m)
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = np.asarray(m.q - m.p + h / g)
        lost = ~np.isfinite(slope)  # g has underflowed
        if lost.any():
            slope[lost] = _derivative(self.link_term, m.m[lost])
        return np.where(slope > _NOISE, slope, m.q)

    def share_slope(self, m: Margin) -> FloatArray:
        """Return the derivative of ``log(p q / link_slope)`` in `link_term`; 1 for the log loss.

        It is ``[(q - p) - t''/t'] / t'`` with t' = `link_slope`. The Hessian in log-odds needs it, and
        nothing else does. By default t'' is a difference of fourth order, and t''/t' right to about 1e-12:
        where t' is small, that is multiplied by q in the Hessian.
        """
        within = Margin(np.clip(m.m, -_FAR, _FAR))  # beyond, nothing changes that is not 0
        slope = self.link_slope(within)
        rise = _derivative(self.link_slope, within.m) / slope
        return np.asarray(((within.q - within.p) - rise) / slope)

    @property
    def slope_at_ends(self) -> float:
        """How fast log-odds rise with the score where a row is certain: 1+γ for focal loss.

        Times this factor, such rows weigh as much as in the log loss, and ``min_child_weight`` keeps its
        meaning.
        """
        return float(self.link_slope(Margin(_ENDS)).sum())

    @property
    def symbol(self) -> str:
        """Its label in a legend."""
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


def check_margin_loss(margin_loss: object) -> MarginLoss:
    """Return a loss of the margin whose methods fit together.

    Raises
    ------
    TypeError
        If it is no `MarginLoss`, or not hashable.
    ValueError
        If a method contradicts another: a subclass that overrides `derivatives` but not `link_term`, or a
        slip of the pen, would train something else.
    """
    if not isinstance(margin_loss, MarginLoss):
        raise TypeError(f"margin_loss must be a MarginLoss, got {margin_loss!r} ({type(margin_loss).__name__}).")
    if type(margin_loss).__hash__ is None:
        raise TypeError(f"margin_loss must be hashable, as a frozen dataclass is, got {margin_loss!r}.")
    m = Margin(_TRIED)
    with np.errstate(all="ignore"):
        g, h = margin_loss.derivatives(m)
        terms, slope = margin_loss.link_term(m), margin_loss.link_slope(m)
        expected_terms = np.log(m.p * m.q / g)
        expected_terms -= expected_terms[3] - terms[3]
        expected_g = -_derivative(margin_loss.value, _TRIED)
        expected_h = -_derivative(lambda at: margin_loss.derivatives(at)[0], _TRIED)
        expected_slope = _derivative(margin_loss.link_term, _TRIED)
        checks = [
            ("derivatives()[0]", g, "-dφ/dm of value()", expected_g, g),
            ("derivatives()[1]", h, "-dg/dm", expected_h, g),
            ("link_term()", terms, "log(p q / g) + a constant", expected_terms, 1.0),
            ("link_slope()", slope, "the slope of link_term()", expected_slope, 1.0),
        ]
        falls = (g > _LEAST_G) & (expected_slope < -_CONSISTENT)
        for method, got, meaning, expected, size in checks:
            is_near = np.abs(got - expected) <= _CONSISTENT * (np.abs(expected) + size)
            wrong = ~is_near & ~(np.abs(g) <= _LEAST_G)
            if wrong.any():
                i = int(wrong.argmax())
                raise ValueError(
                    f"{type(margin_loss).__name__}.{method} must be {meaning}: at the margin {_TRIED[i]:g} "
                    f"{expected[i]:.6g} is expected, got {got[i]:.6g}."
                )
            if method == "link_term()" and falls.any():
                raise ValueError(
                    f"{type(margin_loss).__name__} must be convex in the probability of the true class: "
                    f"link_term() must rise with the margin, and falls at {_TRIED[falls.argmax()]:g}."
                )
    return margin_loss


def _derivative(function: Callable[[Margin], FloatArray], m: FloatArray) -> FloatArray:
    """Return the derivative of a function of the margin by a difference of fourth order."""
    far_below, below, above, far_above = (function(Margin(m + k * _STEP)) for k in (-2, -1, 1, 2))
    return np.asarray((8.0 * (above - below) - (far_above - far_below)) / (12.0 * _STEP))


@dataclass(frozen=True)
class Focal(MarginLoss, name="focal"):
    """Focal loss, ``-(1-p)^γ log p`` of the probability p of the true class.

    With ``p = σ(m)``, ``q = σ(-m)``, ``ℓ = softplus(-m) = -log p`` and ``r = p ℓ / q``, in (0, 1],

        φ = q^γ ℓ
        g = q^γ (q + γ p ℓ)
        h = q^γ p [ (1+2γ) q + γ (γ p - q) ℓ ]
        log(pq/g) = log p - γ log q - log1p(γ r)

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing parameter γ >= 0; with 0 it is the log loss.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017,
    arXiv:1708.02002, equation 4. The link: Charoenphakdee et al., arXiv:2011.09172, Theorem 11.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_gbm.losses import Focal, Margin
    >>> Focal(2.0).value(Margin(np.array([0.0]))).round(4)  # log(2) / 4
    array([0.1733])
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", check_gamma(self.gamma))

    def value(self, m: Margin) -> FloatArray:
        """Return φ."""
        return m.power_of_q(self.gamma) * m.minus_log_p

    def derivatives(self, m: Margin) -> tuple[FloatArray, FloatArray]:
        """Return g and h."""
        gamma, power = self.gamma, m.power_of_q(self.gamma)
        g = power * (m.q + gamma * m.p * m.minus_log_p)
        # the first term is positive, and -q is all that can make the second one negative
        h = (1.0 + 2.0 * gamma) * (m.p * m.q) + (gamma * m.p - m.q) * (gamma * m.p * m.minus_log_p)
        return g, power * h

    def link_term(self, m: Margin) -> FloatArray:
        """Return log(pq/g)."""
        return np.asarray(self.gamma * m.minus_log_q - m.minus_log_p - np.log1p(self.gamma * m.r))

    def link_slope(self, m: Margin) -> FloatArray:
        """Return its derivative, q + γ p + γ (p - r) / (1 + γ r)."""
        return m.q + self.gamma * m.p + self.gamma * (m.p - m.r) / (1.0 + self.gamma * m.r)

    def share_slope(self, m: Margin) -> FloatArray:
        """Return {q² - E² - γ p [p + (q - 2 (r-p)) / D]} / t'², D = 1 + γ r and E = D'/D."""
        gamma, slope = self.gamma, self.link_slope(m)
        total = 1.0 + gamma * m.r
        e = gamma * (m.r - m.p) / total
        rest = gamma * m.p * (m.p + (m.q - 2.0 * (m.r - m.p)) / total)
        return np.asarray((m.q - e) / slope * ((m.q + e) / slope) - rest / slope / slope)

    @property
    def is_log_loss(self) -> bool:  # type: ignore[override]
        """γ = 0."""
        return self.gamma == 0.0

    @property
    def floor(self) -> float:  # type: ignore[override]
        """FLOOR min(γ, 1): the log loss has nothing to floor."""
        return FLOOR * min(self.gamma, 1.0)

    @property
    def symbol(self) -> str:
        """γ for legends."""
        return f"γ = {self.gamma:g}"
