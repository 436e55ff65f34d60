"""Does focal loss help? Own loss, weights, focal loss, undersampling and CatBoost's Focal on real tables.

Every table of a folder and scikit-learn's digits, 5-fold cross-validation twice, both libraries. Every
contestant has the same folds, stops on the same rows on its own loss, and has six candidates for its tuning,
of which the rows set aside choose one in each split: by average precision where that is compared, by log loss
where that is. Tables over 12,000 rows are sampled; of many classes the rarest with 30 rows is told apart.

It goes on where it stopped (folder build/study), and stops after --minutes. Once every table is done, or with
--report, it writes results/study.json, study.md and study_ranks.svg. CatBoost is in no extra of the package:
pip install catboost, or it is left out and said so.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/study.py [--minutes 3] [--tables adult,...] [--report]
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from _ranks import average_ranks, critical_difference, draw, friedman_p
from _report import write
from _study_contestants import CANDIDATES, candidates, catboost_is_installed
from _study_tables import described, load, table_names
from matplotlib.figure import Figure
from scipy.stats import wilcoxon
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from focal_gbm.compare import Parts, Settings, Split, Table, compare_paired, splits

FOLDS, REPEATS = 5, 2
WORK = Path(__file__).parent.parent / "build" / "study"
RESULTS = Path(__file__).parent / "results"

#: What is compared: the column that a candidate is chosen by, the column that counts, whether more is better.
CONTESTS = {
    "average precision": ("average precision on stop", "average precision", True),
    "log loss": ("log loss on stop", "log loss undone", False),
}
LIBRARIES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}


def run_split(table: Table, number: int, split: Split, catboost: bool) -> pd.DataFrame:
    """Return one row a candidate."""
    parts = Parts(table.X.iloc[split.fit], table.y[split.fit], table.X.iloc[split.stop], table.y[split.stop])
    X_new, y_new = table.X.iloc[split.test], table.y[split.test]
    settings = Settings(seed=number)
    rows = []
    for candidate in candidates(catboost):
        with warnings.catch_warnings():
            # "no split": 28 rows of an undersampled table may grow none; its scores say so
            warnings.simplefilter("ignore", UserWarning)
            outcome = candidate.run(parts, X_new, settings)
        rows.append(
            {
                "table": table.name, "split": number, "library": candidate.library,
                "contestant": candidate.contestant, "setting": candidate.setting,
                "average precision on stop": average_precision_score(parts.y_stop, outcome.on_stop),
                "log loss on stop": log_loss(parts.y_stop, outcome.on_stop),
                "average precision": average_precision_score(y_new, outcome.undone),
                "ROC AUC": roc_auc_score(y_new, outcome.undone),
                "log loss": log_loss(y_new, outcome.as_they_come),
                "log loss undone": log_loss(y_new, outcome.undone),
                "Brier score undone": brier_score_loss(y_new, outcome.undone),
                "seconds": outcome.seconds, "rounds": outcome.rounds,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def open_work(names: list[str], minutes: float, catboost: bool) -> Iterator[tuple[Table, int, Split, bool]]:
    """Yield the splits without a result, until the time is over."""
    started, longest = time.monotonic(), 0.0
    for name in names:
        missing = [number for number in range(FOLDS * REPEATS) if not _path(name, number).exists()]
        if not missing:
            continue
        table = load(table_names()[name], FOLDS)
        for number, split in enumerate(splits(table.y, FOLDS, REPEATS)):
            if number in missing:
                before = time.monotonic()
                if before - started + longest > 60 * minutes:
                    return
                yield _named(table, name), number, split, catboost
                longest = max(longest, time.monotonic() - before)


def _named(table: Table, name: str) -> Table:
    return Table(name, table.target, table.X, table.columns, table.y, table.labels, table.notes)


def _path(name: str, number: int) -> Path:
    return WORK / f"{name}-{number}.csv"


def chosen(results: pd.DataFrame, by: str, higher_is_better: bool) -> pd.DataFrame:
    """Return, for each contestant and split, the candidate that the rows set aside choose."""
    ordered = results.sort_values(by, ascending=not higher_is_better, kind="stable")
    return ordered.groupby(["table", "library", "contestant", "split"], sort=False).head(1)


def of_library(rows: pd.DataFrame, library: str) -> pd.DataFrame:
    """Return who meets with a library: its own contestants, and CatBoost's Focal."""
    return rows[(rows.library == library) | (rows.contestant == "CatBoost Focal")]


