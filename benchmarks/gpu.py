"""Claim: on a CUDA device a fit with focal loss takes about as long as one with the library's own loss.

Needs a CUDA device, CuPy and XGBoost. Parts, in this order:

1. agreement: gradients of the device against the CPU's; predictions of a GPU fit against a CPU fit's, beside
   what the library's own loss differs by; predictions kept on the device against XGBoost's own, bit by bit;
2. the kernels: milliseconds of gradient and Hessian and of the sum of losses, and bandwidth over that of a
   copy on the device;
3. whole fits of 100 rounds, binning included, over the library's own loss on the same rows: of CuPy's rows
   with γ=0, γ=2 and the logit link; the same with early stopping on the last 20 % of the rows; of NumPy's
   rows, and there without CuPy;
4. memory of the device: the most that a fit takes above the library's own, and what is lost over 500 rounds;
5. LightGBM's CUDA tree method, where the installed LightGBM has it: a round with its own loss, with an
   objective that takes no time, and with ours.

Contestants take turns in one process; medians. What the time limit cuts off is named. Writes
results/gpu.json, part by part. Exit status 2: there is no CUDA device, nothing was measured.

    python benchmarks/gpu.py [--seconds 420] [--cases 1000000x28x2,...] [--turns 3]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import xgboost
from _made_tables import made_table
from _report import write
from xgboost import XGBClassifier

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMObjective,
    FocalXGBClassifier,
    FocalXGBObjective,
    MulticlassFocalLoss,
)
from focal_gbm.kernels.cuda import Cuda, cuda_loss_sums
from focal_gbm.xgboost.margins import KeptMargins, in_place

#: rows x features x classes
CASES = ("1000000x28x2", "10000000x28x2", "1000000x28x5", "10000000x28x5")
ROUNDS = 100

#: Bytes that the kernel reads and writes a row, without sample weights: scores, label, gradient, Hessian.
BYTES_A_ROW = {2: 4 + 1 + 8, 5: 5 * 4 + 4 + 5 * 8}

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


def loss_of(gamma: float, n_classes: int, link: str = "focal") -> Any:
    if n_classes == 2:
        return BinaryFocalLoss(gamma, focal_link=link)
    return MulticlassFocalLoss(n_classes, gamma, focal_link=link)


def median_of(cupy: Any, call: Callable[[], Any], times: int = 20) -> float:
    """Return the milliseconds of a call, its work on the device included."""
    call()
    seconds = []
    for _ in range(times):
        cupy.cuda.Device().synchronize()
        started = time.perf_counter()
        call()
        cupy.cuda.Device().synchronize()
        seconds.append(time.perf_counter() - started)
    return 1e3 * float(np.median(seconds))


def agreement(cupy: Any) -> Iterator[Row]:
    """Gradients of the device over the CPU's, predictions of whole fits, and predictions that are kept."""
    rng = np.random.default_rng(0)
    for n_classes, link in ((2, "focal"), (5, "focal"), (2, "logit"), (5, "logit")):
        labels = rng.integers(0, n_classes, 100_000)
        for gamma in (0.0, 0.5, 2.0):
            loss = loss_of(gamma, n_classes, link)
            z = rng.normal(size=loss.raw_shape(len(labels))).astype(np.float32)
            # no Hessian of these cancels
            objective = FocalXGBObjective(loss, "majorizing" if link == "focal" else "expected")
            on_device, on_cpu = (objective.bind(labels, None, device) for device in ("cuda", "cpu"))
            errors = [
                np.abs(ours.get() - theirs).max() / np.abs(theirs).max()
                for ours, theirs in zip(on_device(z), on_cpu(z), strict=True)
            ]
            yield {
                "part": "gradient and Hessian, device against CPU, difference over the largest",
                "classes": n_classes, "link": link, "gamma": gamma, "value": float(max(errors)),
            }  # fmt: skip
    X, y = (array[:100_000] for array in table(CASES[0]))
    for name, make in (
        ("library's own loss", XGBClassifier),
        ("γ=0", partial(FocalXGBClassifier, focal_gamma=0.0)),
        ("γ=2", FocalXGBClassifier),
    ):
        fits = [(d, cupy.asarray(X) if d == "cuda" else X) for d in ("cuda", "cpu")]
        proba = [make(n_estimators=50, device=d).fit(rows, y).predict_proba(X)[:, 1] for d, rows in fits]
        difference = np.abs(proba[0] - proba[1])
        yield {
            "part": "P(y=1) of a GPU fit against a CPU fit, mean and largest difference",
            "loss": name, "value": [float(difference.mean()), float(difference.max())],
        }  # fmt: skip
    X, y = table(CASES[0])
    data = xgboost.QuantileDMatrix(cupy.asarray(X), y)
    booster = xgboost.Booster({"device": "cuda", "objective": "binary:logistic", "base_score": 0.03}, [data])
    cuda = Cuda(cupy, cupy.cuda.Device())
    kept = KeptMargins(cupy.asarray(X), [(data, slice(0, len(X)))], np.nan, cuda)
    kept.of(booster, data)
    for i in range(40):
        booster.update(data, i)
        kept.of(booster, data)
    same = bool((kept.of(booster, data).get() == in_place(booster, data)).all())
    yield {
        "part": "predictions kept on the device are XGBoost's own to the last bit, 40 rounds",
        "value": same,
    }


