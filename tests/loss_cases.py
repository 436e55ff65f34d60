"""The losses that the tests of losses and kernels go through, each with what its paper says of it.

A paper's loss is two functions of the probability p of the true class, q = 1 - p and log p: φ and dφ/dp.
"""

from dataclasses import dataclass

import mpmath
import numpy as np

from focal_gbm.losses import (
    BinaryFocalLoss,
    Focal,
    MarginLoss,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    Poly1Focal,
)


@dataclass(frozen=True)
class ThreeMethods(MarginLoss, name="test-three-methods"):
    """(1 - p^κ) / κ: Zhang and Sabuncu 2018, arXiv:1805.07836, with no more than a loss must have."""

    power: float = 0.5

    def value(self, m):
        return -np.expm1(-self.power * m.minus_log_p) / self.power

    def derivatives(self, m):
        g = np.exp(-self.power * m.minus_log_p) * m.q
        return g, g * (m.p - self.power * m.q)

    def link_term(self, m):
        return (self.power - 1.0) * m.minus_log_p


@dataclass(frozen=True)
class Users(ThreeMethods, name="test-users"):
    """With a slope that keeps its digits where it goes to 0."""

    def link_slope(self, m):
        return (1.0 - self.power) * m.q


@dataclass(frozen=True)
class Twice(Focal, name="test-twice"):
    """A subclass of focal loss that overrides what it computes, but not its link."""

    def value(self, m):
        return 2 * super().value(m)

    def derivatives(self, m):
        g, h = super().derivatives(m)
        return 2 * g, 2 * h


def _focal(loss):
    def value(p, q, log_p):
        return -(q**loss.gamma) * log_p

    def slope(p, q, log_p):
        return loss.gamma * q ** (loss.gamma - 1) * log_p - q**loss.gamma / p

    return value, slope


def _poly1(loss):
    value, slope = _focal(loss)
    gamma, epsilon = loss.gamma, loss.epsilon
    return (
        lambda p, q, log_p: value(p, q, log_p) + epsilon * q ** (gamma + 1),
        lambda p, q, log_p: slope(p, q, log_p) - epsilon * (gamma + 1) * q**gamma,
    )


def _gce(loss):
    return (
        lambda p, q, log_p: -mpmath.expm1(loss.power * log_p) / loss.power,
        lambda p, q, log_p: -mpmath.exp((loss.power - 1) * log_p),
    )


def _twice(loss):
    value, slope = _focal(loss)
    return lambda p, q, log_p: 2 * value(p, q, log_p), lambda p, q, log_p: 2 * slope(p, q, log_p)


PAPERS = {Focal: _focal, Poly1Focal: _poly1, ThreeMethods: _gce, Users: _gce, Twice: _twice}

FOCAL = [Focal(0.0), Focal(0.5), Focal(1.0), Focal(2.0), Focal(5.0)]
LOSSES = [*FOCAL, Poly1Focal(2.0, 1.0), Poly1Focal(0.5, -0.9), Users(0.5), Twice(2.0)]
KINDS = ("two", "many", "labels")
ALPHA = {"two": (0.7, 2.0), "many": (0.7, 2.0, 1.3), "labels": (0.7, 2.0)}


def paper(margin_loss):
    """Return φ and dφ/dp as the paper of a loss writes them."""
    return PAPERS[type(margin_loss)](margin_loss)


def make(kind, margin_loss, alpha=None, **options):
    """Return the loss of two classes, three classes or three labels."""
    if kind == "two":
        return BinaryFocalLoss(alpha=alpha, margin_loss=margin_loss, **options)
    sort = MulticlassFocalLoss if kind == "many" else MultilabelFocalLoss
    return sort(3, alpha=alpha, margin_loss=margin_loss, **options)


def made_rows(loss, n_rows, spread, seed=0, dtype=np.float64):
    """Return labels and raw predictions; `spread` is a number or one a row."""
    rng = np.random.default_rng(seed)
    shape = loss.raw_shape(n_rows)
    labels = rng.integers(0, loss.n_classes, n_rows if loss.kind == "multiclass" else shape)
    raw = rng.normal(size=shape) * np.broadcast_to(spread, n_rows).reshape(-1, *[1] * (len(shape) - 1))
    return loss.check_labels(labels), raw.astype(dtype)
