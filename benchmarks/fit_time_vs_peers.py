"""Claim: a whole fit is faster than with any published focal loss, at equal rounds and leaves.

Seconds of a fit with γ=2, the same parameters for all: ours (the estimator) against the objectives of the
published packages in the library's native training function, started where ours starts, so that trees are as
large; and CatBoost's built-in Focal with trees of as many leaves. They take turns in one process; medians,
and the ratio's range over the turns. What is not installed is skipped with its reason (_peers.py; CatBoost:
pip install catboost). Writes results/fit_time_vs_peers.json.

    python benchmarks/fit_time_vs_peers.py [--rows 300000] [--features 30] [--turns 3]
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost
from _made_tables import made_table
from _peers import Derivatives, peers
from _report import write

from focal_gbm import BinaryFocalLoss, FocalLGBMClassifier, FocalXGBClassifier

GAMMA, ROUNDS, THREADS = 2.0, 100, 2
#: Trees of at most 64 leaves for XGBoost and CatBoost, 31 for LightGBM: the first two grow by depth.
DEPTH = 6


def with_xgboost(peer: Derivatives, X: np.ndarray, y: np.ndarray, start: float) -> Any:
    """Return a booster trained as the peer's page shows it."""
    data = xgboost.QuantileDMatrix(X, y, base_margin=np.full(len(y), start))
    params = {"max_depth": DEPTH, "nthread": THREADS, "min_child_weight": 0, "objective": "binary:logistic"}
    return xgboost.train(
        params, data, ROUNDS, obj=lambda z, d: peer(d.get_label().astype(np.float64), z, GAMMA)
    )


def with_lightgbm(peer: Derivatives, X: np.ndarray, y: np.ndarray, start: float) -> Any:
    data = lightgbm.Dataset(X, y, init_score=np.full(len(y), start))
    params = {
        "num_threads": THREADS, "min_sum_hessian_in_leaf": 0, "verbose": -1, "force_col_wise": True,
        "objective": lambda z, d: peer(d.get_label().astype(np.float64), z, GAMMA),
    }  # fmt: skip
    return lightgbm.train(params, data, ROUNDS)


def leaves_a_tree(model: Any) -> float:
    if isinstance(model, FocalXGBClassifier):
        model = model.get_booster()
    if isinstance(model, xgboost.Booster):
        dump = model.get_dump()
        return sum(tree.count("leaf=") for tree in dump) / len(dump)
    if isinstance(model, FocalLGBMClassifier):
        model = model.booster_
    if isinstance(model, lightgbm.Booster):
        # the text, as the JSON of a model with NaN in a leaf, which some peers train, cannot be read
        return float(np.mean([int(n) for n in re.findall(r"\nnum_leaves=(\d+)", model.model_to_string())]))
    return float(np.mean(model.get_tree_leaf_counts()))


def contestants(X: np.ndarray, y: np.ndarray) -> tuple[dict[tuple[str, str], Callable], dict[str, str]]:
    """Return what fits, by (library, name), and what is skipped."""
    common = {"n_estimators": ROUNDS, "n_jobs": THREADS, "focal_gamma": GAMMA, "min_child_weight": 0}
    start = BinaryFocalLoss(GAMMA).fit_intercept_only(y)
    fits: dict[tuple[str, str], Callable[[], Any]] = {
        ("xgboost", "focal_gbm"): lambda: FocalXGBClassifier(**common, max_depth=DEPTH).fit(X, y),
        ("lightgbm", "focal_gbm"): lambda: FocalLGBMClassifier(**common, verbose=-1, force_col_wise=True).fit(
            X, y
        ),
    }
    found, skipped = peers()
    for name, peer in found.items():
        fits["xgboost", name] = lambda peer=peer: with_xgboost(peer, X, y, start)
        fits["lightgbm", name] = lambda peer=peer: with_lightgbm(peer, X, y, start)
    try:
        from catboost import CatBoostClassifier
    except ImportError as error:
        skipped["CatBoost"] = str(error)
    else:
        options = {"iterations": ROUNDS, "depth": DEPTH, "thread_count": THREADS, "verbose": False}
        fits["catboost", "CatBoost's Focal"] = lambda: CatBoostClassifier(
            **options, loss_function=f"Focal:focal_alpha=0.5;focal_gamma={GAMMA}", allow_writing_files=False
        ).fit(X, y)
    return fits, skipped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    X, y = made_table(arguments.rows, arguments.features, 2)
    fits, skipped = contestants(X, y)
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in fits}
    leaves: dict[tuple[str, str], float] = {}
    order = list(fits)
    for turn in range(arguments.turns):
        for key in order[turn % len(order) :] + order[: turn % len(order)]:
            if key not in seconds:
                continue
            started = time.perf_counter()
            try:
                model = fits[key]()
            except Exception as error:  # Hessians that a library cannot work with, for example
                skipped[" ".join(key)] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
                del seconds[key]
                continue
            seconds[key].append(time.perf_counter() - started)
            leaves[key] = round(leaves_a_tree(model), 1)
    rows = []
    print(f"{'library':<10}{'loss':<20}{'s':>8}  over ours  [range]   leaves")
    for (library, name), values in seconds.items():
        ours = seconds["xgboost" if library == "catboost" else library, "focal_gbm"]
        ratios = np.divide(values, ours)
        row = {
            "library": library,
            "loss": name,
            "seconds": round(float(np.median(values)), 2),
            "over ours": round(float(np.median(values) / np.median(ours)), 2),
            "lowest": round(float(ratios.min()), 2),
            "highest": round(float(ratios.max()), 2),
            "leaves": leaves[library, name],
        }
        rows.append(row)
        print(
            f"{library:<10}{name:<20}{row['seconds']:8.2f}{row['over ours']:11.2f}"
            f"  [{row['lowest']:.2f}, {row['highest']:.2f}]   {row['leaves']}"
        )
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}")
    rows += [{"loss": name, "skipped": reason} for name, reason in skipped.items()]
    write("fit_time_vs_peers", f"fit_time_vs_peers.py --rows {arguments.rows}", rows)


if __name__ == "__main__":
    main()
