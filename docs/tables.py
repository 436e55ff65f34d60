"""A Sphinx extension: tables of the documentation, from benchmarks/results, so that no number drifts."""

import json
from pathlib import Path

import pandas as pd
from scipy.stats import gmean

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
GENERATED = Path(__file__).parent / "_generated"

HOSTS = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}


def load(name: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of a result, and a line that says where they come from."""
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    versions = ", ".join(f"{package} {result['versions'][package]}" for package in HOSTS)
    source = f"`benchmarks/{result['command']}`, {versions}, {result['machine']}."
    return pd.DataFrame(result["rows"]), source


def markdown(header: list[str], rows: list[list[str]], source: str) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", source, ""])


def probabilities(name: str) -> str:
    """Return the log loss of scores and posteriors over the host's own, for each γ."""
    frame, source = load(name)
    frame = frame[frame["contestant"].str.fullmatch(r"γ=[\d.]+")]
    n_tables = frame["table"].nunique()
    header = ["", *(f"{host}, {gamma}" for host in HOSTS.values() for gamma in frame["contestant"].unique())]
    rows = {"log loss of the raw score": [], "**log loss of `predict_proba`**": [], "average precision": []}
    for host in HOSTS:
        for gamma in frame["contestant"].unique():
            some = frame[(frame["host"] == host) & (frame["contestant"] == gamma)]
            raw, posterior, precision = rows.values()
            raw.append(f"{gmean(some['ratio of the raw score']):.2f}")
            posterior.append(f"**{gmean(some['log loss ratio']):.2f}**")
            precision.append(f"{some['AP difference'].mean():+.3f}")
    over = "Over the host's own loss" + (
        f", the geometric mean of {n_tables} tables; average precision: mean difference. "
        if n_tables > 1
        else f", on {frame['table'].iloc[0]}; average precision: difference. "
    )
    return markdown(header, [[label, *values] for label, values in rows.items()], over + source)


def write(app: object) -> None:
    """Write all tables."""
    GENERATED.mkdir(exist_ok=True)
    for kind in ("binary", "multiclass"):
        text = probabilities(f"probabilities_{kind}")
        (GENERATED / f"probabilities_{kind}.md").write_text(text, encoding="utf-8")


def setup(app: object) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
