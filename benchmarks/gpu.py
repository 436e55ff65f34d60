"""Claim: on a CUDA device a fit with focal loss takes about as long as one with the library's own loss.

Needs a CUDA device, CuPy and XGBoost. Parts, in this order:

1. predictions of a GPU fit against those of a CPU fit, beside what the library's own loss differs by;
2. whole fits of 100 rounds, binning included, over the library's own loss on the same rows: of CuPy's rows,
of the same
   with early stopping on the last 20 % of the rows, of NumPy's rows;
3. memory of the device: bytes per row that a fit takes above the library's own, and bytes lost over 500
rounds.

Contestants take turns in one process; medians. What the time limit cuts off is named. Writes
results/gpu.json, part by part. Exit status 2: there is no CUDA device, nothing was measured.

    python benchmarks/gpu.py [--seconds 420] [--cases 1000000x28x2,...] [--turns 3]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import xgboost
from _made_tables import made_table
from _report import write
from xgboost import XGBClassifier

from focal_gbm import FocalXGBClassifier

#: rows x features x classes
CASES = ("1000000x28x2", "10000000x28x2", "1000000x28x5", "10000000x28x5")
ROUNDS = 100

Row = dict[str, Any]


def connect() -> Any:
    """Return CuPy, or end with status 2 where there is no CUDA device."""
    try:
        import cupy

        n_devices = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy is missing, or the driver is
        n_devices, why = 0, error
    else:
        why = RuntimeError("the driver reports no device")
    if not n_devices:
        print(f"no CUDA device, nothing was measured: {why}", file=sys.stderr)
        raise SystemExit(2)
    return cupy


@cache
def table(case: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (X, y) in main memory."""
    return made_table(*map(int, case.split("x")))


def agreement(cupy: Any) -> Iterator[Row]:
    """Probabilities of a GPU fit against those of a CPU fit."""
    X, y = (array[:100_000] for array in table(CASES[0]))
    for name, make in (("own loss", XGBClassifier), ("γ=2", partial(FocalXGBClassifier, focal_gamma=2.0))):
        fits = [(d, cupy.asarray(X) if d == "cuda" else X) for d in ("cuda", "cpu")]
        proba = [make(n_estimators=50, device=d).fit(rows, y).predict_proba(X)[:, 1] for d, rows in fits]
        difference = np.abs(proba[0] - proba[1])
        yield {
            "part": "agreement", "loss": name, "mean": float(difference.mean()),
            "largest": float(difference.max()),
        }  # fmt: skip


def contestants(cupy: Any, case: str) -> dict[str, dict[str, Callable[[], Any]]]:
    """Return what is compared, by kind; the library's own loss comes first."""
    X, y = table(case)
    on_device, n_set_aside = cupy.asarray(X), len(X) // 5
    common: dict[str, Any] = {"n_estimators": ROUNDS, "device": "cuda"}
    makers = {
        "own loss": partial(XGBClassifier, **common),
        "γ=2": partial(FocalXGBClassifier, focal_gamma=2.0, **common),
    }

    def stopping(make: Callable[..., Any]) -> Any:
        last = slice(-n_set_aside, None), slice(None, -n_set_aside)
        (X_stop, X_fit), (y_stop, y_fit) = ([array[rows] for rows in last] for array in (on_device, y))
        model = make(early_stopping_rounds=ROUNDS)
        return model.fit(X_fit, y_fit, eval_set=[(X_stop, y_stop)], verbose=False)

    return {
        "rows on the device": {name: lambda m=make: m().fit(on_device, y) for name, make in makers.items()},
        "early stopping on 20 %": {name: partial(stopping, make) for name, make in makers.items()},
        "rows in main memory": {name: lambda m=make: m().fit(X, y) for name, make in makers.items()},
    }


def fits(cupy: Any, case: str, turns: int, until: float) -> Iterator[Row]:
    """Seconds of whole fits; none begins after `until`."""
    for kind, makers in contestants(cupy, case).items():
        seconds: dict[str, list[float]] = {name: [] for name in makers}
        for turn in range(turns + 1):
            for name in list(makers)[:: 1 if turn % 2 else -1]:
                if time.perf_counter() > until:
                    continue
                cupy.get_default_memory_pool().free_all_blocks()
                started = time.perf_counter()
                makers[name]()
                cupy.cuda.Device().synchronize()
                if turn:  # the first turn compiles and warms up
                    seconds[name].append(time.perf_counter() - started)
        own = float(np.median(seconds["own loss"] or [np.nan]))
        for name, values in seconds.items():
            row: Row = {"part": "fit", "case": case, "rounds": ROUNDS, "kind": kind, "loss": name}
            if not values:
                yield {**row, "not measured": "the time limit had passed"}
                continue
            median = float(np.median(values))
            yield {
                **row, "seconds": round(median, 3), "over own": round(median / own, 3),
                "lowest, highest": [round(min(values), 3), round(max(values), 3)], "turns": len(values),
            }  # fmt: skip


class _Memory(xgboost.callback.TrainingCallback):
    """Free memory of the device after every round."""

    def __init__(self, cupy: Any) -> None:
        super().__init__()
        self._cupy = cupy
        self.free: list[int] = []

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.free.append(self._cupy.cuda.runtime.memGetInfo()[0])
        return False


def memory(cupy: Any) -> Iterator[Row]:
    """Bytes per row that a fit takes above the library's own, and bytes lost over 500 rounds."""
    X, y = table(CASES[0])
    on_device, rounds = cupy.asarray(X), 500
    least, lost = {}, {}
    for name, make in (("own loss", XGBClassifier), ("γ=2", partial(FocalXGBClassifier, focal_gamma=2.0))):
        cupy.get_default_memory_pool().free_all_blocks()
        watch = _Memory(cupy)
        make(n_estimators=rounds, device="cuda", callbacks=[watch]).fit(on_device, y)
        least[name], lost[name] = min(watch.free), watch.free[49] - watch.free[-1]
    above = round((least["own loss"] - least["γ=2"]) / len(X), 1)
    yield {
        "part": "memory",
        "case": CASES[0],
        "rounds": rounds,
        "lost": lost,
        "bytes per row above own": above,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=420, help="no part or fit begins after so many")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    cupy = connect()
    until = time.perf_counter() + arguments.seconds
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    rows: list[Row] = [{"part": "device", "name": name, "CuPy": cupy.__version__}]
    cases = arguments.cases.split(",")
    parts = [
        agreement,
        *(partial(fits, case=case, turns=arguments.turns, until=until) for case in cases),
        memory,
    ]
    for part in parts:
        if time.perf_counter() < until:
            for row in part(cupy):
                print(row, flush=True)
                rows.append(row)
            write("gpu", " ".join(["gpu.py", *sys.argv[1:]]), rows)


if __name__ == "__main__":
    main()
