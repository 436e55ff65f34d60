"""A Sphinx extension: tables of the documentation, from benchmarks/results, so that no number drifts."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import gmean

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
GENERATED = Path(__file__).parent / "_generated"
PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"

LIBRARIES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}
CONTESTANTS = (
    "focal γ=0.5", "focal γ=1", "focal γ=2", "focal γ tuned", "focal γ and trees tuned", "class weights",
    "undersampling",
)  # fmt: skip

#: A log loss below it is that of a nearly separable table.
NEARLY_SEPARABLE = 0.02

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def load(name: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of a result, and a line that says where they come from."""
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    versions = ", ".join(f"{package} {result['versions'][package]}" for package in LIBRARIES)
    measured = f"`benchmarks/{result['command']}` at {result.get('revision', '22e287c')}"
    source = f"{measured}, {versions}, {result['machine']}."
    return pd.DataFrame(result["rows"]), " ".join([source, result.get("note", "")]).strip()


def part(name: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of one part of the study, without the columns of the others."""
    frame, source = load("study")
    return frame[frame["part"] == name].dropna(axis="columns", how="all"), source


def markdown(header: list[str], rows: list[list[str]], source: str = "") -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", source, ""])


def power(value: float) -> str:
    """Return one digit and its power of ten."""
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), f"{value:.0e}") if value else "0"


def case_name(case: str) -> str:
    """Return rows, features and classes as people read them."""
    size, plus, share = case.partition("+")
    n_rows, n_features, n_classes = map(int, size.split("x"))
    exponent = len(str(n_rows)) - 1
    leading = "" if n_rows == 10**exponent else f"{n_rows // 10**exponent}·"
    classes = "" if n_classes == 2 else f", {n_classes} classes"
    stopping = f", {share} evaluated" if plus else ""
    return f"{leading}10{str(exponent).translate(SUPERSCRIPTS)} × {n_features}{classes}{stopping}"


def ratios(trees: str = "tuned", kind: str = "two classes") -> pd.DataFrame:
    """Return log loss over that of the log loss contestant; rows are tables and libraries."""
    frame, _ = part("table")
    frame = frame[(frame["contest"] == "log loss") & (frame["trees"] == trees) & (frame["kind"] == kind)]
    mean = frame.pivot_table(index=["table", "library"], columns="contestant", values="mean", sort=False)
    return mean.div(mean["log loss"], axis=0).assign(own=mean["log loss"])


def ordinary_and_separable() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the mean ratio of both libraries, of ordinary tables and of those that are nearly separable."""
    of_table = np.exp(np.log(ratios()).groupby("table", sort=False).mean())
    is_separable = of_table["own"] < NEARLY_SEPARABLE
    return of_table[~is_separable], of_table[is_separable]


def study_tables() -> str:
    """Return log loss over the log loss's, table by table, XGBoost / LightGBM."""
    _, source = load("study")
    about = part("ran")[0].set_index("table")["about"]
    names = ["focal γ=0.5", "focal γ=1", "focal γ=2", "class weights", "undersampling"]
    found = ratios()
    rows = []
    for table in found.index.unique("table"):
        pair = found.loc[table].loc[list(LIBRARIES)]
        cells = [" / ".join(f"{ratio:.2f}" for ratio in pair[name]) for name in names]
        rows.append([f"`{table}`, {about[table]}", *cells])
    return markdown(["log loss, ratio, XGBoost / LightGBM", *names], rows, source)


def study_pairs() -> str:
    """Return everybody against the log loss, both libraries: the tables are the units."""
    pairs, source = part("pair")
    pairs = pairs[(pairs["trees"] == "tuned") & (pairs["library"] == "both")].set_index(["contest", "contestant"])
    rows = []
    for name in CONTESTANTS:
        cells = []
        for contest in ("log loss", "average precision"):
            row = pairs.loc[(contest, name)]
            chances = " / ".join(f"{100 * row[f'P {how}']:.0f}" for how in ("worse", "level", "better"))
            size = f"{row['median ratio']:.3f}" if contest == "log loss" else f"{row['median difference']:+.3f}"
            cells += [size, f"{row['better on']:.0f}", f"{row['Wilcoxon p']:.2f}", chances]
        rows.append([name, *cells])
    of = f"better on, of {int(pairs['tables'].iloc[0])}"
    header = ["", "log loss, ratio", of, "p", "worse / level / better, %"]
    header += ["average precision, difference", of, "p", "worse / level / better, %"]
    return markdown(header, rows, "Medians of the tables. " + source)


def study_untuned() -> str:
    """Return everybody with default trees and no choosing, against the log loss."""
    pairs, source = part("pair")
    pairs = pairs[pairs["trees"] == "default"].set_index(["contest", "contestant", "library"])
    rows = []
    for name in pairs.index.get_level_values("contestant").unique():
        cells = []
        for library in LIBRARIES:
            loss, ranking = (pairs.loc[(c, name, library)] for c in ("log loss", "average precision"))
            cells += [f"{loss['median ratio']:.3f}", f"{ranking['median difference']:+.3f}"]
        rows.append([name, *cells])
    header = [f"{title}, {what}" for title in LIBRARIES.values() for what in ("log loss", "average precision")]
    return markdown(["", *header], rows, "Medians of the tables: ratio, difference. " + source)


def study_many() -> str:
    """Return log loss of many classes over the log loss's."""
    _, source = load("study")
    frame, _ = part("table")
    is_of = (frame["kind"] == "many classes") & (frame["contest"] == "log loss") & (frame["trees"] == "default")
    mean = frame[is_of].pivot_table(index=["table", "library"], columns="contestant", values="mean", sort=False)
    names = ["focal γ=0.5", "focal γ=1", "focal γ=2", "class weights, full"]
    rows = []
    for table in mean.index.unique("table"):
        pair = mean.loc[table].loc[list(LIBRARIES)]
        cells = [" / ".join(f"{r:.3f}" for r in pair[name] / pair["log loss"]) for name in names]
        own = " / ".join(f"{loss:.3f}" for loss in pair["log loss"])
        rows.append([f"`{table.removesuffix(' all classes')}`", own, *cells])
    return markdown(["XGBoost / LightGBM", "the log loss", *names], rows, source)


def hand_written() -> str:
    """Return what one would read as the probability, by hand and here, over the library's own loss."""
    frame, source = load("hand_written")
    real = frame[~frame["table"].str.startswith("rare")]
    columns = [name for name in real.columns if name.endswith("over own")]
    rows = []
    for name in [one for one in real["contestant"].unique() if not one.startswith("own loss")]:
        of = real[real["contestant"] == name].set_index("library")
        own = real[real["contestant"] == "own loss"].set_index("library")
        cells = [" / ".join(f"{gmean(of.loc[lib, column]):.2f}" for lib in LIBRARIES) for column in columns]
        rounds = " / ".join(f"{gmean(of.loc[lib, 'rounds'] / own.loc[lib, 'rounds']):.2f}" for lib in LIBRARIES)
        rows.append([name, *cells, rounds])
    header = ["γ=2, XGBoost / LightGBM", *columns, "rounds, over own"]
    about = f"Geometric means of {real['table'].nunique()} tables. "
    return markdown(header, rows, about + source)


def fit_time() -> str:
    """Return the time of a fit over the library's own, with the range of the turns."""
    frame, source = load("fit_time_vs_library")
    frame["order"] = [tuple(map(int, case.partition("+")[0].split("x")[::-1])) for case in frame["case"]]
    rows = []
    grouped = frame.sort_values(["order", "case", "threads"]).groupby(["case", "threads"], sort=False)
    for (case, threads), some in grouped:
        of = some.set_index("library")
        cells = []
        for library in LIBRARIES:
            spread = f" [{of['ratio, lowest'][library]:.2f}, {of['ratio, highest'][library]:.2f}]"
            cells.append(f"{of['ratio'][library]:.2f}" + (spread if of["turns"][library] > 1 else ""))
        rows.append([case_name(case), str(threads), *cells, some["revision"].iloc[0]])
    machines = frame.groupby("threads")["machine"].first()
    said = "; ".join(f"{threads} threads: {machine}" for threads, machine in machines.items())
    header = ["γ=2, rows × features", "threads", *LIBRARIES.values(), "measured at"]
    return markdown(header, rows, f"{source} {said}.")


def gpu() -> str:
    """Return fits on a CUDA device over the library's own."""
    frame, source = load("gpu")
    fits = frame[(frame["part"] == "fit") & frame["seconds"].notna()]
    rows = []
    for (case, kind), some in fits.groupby(["case", "kind"], sort=False):
        of = some.set_index("loss")
        cells = [f"{of['seconds']['own loss']:.2f}", f"{of['over own']['γ=2']:.2f}"]
        rows.append([f"{case_name(case)}, {kind}", *cells])
    return markdown(["100 rounds", "own loss, s", "γ=2, ratio"], rows, f"{frame['name'].dropna().iloc[0]}. {source}")


def leaving() -> str:
    """Return how far predictions from the saved file are from predict_proba, elsewhere."""
    frame, source = load("leaving")
    columns = [(library, classes) for library in LIBRARIES.values() for classes in ("two", "many")]
    found: dict[Any, float] = frame.set_index(["tool", "library", "classes"])["difference"].to_dict()
    rows = [
        [tool, *(power(found[(tool, *column)]) if (tool, *column) in found else "" for column in columns)]
        for tool in frame["tool"].unique()
    ]
    header = ["from the file", *(f"{library}, {classes} classes" for library, classes in columns)]
    return markdown(header, rows, "Largest difference from `predict_proba`. " + source)


def splits() -> str:
    """Return what a model scores by the way to split."""
    frame, source = load("splits")
    scores = ["average_precision", "roc_auc", "log_loss"]
    rows = [[way, *(f"{score:.3f}" for score in of)] for way, *of in frame[["way", *scores]].itertuples(index=False)]
    return markdown(["", "average precision", "ROC AUC", "log loss"], rows, source)


def versions() -> str:
    """Return the oldest versions, of pyproject.toml."""
    text = PYPROJECT.read_text(encoding="utf-8")
    python = re.search(r'requires-python = ">=([\d.]+)"', text)[1]  # type: ignore[index]
    dependencies = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    named = dict(re.findall(r'"([a-z-]+)>=([\d.]+)"', dependencies))
    rows = [["Python", python]]
    titles = {**LIBRARIES, "scikit-learn": "scikit-learn", "numpy": "NumPy", "scipy": "SciPy"}
    rows += [[title, named[package]] for package, title in titles.items()]
    return markdown(["", "oldest"], rows)


TABLES = (
    study_tables, study_pairs, study_untuned, study_many, hand_written, fit_time, gpu, leaving, splits, versions,
)  # fmt: skip


def write(app: object) -> None:
    """Write all tables."""
    GENERATED.mkdir(exist_ok=True)
    for table in TABLES:
        (GENERATED / f"{table.__name__}.md").write_text(table(), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
