"""Claim: on a CUDA device a fit with focal loss takes about as long as one with the library's own loss.

One run takes every figure, in about seven minutes, and needs a CUDA device, CuPy and XGBoost:

1. agreement: gradients of the device against the CPU's; predictions of a GPU fit against a CPU fit's, beside
   what the library's own loss differs by;
2. the objective: upload, kernel and hand-over apart, and the kernel's bandwidth over that of a copy;
3. whole fits with 28 features: the library's own loss, γ=0, γ=2, γ=2 with gradients from the CPU, γ=2 with
   the margin kept on the device (a loop that is not in the package: it only measures what it would bring),
   and γ=2 on the CPU;
4. memory of the device over 500 rounds;
5. LightGBM's CUDA tree method, where the installed LightGBM has it.

Contestants of a case take turns in one process; medians. What the time limit cuts off is named. Writes
results/gpu.json. Exit status 2: there is no CUDA device, nothing was measured.

    python benchmarks/gpu.py [--seconds 420] [--cases 1000000x28x2,...] [--rounds 100]
"""

from __future__ import annotations

import argparse
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
from scipy.special import expit
from xgboost import XGBClassifier

from focal_gbm import BinaryFocalLoss, FocalXGBClassifier, FocalXGBObjective, MulticlassFocalLoss

#: rows x features x classes, the shorter ones first
CASES = ("1000000x28x2", "1000000x28x5", "10000000x28x2", "10000000x28x5")

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


def loss_of(gamma: float, n_classes: int) -> Any:
    return BinaryFocalLoss(gamma) if n_classes == 2 else MulticlassFocalLoss(n_classes, gamma)


def median_of(cupy: Any, call: Callable[[], Any], times: int = 20) -> float:
    """Return the seconds of a call, its work on the device included."""
    call()
    seconds = []
    for _ in range(times):
        cupy.cuda.Device().synchronize()
        started = time.perf_counter()
        call()
        cupy.cuda.Device().synchronize()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def agreement(cupy: Any) -> Iterator[Row]:
    """Gradients and Hessians of the device over the CPU's, and predictions of whole fits."""
    rng = np.random.default_rng(0)
    for n_classes in (2, 5):
        labels = rng.integers(0, n_classes, 100_000)
        for gamma in (0.0, 0.5, 2.0):
            loss = loss_of(gamma, n_classes)
            z = rng.normal(size=loss.raw_shape(len(labels))).astype(np.float32)
            objective = FocalXGBObjective(loss, "majorizing")  # no Hessian of it cancels
            on_device, on_cpu = (objective.bind(labels, None, device) for device in ("cuda", "cpu"))
            assert on_device.on_device is not None
            errors = [
                np.abs(ours.get() / theirs - 1).max()
                for ours, theirs in zip(on_device(z), on_cpu(z), strict=True)
            ]
            yield {
                "part": "gradient and Hessian, device against CPU, largest relative difference",
                "classes": n_classes,
                "gamma": gamma,
                "value": float(max(errors)),
            }
    X, y = (array[:100_000] for array in table("1000000x28x2"))
    for name, make in (
        ("library's own loss", XGBClassifier),
        ("γ=0", lambda **p: FocalXGBClassifier(focal_gamma=0.0, **p)),
        ("γ=2", FocalXGBClassifier),
    ):
        proba = [make(n_estimators=50, device=d).fit(X, y).predict_proba(X)[:, 1] for d in ("cuda", "cpu")]
        difference = np.abs(proba[0] - proba[1])
        yield {
            "part": "P(y=1) of a GPU fit against a CPU fit, mean and largest difference",
            "loss": name,
            "value": [float(difference.mean()), float(difference.max())],
        }


