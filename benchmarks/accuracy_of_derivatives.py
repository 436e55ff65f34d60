"""Claim: every formula is right to rounding at any margin, in float32 and float64.

Largest relative errors against mpmath (250 digits): loss, gradient, Hessian and probability over margins up
to ±100, the start over base rates from 1e-6 to 1 - 1e-6. For the derivatives of the sigmoid, also the NumPy
that people write and the published peers (_peers.py), each called with float32 labels, as the libraries hold
them, and scores of the type. A peer that is not installed is skipped with its reason.

An error is relative to the true value; that of the Hessian, which crosses zero, to the sum of its terms'
absolute values; that of the start to the larger of its value and 1. A probability is exp of a logit of up to
600 in size: rounding that alone is an error of up to 600 eps. Points where p, 1 - p, the true value or
(softmax) the share of a class among the others is below the smallest normal number of the type are left out
(float32: |margin| > 87); of those the largest absolute error is given.

`right_up_to` is the largest |margin| up to which all points are within 0.1 %. A contestant for which it is
small computes another function, and its errors are the distance of two formulas: the Hessian of bokbokbok
1.0.5 is 0 for class 1 and lacks the term in γ² for class 0. All the others compute the same two functions,
with the sign and α=None of ours. A huge relative error far out is often that of a number that does not matter
to training: p clipped at 1e-7 makes a gradient of 1e-21 of one of 1e-130. `absolute_error` tells. Writes
results/accuracy_of_derivatives.json.

    python benchmarks/accuracy_of_derivatives.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from _peers import peers
from _report import write

import focal_gbm
from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import reference
import reference_multiclass

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
#: Dense where the curve bends, and out to where exp overflows in float32.
MARGINS = np.unique(np.concatenate([np.linspace(-100, 100, 41), np.linspace(-8, 8, 33), [-37.0, 37.0]]))
#: The relative error that `right_up_to` allows.
RIGHT = 1e-3
DTYPES = (np.float32, np.float64)
OURS = "focal_gbm"


def textbook(y: np.ndarray, z: np.ndarray, gamma: float, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian from probabilities, as people write them."""
    one = z.dtype.type(1)
    p = one / (one + np.exp(-z))
    if clip:
        p = np.clip(p, z.dtype.type(clip), one - z.dtype.type(clip))
    pt, sign = np.where(y == 1, p, one - p), np.where(y == 1, one, -one)
    gamma = z.dtype.type(gamma)
    u = gamma * pt * np.log(pt) + pt - one
    du = gamma * np.log(pt) + gamma + one
    g = sign * (one - pt) ** gamma * u
    h = pt * (one - pt) * (-gamma * (one - pt) ** (gamma - one) * u + (one - pt) ** gamma * du)
    return g, h


WRITTEN: dict[str, Callable[..., Any]] = {
    OURS: lambda y, z, gamma: BinaryFocalLoss(gamma).gradient_hessian(y, z),
    "textbook NumPy, no clipping": lambda y, z, gamma: textbook(y, z, gamma, 0.0),
    "textbook NumPy, p clipped at 1e-15": lambda y, z, gamma: textbook(y, z, gamma, 1e-15),
    "textbook NumPy, p clipped at 1e-7": lambda y, z, gamma: textbook(y, z, gamma, 1e-7),
}


def row(
    quantity: str, formula: str, gamma: float, dtype: type, found: Any, true: np.ndarray,
    size: np.ndarray | None = None, inside: np.ndarray | None = None, contestant: str = OURS,
) -> dict[str, Any]:  # fmt: skip
    """Return the largest error in units of `size`, the largest absolute one outside, the count not finite."""
    size = np.abs(true if size is None else size)
    normal = is_normal(size, dtype, inside)
    finite = np.isfinite(found)
    errors = np.abs(np.asarray(found, dtype=np.float64) - true)
    use, rest = normal & finite, ~normal & finite
    return {
        "quantity": quantity, "formula": formula, "contestant": contestant, "gamma": gamma,
        "dtype": np.dtype(dtype).name, "points": int(true.size), "outside": int((~normal).sum()),
        "eps": float(np.finfo(dtype).eps),
        "error": float((errors[use] / size[use]).max()),
        "absolute_error": float(errors[finite].max()),
        "absolute_error_outside": float(errors[rest].max()) if rest.any() else 0.0,
        "not_finite": int((~finite).sum()),
    }  # fmt: skip


def is_normal(size: np.ndarray, dtype: type, inside: np.ndarray | None) -> np.ndarray:
    """Say where a number of the type can be right to its last digits."""
    normal: np.ndarray = np.abs(size) >= np.finfo(dtype).tiny
    return normal if inside is None else normal & inside


def is_inside(margin: np.ndarray, dtype: type) -> np.ndarray:
    """Say where both p = σ(m) and 1 - p are normal numbers."""
    return np.abs(margin) < -np.log(np.finfo(dtype).tiny)


