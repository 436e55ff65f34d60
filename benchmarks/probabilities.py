"""Claim: the posterior of a focal model is as good a probability as the library's own log-loss training.

Repeated stratified 3-fold on every binary table. Models of the library's own loss and focal models get the
same settings (the library's defaults), the same early-stopping split and the same patience; each stops on its
own loss. Prints, per table, the log loss of `predict_proba` over the library's and the difference in average
precision, and writes both to results/probabilities_KIND.json. Many classes: the mean average precision of
each against the rest, and one more contestant, whose γ a grid search with early stopping chooses by log loss
on the rows that the others are fitted on.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/probabilities.py [--kind multiclass] [--repeats 4]
"""

from __future__ import annotations

import argparse
import time
import warnings

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from _report import write
from _tables import tables_of
from sklearn.metrics import average_precision_score, log_loss
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, train_test_split

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier
from focal_gbm.early_stopping import EarlyStoppingClassifier

ROUNDS, PATIENCE = 500, 30

#: A larger table is split once, and fewer contestants meet there: its differences are small beside those of
#: the small tables.
LARGE = 20_000
ON_LARGE = ("γ=1", "γ=2", "γ=2 majorizing")

#: Focal contestants by name: their parameters.
FOCAL = {
    "γ=0.5": {"focal_gamma": 0.5},
    "γ=1": {"focal_gamma": 1.0},
    "γ=2": {"focal_gamma": 2.0},
    "γ=2 exact": {"focal_gamma": 2.0, "hessian": "exact"},
    "γ=2 majorizing": {"focal_gamma": 2.0, "hessian": "majorizing"},
    "γ=2 scale 1": {"focal_gamma": 2.0, "focal_scale": 1.0},
}

#: The contestant whose γ is found on the fitting rows, and what it chooses from.
SEARCHED, SEARCHED_GRID = "γ searched", {"estimator__focal_gamma": [0.0, 0.5, 1.0, 2.0]}


def fit(library: str, contestant: str, learning_rate: float | None, X, y, X_stop, y_stop, seed: int):
    """Return the fitted estimator: the library's own class or ours."""
    common = {"n_estimators": ROUNDS, "learning_rate": learning_rate, "random_state": seed}
    focal = FOCAL.get(contestant, {})
    if contestant == SEARCHED:
        kind = FocalXGBClassifier if library == "xgboost" else FocalLGBMClassifier
        quiet = {"enable_categorical": True} if library == "xgboost" else {"verbose": -1}
        model = kind(**quiet, n_estimators=ROUNDS, random_state=seed)
        if learning_rate is not None:
            model.set_params(learning_rate=learning_rate)
        early = EarlyStoppingClassifier(model, validation=0.25, rounds=PATIENCE, random_state=seed)
        search = GridSearchCV(early, SEARCHED_GRID, scoring="neg_log_loss", cv=3, refit=False).fit(X, y)
        focal = {"focal_gamma": search.best_params_["estimator__focal_gamma"]}
    if library == "xgboost":
        kind = FocalXGBClassifier if focal else xgboost.XGBClassifier
        if not focal:
            common["eval_metric"] = "logloss" if len(np.unique(y)) == 2 else "mlogloss"
        model = kind(**common, **focal, early_stopping_rounds=PATIENCE, enable_categorical=True)
        return model.fit(X, y, eval_set=[(X_stop, y_stop)], verbose=False)
    if learning_rate is None:
        del common["learning_rate"]
    kind = FocalLGBMClassifier if focal else lightgbm.LGBMClassifier
    model = kind(**common, **focal, verbose=-1)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return model.fit(X, y, eval_X=X_stop, eval_y=y_stop, callbacks=[stop])