def objective_parts(cupy: Any) -> Iterator[Row]:
    """Milliseconds of upload, kernel and hand-over, and the bandwidth of the kernel over that of a copy."""
    source = cupy.ones(2**28, np.float32)
    target = cupy.empty_like(source)
    seconds = median_of(cupy, partial(cupy.copyto, target, source))
    copy_bandwidth = 2 * source.nbytes / seconds
    yield {"part": "copy on the device", "GB/s": round(copy_bandwidth / 1e9, 1)}
    del source, target
    rng = np.random.default_rng(0)
    for n_rows in (1_000_000, 10_000_000):
        for n_classes in (2, 5):
            labels = rng.integers(0, n_classes, n_rows)
            for gamma in (0.0, 2.0):
                loss = loss_of(gamma, n_classes)
                z = rng.standard_normal(loss.raw_shape(n_rows), dtype=np.float32)
                bound = FocalXGBObjective(loss).bind(labels, None, "cuda")
                kernel = bound.on_device
                assert kernel is not None
                pinned = np.frombuffer(cupy.cuda.alloc_pinned_memory(z.nbytes), np.float32, z.size)
                pinned = pinned.reshape(z.shape)

                def through_pinned(kernel: Any = kernel, pinned: Any = pinned, z: Any = z) -> None:
                    np.copyto(pinned, z)
                    kernel.raw_prediction.set(pinned)

                seconds = median_of(cupy, kernel.compute)
                bandwidth = n_rows * BYTES_A_ROW[n_classes] / seconds
                yield {
                    "part": "objective",
                    "rows": n_rows,
                    "classes": n_classes,
                    "gamma": gamma,
                    "ms upload": 1e3 * median_of(cupy, lambda kernel=kernel, z=z: kernel.upload(z)),
                    "ms upload through pinned memory": 1e3 * median_of(cupy, through_pinned),
                    "ms kernel": 1e3 * seconds,
                    "ms flag": 1e3 * median_of(cupy, kernel.finite),
                    "ms in all": 1e3 * median_of(cupy, lambda bound=bound, z=z: bound(z)),
                    "kernel GB/s": round(bandwidth / 1e9, 1),
                    "kernel / copy": round(bandwidth / copy_bandwidth, 3),
                }


def margin_on_device(
    cupy: Any, gamma: float, X: Any, y: np.ndarray, n_classes: int, rounds: int
) -> xgboost.Booster:
    """Train without a prediction through the CPU: the newest tree's output is added on the device.

    For gbtree without dart, where no tree's weight changes later. Bitwise what XGBoost keeps itself.
    """
    loss = loss_of(gamma, n_classes)
    params: dict[str, Any] = {"device": "cuda"}
    start = np.asarray(loss.fit_intercept_only(y))
    if n_classes == 2:
        params.update(objective="binary:logistic", base_score=float(expit(start)))
    else:
        params.update(objective="multi:softprob", num_class=n_classes, base_score=start.tolist())
    data = xgboost.QuantileDMatrix(X, y)
    booster = xgboost.Booster(params, [data])
    kernel = FocalXGBObjective(loss).bind(y, None, "cuda").on_device
    assert kernel is not None
    margin = cupy.asarray(booster.predict(data, output_margin=True))
    for i in range(rounds):
        kernel.raw_prediction[...] = margin
        kernel.compute()
        if not kernel.finite():
            raise ValueError("not finite")
        booster.boost(data, i, grad=kernel.gradient, hess=kernel.hessian)
        margin = booster.inplace_predict(
            X, iteration_range=(i, i + 1), predict_type="margin", base_margin=margin
        )
    return booster


class _WithoutCuPy:
    """Gradients from the CPU, as without CuPy."""

    def __enter__(self) -> None:
        self._kept = sys.modules.get("cupy")
        sys.modules["cupy"] = None  # type: ignore[assignment]
        self._quiet = warnings.catch_warnings()
        self._quiet.__enter__()
        warnings.filterwarnings("ignore", ".*CuPy is missing")

    def __exit__(self, *error: object) -> None:
        self._quiet.__exit__(*error)
        sys.modules["cupy"] = self._kept  # type: ignore[assignment]


def fits(cupy: Any, case: str, rounds: int, turns: int, until: float) -> Iterator[Row]:
    """Seconds of whole fits, binning included, of rows that lie on the device; none begins after `until`."""
    X, y = table(case)
    n_classes = int(case.split("x")[2])
    X_device = cupy.asarray(X)
    common: dict[str, Any] = {"n_estimators": rounds, "device": "cuda"}

    def cpu_gradients() -> None:
        model = FocalXGBClassifier(focal_gamma=2.0, **common)
        with _WithoutCuPy():
            model.fit(X, y)  # a table of CuPy's would need CuPy

    contestants: dict[str, Callable[[], Any]] = {
        "library's own loss": lambda: XGBClassifier(**common).fit(X_device, y),
        "γ=0": lambda: FocalXGBClassifier(focal_gamma=0.0, **common).fit(X_device, y),
        "γ=2": lambda: FocalXGBClassifier(focal_gamma=2.0, **common).fit(X_device, y),
        "γ=0, margin on the device": lambda: margin_on_device(cupy, 0.0, X_device, y, n_classes, rounds),
        "γ=2, margin on the device": lambda: margin_on_device(cupy, 2.0, X_device, y, n_classes, rounds),
        "library's own loss, rows in main memory": lambda: XGBClassifier(**common).fit(X, y),
        "γ=2, gradients from the CPU, rows in main memory": cpu_gradients,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns):
        names = list(contestants)
        for name in names[turn:] + names[:turn]:
            if time.perf_counter() > until:
                break
            cupy.get_default_memory_pool().free_all_blocks()
            started = time.perf_counter()
            contestants[name]()
            cupy.cuda.Device().synchronize()
            seconds[name].append(time.perf_counter() - started)
    own = float(np.median(seconds["library's own loss"] or [np.nan]))
    for name, values in seconds.items():
        row: Row = {"part": "fit", "case": case, "rounds": rounds, "loss": name}
        if not values:
            yield {**row, "not measured": "the time limit had passed"}
            continue
        median = float(np.median(values))
        yield {
            **row,
            "seconds": round(median, 3),
            "over the library's own loss": round(median / own, 3),
            "lowest, highest": [round(min(values), 3), round(max(values), 3)],
        }


