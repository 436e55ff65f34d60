"""Claim: the closed-form posterior is as good as Platt's and isotonic calibration, and needs no rows for it.

Johnston et al. 2025 (Electronics 14(9):1838) measured it for focal loss on gradient boosting; here on the
small tables of the study, both libraries, γ = 1 and 2, 5-fold cross-validation twice. "raw score" is σ(z),
"closed form" is `predict_proba`: nothing is fitted. "logit link" is what the bare booster predicts that was
trained with focal_link="logit". Platt and isotonic learn from the raw scores of rows with labels: once of a
quarter of the rows to train on, which the model then does not train on ("held out"), once of the rows it
stops on ("reused"). "own loss" is the library's log loss. Prints means over the tables and writes
results/calibration.json.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/calibration.py [--minutes 3] [--report]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from _report import write
from _study_made import Case
from _study_tables import Problem, problems
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import train_test_split

from focal_gbm.compare import Contestant, Parts, Settings
from focal_gbm.compare.scores import calibration_error

WORK = Path(__file__).parent.parent / "build" / "calibration"
GAMMAS = (1.0, 2.0)

#: An isotonic map says 0 and 1, and is then wrong with certainty: its log loss is what this bound makes it.
LEAST_PROBABILITY = 1e-4


def run_split(problem: Problem, number: int, case: Case) -> pd.DataFrame:
    """Return one row a (library, γ, method)."""
    settings = Settings(seed=number)
    parts = case.parts
    fewer, held_out = train_test_split(
        np.arange(len(parts.y)), test_size=0.25, stratify=parts.y, random_state=number
    )
    reduced = Parts(parts.X.iloc[fewer], parts.y[fewer], parts.X_stop, parts.y_stop)
    labelled = {
        "held out": (parts.X.iloc[held_out], parts.y[held_out]), "reused": (parts.X_stop, parts.y_stop),
    }  # fmt: skip
    rows = []
    for library in ("xgboost", "lightgbm"):
        own = Contestant(library, "log_loss").fit(parts, settings).model
        rows.append(measured(problem, number, library, 0.0, "own loss", own.predict_proba, case))
        for gamma in GAMMAS:
            logit = Contestant(library, "focal", gamma=gamma, parameters={"focal_link": "logit"})
            model = logit.fit(parts, settings).model
            rows.append(measured(problem, number, library, gamma, "logit link", model.predict_proba, case))
            focal = Contestant(library, "focal", gamma=gamma, parameters={"focal_link": "focal"})
            model = focal.fit(parts, settings).model
            rows.append(measured(problem, number, library, gamma, "closed form", model.predict_proba, case))
            model.set_params(probability="score")
            rows.append(measured(problem, number, library, gamma, "raw score", model.predict_proba, case))
            small = focal.fit(reduced, settings).model.set_params(probability="score")
            for method, name in (("sigmoid", "Platt"), ("isotonic", "isotonic")):
                for how, base in (("held out", small), ("reused", model)):
                    map_ = CalibratedClassifierCV(FrozenEstimator(base), method=method, cv=2)
                    map_.fit(*labelled[how])
                    label = f"{name}, {how}"
                    rows.append(measured(problem, number, library, gamma, label, map_.predict_proba, case))
    return pd.DataFrame(rows)


def measured(
    problem: Problem,
    number: int,
    library: str,
    gamma: float,
    method: str,
    predict_proba: Callable,
    case: Case,
) -> dict:
    proba = np.asarray(predict_proba(case.X)[:, 1], dtype=np.float64)
    bounded = np.clip(proba, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return {
        "table": problem.name, "split": number, "library": library, "γ": gamma, "method": method,
        "log loss": log_loss(case.true, bounded), "Brier score": brier_score_loss(case.true, proba),
        "calibration error": calibration_error(case.true == 1, proba),
    }  # fmt: skip


def work(tables: list[Problem], minutes: float) -> Iterator[tuple[Problem, int, Case]]:
    """Yield the splits without a result, until the time is over."""
    started = time.monotonic()
    for one in tables:
        missing = [number for number in range(one.n_splits) if not _path(one, number).exists()]
        for number, case in enumerate(one.cases() if missing else ()):
            if time.monotonic() - started > 60 * minutes:
                return
            if number in missing:
                yield one, number, case


def run_and_keep(problem: Problem, number: int, case: Case) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        run_split(problem, number, case).to_csv(_path(problem, number), index=False)
    return f"{problem.name}, split {number}"


def _path(problem: Problem, number: int) -> Path:
    return WORK / f"{problem.name}-{number}.csv"


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
    known = problems().values()
    tables = [one for one in known if one.kind == "two classes" and one.repeats > 1]
    WORK.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        parallel = joblib.Parallel(
            arguments.jobs, return_as="generator_unordered", pre_dispatch=arguments.jobs
        )
        for done in parallel(joblib.delayed(run_and_keep)(*unit) for unit in work(tables, arguments.minutes)):
            print(done, flush=True)
    complete = [one for one in tables if all(_path(one, i).exists() for i in range(one.n_splits))]
    if len(complete) < len(tables):
        print(f"not complete: {', '.join(one.name for one in tables if one not in complete)}")
        if not arguments.report:
            return
    files = [_path(one, i) for one in complete for i in range(one.n_splits)]
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
