"""The tables of the study's page, from benchmarks/results/study.json and calibration.json."""

import numpy as np
import pandas as pd
from tables import LIBRARIES, load, markdown

CONTESTANTS = (
    "focal γ=0.5", "focal γ=1", "focal γ=2", "focal γ tuned", "focal γ and trees tuned", "class weights",
    "undersampling",
)  # fmt: skip
FOCAL = CONTESTANTS[:3]
WHO = {**LIBRARIES, "both": "both"}
METHODS = (
    "raw score", "closed form", "logit link", "Platt, held out", "isotonic, held out", "Platt, reused",
    "isotonic, reused",
)  # fmt: skip


def part(name: str, study: str = "study") -> tuple[pd.DataFrame, str]:
    """Return the rows of one part of the study, without the columns of the others."""
    frame, source = load(study)
    return frame[frame["part"] == name].dropna(axis="columns", how="all"), source


def ran() -> str:
    """Return which tables, how they were split, and how many fits it took."""
    frame, source = part("ran")
    rows = []
    for row in frame.to_dict("records"):
        often = {1: "once", 2: "twice"}.get(row["repeats"], f"{row['repeats']:.0f} times")
        splits = f"{row['folds']:.0f}-fold, {often}"
        if row["kind"] in ("made", "rare"):
            splits = f"drawn {often}"
        fits, minutes = f"{row['fits']:.0f}", f"{row['seconds of training'] / 60:.1f}"
        rows.append([f"`{row['table']}`", row["about"], splits, fits, minutes])
    total = frame["seconds of training"].sum() / 60
    all_ = f"{frame['fits'].sum():,.0f} fits, {total:.0f} minutes of training on one thread. "
    return markdown(["table", "", "splits", "fits", "minutes"], rows, all_ + source)


def units(contest: str) -> str:
    """Return everybody against the log loss, the real tables of two classes being the units."""
    frame, source = part("pair")
    is_of = (frame["contest"] == contest) & (frame["trees"] == "tuned") & (frame["against"] == "log loss")
    frame = frame[is_of].set_index(["contestant", "library"])
    rows = []
    for name in CONTESTANTS:
        for library, title in WHO.items():
            row = frame.loc[(name, library)]
            counts = (
                " / ".join(f"{row[how]:.0f}" for how in ("win", "tie", "loss")) if library != "both" else ""
            )
            cells = [size_of(row, contest), f"{row['better on']:.0f}", counts, *_tests(row)]
            rows.append([f"{name}, {title}", *cells])
    n = int(frame["tables"].iloc[0])
    what = "times the log loss's" if contest == "log loss" else "difference"
    header = [
        "against the log loss",
        f"{what}: median, mean",
        f"better on, of {n}",
        "win / tie / loss",
        *TESTS,
    ]
    return markdown(header, rows, source)


def size_of(row: pd.Series, contest: str) -> str:
    """Return the median over the tables, and the (geometric) mean."""
    if contest == "log loss":
        return f"{row['median ratio']:.3f}, {row['ratio']:.3f}"
    return f"{row['median difference']:+.4f}, {row['difference']:+.4f}"


TESTS = ["Wilcoxon p", "worse / level / better, %"]


def _tests(row: pd.Series) -> list[str]:
    chances = " / ".join(f"{100 * row[f'P {how}']:.0f}" for how in ("worse", "level", "better"))
    return [f"{row['Wilcoxon p']:.2f}", chances]


def gammas() -> str:
    """Return γ=2 against γ=1 and 0.5, with tuned and with default trees."""
    frame, source = part("pair")
    frame = frame[frame["against"].isin(FOCAL)].set_index(["library", "trees", "contest", "against"])
    rows = []
    for library, title in WHO.items():
        for trees in ("tuned", "default"):
            cells = []
            for contest in ("log loss", "average precision"):
                for against in ("focal γ=1", "focal γ=0.5"):
                    row = frame.loc[(library, trees, contest, against)]
                    cells.append(f"{_median(row, contest)} ({_tests(row)[1]})")
            rows.append([f"{title}, {trees} trees", *cells])
    header = [
        f"{what}, against {against}"
        for what in ("log loss, times", "average precision")
        for against in ("γ=1", "γ=0.5")
    ]
    return markdown(["γ=2", *header], rows, NOTE + source)


NOTE = "Medians of the tables; in brackets worse / level / better, %. "


def _median(row: pd.Series, contest: str) -> str:
    is_loss = contest == "log loss"
    return f"{row['median ratio']:.3f}" if is_loss else f"{row['median difference']:+.4f}"


def links() -> str:
    """Return focal loss with either link against the log loss, both libraries."""
    rows = []
    note = (
        "Medians of the tables; in brackets on how many it is better, Wilcoxon p, worse / level / better, %. "
    )
    for name, link in (("study", "focal link"), ("study_logit", "logit link")):
        frame, source = part("pair", name)
        frame = frame[(frame["library"] == "both") & (frame["against"] == "log loss")]
        tables = int(frame["tables"].iloc[0])
        frame = frame.set_index(["contestant", "contest", "trees"])
        for gamma in FOCAL:
            cells = []
            for contest in ("log loss", "average precision"):
                for trees in ("tuned", "default"):
                    row = frame.loc[(gamma, contest, trees)]
                    p, chances = _tests(row)
                    cells.append(f"{_median(row, contest)} ({row['better on']:.0f}; {p}; {chances})")
            rows.append([f"{link}, {gamma.removeprefix('focal ')}, {tables} tables", *cells])
    header = [
        f"{what}, {trees} trees"
        for what in ("log loss, times", "average precision")
        for trees in ("tuned", "default")
    ]
    return markdown(["against the log loss", *header], rows, note + source)


