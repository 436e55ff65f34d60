"""Claim: FocalSearchCV finds GridSearchCV's winner in a fraction of the time.

100,000 rows, 3 % positives, γ × α of 8 points, 3 folds. GridSearchCV trains the number of rounds that is
FocalSearchCV's upper bound; both use the same splits and threads, one fit after the other. In between,
FocalSearchCV without early stopping: its scores are GridSearchCV's to the last bit, and its time shows what
binning once is worth. Prints seconds of wall clock and of processor, the winners, and the log loss of their
last fits on 50,000 other rows. Writes results/search.json.

    OMP_NUM_THREADS=2 python benchmarks/search.py [--threads 2] [--libraries xgboost,lightgbm]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from _report import write
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from focal_gbm import FocalLGBMClassifier, FocalSearchCV, FocalXGBClassifier

ROWS, NEW_ROWS = 100_000, 50_000
GRID = {"focal_gamma": [0.0, 0.5, 1.0, 2.0], "focal_alpha": [None, "balanced"]}
ROUNDS = 400


def contestants(library: str, threads: int) -> dict[str, GridSearchCV]:
    """Return the searches by name."""
    common = {"n_estimators": ROUNDS, "learning_rate": 0.1, "n_jobs": threads}
    models = {"xgboost": FocalXGBClassifier(**common), "lightgbm": FocalLGBMClassifier(**common, verbose=-1)}
    how = {"scoring": "neg_log_loss", "cv": StratifiedKFold(3, shuffle=True, random_state=0)}
    return {
        "GridSearchCV": GridSearchCV(models[library], GRID, **how),
        "FocalSearchCV, no early stopping": FocalSearchCV(
            models[library], GRID, early_stopping_rounds=None, **how
        ),
        "FocalSearchCV": FocalSearchCV(models[library], GRID, random_state=0, **how),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="n_jobs of the estimators")
    parser.add_argument("--libraries", default="xgboost,lightgbm")
    arguments = parser.parse_args()
    X, y = make_classification(
        ROWS + NEW_ROWS, n_features=20, n_informative=10, n_clusters_per_class=4, weights=[0.98],
        flip_y=0.02, class_sep=0.8, random_state=0,
    )  # fmt: skip
    X = X.astype(np.float32)
    train, new = slice(ROWS), slice(ROWS, None)
    rows = []
    for library in arguments.libraries.split(","):
        for name, search in contestants(library, arguments.threads).items():
            wall, processor = time.perf_counter(), time.process_time()
            search.fit(X[train], y[train])
            rows.append(
                {
                    "library": library,
                    "search": name,
                    "seconds": round(time.perf_counter() - wall, 1),
                    "processor seconds": round(time.process_time() - processor, 1),
                    "winner": str(search.best_params_),
                    "rounds": search.best_estimator_.n_estimators,
                    "best score": round(search.best_score_, 5),
                    "log loss on new rows": round(log_loss(y[new], _posterior(search, X[new])), 5),
                    "ranking": search.cv_results_["rank_test_score"].tolist(),
                }
            )
    table = pd.DataFrame(rows)
    for column in ("seconds", "processor seconds"):
        first = table.groupby("library")[column].transform("first")
        table[f"{column}, GridSearchCV's over these"] = (first / table[column]).round(2)
    pd.set_option("display.width", 250, "display.max_columns", 20, "display.max_colwidth", 60)
    print(
        f"{ROWS} rows, {y[train].mean():.1%} positives, {arguments.threads} threads\n\n{table.T.to_string()}"
    )
    write("search", f"search.py --threads {arguments.threads}", table.to_dict("records"))


def _posterior(search: GridSearchCV, X: np.ndarray) -> np.ndarray:
    return search.predict_proba(X)[:, 1].astype(np.float64)


if __name__ == "__main__":
    main()