def cpu_fit(case: str, rounds: int) -> Row:
    X, y = table(case)
    started = time.perf_counter()
    FocalXGBClassifier(n_estimators=rounds, device="cpu").fit(X, y)
    seconds = round(time.perf_counter() - started, 3)
    return {"part": "fit", "case": case, "rounds": rounds, "loss": "γ=2 on the CPU", "seconds": seconds}


class _Memory(xgboost.callback.TrainingCallback):
    """Free memory of the device after every round."""

    def __init__(self, cupy: Any) -> None:
        super().__init__()
        self._cupy = cupy
        self.free: list[int] = []

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.free.append(self._cupy.cuda.runtime.memGetInfo()[0])
        return False


def memory(cupy: Any) -> Row:
    """Bytes that the device lost between rounds 50 and 500, with our loss and with the library's own."""
    X, y = table("1000000x28x2")
    lost = {}
    for name, make in (("γ=2", FocalXGBClassifier), ("library's own loss", XGBClassifier)):
        watch = _Memory(cupy)
        make(n_estimators=500, device="cuda", callbacks=[watch]).fit(X, y)
        lost[name] = watch.free[49] - watch.free[-1]
    return {"part": "bytes of the device lost between rounds 50 and 500", **lost}


def _largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


def lightgbm_on_cuda() -> Row:
    """Seconds and differences of LightGBM's CUDA tree method, or why there are none."""
    from lightgbm import LGBMClassifier

    from focal_gbm import FocalLGBMClassifier

    X, y = table("1000000x28x2")
    common: dict[str, Any] = {"device_type": "cuda", "verbose": -1, "n_estimators": 100}
    row: Row = {"part": "LightGBM on CUDA"}
    proba = {}
    try:
        for name, model in (
            ("library's own loss", LGBMClassifier(**common)),
            ("γ=0", FocalLGBMClassifier(focal_gamma=0.0, **common)),
            ("γ=2", FocalLGBMClassifier(focal_gamma=2.0, **common)),
        ):
            started = time.perf_counter()
            model.fit(X, y)
            row[f"seconds, {name}"] = round(time.perf_counter() - started, 3)
            proba[name] = model.predict_proba(X[:100_000])[:, 1]
        row["γ=0 against the library, largest"] = _largest_difference(*list(proba.values())[:2])
    except Exception as error:  # of the build or of the device: the other parts are measured all the same
        row["not measured"] = str(error)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=420, help="no part or fit begins after so many")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3, help="of fits of up to 1e6 rows; 2 beyond")
    arguments = parser.parse_args()
    cupy = connect()
    began = time.perf_counter()
    until = began + arguments.seconds
    device = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    print(f"{device}, CuPy {cupy.__version__}, XGBoost {xgboost.__version__}")

    cases = arguments.cases.split(",")
    small = "1000000x28x2"

    def fits_of(case: str) -> Callable[[], Iterator[Row]]:
        turns = arguments.turns if int(case.split("x")[0]) <= 1_000_000 else 2
        return lambda: fits(cupy, case, arguments.rounds, turns, until)

    parts: dict[str, Callable[[], Iterator[Row]]] = {
        "agreement": lambda: agreement(cupy),
        "objective": lambda: objective_parts(cupy),
        **{f"fits of {case}": fits_of(case) for case in cases[:-1]},
        "memory": lambda: iter([memory(cupy)]),
        "LightGBM": lambda: iter([lightgbm_on_cuda()]),
        "CPU": lambda: iter([cpu_fit(small, arguments.rounds)]),
        f"fits of {cases[-1]}": fits_of(cases[-1]),  # the longest
    }
    rows: list[Row] = [{"part": "device", "name": device, "CuPy": cupy.__version__}]
    for name, part in parts.items():
        if time.perf_counter() > until:
            rows.append({"part": name, "not measured": "the time limit had passed"})
            print(rows[-1])
            continue
        for row in part():
            rows.append(row)
            print(*(f"{key}: {value}" for key, value in row.items()), sep="  ", flush=True)
    write("gpu", "gpu.py " + " ".join(sys.argv[1:]), rows)
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