def kernels(cupy: Any) -> Iterator[Row]:
    """Milliseconds of the kernels, and their bandwidth over that of a copy."""
    source = cupy.ones(2**28, np.float32)
    target = cupy.empty_like(source)
    copied = 2 * source.nbytes / median_of(cupy, partial(cupy.copyto, target, source))
    yield {"part": "copy on the device", "GB/s": round(copied / 1e6, 1)}
    del source, target
    rng = np.random.default_rng(0)
    cuda = Cuda(cupy, cupy.cuda.Device())
    for n_rows, n_classes in ((1_000_000, 2), (10_000_000, 2), (1_000_000, 5), (10_000_000, 5)):
        labels = rng.integers(0, n_classes, n_rows)
        for gamma, link in ((0.0, "focal"), (2.0, "focal"), (2.0, "logit")):
            loss = loss_of(gamma, n_classes, link)
            kernel = FocalXGBObjective(loss).bind(labels, None, "cuda").on_device
            sums = cuda_loss_sums(cuda, loss, labels, None)
            assert kernel is not None
            assert sums is not None
            z = cuda.upload(rng.standard_normal(loss.raw_shape(n_rows), dtype=np.float32))
            milliseconds = median_of(cupy, lambda kernel=kernel, z=z: kernel.compute(z))
            yield {
                "part": "kernel",
                "rows": n_rows, "classes": n_classes, "gamma": gamma, "link": link,
                "ms": round(milliseconds, 3),
                "ms flag": round(median_of(cupy, kernel.finite), 3),
                "ms mean focal loss": round(median_of(cupy, lambda s=sums, z=z: s.mean_focal_loss(z)), 3),
                "kernel / copy": round(n_rows * BYTES_A_ROW[n_classes] / milliseconds / copied, 3),
            }  # fmt: skip


class _WithoutCuPy:
    """As on a machine without CuPy."""

    def __enter__(self) -> None:
        self._kept = sys.modules.get("cupy")
        sys.modules["cupy"] = None  # type: ignore[assignment]
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.filterwarnings("ignore", ".*CuPy is missing")

    def __exit__(self, *error: object) -> None:
        self._quiet.__exit__(*error)
        sys.modules["cupy"] = self._kept  # type: ignore[assignment]


Contestants = dict[str, Callable[[], Any]]


def contestants(cupy: Any, case: str) -> dict[str, Contestants]:
    """Return what is compared, by kind; the library's own loss comes first."""
    X, y = table(case)
    on_device, n_set_aside = cupy.asarray(X), len(X) // 5
    common: dict[str, Any] = {"n_estimators": ROUNDS, "device": "cuda"}
    focal = partial(FocalXGBClassifier, **common)
    own_metric = "logloss" if case.endswith("x2") else "mlogloss"

    def stopping(model: Any) -> Any:
        last = slice(-n_set_aside, None), slice(None, -n_set_aside)
        (X_stop, X_fit), (y_stop, y_fit) = ([array[rows] for rows in last] for array in (on_device, y))
        return model.fit(X_fit, y_fit, eval_set=[(X_stop, y_stop)], verbose=False)

    def without_cupy() -> None:
        with _WithoutCuPy():
            focal().fit(X, y)

    late = {"early_stopping_rounds": ROUNDS}
    return {
        "rows on the device": {
            "own loss": lambda: XGBClassifier(**common).fit(on_device, y),
            "γ=0": lambda: focal(focal_gamma=0.0).fit(on_device, y),
            "γ=2": lambda: focal().fit(on_device, y),
            "γ=2, logit link": lambda: focal(focal_link="logit").fit(on_device, y),
        },
        "early stopping on 20 %": {
            "own loss": lambda: stopping(XGBClassifier(eval_metric=own_metric, **late, **common)),
            "γ=0": lambda: stopping(focal(focal_gamma=0.0, **late)),
            "γ=2": lambda: stopping(focal(**late)),
            "γ=2, log loss": lambda: stopping(focal(eval_metric=own_metric, **late)),
        },
        "rows in main memory": {
            "own loss": lambda: XGBClassifier(**common).fit(X, y),
            "γ=2": lambda: focal().fit(X, y),
            "γ=2, without CuPy": without_cupy,
        },
    }


