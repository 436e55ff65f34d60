"""Claim: predict_proba takes as long as the host's, the link does not show.

Seconds of predict_proba over the host's with as many trees of as many leaves, on one row and on many; the two
take turns in one process, the order changes. Medians. Writes results/predict_time.json.

    python benchmarks/predict_time.py [--rows 1000000]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from _made_tables import made_table
from _report import write
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

COMMON: dict[str, Any] = {"n_estimators": 100, "n_jobs": 2}


def models(host: str, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    if host == "xgboost":
        pair = {"host": XGBClassifier(**COMMON), "γ=2": FocalXGBClassifier(focal_gamma=2.0, **COMMON)}
    else:
        pair = {
            "host": LGBMClassifier(verbose=-1, **COMMON),
            "γ=2": FocalLGBMClassifier(focal_gamma=2.0, verbose=-1, **COMMON),
        }
    return {name: model.fit(X, y) for name, model in pair.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    rows = []
    print(f"{'host':<10}{'classes':>8}{'rows':>10}{'host s':>12}{'γ=2 s':>12}{'ratio':>8}  [range]")
    for n_classes in (2, 5):
        X, y = made_table(arguments.rows, 30, n_classes)
        for host in ("xgboost", "lightgbm"):
            pair = models(host, X[:50_000], y[:50_000])
            for n, turns in ((1, 400), (arguments.rows, 7 if n_classes == 2 else 3)):
                seconds: dict[str, list[float]] = {name: [] for name in pair}
                for turn in range(turns + 1):
                    for name in sorted(pair, reverse=bool(turn % 2)):
                        started = time.perf_counter()
                        pair[name].predict_proba(X[:n])
                        if turn:
                            seconds[name].append(time.perf_counter() - started)
                own, focal = (float(np.median(seconds[name])) for name in ("host", "γ=2"))
                ratios = np.divide(seconds["γ=2"], seconds["host"])
                low, high = np.percentile(ratios, [10, 90])
                rows.append(
                    {
                        "host": host, "classes": n_classes, "rows": n, "host seconds": round(own, 6),
                        "seconds": round(focal, 6), "ratio": round(focal / own, 3),
                        "p10": round(float(low), 3), "p90": round(float(high), 3),
                    }
                )  # fmt: skip
                print(
                    f"{host:<10}{n_classes:>8}{n:>10}{own:12.6f}{focal:12.6f}{focal / own:8.3f}"
                    f"  [{low:.2f}, {high:.2f}]",
                    flush=True,
                )
    write("predict_time", f"predict_time.py --rows {arguments.rows}", rows)


if __name__ == "__main__":
    main()
