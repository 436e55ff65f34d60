"""A comparison as plain data: what the terminal, the JSON and the HTML report show."""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np

from focal_gbm.compare.contestants import LIBRARIES, Contestant
from focal_gbm.compare.cross_validation import EFFORT, Comparison
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS
from focal_gbm.compare.scores import METRICS
from focal_gbm.compare.statistics import holm
from focal_gbm.compare.verdict import Verdict, details, direction, sentence, verdicts

#: Of the keys of the JSON. The first number is raised when a key goes or means something else, the second
#: when one is added.
SCHEMA_VERSION = "1.0"

_PACKAGES = ("focal-gbm", "numpy", "scikit-learn", "xgboost", "lightgbm")


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
        As `json_schema` describes it: "verdict" first, then "table", "protocol", "metrics", "libraries",
        "notes" and
        "versions". What cannot be computed is None.
    """
    protocol = comparison.protocol
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": {library: _verdict(comparison, library) for library in protocol.libraries},
        "table": _table(comparison),
        "protocol": _protocol(comparison),
        "metrics": {
            name: {
                "label": protocol.label(name), "higher_is_better": METRICS[name].higher_is_better,
                "meaning": METRICS[name].meaning, "decides": name in comparison.decisive,
            }
            for name in dict.fromkeys([*comparison.decisive, *comparison.metrics])
        },
        "libraries": {library: _library(comparison, library) for library in protocol.libraries},
        "notes": [*comparison.table.notes, *_time_note(comparison), *comparison.notes],
        "versions": {package: version(package) for package in _PACKAGES},
    }  # fmt: skip


def _verdict(comparison: Comparison, library: str) -> dict[str, Any]:
    found = verdicts(comparison, library)
    return {
        **_decision(found[0]),
        "sentence": sentence(comparison, library),
        "details": details(comparison, library),
        "by_metric": {one.metric: _decision(one) for one in found},
    }


def _decision(one: Verdict) -> dict[str, Any]:
    return {
        "decision": one.decision, "metric": one.metric, "difference": one.difference,
        "low": _number(one.low), "high": _number(one.high), "margin": one.margin,
    }  # fmt: skip


def _table(comparison: Comparison) -> dict[str, Any]:
    table = comparison.table
    roles = table.roles
    return {
        "name": table.name, "target": table.target, "rows": len(table.y), "features": len(table.columns),
        "classes": dict(zip(table.labels, np.bincount(table.y).tolist(), strict=True)),
        "categorical": [
            name for name, kind in zip(table.columns, table.X.dtypes, strict=True) if kind == "category"
        ],
        "missing_values": int(table.X.isna().sum().sum()),
        "roles": {
            "time": roles.time, "ordered": roles.ordered, "group": roles.group, "weight": roles.weight,
            "cost_fp": roles.cost_fp, "cost_fn": roles.cost_fn,
        },
    }  # fmt: skip


def _protocol(comparison: Comparison) -> dict[str, Any]:
    protocol, settings = comparison.protocol, comparison.protocol.settings
    return {
        "splits_by": _splits_by(comparison),
        "folds": protocol.folds,
        "splits": comparison.n_splits, "splits_planned": comparison.n_splits_planned,
        "rounds": settings.rounds, "learning_rate": settings.learning_rate,
        "patience": settings.patience, "seed": settings.seed,
        "gamma": list(protocol.gammas), "alpha": list(protocol.alphas),
        "precision": protocol.precision, "top": protocol.top, "margin": protocol.margin,
        "seconds": round(comparison.seconds, 1),
    }  # fmt: skip


def _splits_by(comparison: Comparison) -> str:
    rows = comparison.table.rows
    by = [name for name, values in (("time", rows.time), ("group", rows.group)) if values is not None]
    return " and ".join(by) or "chance"


def _library(comparison: Comparison, library: str) -> dict[str, Any]:
    names = comparison.names(library)
    grid = {one.label: one for one in comparison.protocol.contestants(library)}
    found = [_contestant(comparison, library, name, grid.get(name)) for name in names]
    points = [one for one in found if one["of_grid"]]
    for metric in comparison.metrics:
        pairs = [comparison.paired(library, one["name"], metric) for one in points]
        # many points were tried: one of them looks good by chance
        for one, pair, p in zip(points, pairs, holm([pair.p for pair in pairs]), strict=True):
            one["scores"][metric]["difference"].update(
                p_adjusted=_number(p), significance=direction(metric, pair, p)
            )
    return {"name": LIBRARIES[library], "contestants": {one["name"]: one for one in found}}


def _contestant(comparison: Comparison, library: str, name: str, point: Contestant | None) -> dict[str, Any]:
    of_grid = point is not None and point.loss == "focal"
    scores = {}
    for metric in comparison.metrics:
        values = comparison.values(library, name, metric)
        one: dict[str, Any] = {"mean": float(values.mean()), "sd": _sd(values), "values": values.tolist()}
        one["difference"] = None
        if name != LOG_LOSS:
            pair = comparison.paired(library, name, metric)
            one["difference"] = {
                "mean": pair.mean, "low": _number(pair.low), "high": _number(pair.high), "p": _number(pair.p),
                "p_adjusted": None, "significance": direction(metric, pair),
            }  # fmt: skip
        scores[metric] = one
    effort = {}
    for what in EFFORT:
        values = comparison.values(library, name, what)
        effort[what] = {"mean": float(values.mean()), "sd": _sd(values)}
    chosen = comparison.chosen[library]
    return {
        "name": name,
        "loss": {LOG_LOSS: "log loss", WEIGHTS: "class weights", SHIFTED: "class weights"}.get(
            name, "focal loss"
        ),
        "gamma": point.gamma if of_grid and point else None,
        "alpha": point.alpha if of_grid and point else None,
        "shifted": name == SHIFTED,
        "of_grid": of_grid,
        "times_chosen": chosen.get(name, 0) if of_grid else comparison.n_splits if name == CHOSEN else None,
        "scores": scores,
        "effort": effort,
    }


def _sd(values: Any) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _time_note(comparison: Comparison) -> list[str]:
    if comparison.n_splits == comparison.n_splits_planned:
        return []
    return [
        f"{comparison.n_splits} of {comparison.n_splits_planned} splits: more would have taken longer than "
        f"{comparison.protocol.minutes:g} minutes (--minutes)."
    ]
