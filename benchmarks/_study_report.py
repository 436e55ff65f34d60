"""The study's results as JSON, as Markdown and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from _ranks import average_ranks, critical_difference, draw
from _report import write
from _study_contestants import CANDIDATES
from _study_summary import CONTESTS, LIBRARIES, ORDER, besides, of_pairs, of_tables
from _study_tables import Problem
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"

#: Contestants in the picture and in the tables: those with the same effort.
FAIR = tuple(name for name in ORDER if name not in ("focal γ and trees tuned", "CatBoost log loss"))


def report(complete: list[Problem], files: list[Path], name: str, with_picture: bool) -> None:
    """Write results/NAME.json, NAME.md and, where asked for, NAME_ranks.svg of the complete tables."""
    results = pd.concat(map(pd.read_csv, files), ignore_index=True)
    ran = [
        {"part": "ran", "table": one.name, "kind": one.kind, "about": one.about(), "folds": one.folds,
         "repeats": one.repeats, "fits": int((results.table == one.name).sum()),
         "seconds of training": float(results[results.table == one.name].seconds.sum())}
        for one in complete
    ]  # fmt: skip
    tables = of_tables(results, {one.name: one.folds for one in complete})
    # the scores with default trees are in the Markdown, and in the pairs
    tuned = [row for row in tables if row["trees"] == "tuned"]
    rows = [*ran, *of_pairs(tables), *besides(results), *tuned]
    command = f"study.py, {CANDIDATES} candidates a contestant"
    write(name, command, [{key: _rounded(value) for key, value in row.items()} for row in rows])
    text = markdown(pd.DataFrame(rows))
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    if with_picture:
        picture(pd.DataFrame(tables), RESULTS / f"{name}_ranks.svg")


def _rounded(value: object) -> object:
    if not isinstance(value, float):
        return value
    return None if np.isnan(value) else float(f"{value:.5g}")


def markdown(frame: pd.DataFrame) -> str:
    """Return the scores of all tables, the one with tuned trees first."""
    lines = []
    tables = frame[frame.part == "table"]
    for trees, title in (("tuned", "Trees chosen on the rows set aside"), ("default", "Default trees")):
        for contest, (_, _, more) in CONTESTS.items():
            lines += [f"## {title}: {contest}, {'higher' if more else 'lower'} is better", ""]
            for library in (*LIBRARIES, "catboost"):
                part = tables[
                    (tables.trees == trees) & (tables.contest == contest) & (tables.library == library)
                ]
                if len(part):
                    lines += [*_scores(part, LIBRARIES.get(library, "CatBoost")), ""]
    return "\n".join(lines)


def _scores(part: pd.DataFrame, title: str) -> list[str]:
    names = [name for name in ORDER if name in set(part.contestant)]
    lines = [f"| {title} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for table, rows in part.groupby("table", sort=False):
        by_name = rows.set_index("contestant")
        cells = []
        for name in names:
            if name not in by_name.index:
                cells.append("")
                continue
            mark = {"win": " **+**", "loss": " **−**"}.get(by_name.loc[name, "outcome"], "")
            cells.append(f"{by_name.loc[name, 'mean']:.4f}{mark}")
        lines.append(f"| {table} | " + " | ".join(cells) + " |")
    return lines


def picture(tables: pd.DataFrame, path: Path) -> None:
    """Draw the average ranks of both contests and libraries over the real tables of two classes."""
    figure = Figure(figsize=(12.5, 6.4), layout="constrained")
    grid = figure.subplots(2, 2)
    tables = tables[(tables.kind == "two classes") & (tables.trees == "tuned")]
    for row, (contest, (_, _, more)) in enumerate(CONTESTS.items()):
        for column, (library, title) in enumerate(LIBRARIES.items()):
            met = tables[
                (tables.contest == contest) & (tables.library == library) & tables.contestant.isin(FAIR)
            ]
            mean = met.pivot_table(index="table", columns="contestant", values="mean")
            ranks = average_ranks(mean, more)
            difference = critical_difference(len(ranks), len(mean))
            draw(grid[row, column], ranks, difference, f"{title}: {contest}, {len(mean)} tables")
    figure.savefig(path, metadata={"Date": None})
