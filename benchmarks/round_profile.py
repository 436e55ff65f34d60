"""Claim: what a round takes longer with focal loss than with the library's own is mostly the library's.

Milliseconds of the parts of a round, for each number of threads. XGBoost: its own round (`Booster.update`),
and with γ=0 and γ=2 the predictions seen in place, our objective, and the round on gradients that it is
handed (`Booster.boost`). LightGBM: its own round, one with an objective that takes no time, and ours, whose
objective is timed inside. The boosters take turns, round by round. γ=0 grows the library's own trees; γ=2
grows others, that may take longer. Medians and quartiles. Writes results/round_profile.json, anew for these
libraries and numbers of threads, each with its machine.

    python benchmarks/round_profile.py [--rows 1000000] [--features 30] [--rounds 60] [--threads 2,8,16]
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost
from _made_tables import made_table
from _report import MACHINE, earlier, write

from focal_gbm import BinaryFocalLoss, FocalLGBMObjective, FocalXGBObjective
from focal_gbm.xgboost.margins import in_place

Times = dict[str, list[float]]
#: The first rounds warm up.
SKIPPED = 3


def timed(times: Times, name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    started = time.perf_counter()
    result = call(*args, **kwargs)
    times[name].append(1000 * (time.perf_counter() - started))
    return result


def of_xgboost(X: np.ndarray, y: np.ndarray, rounds: int, threads: int) -> Times:
    params = {"objective": "binary:logistic", "nthread": threads, "min_child_weight": 0}
    params["base_score"] = float(np.mean(y))
    # a matrix each: the library keeps predictions with the matrix and the booster
    made = [xgboost.QuantileDMatrix(X, y, nthread=threads) for _ in range(3)]
    boosters = [xgboost.Booster(params, [matrix]) for matrix in made]
    objectives = [
        FocalXGBObjective(BinaryFocalLoss(gamma), n_jobs=threads).bind(y == 1, None) for gamma in (0.0, 2.0)
    ]
    times: Times = defaultdict(list)
    for i in range(rounds):
        timed(times, "own loss", boosters[0].update, made[0], i)
        for gamma, objective, booster, matrix in zip((0, 2), objectives, boosters[1:], made[1:], strict=True):
            raw = timed(times, f"γ={gamma}: predictions, seen in place", in_place, booster, matrix, True)
            gradient, hessian = timed(times, f"γ={gamma}: objective, ours", objective, raw)
            name = f"γ={gamma}: round on given gradients"
            timed(times, name, booster.boost, matrix, iteration=i, grad=gradient, hess=hessian)
    for gamma in (0, 2):
        parts = [values for name, values in times.items() if name.startswith(f"γ={gamma}: ")]
        times[f"γ={gamma}: whole round"] = np.sum(parts, axis=0).tolist()
    return times


def of_lightgbm(X: np.ndarray, y: np.ndarray, rounds: int, threads: int) -> Times:
    common = {"verbose": -1, "force_col_wise": True, "num_threads": threads}
    times: Times = defaultdict(list)
    gradient, hessian = np.where(y == 1, -0.5, 0.5).astype(np.float32), np.full(len(y), 0.25, np.float32)
    contestants: dict[str, Any] = {"own loss": None, "an objective that takes no time": None}
    contestants["an objective that takes no time"] = lambda raw, data: (gradient, hessian)
    for gamma in (0, 2):
        bound = FocalLGBMObjective(BinaryFocalLoss(float(gamma)), n_jobs=threads).bind(y == 1, None)
        contestants[f"γ={gamma}: whole round"] = (
            lambda raw, data, name=f"γ={gamma}: objective, ours", f=bound: timed(times, name, f, raw)
        )
    boosters = {}
    for name, objective in contestants.items():
        data = lightgbm.Dataset(X, y, params=common)
        chosen = "binary" if objective is None else "none"
        boosters[name] = lightgbm.Booster({**common, "objective": chosen}, data)
    for _ in range(rounds):
        for name, objective in contestants.items():
            if objective is None:
                timed(times, name, boosters[name].update)
            else:
                timed(times, name, boosters[name].update, fobj=objective)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=60)
    cores = len(os.sched_getaffinity(0))
    threads = ",".join(str(n) for n in (2, 8, 16) if n <= max(2, cores))
    parser.add_argument("--threads", default=threads)
    arguments = parser.parse_args()
    X, y = made_table(arguments.rows, arguments.features, 2)
    kept = earlier("round_profile")
    for n_threads in map(int, arguments.threads.split(",")):
        for library, profile in {"XGBoost": of_xgboost, "LightGBM": of_lightgbm}.items():
            times = profile(X, y, arguments.rounds, n_threads)
            own = np.median(times["own loss"][SKIPPED:])
            kept = [row for row in kept if (row["library"], row["threads"]) != (library, n_threads)]
            print(f"\n{library}, {n_threads} threads, {arguments.rows} rows")
            for part in sorted(times, key=lambda name: (name[:3] == "γ=2", name.startswith("γ"))):
                low, median, high = np.percentile(times[part][SKIPPED:], [25, 50, 75])
                kept.append(
                    {
                        "library": library, "threads": n_threads, "rows": arguments.rows, "part": part,
                        "ms": round(median, 2), "p25": round(low, 2), "p75": round(high, 2),
                        "of the library's round": round(median / own, 3), "machine": MACHINE,
                    }
                )  # fmt: skip
                print(f"{part:<40}{median:8.2f} ms  [{low:.2f}, {high:.2f}]  {median / own:.3f} of its own")
            write("round_profile", f"round_profile.py --rows {arguments.rows}", kept)


if __name__ == "__main__":
    main()
