"""Claim: focal loss is level with the log loss on real tables, where everybody has the same effort.

Log loss, focal loss of γ = 0.5, 1 and 2, class weights and undersampling, in both libraries, on every table
of a folder and scikit-learn's digits. All have the same splits (5-fold twice; from 20,000 rows on 3-fold
once), a learning rate of 0.1, stop after 30 rounds without improvement of the log loss on the same fifth of
the training rows, and have four candidates for their tuning. The rows set aside choose one of the four in
each split, by log loss where log loss is compared and by average precision where that is. The shift of class
weights and undersampling is undone.

It goes on where it stopped (folder build/study) and writes results/study.json from the complete tables.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/study.py [--minutes 30] [--tables adult,...]
    [--default-trees]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from _report import write
from _signed_rank import bayesian_signed_rank
from _tables import Problem, Split, fitted, problems, rounds_of
from scipy import special
from scipy.stats import t as student
from scipy.stats import wilcoxon
from sklearn.metrics import average_precision_score

WORK = Path(__file__).parent.parent / "build" / "study"
LIBRARIES = ("xgboost", "lightgbm")
GAMMAS = (0.5, 1.0, 2.0)

#: The candidates of the log loss and of every γ: the library's own trees, and others.
TREES: dict[str, list[dict[str, Any]]] = {
    "xgboost": [
        {}, {"max_depth": 3}, {"min_child_weight": 5}, {"subsample": 0.7, "colsample_bytree": 0.7},
    ],
    "lightgbm": [
        {}, {"num_leaves": 7}, {"min_child_samples": 50},
        {"subsample": 0.7, "subsample_freq": 1, "colsample_bytree": 0.7},
    ],
}  # fmt: skip

#: What a missed positive costs, where a false alarm costs 1.
COST_OF_A_MISS = 10.0

#: Probabilities of a library are float32, and may be 0 or 1.
LEAST = 1e-7

#: Relative differences up to this do not matter: a score of 0.800 or 0.808.
REGION = float(np.log(1.01))

#: What is compared, and whether more is better.
CONTESTS = {"average precision": True, "log loss": False}
FOCAL = tuple(f"focal γ={gamma:g}" for gamma in GAMMAS)
OWN = "log loss"

Row = dict[str, Any]


class Candidate(NamedTuple):
    """A contestant with one setting of what it tunes."""

    library: str
    contestant: str
    parameters: dict[str, Any]
    gamma: float = 0.0
    weight_power: float = 0.0
    ratio: int = 0

    @property
    def setting(self) -> str:
        """The setting in words; "{}" has the library's own trees."""
        strength = {0.5: "half the way ", 1.0: "full "}.get(self.weight_power, "")
        return f"{strength}{f'1:{self.ratio} ' if self.ratio else ''}{self.parameters}"

    def probabilities(self, split: Split) -> tuple[np.ndarray, np.ndarray, int]:
        """Fit, and return probabilities of the rows set aside and of new rows, and the rounds."""
        weights, shift = None, 0.0
        if self.ratio:  # undersampling adds the same to all log-odds
            keep, keep_stop = (fewer(y, self.ratio) for y in (split.y, split.y_stop))
            shift = float(special.logit(split.y.mean()) - special.logit(split.y[keep].mean()))
            split = split._replace(X=split.X.iloc[keep], y=split.y[keep])
            fit_split = split._replace(X_stop=split.X_stop.iloc[keep_stop], y_stop=split.y_stop[keep_stop])
        else:
            fit_split = split
        if self.weight_power:
            weights = (len(split.y) / np.bincount(split.y)) ** self.weight_power
            weights /= weights[split.y].mean()
        model = fitted(self.library, fit_split, self.gamma, weights, **self.parameters)
        found = []
        for X in (split.X_stop, split.X_test):
            raw = np.log(np.clip(model.predict_proba(X).astype(float), LEAST, 1.0))
            raw = raw - (0.0 if weights is None else np.log(weights))
            if shift:
                raw[:, 1] += shift
            found.append(special.softmax(raw, axis=1))
        return found[0], found[1], rounds_of(model)