def untuned() -> str:
    """Return everybody with default trees and no choosing, against the log loss."""
    frame, source = part("pair")
    frame = frame[(frame["trees"] == "default") & (frame["against"] == "log loss")]
    frame = frame.set_index(["contest", "contestant", "library"])
    rows = []
    for name in frame.index.get_level_values("contestant").unique():
        cells = []
        for library in LIBRARIES:
            loss, ranking = (
                frame.loc[(contest, name, library)] for contest in ("log loss", "average precision")
            )
            cells += [f"{loss['median ratio']:.3f} ({loss['Wilcoxon p']:.2f})"]
            cells += [f"{ranking['median difference']:+.4f} ({ranking['Wilcoxon p']:.2f})"]
        rows.append([name, *cells])
    header = [
        f"{title}, {what} (p)"
        for title in LIBRARIES.values()
        for what in ("log loss, times", "average precision")
    ]
    return markdown(["default trees", *header], rows, "Medians of the tables, Wilcoxon p. " + source)


def made(kind: str) -> str:
    """Return the log loss over the log loss contestant's and average precision less its, table by table."""
    frame, source = part("table")
    frame = frame[(frame["kind"] == kind) & (frame["trees"] == "tuned")]
    found = set(frame["contestant"])
    prudent = "log loss, min_child_weight=1"
    names = [name for name in (prudent, *FOCAL, "class weights", "undersampling") if name in found]
    by = frame.set_index(["table", "library", "contest", "contestant"]).sort_index()
    rows = []
    for table in [one for one in part("ran")[0]["table"] if one in set(frame["table"])]:
        for library, title in LIBRARIES.items():
            loss, ranking = (
                by.loc[(table, library, contest)] for contest in ("log loss", "average precision")
            )
            base = f"{loss['mean']['log loss']:.3g} / {ranking['mean']['log loss']:.3f}"
            cells = [_pair(loss, ranking, name) for name in names]
            if kind == "rare":
                cells = [cell.replace("*", "") for cell in cells]
            rows.append([f"{table}, {title}", base, *cells])
    # of two draws no test can say anything
    note = "" if kind == "rare" else "* where the difference is significant. "
    return markdown(["log loss / average precision", "of the log loss", *names], rows, note + source)


def _pair(loss: pd.DataFrame, ranking: pd.DataFrame, name: str) -> str:
    if name not in loss.index:
        return ""
    marks = ["" if one["outcome"][name] == "tie" else "*" for one in (loss, ranking)]
    ratio = loss["mean"][name] / loss["mean"]["log loss"]
    difference = ranking["mean"][name] - ranking["mean"]["log loss"]
    return f"{ratio:.3f}{marks[0]} / {difference:+.3f}{marks[1]}"


def besides() -> str:
    """Return what a fit takes and what decisions cost, over the log loss."""
    frame, source = part("besides")
    columns = {
        "rounds": "rounds", "leaves": "leaves", "rounds to the loss": "rounds to the same loss",
        "leaves to the loss": "leaves to it", "share that reaches the loss": "splits that reach it",
        "cost, threshold by arithmetic": "cost, threshold by arithmetic",
        "cost, threshold chosen": "cost, threshold chosen",
        "chosen over arithmetic": "chosen over arithmetic",
    }  # fmt: skip
    rows = []
    for row in frame.to_dict("records"):
        cells = ["" if row[one] is None or np.isnan(row[one]) else f"{row[one]:.2f}" for one in columns]
        rows.append([f"{LIBRARIES[row['library']]}, {row['contestant']}", *cells])
    return markdown(["default trees", *columns.values()], rows, source)


def calibration() -> str:
    """Return log loss and calibration error of the ways to a probability, over the own loss."""
    frame, source = load("calibration")
    means = frame[frame["table"] == "geometric mean over own loss"].set_index(["method", "library", "γ"])
    rows = []
    for method in METHODS:
        cells = [
            " / ".join(f"{means.loc[(method, library, gamma), column]:.2f}" for gamma in (1.0, 2.0))
            for column in ("log loss", "calibration error")
            for library in LIBRARIES
        ]
        rows.append([method, *cells])
    header = [
        f"{what}, {title} γ=1 / γ=2"
        for what in ("log loss", "calibration error")
        for title in LIBRARIES.values()
    ]
    tables = frame["table"].nunique() - 1
    return markdown(["", *header], rows, f"Over the own loss, geometric means of {tables} tables. " + source)


def all_tables() -> dict[str, str]:
    """Return {name of the page's include: Markdown}."""
    return {
        "study_ran": ran(),
        "study_log_loss": units("log loss"),
        "study_average_precision": units("average precision"),
        "study_gammas": gammas(),
        "study_links": links(),
        "study_untuned": untuned(),
        "study_made": made("made"),
        "study_rare": made("rare"),
        "study_many": made("many classes"),
        "study_besides": besides(),
        "calibration": calibration(),
    }
