"""Claim: gradient and Hessian cost a few nanoseconds a row, the check that they are finite a fraction of it.

Nanoseconds a row of one call on 10^6 rows, one thread, against the NumPy that people write, the same with
SciPy's expit, a vectorised C reference where a compiler is there, and a copy of the same bytes. Contestants
run in turn; medians and ranges over the rounds. The same for a softmax of 3 and of 10 classes, as each host
calls it. Writes results/kernel.json.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive python benchmarks/kernel.py [--rows 1000000] [--rounds 30]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _report import write
from _timing import median_seconds
from scipy.special import expit, softmax

from focal_gbm import BinaryFocalLoss, FocalObjective, MulticlassFocalLoss
from focal_gbm.training.objective import is_finite

GAMMA = 2.0

C_SOURCE = """
#include <math.h>
/* gamma = 2, exact Hessian; written so that the compiler vectorises it */
void focal(const float *restrict z, const float *restrict s, float *restrict g, float *restrict h, long n) {
    for (long i = 0; i < n; ++i) {
        float odds = expf(fminf(fmaxf(z[i] * s[i], -87.0f), 87.0f));
        float p = 1.0f / (1.0f + odds), q = odds * p, f = 2.0f * p * log1pf(odds), a = q * q;
        g[i] = s[i] * a * (q + f);
        h[i] = a * (p * (5.0f * q + 2.0f * f) - q * f);
    }
}
"""


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


def many_classes(rng, rounds):
    """Print and return the rows of the table for many classes."""
    rows = []
    for n_classes in (3, 10):
        n = 1_000_000 // n_classes
        y = rng.integers(0, n_classes, n)
        z = rng.normal(size=(n, n_classes)).astype(np.float32)
        z64 = np.asfortranarray(z, dtype=np.float64)
        focal = FocalObjective(MulticlassFocalLoss(n_classes, GAMMA), n_jobs=1)
        xgb, lgb = focal.bind(y, None, "xgboost"), focal.bind(y, None, "lightgbm")
        times = {
            name: round(median_seconds(rounds, call, *arguments) / n * 1e9, 2)
            for name, call, *arguments in (
                ("float32, as XGBoost calls it", xgb, z),
                ("float64, as LightGBM calls it", lgb, z64),
                ("textbook NumPy", textbook_softmax, z, y),
            )
        }
        for name, ns in times.items():
            rows.append({"contestant": f"softmax of {n_classes}, {name}", "ns": ns})
            print(f"{rows[-1]['contestant']:<45}{ns:8.2f}")
    return rows


def with_expit(z, y):
    """The same with SciPy's expit, float32 throughout."""
    pt = np.where(y == 1, expit(z), expit(-z))
    sign = np.where(y == 1, np.float32(1), np.float32(-1))
    log_pt = np.log(np.maximum(pt, np.float32(1e-37)))
    u = np.float32(GAMMA) * pt * log_pt + pt - 1
    du = np.float32(GAMMA) * log_pt + np.float32(GAMMA + 1)
    q = 1 - pt
    return sign * q * q * u, pt * q * (-np.float32(GAMMA) * q * u + q * q * du)


def c_reference(folder: str) -> Callable | None:
    """Return the compiled reference, or None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source = Path(folder, "focal.c")
    source.write_text(C_SOURCE)
    library = source.with_suffix(".so")
    flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, str(source), "-o", str(library), "-lm"], check=True)
    function = ctypes.CDLL(str(library)).focal
    array = np.ctypeslib.ndpointer(np.float32, flags="C")
    function.argtypes = [array, array, array, array, ctypes.c_long]
    return function


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    n = arguments.rows
    rng = np.random.default_rng(0)
    z32 = rng.normal(-2, 2, n).astype(np.float32)
    z64 = z32.astype(np.float64)
    labels = rng.random(n) < 0.05
    y = labels.astype(np.float64)
    out = np.empty((2, n), np.float32)
    loss = BinaryFocalLoss(GAMMA)
    targets = loss.prepare(labels, None)
    bound = FocalObjective(loss, n_jobs=1).bind(labels, None, "xgboost")
    two_threads = FocalObjective(loss, n_jobs=2).bind(labels, None, "xgboost")

    def kernel(z, hessian, of=loss):
        return lambda: of.gradient_hessian_prepared(targets, z, hessian, *out)

    contestants: dict[str, Callable] = {
        "ours, float32, exact": kernel(z32, "exact"),
        "ours, float32, floored": kernel(z32, "floored"),
        "ours, float32, γ=0": kernel(z32, "floored", BinaryFocalLoss(0.0)),
        "ours, float64 in, float32 out, floored": kernel(z64, "floored"),
        "ours, float32, floored, as a host calls it": lambda: bound(z32),
        "the same, two threads": lambda: two_threads(z32),
        "the finiteness check alone": lambda: [is_finite(array) for array in (z32, *out)],
        "textbook NumPy": lambda: textbook(z32, y),
        "NumPy with expit, float32": lambda: with_expit(z32, y),
        "copy of the same bytes (8 in, 8 out)": lambda: np.copyto(out, source),
    }
    source = rng.random((2, n)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        reference = c_reference(folder)
        if reference is None:
            print("no C compiler: the C reference is skipped")
        else:
            sign = np.where(labels, -1, 1).astype(np.float32)
            contestants["C, one pass, -O3 -march=native"] = lambda: reference(z32, sign, *out, n)
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(arguments.rounds):
            for name, call in contestants.items():
                started = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - started) / n * 1e9)
    ours = np.median(times["ours, float32, exact"])
    print(f"ns a row, {n} rows, one thread, γ={GAMMA:g}, {arguments.rounds} rounds\n")
    rows = []
    for name, values in times.items():
        low, median, high = np.percentile(values, [10, 50, 90])
        rows.append({"contestant": name, "ns": round(median, 2), "p10": round(low, 2), "p90": round(high, 2)})
        print(f"{name:<45}{median:8.2f}  [{low:.2f}, {high:.2f}]   {median / ours:6.2f} × ours")
    rows += many_classes(rng, arguments.rounds)
    write("kernel", f"kernel.py --rows {n} --rounds {arguments.rounds}", rows)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print(f"OMP_NUM_THREADS is not 1 on {platform.node()}: NumPy's own threads may show")
    main()
