"""Claim: the last fit of FocalSearchCV should train the median of the folds' rounds, not more.

Half of each binary table is searched, the other half judges: log loss of models fitted to the first half
with rounds by several rules, over that of the mean of the folds' rounds. "× rows" multiplies by the rows of
the last fit over those that a fold trained on. Writes results/last_fit.json.

    FOCAL_GBM_DATA=folder/of/csv OMP_NUM_THREADS=1 python benchmarks/last_fit.py [--repeats 5] [--folds 5]
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from _report import write
from _tables import tables_of
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from focal_gbm import FocalLGBMClassifier, FocalSearchCV, FocalXGBClassifier

GRID = {"focal_gamma": [0.0, 1.0, 2.0]}

#: Of a larger table a sample: rounds matter where rows are few.
LARGEST = 12_000


def rules(folds: np.ndarray, share: float) -> dict[str, float]:
    """Return the rounds by rule, from those of the folds and the share of rows that these trained on."""
    mean, median = folds.mean(), np.median(folds)
    return {
        "mean": mean, "mean × rows": mean / share, "median": median, "median × rows": median / share,
        "maximum": folds.max(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    arguments = parser.parse_args()
    common = {"n_estimators": 1000, "learning_rate": 0.1, "random_state": 0, "n_jobs": 1}
    models = {
        "xgboost": FocalXGBClassifier(**common, enable_categorical=True),
        "lightgbm": FocalLGBMClassifier(**common, verbose=-1),
    }
    rows = []
    for table, (X, y) in tables_of("binary").items():
        if len(y) > LARGEST:
            sample = np.random.default_rng(0).choice(len(y), LARGEST, replace=False)
            X, y = X.iloc[sample], y[sample]
        for seed in range(arguments.repeats):
            X_fit, X_new, y_fit, y_new = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
            for library, model in models.items():
                search = FocalSearchCV(
                    model, GRID, scoring="neg_log_loss", cv=arguments.folds, random_state=seed, refit=False
                ).fit(X_fit, y_fit)
                results, best = search.cv_results_, search.best_index_
                folds = np.array([results[f"split{i}_n_rounds"][best] for i in range(arguments.folds)])
                share = (1 - 1 / arguments.folds) * (1 - search.validation_fraction)
                for rule, n_rounds in rules(folds, share).items():
                    last = clone(model).set_params(**search.best_params_, n_estimators=round(float(n_rounds)))
                    posterior = last.fit(X_fit, y_fit).predict_proba(X_new)[:, 1].astype(np.float64)
                    rows.append(
                        {
                            "table": table,
                            "library": library,
                            "rule": rule,
                            "rounds": n_rounds,
                            "log loss": log_loss(y_new, posterior),
                        }
                    )
        print(f"{table}: done", flush=True)
    mean = pd.DataFrame(rows).groupby(["table", "library", "rule"], sort=False).mean().reset_index()
    wide = mean.pivot(index=["table", "library"], columns="rule", values="log loss")
    ratio = wide.div(wide["mean"], axis=0)
    ratio.loc[("geometric mean", ""), :] = np.exp(np.log(ratio).mean())
    print(ratio.round(4).to_string())
    command = f"last_fit.py --repeats {arguments.repeats} --folds {arguments.folds}"
    write("last_fit", command, ratio.round(4).reset_index().to_dict("records"))


if __name__ == "__main__":
    main()
