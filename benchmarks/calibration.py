"""Claim: the closed-form posterior is as good as Platt's and isotonic calibration, and needs no rows for it.

Johnston et al. 2025 (Electronics 14(9):1838) measured it for focal loss on gradient boosting; here on real
tables, both libraries, γ = 1 and 2, 5-fold cross-validation twice. "raw score" is σ(z), "closed form" is
`predict_proba`: nothing is fitted. Platt and isotonic learn from the raw scores of rows with labels: once of
a quarter of the rows to train on, which the model then does not train on ("held out"), once of the rows it
stops on ("reused"). "own loss" is the library's log loss. Prints means over the tables and writes
results/calibration.json.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/calibration.py [--minutes 3] [--report]
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from _report import write
from _study_tables import load, table_names
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import train_test_split

from focal_gbm.compare import Contestant, Parts, Settings, Split, Table, splits
from focal_gbm.compare.scores import calibration_error

FOLDS, REPEATS = 5, 2
WORK = Path(__file__).parent.parent / "build" / "calibration"
GAMMAS = (1.0, 2.0)

#: An isotonic map says 0 and 1, and is then wrong with certainty: its log loss is what this bound makes it.
LEAST_PROBABILITY = 1e-4


def run_split(table: Table, number: int, split: Split) -> pd.DataFrame:
    """Return one row a (library, γ, method)."""
    settings = Settings(seed=number)
    X, y = table.X, table.y
    new = X.iloc[split.test], y[split.test]
    everything = Parts(X.iloc[split.fit], y[split.fit], X.iloc[split.stop], y[split.stop])
    fewer, held_out = train_test_split(split.fit, test_size=0.25, stratify=y[split.fit], random_state=number)
    reduced = Parts(X.iloc[fewer], y[fewer], X.iloc[split.stop], y[split.stop])
    rows = []
    for library in ("xgboost", "lightgbm"):
        own = Contestant(library, "log_loss").fit(everything, settings).model
        rows.append(measured(table, number, library, 0.0, "own loss", own, *new))
        for gamma in GAMMAS:
            focal = Contestant(library, "focal", gamma=gamma)
            model = focal.fit(everything, settings).model
            rows.append(measured(table, number, library, gamma, "closed form", model, *new))
            model.set_params(probability="score")
            rows.append(measured(table, number, library, gamma, "raw score", model, *new))
            small = focal.fit(reduced, settings).model.set_params(probability="score")
            for method, name in (("sigmoid", "Platt"), ("isotonic", "isotonic")):
                for how, base, labelled in (("held out", small, held_out), ("reused", model, split.stop)):
                    map_ = CalibratedClassifierCV(FrozenEstimator(base), method=method, cv=2)
                    map_.fit(X.iloc[labelled], y[labelled])
                    rows.append(measured(table, number, library, gamma, f"{name}, {how}", map_, *new))
    return pd.DataFrame(rows)


def measured(table: Table, number: int, library: str, gamma: float, method: str, model, X, y) -> dict:
    proba = np.asarray(model.predict_proba(X)[:, 1], dtype=np.float64)
    bounded = np.clip(proba, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return {
        "table": table.name, "split": number, "library": library, "γ": gamma, "method": method,
        "log loss": log_loss(y, bounded), "Brier score": brier_score_loss(y, proba),
        "calibration error": calibration_error(y == 1, proba),
    }  # fmt: skip


def work(names: list[str], minutes: float):
    """Yield the splits without a result, until the time is over."""
    started = time.monotonic()
    for name in names:
        missing = [number for number in range(FOLDS * REPEATS) if not _path(name, number).exists()]
        table = load(table_names()[name], FOLDS) if missing else None
        for number, split in enumerate(splits(table.y, FOLDS, REPEATS) if table else ()):
            if time.monotonic() - started > 60 * minutes:
                return
            if number in missing:
                yield name, table, number, split


def run_and_keep(name: str, table: Table, number: int, split: Split) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        run_split(table, number, split).assign(table=name).to_csv(_path(name, number), index=False)
    return f"{name}, split {number}"


def _path(name: str, number: int) -> Path:
    return WORK / f"{name}-{number}.csv"


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Return, per (library, γ, method), each score over the own loss's: the geometric mean of the tables."""
    scores = ["log loss", "Brier score", "calibration error"]
    mean = results.groupby(["library", "γ", "method", "table"], sort=False)[scores].mean()
    rows = []
    for (library, gamma, method), part in mean.groupby(["library", "γ", "method"], sort=False):
        own = mean.loc[(library, 0.0, "own loss")]
        ratios = np.exp(np.log(part.droplevel([0, 1, 2]) / own).mean())
        rows.append({"library": library, "γ": gamma, "method": method, **ratios.to_dict()})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no more work after")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="write what is there, complete tables only")
    arguments = parser.parse_args()
    names = list(table_names())
    WORK.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        parallel = joblib.Parallel(
            arguments.jobs, return_as="generator_unordered", pre_dispatch=arguments.jobs
        )
        for done in parallel(joblib.delayed(run_and_keep)(*unit) for unit in work(names, arguments.minutes)):
            print(done, flush=True)
    complete = [name for name in names if all(_path(name, i).exists() for i in range(FOLDS * REPEATS))]
    if len(complete) < len(names) and not arguments.report:
        print(f"not complete yet: {', '.join(set(names) - set(complete))}")
        return
    files = [_path(name, i) for name in complete for i in range(FOLDS * REPEATS)]
    results = pd.concat(map(pd.read_csv, files), ignore_index=True)
    table = summarise(results)
    print(f"{len(complete)} tables, over the own loss, geometric means\n")
    print(table.round(3).to_string(index=False))
    by_table = results.groupby(["table", "library", "γ", "method"], sort=False).mean(numeric_only=True)
    rows = [
        *table.assign(table="geometric mean over own loss").round(4).to_dict("records"),
        *by_table.drop(columns="split").round(5).reset_index().to_dict("records"),
    ]
    write("calibration", "calibration.py", rows)


if __name__ == "__main__":
    main()
