"""Claim: a fit with focal loss takes about as long as one with the library's own loss.

Seconds of a whole fit, γ=0 and γ=2, over those of the library's estimator on the same table with the same
parameters: its defaults, and XGBoost's min_child_weight=0 so that trees are full (LightGBM's are, and its
own softmax of ten classes ends in an error without a min_child_weight). The three take turns in one
process, in an order that changes; medians, their ratio, that of the least times, which other guests of a
machine disturb least, and the range of the ratios over the turns. γ=0 grows the library's own trees; leaves a
tree are printed, as a time is only comparable with as many. Writes results/fit_time_vs_library.json, case by
case, each with its threads and its machine.

    python benchmarks/fit_time_vs_library.py [--cases 1000000x30x2,...] [--threads 2,16] [--turns 5]
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _made_tables import made_table
from _report import MACHINE, earlier, write
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

#: rows x features x classes
CASES = (
    "10000x30x2", "100000x30x2", "1000000x10x2", "1000000x30x2", "1000000x100x2", "5000000x30x2",
    "10000x30x3", "100000x30x3", "1000000x30x3", "10000x30x10", "100000x30x10", "1000000x30x10",
)  # fmt: skip


def contestants(library: str, rounds: int, threads: int) -> dict[str, Callable[[], Any]]:
    """Return what makes the estimators, by name."""
    common = {"n_estimators": rounds, "n_jobs": threads}
    if library == "lightgbm":
        common.update(verbose=-1, force_col_wise=True)  # or its own test of both ways adds noise
    else:
        common["min_child_weight"] = 0.0
    own, focal = {
        "xgboost": (XGBClassifier, FocalXGBClassifier),
        "lightgbm": (LGBMClassifier, FocalLGBMClassifier),
    }[library]
    return {
        "own loss": lambda: own(**common),
        "γ=0": lambda: focal(focal_gamma=0.0, **common),
        "γ=2": lambda: focal(focal_gamma=2.0, **common),
    }


def leaves_a_tree(model: Any) -> float:
    """Return the mean number of leaves."""
    if isinstance(model, LGBMClassifier):
        trees = model.booster_.dump_model()["tree_info"]
        return float(np.mean([tree["num_leaves"] for tree in trees]))
    dump = model.get_booster().get_dump()
    return sum(tree.count("leaf=") for tree in dump) / len(dump)


def measure(library: str, case: str, turns: int, rounds: int, threads: int) -> list[dict[str, Any]]:
    """Return a row for each focal contestant."""
    X, y = made_table(*map(int, case.split("x")))
    makers = contestants(library, rounds, threads)
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    leaves: dict[str, float] = {}
    for turn in range(turns + 1):
        order = list(makers)
        for name in order[turn % 3 :] + order[: turn % 3]:
            model = makers[name]()
            started = time.perf_counter()
            model.fit(X, y)
            if turn:  # the first turn warms caches and threads up
                seconds[name].append(time.perf_counter() - started)
            else:
                leaves[name] = round(leaves_a_tree(model), 1)
    rows = []
    for name in ("γ=0", "γ=2"):
        ratios = np.divide(seconds[name], seconds["own loss"])
        rows.append(
            {
                "library": library,
                "case": case,
                "threads": threads,
                "loss": name,
                "seconds": round(float(np.median(seconds[name])), 3),
                "library seconds": round(float(np.median(seconds["own loss"])), 3),
                "ratio": round(float(np.median(seconds[name]) / np.median(seconds["own loss"])), 3),
                "ratio of least": round(float(min(seconds[name]) / min(seconds["own loss"])), 3),
                "ratio, lowest": round(float(ratios.min()), 3),
                "ratio, highest": round(float(ratios.max()), 3),
                "leaves": leaves[name],
                "library leaves": leaves["own loss"],
                "turns": turns,
                "rounds": rounds,
                "machine": MACHINE,
            }
        )
    return rows


def growth(rows: list[dict[str, Any]], library: str, loss: str, threads: int) -> float:
    """Return the power of the rows with which the time of a fit of two classes grows, from 10^5 x 30 on."""
    points = [
        (int(row["case"].split("x")[0]), row["seconds"] / row.get("rounds", 100))
        for row in rows
        if (row["library"], row["loss"], row["threads"]) == (library, loss, threads)
        and row["case"].endswith("00000x30x2")
    ]
    if len(points) < 2:
        return float("nan")
    n_rows, seconds = np.log(points).T
    return round(float(np.polyfit(n_rows, seconds, 1)[0]), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--libraries", default="xgboost,lightgbm")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", default="2", help="one or more numbers, by commas")
    arguments = parser.parse_args()
    kept = earlier("fit_time_vs_library")
    print(
        f"{'library':<10}{'rows x features x classes':<27}{'threads':<9}{'loss':<6}"
        f"{'s':>8}{'own':>8}{'ratio':>7}{'least':>7}  [range]   leaves"
    )
    chosen = itertools.product(
        arguments.cases.split(","), map(int, arguments.threads.split(",")), arguments.libraries.split(",")
    )
    for case, threads, library in chosen:
        rows = measure(library, case, arguments.turns, arguments.rounds, threads)
        key = library, case, threads
        kept = [row for row in kept if (row["library"], row["case"], row["threads"]) != key] + rows
        for row in rows:
            print(
                f"{library:<10}{case:<27}{threads:<9}{row['loss']:<6}"
                f"{row['seconds']:8.2f}{row['library seconds']:8.2f}"
                f"{row['ratio']:7.3f}{row['ratio of least']:7.3f}"
                f"  [{row['ratio, lowest']:.2f}, {row['ratio, highest']:.2f}]"
                f"   {row['leaves']} / {row['library leaves']}",
                flush=True,
            )
        write("fit_time_vs_library", "fit_time_vs_library.py", kept)
    for library, threads in itertools.product(arguments.libraries.split(","), arguments.threads.split(",")):
        powers = {loss: growth(kept, library, loss, int(threads)) for loss in ("γ=0", "γ=2")}
        print(f"{library}, {threads} threads: the time of two classes grows as rows to the power {powers}")


if __name__ == "__main__":
    main()
