"""Does focal loss help? Log loss, class weights, focal loss, undersampling and CatBoost's Focal.

Every table of a folder and scikit-learn's digits as two classes, whole; the tables of many classes with all
of them; made tables whose probabilities are known, with noisy labels, with drift, with one positive in 10³ to
10⁵ rows. Both libraries. Every contestant has the same splits, stops on the same rows on its own loss, and
has four candidates for its tuning, of which the rows set aside choose one in each split: by average precision
where that is compared, by log loss where that is. Small tables are split 5-fold twice, those of 20,000 rows
and more 3-fold once; made ones are drawn five times, the rare ones twice, with one candidate a contestant.

It goes on where it stopped (folder build/study), and stops after --minutes. With --link the focal contestants
alone are trained with that link, where the others are known from a run without it. With --report it writes
results/study.json, study.md and study_ranks.svg from the complete tables. CatBoost is in no extra of the
package: pip install catboost, or it is left out and said so; on larger tables it takes too long.

    FOCAL_GBM_DATA=folder/of/csv python benchmarks/study.py [--minutes 30] [--tables adult,...] [--report]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import joblib
import pandas as pd
from _study_contestants import catboost_is_installed
from _study_made import Case
from _study_report import report
from _study_run import run_case
from _study_tables import LARGE, Problem, problems

WORK = Path(__file__).parent.parent / "build"


def open_work(chosen: list[Problem], folder: Path, minutes: float) -> Iterator[tuple[Problem, int, Case]]:
    """Yield the splits without a result, until the time is over."""
    started, longest = time.monotonic(), 0.0
    for problem in chosen:
        missing = [n for n in range(problem.n_splits) if not path_of(folder, problem, n).exists()]
        for number, case in enumerate(problem.cases() if missing else ()):
            if number in missing:
                before = time.monotonic()
                if before - started + longest > 60 * minutes:
                    return
                yield problem, number, case
                longest = max(longest, time.monotonic() - before)


def path_of(folder: Path, problem: Problem, number: int) -> Path:
    return folder / f"{problem.name}-{number}.csv"


def run_and_keep(
    problem: Problem, number: int, case: Case, folder: Path, catboost: bool, link: str | None
) -> str:
    started = time.monotonic()
    small = len(case.parts.y) + len(case.X) < LARGE
    before = path_of(WORK / "study", problem, number)
    known = pd.read_csv(before) if link is not None and before.exists() else None
    result = run_case(problem, number, case, catboost and small, link, known)
    result.to_csv(path_of(folder, problem, number), index=False)
    return f"{problem.name}, split {number}: {time.monotonic() - started:.0f} seconds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no more work after")
    parser.add_argument("--tables", default="", help="names with commas between; all where not given")
    parser.add_argument("--jobs", type=int, default=2, help="splits side by side")
    parser.add_argument(
        "--link", choices=("focal", "logit"), help="of focal loss; the default's where not given"
    )
    parser.add_argument(
        "--rare-rows", default="1000000", help="rows of the tables of rare positives, with commas between"
    )
    parser.add_argument("--report", action="store_true", help="write what is there, complete tables only")
    arguments = parser.parse_args()
    known = problems([int(rows) for rows in arguments.rare_rows.split(",")])
    names = arguments.tables.split(",") if arguments.tables else list(known)
    if unknown := set(names) - set(known):
        sys.exit(f"no such table: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = [known[name] for name in names]
    name = "study" if arguments.link is None else f"study_{arguments.link}"
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    if not arguments.report:
        catboost = catboost_is_installed()
        if not catboost:
            print("CatBoost is not installed: without its Focal")
        parallel = joblib.Parallel(
            arguments.jobs, return_as="generator_unordered", pre_dispatch=arguments.jobs
        )
        work = open_work(chosen, folder, arguments.minutes)
        for done in parallel(
            joblib.delayed(run_and_keep)(*unit, folder, catboost, arguments.link) for unit in work
        ):
            print(done, flush=True)
    files = {one: [path_of(folder, one, n) for n in range(one.n_splits)] for one in chosen}
    complete = [one for one in chosen if all(path.exists() for path in files[one])]
    left_out = [one.name for one in chosen if one not in complete]
    if left_out:
        print(f"not complete: {', '.join(left_out)}")
    if arguments.report or not (left_out or arguments.tables):
        paths = [path for one in complete for path in files[one]]
        report(complete, paths, name, with_picture=arguments.link is None)


if __name__ == "__main__":
    main()