def fits(cupy: Any, case: str, turns: int, until: float) -> Iterator[Row]:
    """Seconds of whole fits; none begins after `until`."""
    for kind, makers in contestants(cupy, case).items():
        seconds: dict[str, list[float]] = {name: [] for name in makers}
        for turn in range(turns):
            names = list(makers)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                if time.perf_counter() > until or ("without" in name and turn):
                    continue
                cupy.get_default_memory_pool().free_all_blocks()
                started = time.perf_counter()
                makers[name]()
                cupy.cuda.Device().synchronize()
                seconds[name].append(time.perf_counter() - started)
        own = float(np.median(seconds["own loss"] or [np.nan]))
        for name, values in seconds.items():
            row: Row = {"part": "fit", "case": case, "rounds": ROUNDS, "kind": kind, "loss": name}
            if not values:
                yield {**row, "not measured": "the time limit had passed"}
                continue
            median = float(np.median(values))
            yield {
                **row,
                "seconds": round(median, 3),
                "over own": round(median / own, 3),
                "lowest, highest": [round(min(values), 3), round(max(values), 3)],
                "turns": len(values),
            }


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
    """Bytes a row that a fit of CuPy's rows takes above the library's own, and bytes lost over 500 rounds."""
    for case, rounds in ((CASES[0], 500), (CASES[1], 20)):
        X, y = table(case)
        on_device = cupy.asarray(X)
        least, lost = {}, {}
        for name, make in (("own loss", XGBClassifier), ("γ=2", FocalXGBClassifier)):
            cupy.get_default_memory_pool().free_all_blocks()
            watch = _Memory(cupy)
            make(n_estimators=rounds, device="cuda", callbacks=[watch]).fit(on_device, y)
            least[name], lost[name] = min(watch.free), watch.free[min(49, rounds // 2)] - watch.free[-1]
        yield {
            "part": "memory", "case": case, "rounds": rounds, "lost": lost,
            "bytes a row above own": round((least["own loss"] - least["γ=2"]) / len(X), 1),
        }  # fmt: skip


def lightgbm_on_cuda(rounds: int = 40) -> Iterator[Row]:
    """Milliseconds of a round with LightGBM's CUDA tree method, or why there are none."""
    import lightgbm

    X, y = made_table(5_000_000, 28, 2)
    threads = len(os.sched_getaffinity(0))
    common = {"device_type": "cuda", "verbose": -1, "num_threads": threads}
    given = np.where(y == 1, -0.5, 0.5).astype(np.float32), np.full(len(y), 0.25, np.float32)
    inside: dict[str, list[float]] = {"γ=0": [], "γ=2": []}
    medians: dict[str, float] = {}

    def ours(name: str, gamma: float) -> Callable[..., Any]:
        bound = FocalLGBMObjective(BinaryFocalLoss(gamma), n_jobs=threads).bind(y == 1, None)

        def objective(raw: Any, data: Any) -> Any:
            started = time.perf_counter()
            result = bound(raw)
            inside[name].append(1e3 * (time.perf_counter() - started))
            return result

        return objective

    objectives = {"own loss": None, "an objective that takes no time": lambda raw, data: given}
    objectives.update({"γ=0": ours("γ=0", 0.0), "γ=2": ours("γ=2", 2.0)})
    try:
        data = lightgbm.Dataset(X, y, params=common, free_raw_data=False).construct()
        for name, objective in objectives.items():
            chosen = "binary" if objective is None else "none"
            booster = lightgbm.Booster({**common, "objective": chosen}, data)
            values = []
            for _ in range(rounds):
                started = time.perf_counter()
                booster.update(fobj=objective) if objective else booster.update()
                values.append(1e3 * (time.perf_counter() - started))
            medians[name] = float(np.median(values[3:]))
            yield {
                "part": "LightGBM on CUDA, a round of 5·10⁶ × 28", "threads": threads, "loss": name,
                "ms": round(medians[name], 2), "over own": round(medians[name] / medians["own loss"], 3),
                "ms objective": round(float(np.median(inside.get(name) or [0.0])), 2),
            }  # fmt: skip
    except Exception as error:  # of the build or of the device: the other parts are measured all the same
        yield {"part": "LightGBM on CUDA", "not measured": str(error)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=420, help="no part or fit begins after so many")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    cupy = connect()
    began = time.perf_counter()
    until = began + arguments.seconds
    device = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{device}, CuPy {cupy.__version__}, XGBoost {xgboost.__version__}")
    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "agreement": lambda: agreement(cupy),
        "kernels": lambda: kernels(cupy),
        "LightGBM": lightgbm_on_cuda,
        "memory": lambda: memory(cupy),
    }
    for case in arguments.cases.split(","):
        parts[f"fits of {case}"] = partial(fits, cupy, case, arguments.turns, until)
    rows: list[Row] = [{"part": "device", "name": device, "CuPy": cupy.__version__}]
    for name, part in parts.items():
        if time.perf_counter() > until:
            rows.append({"part": name, "not measured": "the time limit had passed"})
            print(rows[-1])
            continue
        for row in part():
            rows.append(row)
            print(*(f"{key}: {value}" for key, value in row.items()), sep="  ", flush=True)
        print(f"{name}: until second {time.perf_counter() - began:.0f}", flush=True)
        write("gpu", "gpu.py " + " ".join(sys.argv[1:]), rows)


if __name__ == "__main__":
    main()