def candidates(n_classes: int, default_trees: bool) -> list[Candidate]:
    """Return all candidates of all contestants; undersampling knows two classes only."""
    found = []
    for library, trees in TREES.items():
        for one in trees:
            found.append(Candidate(library, OWN, one))
            found += [Candidate(library, f"focal γ={gamma:g}", one, gamma=gamma) for gamma in GAMMAS]
        for one in trees[:2]:
            found += [Candidate(library, "class weights", one, weight_power=power) for power in (0.5, 1.0)]
            if n_classes == 2:
                found += [Candidate(library, "undersampling", one, ratio=ratio) for ratio in (3, 10)]
    return [one for one in found if not (default_trees and one.parameters)]


def fewer(y: np.ndarray, ratio: int) -> np.ndarray:
    """Return the rows of class 1 and `ratio` times as many of class 0, drawn at random."""
    rare, common = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    drawn = np.random.default_rng(0).permutation(common)[: ratio * len(rare)]
    return np.sort(np.concatenate([rare, drawn]))


def run_split(problem: Problem, number: int, split: Split, default_trees: bool) -> str:
    """Keep one row a candidate: scores on the rows set aside and on new rows."""
    rows = []
    for one in candidates(problem.n_classes, default_trees):
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # 28 rows of an undersampled table may grow no split
            stop, new, rounds = one.probabilities(split)
        row: Row = {
            "table": problem.name, "split": number, "library": one.library, "contestant": one.contestant,
            "setting": one.setting, "seconds": time.perf_counter() - started, "rounds": rounds,
        }  # fmt: skip
        for name, score in (("log loss", log_loss), ("average precision", average_precision)):
            row |= {f"{name} on stop": score(split.y_stop, stop), name: score(split.y_test, new)}
        if problem.n_classes == 2:
            chosen_one = cheapest_threshold(split.y_stop, stop[:, 1])
            row["cost, threshold chosen"] = cost(split.y_test, new[:, 1], chosen_one)
            row["cost, threshold by arithmetic"] = cost(split.y_test, new[:, 1], 1 / (1 + COST_OF_A_MISS))
        rows.append(row)
    pd.DataFrame(rows).to_csv(path_of(problem, number), index=False)
    return f"{problem.name}, split {number}"


def log_loss(y: np.ndarray, proba: np.ndarray) -> float:
    """Return the log loss."""
    return float(-np.log(np.maximum(proba[np.arange(len(y)), y], LEAST)).mean())


def average_precision(y: np.ndarray, proba: np.ndarray) -> float:
    """Return that of class 1, or the mean over many classes, each against the rest."""
    if proba.shape[1] == 2:
        return float(average_precision_score(y, proba[:, 1]))
    return float(np.mean([average_precision_score(y == k, p) for k, p in enumerate(proba.T) if (y == k).any()]))