def sigmoid_derivatives(contestants: dict[str, Callable[..., Any]]) -> list[dict[str, Any]]:
    rows = []
    z = np.concatenate([MARGINS, MARGINS])
    y = np.repeat([0, 1], len(MARGINS))
    for gamma in GAMMAS:
        exact = [reference.binary_derivatives(gamma, int(a), float(b)) for a, b in zip(y, z, strict=True)]
        loss, g, h, negative = np.array(exact).T
        terms = np.abs(h - negative) + np.abs(negative)
        for dtype in DTYPES:
            inside = is_inside(z, dtype)
            ours = BinaryFocalLoss(gamma).loss(y, z.astype(dtype))
            rows.append(row("loss", "sigmoid", gamma, dtype, ours, loss, inside=inside))
            for name, contestant in contestants.items():
                with np.errstate(all="ignore"):
                    found = contestant(y.astype(np.float32), z.astype(dtype), gamma)
                for quantity, values, true, size in zip(
                    ("gradient", "hessian"), found, (g, h), (g, terms), strict=True
                ):
                    one = row(quantity, "sigmoid", gamma, dtype, values, true, size, inside, name)
                    normal = is_normal(size, dtype, inside)
                    right = np.abs(np.asarray(values, np.float64) - true) <= RIGHT * np.abs(size)
                    first_wrong = np.abs(z[normal & ~right]).min(initial=np.inf)  # NaN is not right
                    reached = np.abs(z[normal & (np.abs(z) < first_wrong)]).max(initial=0.0)
                    rows.append(one | {"right_up_to": float(reached)})
    return rows


def sigmoid_probabilities() -> list[dict[str, Any]]:
    rows = []
    for gamma in GAMMAS:
        true = np.array([reference.posterior(gamma, float(z)) for z in MARGINS])
        for dtype in DTYPES:
            found = BinaryFocalLoss(gamma).link.probabilities(MARGINS.astype(dtype))
            rows.append(row("probability", "sigmoid", gamma, dtype, found, true))
    return rows


def softmax(n_rows: int = 60, n_classes: int = 4) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    # whole multiples of 1/64 are the same numbers in float32
    z = np.round(rng.normal(size=(n_rows, n_classes)) * np.geomspace(0.1, 40, n_rows)[:, None] * 64) / 64
    y = rng.integers(0, n_classes, n_rows)
    is_true = np.arange(n_classes) == y[:, None]
    others = np.where(is_true, -np.inf, z)
    log_sum = np.logaddexp.reduce(others, axis=1, keepdims=True)
    margin = z[is_true][:, None] - log_sum
    log_share = np.where(is_true, 0.0, others - log_sum)  # of a class among those that are not the true one
    rows = []
    for gamma in GAMMAS:
        exact = [
            reference_multiclass.derivatives(gamma, int(t), scores) for t, scores in zip(y, z, strict=True)
        ]
        loss = np.array([e.loss for e in exact])
        g = np.array([e.gradient for e in exact])
        h = np.array([np.diag(e.hessian) for e in exact])
        terms = np.array([e.terms for e in exact])
        probability = np.array([reference_multiclass.posterior(gamma, s, (1.0,) * n_classes) for s in z])
        ours = MulticlassFocalLoss(n_classes, gamma)
        for dtype in DTYPES:
            found_g, found_h = ours.gradient_hessian(y, z.astype(dtype))
            normal = is_inside(margin, dtype)
            inside = normal & (log_share > np.log(np.finfo(dtype).tiny))
            rows += [
                row(
                    "loss", "softmax", gamma, dtype, ours.loss(y, z.astype(dtype)), loss, inside=normal[:, 0]
                ),
                row("gradient", "softmax", gamma, dtype, found_g, g, g, inside),
                row("hessian", "softmax", gamma, dtype, found_h, h, terms, inside),
                row("probability", "softmax", gamma, dtype, ours.link.inverse(z.astype(dtype)), probability),
            ]
    return rows


def starts() -> list[dict[str, Any]]:
    rows = []
    odds = np.geomspace(1e-6, 1e6, 25)
    several = [np.array(w) for w in ((1, 1, 1, 1), (1, 10, 100, 1000), (1, 1, 1, 1e6), (1e6, 1e6, 1e6, 1))]
    for gamma in GAMMAS:
        binary, softmax = BinaryFocalLoss(gamma), MulticlassFocalLoss(4, gamma)
        found = np.array([binary.fit_intercept_only([0, 1], [1.0, w]) for w in odds])
        true = np.array([reference.start(gamma, *pair) for pair in zip(odds, found, strict=True)])
        size = np.maximum(np.abs(true), 1.0)
        rows.append(row("start", "sigmoid", gamma, np.float64, found, true, size))
        found = np.array([softmax.fit_intercept_only(range(4), w) for w in several])
        true = np.array(
            [reference_multiclass.start(gamma, *pair) for pair in zip(several, found, strict=True)]
        )
        size = np.maximum(np.abs(true), 1.0)
        rows.append(row("start", "softmax", gamma, np.float64, found, true, size))
    return rows


def main() -> None:
    found, skipped = peers()
    rows = [*sigmoid_derivatives(WRITTEN | found), *sigmoid_probabilities(), *softmax(), *starts()]
    print(
        f"{'quantity':<12}{'formula':<9}{'contestant':<36}{'dtype':<9}{'γ':>4}{'error':>11}{'absolute':>11}"
        f"{'outside':>11}{'right to':>10}   not finite"
    )
    for r in rows:
        print(
            f"{r['quantity']:<12}{r['formula']:<9}{r['contestant']:<36}{r['dtype']:<9}{r['gamma']:>4g}"
            f"{r['error']:>11.1e}{r['absolute_error']:>11.1e}{r['absolute_error_outside']:>11.1e}"
            f"{r.get('right_up_to', ''):>10}   {r['not_finite']}"
        )
        if r["contestant"] in found:
            r["version"] = version(r["contestant"])
        elif r["contestant"] == OURS:
            r["version"] = focal_gbm.__version__
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}")
    rows += [{"contestant": name, "skipped": reason} for name, reason in skipped.items()]
    write("accuracy_of_derivatives", "accuracy_of_derivatives.py", rows)


if __name__ == "__main__":
    main()
