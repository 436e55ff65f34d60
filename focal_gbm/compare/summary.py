"""A comparison as plain data: what the terminal, the JSON and the page show."""

from __future__ import annotations

import json
import math
from importlib import import_module
from importlib.resources import files
from typing import Any

import numpy as np

from focal_gbm.compare.comparison import Comparison
from focal_gbm.compare.contestants import LIBRARIES, LOG_LOSS

#: Of the keys of the JSON. The first number is raised when a key goes or means something else, the second
#: when one is added.
SCHEMA_VERSION = "2.0"

#: Measured beside the scores.
EFFORT = {"seconds": "training time, s", "rounds": "rounds"}

#: Under the tables.
FOOTNOTE = (
    "Gain: over the log loss; + is better in every score. Better, worse: its interval lies on one side of "
    "zero; level: within the margin (--margin); no word: the rows do not tell. The test knows that splits "
    "share rows (Nadeau and Bengio); intervals are 95 %, of all but “focal loss” widened for their number. "
    "“Focal loss” has the γ (and α) with the smallest log loss on the rows set aside in each split. "
    "“Shifted”: class weights undone in the probabilities, in closed form."
)

_WAYS = {
    "chance": "{splits} splits by stratified {folds}-fold cross-validation",
    "group": "{splits} splits by {folds}-fold cross-validation that keeps groups together",
    "time": "{splits} windows of time, each tested by models trained on the past",
    "time and group": "{splits} parts of {folds} windows of time, tested by models trained on the past of other groups",
}
_HOW = (
    "; at most {rounds} rounds at learning rate {learning_rate:g}, stopped after {patience} without a better "
    "log loss on rows set aside; {seconds:.0f} seconds"
)
_PACKAGES = ("focal_gbm", "numpy", "pandas", "sklearn", "xgboost", "lightgbm")


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of `summarise` and of ``focal-gbm compare --json``."""
    text = files("focal_gbm.compare").joinpath("schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def summarise(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison in lists, dicts, numbers and text, ready for JSON.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict
        As `json_schema` describes it. What cannot be computed is None.
    """
    table, protocol = comparison.table, comparison.protocol
    by = [name for name in ("time", "group") if getattr(table, name) is not None]
    how = {
        "splits_by": " and ".join(by) or "chance", "splits": comparison.n_splits, **vars(protocol),
        "repeats": protocol.repeats_for(len(table.y)), "seconds": round(comparison.seconds, 1),
    }  # fmt: skip
    decisive = {name: comparison.metrics[name] for name in comparison.decisive}
    kinds = dict(zip(table.columns, table.X.dtypes, strict=True))
    of_each = {library: vars(comparison.verdict(library)) for library in protocol.libraries}
    words = {
        library: {metric: word or None for metric, word in one["words"].items()} for library, one in of_each.items()
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": {library: {**one, "words": words[library]} for library, one in of_each.items()},
        "table": {
            "name": table.name, "target": table.target,
            "rows": len(table.y), "rows_in_file": table.rows_in_file, "features": list(kinds),
            "categorical": [one for one, kind in kinds.items() if kind == "category"],
            "missing_values": int(table.X.isna().sum().sum()),
            "classes": dict(zip(table.labels, np.bincount(table.y).tolist(), strict=True)),
            "roles": dict(vars(table.roles)),
        },
        "protocol": {name: list(one) if isinstance(one, tuple) else one for name, one in how.items()},
        "how": _WAYS[str(how["splits_by"])].format(**how) + _HOW.format(**how),
        "metrics": {
            name: {**vars(one), "decides": name in decisive}
            for name, one in {**decisive, **comparison.metrics}.items()
        },
        "libraries": {
            library: {
                "name": LIBRARIES[library],
                "contestants": {
                    name: _contestant(comparison, library, name) for name in comparison.names(library)
                },
            }
            for library in protocol.libraries
        },
        "notes": list(comparison.notes),
        "versions": {one: import_module(one).__version__ for one in _PACKAGES},
    }  # fmt: skip


def _contestant(comparison: Comparison, library: str, name: str) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for metric in comparison.metrics:
        values = comparison.values(library, name, metric)
        scores[metric] = {"mean": float(values.mean()), "values": values.tolist(), "gain": None}
        if name != LOG_LOSS:
            one = comparison.improvement(library, name, metric)
            of_gain = {key: getattr(one, key) for key in ("mean", "low", "high", "margin")}
            known = {key: None if math.isnan(value) else value for key, value in of_gain.items()}
            scores[metric]["gain"] = {**known, "word": one.word or None}
    effort = {what: float(comparison.values(library, name, what).mean()) for what in EFFORT}
    return {"times_chosen": comparison.chosen[library].get(name), "scores": scores, "effort": effort}


def number(value: float) -> str:
    """Return a score with four decimals, five where it is small, and a large number with few.

    Examples
    --------
    >>> [number(value) for value in (0.95764, 0.00123, 12.345, 1234.5)]
    ['0.9576', '0.00123', '12.3', '1,234']
    """
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 2 else 4 if size >= 0.01 else 5
    return f"{value:,.{decimals}f}"
