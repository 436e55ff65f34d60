"""Claim: gradient and Hessian cost a nanosecond or two a row, and the logit link at most 1.6 times that.

Nanoseconds a row (of many classes: a number) of one call: the compiled kernel with both links, in float32 as
XGBoost calls it and in float64 as LightGBM does, on one and on two threads of that library; our NumPy, the
NumPy that people write, and a copy of the same bytes. γ=2, floored (focal link) and expected (logit link)
Hessians. Contestants run in turn; medians, and tenths and nine tenths of the rounds. Threads that spin when
idle would take the cores of the other library's. Writes results/kernel.json.

    OMP_WAIT_POLICY=passive python benchmarks/kernel.py [--rows 1000000] [--rounds 30] [--level avx2]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost
from _report import write
from scipy.special import softmax

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss
from focal_gbm.kernels.compiled import LEVELS, Kernel, level
from focal_gbm.kernels.formula import Formula
from focal_gbm.kernels.threads import Threads

GAMMA = 2.0
LIBRARIES = {
    np.float32: os.path.join(os.path.dirname(xgboost.__file__), "lib", "libxgboost.so"),
    np.float64: os.path.join(os.path.dirname(lightgbm.__file__), "lib", "lib_lightgbm.so"),
}
#: Raw predictions of the logit link spread about this much wider than focal scores: the slope of the link.
SLOPE = 2.7

Contestants = dict[str, Callable[[], Any]]


def textbook(z, y):
    """Gradient and Hessian as people write them: probabilities, clipping, float64 temporaries."""
    p = 1.0 / (1.0 + np.exp(-z.astype(np.float64)))
    p = np.clip(p, 1e-15, 1 - 1e-15)
    pt = np.where(y == 1, p, 1 - p)
    sign = np.where(y == 1, 1.0, -1.0)
    g = sign * (1 - pt) ** GAMMA * (GAMMA * pt * np.log(pt) + pt - 1)
    u = GAMMA * pt * np.log(pt) + pt - 1
    du = GAMMA * np.log(pt) + GAMMA + 1
    h = pt * (1 - pt) * (-GAMMA * (1 - pt) ** (GAMMA - 1) * u + (1 - pt) ** GAMMA * du)
    return g, h


def textbook_softmax(z, y):
    """The same for many classes: the gradient, and the Hessian's diagonal as XGBoost's softmax has it."""
    p = softmax(z.astype(np.float64), axis=1)
    pt = np.clip(np.take_along_axis(p, y[:, None], axis=1), 1e-15, 1 - 1e-15)
    a = (1 - pt) ** GAMMA - GAMMA * pt * np.log(pt) * (1 - pt) ** (GAMMA - 1)
    g = a * (p - (np.arange(z.shape[1]) == y[:, None]))
    return g, np.maximum(2 * a * p * (1 - p), 1e-16)


def contestants(n_classes: int, n_rows: int, instructions: str) -> Contestants:
    rng = np.random.default_rng(0)
    two = n_classes == 2
    shape = (n_rows,) if two else (n_rows, n_classes)
    y = (rng.random(n_rows) < 0.05).astype(int) if two else rng.integers(0, n_classes, n_rows)
    scores = rng.normal(-2 if two else 0, 2 if two else 1, shape)
    found: Contestants = {}
    for dtype, library in LIBRARIES.items():
        order = "C" if dtype == np.float32 else "F"
        z, out = scores.astype(dtype, order=order), [np.empty(shape, np.float32, order=order) for _ in "gh"]
        for name, link, gamma in (
            ("focal", "focal", GAMMA),
            ("logit", "logit", GAMMA),
            ("γ=0", "focal", 0.0),
        ):
            if two:
                formula = Formula("sigmoid", [[gamma] * 2], [[1.0, 1.0]], link)
            else:
                formula = Formula("softmax", [gamma] * n_classes, [1.0] * n_classes, link, hessian_factor=2.0)
            raw = z * dtype(SLOPE) if link == "logit" else z
            for n_threads in (1, 2):
                kernel = Kernel(formula, y, threads=Threads(library, n_threads), level=instructions)
                key = f"C, {name}, {np.dtype(dtype).name}, {kernel.threads.n_threads} thread(s)"
                found[key] = lambda k=kernel, r=raw, o=out: k.gradient_hessian(r, *o)
    loss: Any = BinaryFocalLoss(GAMMA) if two else MulticlassFocalLoss(n_classes, GAMMA)
    z32 = scores.astype(np.float32)
    targets, numpy_out = loss.prepare(y == 1 if two else y, None), np.empty((2, *shape), np.float32)
    found["our NumPy, focal, float32, 1 thread"] = lambda: loss.gradient_hessian_prepared(
        targets, z32, "floored", *numpy_out
    )
    found["textbook NumPy, 1 thread"] = lambda: (textbook if two else textbook_softmax)(z32, y)
    found["copy of the same bytes (8 in, 8 out), 1 thread"] = lambda: np.copyto(numpy_out, source)
    source = rng.random((2, *shape)).astype(np.float32)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--level", choices=LEVELS, default=level())
    arguments = parser.parse_args()
    rows = []
    for n_classes in (2, 3, 10):
        n_rows = arguments.rows // (1 if n_classes == 2 else n_classes)
        numbers = n_rows * (1 if n_classes == 2 else n_classes)
        running = contestants(n_classes, n_rows, arguments.level)
        times: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(arguments.rounds):
            for name, call in running.items():
                started = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - started) / numbers * 1e9)
        print(f"\n{n_classes} classes, {n_rows} rows, γ={GAMMA:g}, {arguments.level}: ns a number\n")
        for name, values in times.items():
            low, median, high = np.percentile(values, [10, 50, 90]).round(2)
            key = f"{n_classes} classes: {name}"
            rows.append({"contestant": key, "ns": median, "p10": low, "p90": high})
            print(f"{name:<48}{median:8.2f}  [{low:.2f}, {high:.2f}]")
    command = f"kernel.py --rows {arguments.rows} --rounds {arguments.rounds} --level {arguments.level}"
    write("kernel", command, rows)


if __name__ == "__main__":
    main()
