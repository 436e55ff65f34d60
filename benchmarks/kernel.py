"""Claim: looking tables up costs no more than the formulas did, and every loss costs the same.

Nanoseconds per number (two classes: per row) of one call of the compiled kernel in log-odds, γ=2: two, three
and ten classes, float32 in C order as XGBoost calls it and float64 in Fortran order as LightGBM does, on one
and on two threads of that library; poly-1 beside focal loss; NumPy; a copy of the same bytes. With --before,
the checkout of an earlier commit (22e287c, with its compiled library) does the same in a process beside this
one: the two take turns, and the quotient is that of the medians. Results on one and two threads are compared
bit by bit. Writes results/kernel.json.

    OMP_WAIT_POLICY=passive python benchmarks/kernel.py [--before PATH] [--rows 1000000] [--rounds 30]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost

LIBRARIES = {
    "float32": os.path.join(os.path.dirname(xgboost.__file__), "lib", "libxgboost.so"),
    "float64": os.path.join(os.path.dirname(lightgbm.__file__), "lib", "lib_lightgbm.so"),
}
GAMMA = 2.0

Call = Callable[[], Any]


def rows_of(n_classes: int, n_numbers: int) -> tuple[Any, Any]:
    """Return labels and log-odds: of two classes 5 % positive rows."""
    rng = np.random.default_rng(0)
    if n_classes == 2:
        return rng.random(n_numbers) < 0.05, rng.normal(-5.4, 5.4, n_numbers)
    n_rows = n_numbers // n_classes
    return rng.integers(0, n_classes, n_rows), rng.normal(0, 2.7, (n_rows, n_classes))


def calls(n_numbers: int) -> dict[str, Call]:
    """Return what is timed, by name."""
    from focal_gbm.kernels import Threads, kernel_of
    from focal_gbm.kernels.cpu import SWITCH
    from focal_gbm.losses import BinaryFocalLoss, Focal, MulticlassFocalLoss, Poly1Focal

    found: dict[str, Call] = {}
    for n_classes in (2, 3, 10):
        labels, raw = rows_of(n_classes, n_numbers)
        for margin_loss in (Focal(GAMMA), Poly1Focal(GAMMA, 1.0)):
            loss: Any = (
                BinaryFocalLoss(margin_loss=margin_loss)
                if n_classes == 2
                else MulticlassFocalLoss(n_classes, margin_loss=margin_loss)
            )
            name = f"{n_classes} classes, {type(margin_loss).__name__}"
            for dtype, library in LIBRARIES.items():
                order = "C" if dtype == "float32" else "F"
                z, results = raw.astype(dtype, order=order), []
                for n_threads in (1, 2):
                    kernel = kernel_of(
                        loss,
                        labels,
                        None,
                        order=order,
                        hessian_factor=2.0,
                        threads=Threads(library, n_threads),
                    )
                    found[f"{name}, {dtype}, {n_threads} thread(s)"] = lambda k=kernel, z=z: k(z)
                    results.append([array.copy() for array in kernel(z)])
                assert all(map(np.array_equal, *results)), "threads changed a result"
        os.environ[SWITCH] = "numpy"
        kernel = kernel_of(loss, labels, None)
        del os.environ[SWITCH]
        found[f"{n_classes} classes, NumPy"] = lambda k=kernel, z=z: k(z)
    source, target = np.ones((2, 2, n_numbers), np.float32)
    found["copy of the same bytes (8 in, 8 out)"] = lambda: np.copyto(target, source)
    return found


def earlier_calls(n_numbers: int) -> dict[str, Call]:
    """Return the same for the checkout of 22e287c, in whose folder this runs."""
    from focal_gbm.kernels.formula import Formula  # type: ignore[import-not-found]

    from focal_gbm.kernels.cpu import Kernel  # type: ignore[attr-defined]
    from focal_gbm.kernels.threads import Threads

    found: dict[str, Call] = {}
    for n_classes in (2, 3, 10):
        labels, raw = rows_of(n_classes, n_numbers)
        if n_classes == 2:
            formula = Formula("sigmoid", [[GAMMA, GAMMA]], [[1.0, 1.0]], "logit")
        else:
            formula = Formula("softmax", [GAMMA] * n_classes, [1.0] * n_classes, "logit", hessian_factor=2.0)
        for dtype, library in LIBRARIES.items():
            order = "C" if dtype == "float32" else "F"
            z = raw.astype(dtype, order=order)
            out = [np.empty(raw.shape, np.float32, order=order) for _ in "gh"]
            for n_threads in (1, 2):
                kernel = Kernel(formula, labels, threads=Threads(library, n_threads))
                name = f"{n_classes} classes, Focal, {dtype}, {n_threads} thread(s)"
                found[name] = lambda k=kernel, z=z, out=out: k.gradient_hessian(z, *out)
    return found


def time_of(call: Call, n_numbers: int) -> float:
    """Return nanoseconds per number."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) / n_numbers * 1e9


def serve(n_numbers: int) -> None:
    """Time every call once for every line that comes in: the process beside."""
    found = earlier_calls(n_numbers)
    for name in sys.stdin:
        print(json.dumps(time_of(found[name.strip()], n_numbers)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", help="a checkout of an earlier commit, with its compiled library")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.rows)
        return
    from _report import write

    beside = None
    if arguments.before:
        command = [sys.executable, os.path.abspath(__file__), "--serve", "--rows", str(arguments.rows)]
        beside = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.path.abspath(arguments.before)},
        )  # fmt: skip
    found = calls(arguments.rows)
    now: dict[str, list[float]] = {name: [] for name in found}
    before: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(arguments.rounds):
        for name, call in found.items():
            if beside is not None and "classes, Focal" in name:
                assert beside.stdin is not None
                assert beside.stdout is not None
                print(name, file=beside.stdin, flush=True)
                before[name].append(json.loads(beside.stdout.readline()))
            now[name].append(time_of(call, arguments.rows))
    if beside is not None:
        assert beside.stdin is not None
        beside.stdin.close()
        beside.wait()
    rows = []
    print(f"{'ns per number':<44}{'now':>8}{'p10':>8}{'p90':>8}{'before':>8}{'quotient':>10}")
    for name, values in now.items():
        low, median, high = np.percentile(values, [10, 50, 90]).round(2)
        row = {"contestant": name, "ns": median, "p10": low, "p90": high}
        line = f"{name:<44}{median:>8.2f}{low:>8.2f}{high:>8.2f}"
        if before[name]:
            row["ns before"] = round(float(np.median(before[name])), 2)
            row["now / before"] = round(median / row["ns before"], 3)
            line += f"{row['ns before']:>8.2f}{row['now / before']:>10.2f}"
        rows.append(row)
        print(line)
    write("kernel", f"kernel.py --rows {arguments.rows} --rounds {arguments.rounds}", rows)


if __name__ == "__main__":
    main()
