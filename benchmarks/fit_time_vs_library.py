"""Claim: a fit with focal loss takes about as long as one with the library's own loss.

Seconds of a whole fit with γ=2 over those of the library's own estimator, on the same table with the same
parameters: its defaults, and XGBoost's min_child_weight=0 so that trees are full (LightGBM's are, and its own
softmax of ten classes ends in an error without a min_child_weight). "+20%" in a case evaluates the last 20 %
of the rows in every round, as early stopping does. The two take turns in one process, the first of a turn
changes; medians, their ratio, and the range of the ratios over the turns. Leaves per tree are printed, as a
time is only comparable with as many. Writes results/fit_time_vs_library.json, case by case, each with its
threads and its machine.

    python benchmarks/fit_time_vs_library.py [--cases 1000000x30x2,1000000x30x2+20%,...] [--threads 2,16]
    [--turns 5]
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

import numpy as np
from _made_tables import made_table
from _report import MACHINE, earlier, revision, write
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

#: rows x features x classes
CASES = (
    "10000x30x2", "100000x30x2", "1000000x30x2", "1000000x30x2+20%", "100000x30x3", "1000000x30x3",
    "100000x30x10", "1000000x30x10",
)  # fmt: skip


def fit(library: str, is_focal: bool, case: str, table: Any, **common: Any) -> Any:
    """Return a fitted model."""
    X, y = table
    arguments: dict[str, Any] = {}
    if case.endswith("+20%"):
        n = len(y) // 5
        (X, X_stop), (y, y_stop) = ((array[:-n], array[-n:]) for array in (X, y))
        arguments = {"eval_X": X_stop, "eval_y": y_stop}
        if library == "xgboost":
            arguments = {"eval_set": [(X_stop, y_stop)]}
    if library == "lightgbm":
        lgb = FocalLGBMClassifier(focal_gamma=2.0) if is_focal else LGBMClassifier()
        # force_col_wise: or its own test of both ways adds noise
        return lgb.set_params(verbose=-1, force_col_wise=True, **common).fit(X, y, **arguments)
    xgb = FocalXGBClassifier(focal_gamma=2.0) if is_focal else XGBClassifier()
    return xgb.set_params(min_child_weight=0.0, **common).fit(X, y, verbose=False, **arguments)


def leaves_per_tree(model: Any) -> float:
    """Return the mean number of leaves."""
    if isinstance(model, LGBMClassifier):
        trees = model.booster_.dump_model()["tree_info"]
        return float(np.mean([tree["num_leaves"] for tree in trees]))
    dump = model.get_booster().get_dump()
    return sum(tree.count("leaf=") for tree in dump) / len(dump)


def measure(library: str, case: str, turns: int, rounds: int, threads: int) -> dict[str, Any]:
    """Return the row of a case."""
    table = made_table(*map(int, case.removesuffix("+20%").split("x")))
    seconds: dict[bool, list[float]] = {True: [], False: []}
    leaves: dict[bool, float] = {}
    for turn in range(turns + 1):
        for is_focal in (True, False) if turn % 2 else (False, True):
            started = time.perf_counter()
            model = fit(library, is_focal, case, table, n_estimators=rounds, n_jobs=threads)
            if turn:  # the first turn warms caches and threads up
                seconds[is_focal].append(time.perf_counter() - started)
            else:
                leaves[is_focal] = round(leaves_per_tree(model), 1)
    ratios = np.divide(seconds[True], seconds[False])
    ours, own = (float(np.median(seconds[is_focal])) for is_focal in (True, False))
    return {
        "library": library, "case": case, "threads": threads, "loss": "γ=2", "seconds": round(ours, 3),
        "library seconds": round(own, 3), "ratio": round(ours / own, 3),
        "ratio, lowest": round(float(ratios.min()), 3), "ratio, highest": round(float(ratios.max()), 3),
        "leaves": leaves[True], "library leaves": leaves[False], "turns": turns, "rounds": rounds,
        "machine": MACHINE, "revision": revision(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--libraries", default="xgboost,lightgbm")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", default="2", help="one or more numbers, by commas")
    arguments = parser.parse_args()
    kept = earlier("fit_time_vs_library")
    print(f"{'library':<10}{'rows x features x classes':<27}threads       s     own  ratio  [range]  leaves")
    chosen = itertools.product(
        arguments.cases.split(","), map(int, arguments.threads.split(",")), arguments.libraries.split(",")
    )
    for case, threads, library in chosen:
        row = measure(library, case, arguments.turns, arguments.rounds, threads)
        key = library, case, threads
        kept = [one for one in kept if (one["library"], one["case"], one["threads"]) != key] + [row]
        print(
            f"{library:<10}{case:<27}{threads:<8}{row['seconds']:7.2f}{row['library seconds']:8.2f}"
            f"{row['ratio']:7.3f}  [{row['ratio, lowest']:.2f}, {row['ratio, highest']:.2f}]"
            f"  {row['leaves']} / {row['library leaves']}",
            flush=True,
        )
        write("fit_time_vs_library", "fit_time_vs_library.py", kept)


if __name__ == "__main__":
    main()