def summarise(results: pd.DataFrame) -> tuple[list[dict], dict[tuple[str, str], pd.DataFrame]]:
    """Return one row a (contest, library, table, contestant), and the means by (contest, library)."""
    rows, means = [], {}
    for contest, (by, column, more) in CONTESTS.items():
        best = chosen(results, by, more)
        for library in (*LIBRARIES, "catboost"):
            own = "CatBoost own loss" if library == "catboost" else "own loss"
            met = best[best.library == library] if library == "catboost" else of_library(best, library)
            wide = met.pivot_table(index=["table", "split"], columns="contestant", values=column)
            means[contest, library] = wide.groupby("table").mean()
            for table, values in wide.groupby("table"):
                for name in values.columns:
                    row = {"contest": contest, "library": library, "table": table, "contestant": name,
                           "mean": values[name].mean()}  # fmt: skip
                    if name != own:
                        pair = compare_paired(values[name] - values[own], FOLDS)
                        better = (pair.mean > 0) == more
                        outcome = "tie" if not pair.is_significant else "win" if better else "loss"
                        row |= {"difference": pair.mean, "low": pair.low, "high": pair.high, "p": pair.p,
                                "outcome": outcome}  # fmt: skip
                    rows.append(row)
    return rows, means


def markdown(results: pd.DataFrame, rows: list[dict], means: dict, about: dict[str, str]) -> str:
    """Return what came out as Markdown tables."""
    frame = pd.DataFrame(rows)
    lines = ["Tables: " + "; ".join(f"`{name}` ({text})" for name, text in about.items()) + ".", ""]
    for contest, (_, _, more) in CONTESTS.items():
        lines += [f"## {contest.capitalize()}, {'higher' if more else 'lower'} is better", ""]
        for library, title in LIBRARIES.items():
            mean = means[contest, library]
            names = _ordered(mean.columns)
            part = frame[(frame.contest == contest) & (frame.library == library)]
            part = part.set_index(["table", "contestant"])
            lines += [f"| {title} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
            for table in mean.index:
                cells = []
                for name in names:
                    outcome = part.loc[(table, name)].get("outcome")
                    mark = {"win": " **+**", "loss": " **−**"}.get(outcome, "")
                    cells.append(f"{mean.loc[table, name]:.4f}{mark}")
                lines.append(f"| {table} | " + " | ".join(cells) + " |")
            ranks = average_ranks(mean, more)
            lines.append("| average rank | " + " | ".join(f"{ranks[name]:.2f}" for name in names) + " |")
            cells = []
            for name in names:
                counts = part.xs(name, level="contestant").outcome.value_counts()
                text = " / ".join(str(int(counts.get(outcome, 0))) for outcome in ("win", "tie", "loss"))
                cells.append("" if name == "own loss" else text)
            lines += ["| win / tie / loss against own loss | " + " | ".join(cells) + " |"]
            if not more:
                ratio = np.exp(np.log(mean.div(mean["own loss"], axis=0)).mean())
                lines.append("| over own loss | " + " | ".join(f"{ratio[name]:.3f}" for name in names) + " |")
            else:
                gain = mean.sub(mean["own loss"], axis=0).mean()
                lines.append(
                    "| mean difference | " + " | ".join(f"{gain[name]:+.4f}" for name in names) + " |"
                )
            lines += ["", f"Friedman p = {friedman_p(mean):.3g}; critical difference of ranks "
                      f"{critical_difference(len(names), len(mean)):.2f}.", ""]  # fmt: skip
    if "catboost" in set(results.library):
        lines += _catboost(frame)
    lines += _by_setting(results)
    return "\n".join(lines) + "\n"


def _ordered(names: pd.Index) -> list[str]:
    order = ["own loss", "class weights", "focal loss", "undersampling", "CatBoost Focal"]
    return [name for name in order if name in names]


def _catboost(frame: pd.DataFrame) -> list[str]:
    lines = ["## CatBoost's Focal against CatBoost's own loss", ""]
    for contest in CONTESTS:
        part = frame[(frame.library == "catboost") & (frame.contest == contest)]
        counts = part.outcome.value_counts()
        text = " / ".join(str(int(counts.get(outcome, 0))) for outcome in ("win", "tie", "loss"))
        lines.append(f"* {contest}: win / tie / loss {text}, mean difference {part.difference.mean():+.4f}")
    return [*lines, ""]


def _by_setting(results: pd.DataFrame) -> list[str]:
    """Return each γ and α, and each class weight, untuned, against the own loss: all at default settings."""
    lines = ["## Each γ and α with no choosing, against the own loss, all at default settings", ""]
    lines += ["p is Wilcoxon's signed-rank test over the tables, not adjusted for the number of tests.", ""]
    columns = ("library", "setting", "average precision, mean difference (p)", "log loss over own (p)",
               "rounds over own", "rounds, 10 % to 90 % of splits")  # fmt: skip
    lines += ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    versus = []
    for library, title in LIBRARIES.items():
        of = results[results.library == library]
        own = _means(of[(of.contestant == "own loss") & (of.setting == "{}")])
        is_focal = of.contestant == "focal loss"
        is_weighted = (of.contestant == "class weights") & of.setting.str.endswith("{}")
        for (name, setting), part in of[is_focal | is_weighted].groupby(
            ["contestant", "setting"], sort=False
        ):
            mean = _means(part)
            gain = mean["average precision"] - own["average precision"]
            ratio, rounds = (np.log(mean[one] / own[one]) for one in ("log loss undone", "rounds"))
            few, many = part.rounds.quantile([0.1, 0.9])
            if setting == "γ=1, α None":
                of_one = mean
            if setting == "γ=2, α None":
                versus.append(f"* {title}, γ=1 against γ=2: {_against(of_one, mean)}")
            label = setting if name == "focal loss" else f"class weights, {setting.removesuffix(' {}')}"
            lines.append(
                f"| {title} | {label} | {gain.mean():+.4f} ({wilcoxon(gain).pvalue:.2f}) "
                f"| {np.exp(ratio.mean()):.3f} ({wilcoxon(ratio).pvalue:.2f}) | {np.exp(rounds.mean()):.2f} "
                f"| {few:.0f} to {many:.0f} |"
            )
    return [*lines, "", *versus]


def _against(one: pd.DataFrame, other: pd.DataFrame) -> str:
    gain = one["average precision"] - other["average precision"]
    ratio = np.log(one["log loss undone"] / other["log loss undone"])
    return (
        f"average precision {gain.mean():+.4f} (p = {wilcoxon(gain).pvalue:.2f}), log loss "
        f"{np.exp(ratio.mean()):.3f} times (p = {wilcoxon(ratio).pvalue:.2f})"
    )


def _means(part: pd.DataFrame) -> pd.DataFrame:
    return part.groupby("table")[["average precision", "log loss undone", "rounds"]].mean()


def picture(means: dict, path: Path) -> None:
    """Draw the average ranks of both contests and libraries."""
    figure = Figure(figsize=(12.5, 6), layout="constrained")
    grid = figure.subplots(2, 2)
    for row, (contest, (_, _, more)) in enumerate(CONTESTS.items()):
        for column, (library, title) in enumerate(LIBRARIES.items()):
            mean = means[contest, library]
            ranks = average_ranks(mean, more)
            difference = critical_difference(len(ranks), len(mean))
            draw(grid[row, column], ranks, difference, f"{title}: {contest}, {len(mean)} tables")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no more work after")
    parser.add_argument("--tables", default="", help="names with commas between; all where not given")
    parser.add_argument("--jobs", type=int, default=2, help="splits side by side")
    parser.add_argument("--report", action="store_true", help="write what is there, complete tables only")
    arguments = parser.parse_args()
    known = table_names()
    names = arguments.tables.split(",") if arguments.tables else list(known)
    if unknown := set(names) - set(known):
        sys.exit(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    catboost = catboost_is_installed()
    if not catboost:
        print("CatBoost is not installed: without its Focal")
    WORK.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        parallel = joblib.Parallel(
            arguments.jobs, return_as="generator_unordered", pre_dispatch=arguments.jobs
        )
        work = open_work(names, arguments.minutes, catboost)
        for result in parallel(joblib.delayed(run_split)(*unit) for unit in work):
            name, number = result.table[0], int(result.split[0])
            result.to_csv(_path(name, number), index=False)
            print(f"{name}, split {number}: {result.seconds.sum():.0f} seconds of training", flush=True)
    complete = [name for name in names if all(_path(name, i).exists() for i in range(FOLDS * REPEATS))]
    left_out = [name for name in names if name not in complete]
    if left_out and not arguments.report:
        print(f"not complete yet: {', '.join(left_out)}")
        return
    if len(complete) < 2:
        sys.exit("ranks need two complete tables or more")
    files = [_path(name, i) for name in complete for i in range(FOLDS * REPEATS)]
    results = pd.concat(map(pd.read_csv, files), ignore_index=True)
    rows, means = summarise(results)
    about = {name: described(load(known[name], FOLDS)) for name in complete}
    rounded = pd.DataFrame(rows).round(5)
    write("study", f"study.py, {CANDIDATES} candidates a contestant", rounded.to_dict("records"))
    text = markdown(results, rows, means, about)
    (RESULTS / "study.md").write_text(text, encoding="utf-8")
    picture(means, RESULTS / "study_ranks.svg")
    print(text)
    if left_out:
        print(f"left out, not complete: {', '.join(left_out)}")


if __name__ == "__main__":
    main()
