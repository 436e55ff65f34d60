"""Claim: predict_proba takes as long as the library's, the link does not show.

Seconds of predict_proba over the library's with as many trees of as many leaves, on one row and on many;
γ=0 has the library's own trees, those of γ=2 are other trees, and deeper ones take longer. They take turns in
one process, the order changes; medians. The link from scores to probabilities is timed alone, too. Writes
results/predict_time.json.

    python benchmarks/predict_time.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from _made_tables import made_table
from _report import write
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

COMMON: dict[str, Any] = {"n_estimators": 100, "n_jobs": 2}


def models(library: str, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    if library == "xgboost":
        own, focal, options = XGBClassifier, FocalXGBClassifier, COMMON
    else:
        own, focal, options = LGBMClassifier, FocalLGBMClassifier, {"verbose": -1, **COMMON}
    makers = {
        "own loss": own(**options),
        "γ=0": focal(focal_gamma=0.0, **options),
        "γ=2": focal(focal_gamma=2.0, **options),
    }
    return {name: model.fit(X, y) for name, model in makers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    rows = []
    print(
        f"{'library':<10}{'classes':>8}{'rows':>10}{'own s':>11}  {'γ=0':<22}{'γ=2':<22}"
        "the link alone, of the library's time"
    )
    for n_classes in (2, 5):
        X, y = made_table(arguments.rows, 30, n_classes)
        for library in ("xgboost", "lightgbm"):
            fitted = models(library, X[:50_000], y[:50_000])
            for n, turns in ((1, 400), (arguments.rows, 7 if n_classes == 2 else 3)):
                scores = fitted["γ=2"].decision_function(X[:n])
                link = fitted["γ=2"]._focal_state.link("posterior")
                calls: dict[str, Callable[[], Any]] = {
                    **{name: partial(model.predict_proba, X[:n]) for name, model in fitted.items()},
                    "link": partial(link.probabilities, scores),
                }
                seconds: dict[str, list[float]] = {name: [] for name in calls}
                for turn in range(turns + 1):
                    order = list(calls)
                    for name in order[turn % len(order) :] + order[: turn % len(order)]:
                        started = time.perf_counter()
                        calls[name]()
                        if turn:
                            seconds[name].append(time.perf_counter() - started)
                own = float(np.median(seconds["own loss"]))
                row: dict[str, Any] = {
                    "library": library, "classes": n_classes, "rows": n, "library seconds": round(own, 6),
                    "link seconds": round(float(np.median(seconds["link"])), 6),
                }  # fmt: skip
                cells = []
                for name in ("γ=0", "γ=2"):
                    ratio = float(np.median(seconds[name])) / own
                    low, high = np.percentile(np.divide(seconds[name], seconds["own loss"]), [10, 90])
                    row |= {
                        name: round(ratio, 3),
                        f"{name}, p10": round(float(low), 3),
                        f"{name}, p90": round(float(high), 3),
                    }
                    cells.append(f"{ratio:.3f} [{low:.2f}, {high:.2f}]")
                rows.append(row)
                print(
                    f"{library:<10}{n_classes:>8}{n:>10}{own:11.6f}  {cells[0]:<22}{cells[1]:<22}"
                    f"{row['link seconds'] / own:.3f}",
                    flush=True,
                )
    write("predict_time", f"predict_time.py --rows {arguments.rows}", rows)


if __name__ == "__main__":
    main()
