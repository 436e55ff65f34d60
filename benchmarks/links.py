"""Is the logit link as good as the focal link? Log loss and average precision on real tables.

Every table of a folder of CSV files (the last column is the target), both libraries, γ of 0.5, 1 and 2,
repeated stratified folds, early stopping on the log loss of rows held out of the training part. Quotients are
of log losses, in geometric mean over folds: logit over focal link, and both over the library's own log loss;
their error is the standard error over folds. The logit link has the "floored" Hessian and its scale of 1+γ,
with which it weights confident rows as the log loss does. Beside it "expected Hessian" has the Fisher
information, and "scale at the start" the scale that makes the Hessian at the start that of the log loss, as
the focal link has.

    python benchmarks/links.py --data FOLDER --repeats 3
    python benchmarks/links.py --data FOLDER --repeats 12 --only hypothyroid_mc
    python benchmarks/links.py --data FOLDER --repeats 8 --only forest_cover_adbench
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _tables import as_categories
from lightgbm import early_stopping
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import StratifiedKFold, train_test_split

from focal_gbm import ClassCounts, FocalLGBMClassifier, FocalXGBClassifier

GAMMAS = (0.5, 1.0, 2.0)

#: Rows that a class must have, to be in every part of the folds; rarer ones are left out.
LEAST_ROWS = 20

RESULTS = Path(__file__).parent / "results" / "links.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder of CSV files, the target last")
    parser.add_argument("--only", help="the name of one table; results go into a file of its own")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--largest", type=int, default=8000, help="a larger table is sampled")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=1e9, help="no repeat is begun after that")
    arguments = parser.parse_args()
    tables = read(Path(arguments.data), arguments.largest)
    tables = {name: table for name, table in tables.items() if arguments.only in (None, name)}
    fits: list[dict[str, Any]] = []
    end = time.monotonic() + 60 * arguments.minutes
    for repeat in range(arguments.repeats):
        for name, (X, y) in tables.items():
            folds = StratifiedKFold(arguments.folds, shuffle=True, random_state=repeat)
            for fold, (train, test) in enumerate(folds.split(X, y)):
                if time.monotonic() > end:
                    break
                fits += fits_of(name, X, y, train, test, repeat, fold, arguments.rounds)
            write(fits, arguments)
    print(results_of(arguments).read_text(encoding="utf-8"))


def results_of(arguments: argparse.Namespace) -> Path:
    return RESULTS.with_stem(f"links_{arguments.only}") if arguments.only else RESULTS


def read(folder: Path, largest: int) -> dict[str, tuple[pd.DataFrame, Any]]:
    """Return {name: (X, y)}, the smallest table first; of many classes also the rarest against the rest."""
    tables = {}
    for path in sorted(folder.glob("*.csv*"), key=lambda path: path.stat().st_size):
        if path.name == "MANIFEST.csv":
            continue
        frame = pd.read_csv(path).dropna(axis="columns", how="all")
        frame = frame.sample(min(len(frame), largest), random_state=0)
        counts = frame.iloc[:, -1].value_counts()
        frame = frame[frame.iloc[:, -1].isin(counts[counts >= LEAST_ROWS].index)]
        X, y = as_categories(frame.iloc[:, :-1]), np.unique(frame.iloc[:, -1], return_inverse=True)[1]
        name = path.name.split(".")[0]
        tables[name] = X, y
        if y.max() > 1:
            tables[f"{name} (rarest)"] = X, (y == np.bincount(y).argmin()).astype(int)
    return tables


def fits_of(
    name: str, X: Any, y: Any, train: Any, test: Any, repeat: int, fold: int, rounds: int
) -> list[dict[str, Any]]:
    fitted, stop = train_test_split(train, test_size=0.25, stratify=y[train], random_state=repeat)
    found = []
    contestants: list[tuple[str, float, dict[str, Any]]] = [("log loss", 0.0, {})]
    for gamma in GAMMAS:
        contestants += [
            ("focal", gamma, {}),
            ("logit", gamma, {"focal_link": "logit"}),
            ("logit, expected Hessian", gamma, {"focal_link": "logit", "hessian": "expected"}),
            (
                "logit, scale at the start",
                gamma,
                {"focal_link": "logit", "focal_scale": scale_at_start(y, gamma)},
            ),
        ]
    for library in ("XGBoost", "LightGBM"):
        for link, gamma, params in contestants:
            model = fit(library, X, y, fitted, stop, rounds, focal_gamma=gamma, **params)
            probability = model.predict_proba(X.iloc[test])
            found.append(
                {
                    "table": name, "library": library, "link": link, "gamma": gamma, "repeat": repeat,
                    "fold": fold, "log_loss": log_loss(y[test], probability),
                    "average_precision": average_precision(y[test], probability),
                }
            )  # fmt: skip
    return found


def scale_at_start(y: Any, gamma: float) -> float:
    counts = ClassCounts.of(y)
    loss = counts.loss(gamma, focal_link="logit")
    own, of_log_loss = (one.hessian_at_start(counts.counts).sum() for one in (loss, loss.log_loss()))
    return float(of_log_loss / own)


def fit(library: str, X: Any, y: Any, fitted: Any, stop: Any, rounds: int, **params: Any) -> Any:
    common = {"n_estimators": rounds, "learning_rate": 0.1, "n_jobs": 1, "random_state": 0, **params}
    X_fit, X_stop = X.iloc[fitted], X.iloc[stop]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if library == "XGBoost":
            metric = "logloss" if y.max() == 1 else "mlogloss"
            xgb = FocalXGBClassifier(
                max_depth=6, early_stopping_rounds=20, eval_metric=metric, enable_categorical=True, **common
            )
            return xgb.fit(X_fit, y[fitted], eval_set=[(X_stop, y[stop])], verbose=False)
        metric = "binary_logloss" if y.max() == 1 else "multi_logloss"
        lgb = FocalLGBMClassifier(num_leaves=31, verbose=-1, metric=metric, **common)
        return lgb.fit(
            X_fit, y[fitted], eval_set=[(X_stop, y[stop])],
            callbacks=[early_stopping(20, verbose=False)],
        )  # fmt: skip


def average_precision(y: Any, probability: Any) -> float:
    """Return that of class 1, or the mean over the classes."""
    if probability.shape[1] == 2:
        return float(average_precision_score(y, probability[:, 1]))
    return float(np.mean([average_precision_score(y == k, p) for k, p in enumerate(probability.T)]))


def write(fits: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    frame = pd.DataFrame(fits)
    keys = ["table", "library", "repeat", "fold"]
    own = frame[frame.link == "log loss"].set_index(keys)
    focal = frame[frame.link == "focal"].set_index([*keys, "gamma"])
    rows = []
    for (table, library, link, gamma), part in frame.groupby(["table", "library", "link", "gamma"]):
        if link == "log loss":
            continue
        of_own = quotients(part.set_index(keys), own)
        row = {"table": table, "library": library, "link": link, "gamma": gamma, "folds": len(part),
               "log_loss": part.log_loss.mean(), "over_own": of_own[0]}  # fmt: skip
        if link != "focal":
            same = part.set_index([*keys, "gamma"])
            row["over_focal"], row["over_focal_error"] = quotients(same, focal)
            difference = same.average_precision - focal.average_precision.reindex(same.index)
            row["average_precision_difference"] = difference.mean()
            row["average_precision_error"] = difference.std(ddof=1) / np.sqrt(len(difference))
        rows.append({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
    summary = pd.DataFrame([row for row in rows if "over_focal" in row])
    summary["many"] = summary.table.isin([t for t in summary.table if t.endswith("_mc")])
    means = [
        {
            "classes": "many" if many else "two", "library": library, "link": link, "gamma": gamma,
            "over_focal": round(float(np.exp(np.log(part.over_focal).mean())), 4),
            "largest": part.over_focal.max(),
            "average_precision_difference": round(part.average_precision_difference.mean(), 4),
            "average_precision_error": round(error_of_mean(part.average_precision_error), 4),
            "over_focal_error": round(error_of_mean(part.over_focal_error), 4),
        }
        for (many, library, link, gamma), part in summary.groupby(["many", "library", "link", "gamma"])
    ]  # fmt: skip
    options = {name: value for name, value in vars(arguments).items() if name != "data"}
    results_of(arguments).write_text(
        json.dumps(
            {"options": options, "geometric_means": means, "tables": rows}, indent=1, ensure_ascii=False
        )
        + "\n",
        encoding="utf-8",
    )


def error_of_mean(errors: pd.Series) -> float:
    return float(np.sqrt((errors**2).sum()) / len(errors))


def quotients(part: pd.DataFrame, base: pd.DataFrame) -> tuple[float, float]:
    """Return the geometric mean over folds of the quotients of log losses, and its relative error."""
    logs = np.log(part.log_loss) - np.log(base.log_loss.reindex(part.index))
    return float(np.exp(logs.mean())), float(logs.std(ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else 0.0


if __name__ == "__main__":
    main()
