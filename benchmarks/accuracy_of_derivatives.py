"""Claim: gradient and Hessian are right to rounding at any margin, in float32 and float64.

Largest relative errors against mpmath (250 digits) over margins up to ±100, of the package and of the NumPy
that people write. An error of the Hessian is relative to the sum of its terms' absolute values, as it crosses
zero. Points where p, 1 - p or the true value is below the smallest normal number of the type are not in that
number (float32: |margin| > 87); of those the largest absolute error is given. Writes
results/accuracy_of_derivatives.json.

    python benchmarks/accuracy_of_derivatives.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _report import write

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from reference import binary_derivatives
from reference_multiclass import derivatives

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
#: Dense where the curve bends, and out to where exp overflows in float32.
MARGINS = np.unique(np.concatenate([np.linspace(-100, 100, 41), np.linspace(-8, 8, 33), [-37.0, 37.0]]))


def textbook(y: np.ndarray, z: np.ndarray, gamma: float, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian from probabilities, as people write them."""
    with np.errstate(all="ignore"):
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


CONTESTANTS: dict[str, Callable[..., Any]] = {
    "focal_gbm": lambda y, z, gamma: BinaryFocalLoss(gamma).gradient_hessian(y, z),
    "textbook NumPy, no clipping": lambda y, z, gamma: textbook(y, z, gamma, 0.0),
    "textbook NumPy, p clipped at 1e-15": lambda y, z, gamma: textbook(y, z, gamma, 1e-15),
    "textbook NumPy, p clipped at 1e-7": lambda y, z, gamma: textbook(y, z, gamma, 1e-7),
}


def worst(found: np.ndarray, true: np.ndarray, size: np.ndarray, inside: np.ndarray) -> dict[str, Any]:
    """Return the largest error in units of `size`, the largest absolute one outside, the count not finite."""
    normal = inside & (np.abs(size) >= np.finfo(found.dtype).tiny)
    finite = np.isfinite(found)
    errors = np.abs(found.astype(np.float64) - true)
    use, rest = normal & finite, ~normal & finite
    return {
        "error": float((errors[use] / np.abs(size[use])).max()),
        "absolute_error_outside": float(errors[rest].max()) if rest.any() else 0.0,
        "not_finite": int((~finite).sum()),
    }


def row(
    formula: str, name: str, gamma: float, dtype: type, found: Any, true: Any, terms: Any, inside: np.ndarray
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "formula": formula, "contestant": name, "gamma": gamma, "dtype": np.dtype(dtype).name,
        "points": int(np.size(true[0])), "eps": float(np.finfo(dtype).eps),
    }  # fmt: skip
    for what, values, exact, size in zip(("gradient", "hessian"), found, true, (true[0], terms), strict=True):
        errors = worst(values, exact, size, inside)
        result |= {f"{what}_{key}": value for key, value in errors.items()}
    return result


def is_inside(margin: np.ndarray, dtype: type) -> np.ndarray:
    """Say where both p = σ(m) and 1 - p are normal numbers."""
    return np.abs(margin) < -np.log(np.finfo(dtype).tiny)


def binary() -> list[dict[str, Any]]:
    rows = []
    z = np.concatenate([MARGINS, MARGINS])
    y = np.repeat([0, 1], len(MARGINS))
    for gamma in GAMMAS:
        exact = [binary_derivatives(gamma, int(a), float(b)) for a, b in zip(y, z, strict=True)]
        g, h, negative = (
            np.array([getattr(e, n) for e in exact]) for n in ("gradient", "hessian", "negative_term")
        )
        terms = np.abs(h - negative) + np.abs(negative)
        for dtype in (np.float32, np.float64):
            for name, contestant in CONTESTANTS.items():
                found = contestant(y, z.astype(dtype), gamma)
                inside = is_inside(z, dtype)
                rows.append(row("binary", name, gamma, dtype, found, (g, h), terms, inside))
    return rows


def softmax(n_rows: int = 60, n_classes: int = 4) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    # whole multiples of 1/64 are the same numbers in float32
    z = np.round(rng.normal(size=(n_rows, n_classes)) * np.geomspace(0.1, 40, n_rows)[:, None] * 64) / 64
    y = rng.integers(0, n_classes, n_rows)
    rows = []
    for gamma in GAMMAS:
        exact = [derivatives(gamma, int(t), scores) for t, scores in zip(y, z, strict=True)]
        g = np.array([e.gradient for e in exact])
        h = np.array([np.diag(e.hessian) for e in exact])
        terms = np.array([e.terms for e in exact])
        for dtype in (np.float32, np.float64):
            found = MulticlassFocalLoss(n_classes, gamma).gradient_hessian(y, z.astype(dtype))
            # the scores of a row may lie as far apart as p can be small
            inside = is_inside(np.ptp(z, axis=1, keepdims=True), dtype) & np.ones_like(g, dtype=bool)
            rows.append(row("softmax", "focal_gbm", gamma, dtype, found, (g, h), terms, inside))
    return rows


def main() -> None:
    rows = [*binary(), *softmax()]
    print(
        f"{'formula':<9}{'contestant':<37}{'dtype':<9}{'γ':>4}{'gradient':>11}"
        f"{'Hessian':>11}{'outside':>11}   not finite"
    )
    for r in rows:
        print(
            f"{r['formula']:<9}{r['contestant']:<37}{r['dtype']:<9}{r['gamma']:>4g}{r['gradient_error']:>11.1e}"
            f"{r['hessian_error']:>11.1e}"
            f"{max(r['gradient_absolute_error_outside'], r['hessian_absolute_error_outside']):>11.1e}"
            f"   {r['gradient_not_finite'] + r['hessian_not_finite']}"
        )
    write("accuracy_of_derivatives", "accuracy_of_derivatives.py", rows)


if __name__ == "__main__":
    main()
