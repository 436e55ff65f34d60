"""Claim: a grid that stops early takes a fraction of the time of 500 fixed rounds, with as good a winner.

γ × depth, 8 candidates, 3 folds, 3 % positives, one search after the other with the same folds and threads.
Prints for each search its seconds of wall clock and processor, the rounds that an average fit trains (those
after the best one and those of the last fit included), the winner, and its log loss on rows that no
search saw. Writes results/early_stopping.json.

    OMP_NUM_THREADS=2 python benchmarks/early_stopping.py [--rows 50000] [--threads 2] [--libraries xgboost]
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd
from _made_tables import made_table
from _report import write
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier
from focal_gbm.early_stopping import EarlyStoppingClassifier

FIXED, PATIENCE = 500, 30
GRID = {"focal_gamma": [0.0, 0.5, 1.0, 2.0], "max_depth": [3, 6]}


def rounds_trained(model: Any, X: Any, y: Any) -> int:
    """Return the rounds of a fit, as a scorer of GridSearchCV."""
    if not isinstance(model, EarlyStoppingClassifier):
        return FIXED
    return min(model.n_rounds_ + PATIENCE, FIXED) + model.n_rounds_


def searches(library: str, threads: int) -> dict[str, GridSearchCV]:
    """Return the searches by name."""
    common = {"n_estimators": FIXED, "learning_rate": 0.1, "n_jobs": threads}
    models = {"xgboost": FocalXGBClassifier(**common), "lightgbm": FocalLGBMClassifier(**common, verbose=-1)}
    early = EarlyStoppingClassifier(models[library], rounds=PATIENCE, random_state=0)
    how = {
        "scoring": {"log loss": "neg_log_loss", "rounds": rounds_trained},
        "refit": "log loss",
        "cv": StratifiedKFold(3, shuffle=True, random_state=0),
    }
    return {
        f"{FIXED} rounds": GridSearchCV(models[library], GRID, **how),
        "early stopping": GridSearchCV(early, {f"estimator__{name}": GRID[name] for name in GRID}, **how),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="rows to search on, and as many new ones")
    parser.add_argument("--threads", type=int, default=2, help="n_jobs of the estimators")
    parser.add_argument("--libraries", default="xgboost,lightgbm")
    arguments = parser.parse_args()
    X, y = made_table(2 * arguments.rows, 20, 2)
    seen, new = slice(arguments.rows), slice(arguments.rows, None)
    rows = []
    for library in arguments.libraries.split(","):
        for name, search in searches(library, arguments.threads).items():
            wall, processor = time.perf_counter(), time.process_time()
            search.fit(X[seen], y[seen])
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            probability = search.predict_proba(X[new])[:, 1].astype(np.float64)
            rows.append(
                {
                    "library": library,
                    "search": name,
                    "seconds": round(wall, 1),
                    "processor seconds": round(processor, 1),
                    "rounds a fit": round(search.cv_results_["mean_test_rounds"].mean()),
                    "winner": str({k.split("__")[-1]: v for k, v in search.best_params_.items()}),
                    "rounds of the winner": getattr(search.best_estimator_, "n_rounds_", FIXED),
                    "log loss on new rows": round(log_loss(y[new], probability), 5),
                }
            )
    table = pd.DataFrame(rows)
    for column in ("seconds", "processor seconds"):
        fixed = table.groupby("library")[column].transform("first")
        table[f"{column}, fixed over these"] = (fixed / table[column]).round(2)
    print(f"{arguments.rows} rows, {y[seen].mean():.1%} positives, {arguments.threads} threads\n")
    print(table.T.to_string())
    command = f"early_stopping.py --rows {arguments.rows} --threads {arguments.threads}"
    write("early_stopping", command, table.to_dict("records"))


if __name__ == "__main__":
    main()