def measure(tables: dict, repeats: int, learning_rate: float | None) -> pd.DataFrame:
    """Return one row a (table, split, library, contestant)."""
    rows = []
    for table, (X, y) in tables.items():
        n_repeats, focal = (repeats, [*FOCAL]) if len(y) < LARGE else (1, [*ON_LARGE])
        if len(np.unique(y)) > 2:
            focal.append(SEARCHED)
        folds = RepeatedStratifiedKFold(n_splits=3, n_repeats=n_repeats, random_state=0)
        for split, (train, test) in enumerate(folds.split(X, y)):
            fitting, stopping = train_test_split(train, test_size=0.25, random_state=split, stratify=y[train])
            parts = X.iloc[fitting], y[fitting], X.iloc[stopping], y[stopping]
            for library in ("xgboost", "lightgbm"):
                for contestant in ("own loss", *focal):
                    started = time.perf_counter()
                    model = fit(library, contestant, learning_rate, *parts, seed=split)
                    seconds = time.perf_counter() - started
                    proba = probabilities(model, X.iloc[test])
                    row = {
                        "table": table, "split": split, "library": library, "contestant": contestant,
                        "log_loss": log_loss(y[test], proba), "seconds": seconds,
                        "average_precision": macro_average_precision(y[test], proba),
                    }  # fmt: skip
                    if contestant != "own loss":
                        row["gamma"] = model.focal_gamma
                        score = probabilities(model.set_params(probability="score"), X.iloc[test])
                        row["score_log_loss"] = log_loss(y[test], score)
                    rows.append(row)
        print(f"{table}: done", flush=True)
    return pd.DataFrame(rows)


def probabilities(model, X) -> np.ndarray:
    """Return predicted probabilities as float64, in which the float32 rows of XGBoost sum to 1 again."""
    proba = model.predict_proba(X).astype(np.float64)
    return proba / proba.sum(axis=1, keepdims=True)


def macro_average_precision(y, proba) -> float:
    """Return the average precision of class 1, or the mean over classes of each against the rest."""
    if proba.shape[1] == 2:
        return float(average_precision_score(y, proba[:, 1]))
    return float(np.mean([average_precision_score(y == k, proba[:, k]) for k in range(proba.shape[1])]))


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Return, per (contestant, library, table), ratio of mean log losses and difference in AP
    to the library's own loss.
    """
    mean = results.groupby(["contestant", "library", "table"], sort=False).mean(numeric_only=True)
    own = mean.loc["own loss"]
    # the same splits for all: the error of the mean of their differences
    by_split = results.pivot_table(
        index=["library", "table", "split"], columns="contestant", values="log_loss"
    )
    difference = by_split.sub(by_split["own loss"], axis=0).groupby(["library", "table"])
    error = difference.std().div(np.sqrt(difference.size()), axis=0)
    rows = []
    for (contestant, library, table), row in mean.iterrows():
        if contestant == "own loss":
            continue
        base = own.loc[(library, table)]
        rows.append(
            {
                "contestant": contestant,
                "library": library,
                "table": table,
                "log loss ratio": row["log_loss"] / base["log_loss"],
                "standard error": error.loc[(library, table), contestant] / base["log_loss"],
                "ratio of the raw score": row["score_log_loss"] / base["log_loss"],
                "AP difference": row["average_precision"] - base["average_precision"],
                "mean γ": row["gamma"],
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4, help="of tables under 20,000 rows")
    parser.add_argument(
        "--learning-rate", type=float, default=None, help="the libraries' own where not given"
    )
    parser.add_argument("--kind", choices=("binary", "multiclass"), default="binary")
    parser.add_argument("--tables", default="")
    arguments = parser.parse_args()
    tables = tables_of(arguments.kind)
    if arguments.tables:
        tables = {name: tables[name] for name in arguments.tables.split(",")}
    warnings.simplefilter("error", RuntimeWarning)
    table = summarise(measure(tables, arguments.repeats, arguments.learning_rate))
    pd.set_option("display.width", 200, "display.max_columns", 20)
    for library in ("xgboost", "lightgbm"):
        for column in ("log loss ratio", "standard error", "ratio of the raw score", "AP difference"):
            wide = table[table.library == library].pivot(index="table", columns="contestant", values=column)
            if "ratio" in column:
                wide.loc["geometric mean"] = np.exp(np.log(wide).mean())
            else:
                wide.loc["mean"] = wide.mean()
            print(f"\n{library}: {column}\n{wide.round(3)}")
    command = f"probabilities.py --kind {arguments.kind} --repeats {arguments.repeats}"
    write(f"probabilities_{arguments.kind}", command, table.round(5).to_dict("records"))


if __name__ == "__main__":
    main()