def cheapest_threshold(y: np.ndarray, positive: np.ndarray) -> float:
    """Return the probability from which on to say 1, by what these rows cost; of several the middle one."""
    levels = np.unique(positive)
    thresholds = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    ordered = np.sort(positive[y == 0])
    false_alarms = len(ordered) - np.searchsorted(ordered, thresholds)
    misses = np.searchsorted(np.sort(positive[y == 1]), thresholds)
    costs = false_alarms + COST_OF_A_MISS * misses
    best = np.flatnonzero(costs == costs.min())
    return float(thresholds[best[len(best) // 2]])


def cost(y: np.ndarray, positive: np.ndarray, threshold: float) -> float:
    """Return the mean cost per row."""
    return float(np.where(positive >= threshold, 1 - y, COST_OF_A_MISS * y).mean())


def chosen(results: pd.DataFrame, contest: str) -> pd.DataFrame:
    """Return, per contestant and split, the candidate that the rows set aside choose.

    "focal γ tuned" has as many candidates as everybody: γ of 0, 0.5, 1 and 2 with the library's own trees.
    "focal γ and trees tuned" has four times as many, each of these with all trees.
    """
    could = results[results.contestant.isin((OWN, *FOCAL))]
    of_all = pd.concat(
        [
            results,
            could[could.setting == "{}"].assign(contestant="focal γ tuned"),
            could.assign(contestant="focal γ and trees tuned"),
        ]
    )
    ordered = of_all.sort_values(f"{contest} on stop", ascending=not CONTESTS[contest], kind="stable")
    return ordered.groupby(["table", "library", "contestant", "split"], sort=False).head(1)


def untuned(results: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates with the library's own trees, each strength of weights for itself."""
    of = results[results.setting.str.endswith("{}")]
    strength = of.setting.str.removesuffix("{}").str.strip()
    return of.assign(contestant=of.contestant + np.where(strength == "", "", ", " + strength))


def of_tables(results: pd.DataFrame, known: dict[str, Problem]) -> list[Row]:
    """Return one row per contest, trees, library, table and contestant, against the library's log loss."""
    rows = []
    for contest, more in CONTESTS.items():
        for trees, best in (("tuned", chosen(results, contest)), ("default", untuned(results))):
            for (library, table), part in best.groupby(["library", "table"], sort=False):
                wide = part.pivot_table(index="split", columns="contestant", values=contest, sort=False)
                kind = "two classes" if known[table].n_classes == 2 else "many classes"
                for name in wide.columns:
                    row = {"part": "table", "contest": contest, "trees": trees, "library": library,
                           "kind": kind, "table": table, "contestant": name,
                           "mean": float(wide[name].mean())}  # fmt: skip
                    if name != OWN:
                        gain = (wide[name] - wide[OWN]) * (1 if more else -1)
                        row["outcome"] = outcome(gain.to_numpy(), known[table].folds)
                    rows.append(row)
    return rows


def outcome(gain: np.ndarray, folds: int) -> str:
    """Return "win", "loss" or "tie" by the corrected resampled t-test (Nadeau and Bengio 2003) at 5 %."""
    error = gain.std(ddof=1) * np.sqrt(1 / len(gain) + 1 / (folds - 1)) if len(gain) > 1 else 0.0
    if error == 0.0 or 2 * student.sf(abs(gain.mean()) / error, len(gain) - 1) > 0.05:
        return "tie"
    return "win" if gain.mean() > 0 else "loss"


def of_pairs(rows: list[Row]) -> list[Row]:
    """Return one row per contest, trees, library and contestant: the tables of two classes as units."""
    frame = pd.DataFrame(rows)
    frame = frame[frame.kind == "two classes"]
    found = []
    for (contest, trees), part in frame.groupby(["contest", "trees"], sort=False):
        more = CONTESTS[contest]
        for library in (*LIBRARIES, "both"):
            of = part if library == "both" else part[part.library == library]
            # of both libraries: the mean of their logarithms, so that a table stays one unit
            mean = np.exp(
                of.assign(mean=np.log(of["mean"])).pivot_table(
                    index="table", columns="contestant", values="mean", sort=False
                )
            )
            for name in mean.columns.drop(OWN):
                ratio = np.log(mean[name] / mean[OWN])
                gain = ratio if more else -ratio
                test = bayesian_signed_rank(gain, REGION)
                counts = of[of.contestant == name].outcome.value_counts()
                found.append(
                    {"part": "pair", "contest": contest, "trees": trees, "library": library,
                     "contestant": name, "against": OWN, "tables": len(mean),
                     "ratio": float(np.exp(ratio.mean())), "median ratio": float(np.exp(ratio.median())),
                     "median difference": float((mean[name] - mean[OWN]).median()),
                     "better on": int((gain > 0).sum()),
                     "Wilcoxon p": float(wilcoxon(ratio).pvalue) if ratio.any() else 1.0,
                     "P better": test.above, "P level": test.within, "P worse": test.below,
                     **{key: int(counts.get(key, 0)) for key in ("win", "tie", "loss")}}
                )  # fmt: skip
    return found


def besides(results: pd.DataFrame, known: dict[str, Problem]) -> list[Row]:
    """Return rounds and costs over the log loss's, with default trees: geometric means over the tables."""
    two = [name for name, problem in known.items() if problem.n_classes == 2]
    if not two:
        return []
    columns = ["rounds", "cost, threshold chosen", "cost, threshold by arithmetic"]
    mean = untuned(results[results.table.isin(two)]).groupby(["library", "contestant", "table"])
    logs = np.log(mean[columns].mean()).sort_index()
    rows = []
    for (library, name), part in logs.groupby(["library", "contestant"], sort=False):
        over = np.exp((part.droplevel([0, 1]) - logs.loc[(library, OWN)]).mean())
        chosen_, arithmetic = part[columns[1]], part[columns[2]]
        ratio = float(np.exp((chosen_ - arithmetic).mean()))
        rows.append(
            {"part": "besides", "library": library, "contestant": name, **over.to_dict(),
             "chosen over arithmetic": ratio}
        )  # fmt: skip
    return rows


def path_of(problem: Problem, number: int) -> Path:
    """Return where the results of a split are kept."""
    return WORK / f"{problem.name}-{number}.csv"


def open_work(known: list[Problem], minutes: float) -> Iterator[tuple[Problem, int, Split]]:
    """Yield the splits without a result, until the time is over."""
    started = time.monotonic()
    for problem in known:
        for number, split in enumerate(problem.splits()):
            if time.monotonic() - started > 60 * minutes:
                return
            if not path_of(problem, number).exists():
                yield problem, number, split


def report(known: list[Problem], default_trees: bool) -> None:
    """Write and print what came out of the complete tables."""
    complete = {}
    for one in known:
        files = [path_of(one, number) for number in range(one.folds * one.repeats)]
        if all(file.exists() for file in files):
            complete[one.name] = (one, pd.concat(map(pd.read_csv, files), ignore_index=True))
    known_ = {name: problem for name, (problem, _) in complete.items()}
    if not complete:
        return
    results = pd.concat([part for _, part in complete.values()], ignore_index=True)
    ran = [
        {"part": "ran", "table": name, "kind": "two classes" if one.n_classes == 2 else "many classes",
         "about": one.about, "folds": one.folds, "repeats": one.repeats, "fits": len(part),
         "seconds of training": round(part.seconds.sum(), 1)}
        for name, (one, part) in complete.items()
    ]  # fmt: skip
    tables = of_tables(results, known_)
    pairs = of_pairs(tables)
    rows = [
        {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()}
        for row in [*ran, *pairs, *besides(results, known_), *tables]
    ]
    columns = [
        "contest",
        "trees",
        "library",
        "contestant",
        "median ratio",
        "ratio",
        "better on",
        "Wilcoxon p",
    ]
    print(pd.DataFrame(pairs, columns=columns).round(4).to_string(index=False))
    write("study", "study.py" + " --default-trees" * default_trees, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no more work after")
    parser.add_argument("--tables", default="", help="names with commas between; all where not given")
    parser.add_argument("--jobs", type=int, default=2, help="splits side by side")
    parser.add_argument("--default-trees", action="store_true", help="one candidate instead of four")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    names = arguments.tables.split(",") if arguments.tables else None
    known = [one for one in problems() if names is None or one.name in names]
    parallel = joblib.Parallel(arguments.jobs, return_as="generator_unordered", pre_dispatch=arguments.jobs)
    work = open_work(known, arguments.minutes)
    for done in parallel(joblib.delayed(run_split)(*unit, arguments.default_trees) for unit in work):
        print(done, flush=True)
    report(known, arguments.default_trees)


if __name__ == "__main__":
    main()
