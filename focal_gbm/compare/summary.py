"""A comparison as plain data: what the terminal, the JSON and the HTML report show."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

import numpy as np

from focal_gbm.compare.contestants import LIBRARIES
from focal_gbm.compare.cross_validation import CHOSEN, COSTS, OWN, WEIGHTS, Comparison
from focal_gbm.compare.statistics import holm
from focal_gbm.compare.verdict import HEADLINES, answer, details, direction

_PACKAGES = ("focal-gbm", "numpy", "scikit-learn", "xgboost", "lightgbm")


def summarise(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison in lists, dicts, numbers and text, ready for JSON.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict
        "table", "protocol", "libraries" (for each its answer, its contestants with mean, spread and the
        difference to the own loss of every score, and how often each point of the grid was chosen),
        "notes", "versions". What cannot be computed is None.
    """
    table, protocol = comparison.table, comparison.protocol
    counts = np.bincount(table.y)
    return {
        "table": {
            "name": table.name, "target": table.target, "rows": len(table.y), "features": len(table.columns),
            "classes": dict(zip(table.labels, counts.tolist(), strict=True)),
            "categorical": [
                name for name, kind in zip(table.columns, table.X.dtypes, strict=True) if kind == "category"
            ],
            "missing_values": int(table.X.isna().sum().sum()),
        },
        "protocol": {
            "folds": protocol.folds,
            "splits": comparison.n_splits, "splits_planned": comparison.n_splits_planned,
            "rounds": protocol.settings.rounds, "learning_rate": protocol.settings.learning_rate,
            "patience": protocol.settings.patience, "seed": protocol.settings.seed,
            "gamma": list(protocol.gammas), "alpha": list(protocol.alphas),
            "precision": protocol.precision, "top": protocol.top, "seconds": round(comparison.seconds, 1),
        },
        "libraries": {library: _library(comparison, library) for library in protocol.libraries},
        "notes": [*table.notes, *_time_note(comparison), *comparison.notes],
        "versions": {package: version(package) for package in _PACKAGES},
    }  # fmt: skip


def _library(comparison: Comparison, library: str) -> dict[str, Any]:
    names = comparison.names(library)
    contestants = [OWN, WEIGHTS, CHOSEN, *(name for name in names if name not in (OWN, WEIGHTS, CHOSEN))]
    grid = contestants[3:]
    found = {name: _contestant(comparison, library, name) for name in contestants}
    for metric in comparison.protocol.metrics():
        adjusted = holm([comparison.paired(library, name, metric).p for name in grid])
        for name, p in zip(grid, adjusted, strict=True):
            # many points were tried: one of them looks good by chance
            against = found[name]["scores"][metric]["against_own_loss"]
            pair = comparison.paired(library, name, metric)
            against.update(p_holm=_number(p), verdict=direction(metric, pair, p))
    return {
        "name": LIBRARIES[library],
        "answer": answer(comparison, library),
        "details": details(comparison, library),
        "contestants": found,
        "chosen": dict(comparison.chosen[library].most_common()),
    }


def _contestant(comparison: Comparison, library: str, name: str) -> dict[str, Any]:
    scores = {}
    for metric in comparison.protocol.metrics():
        values = comparison.values(library, name, metric)
        one: dict[str, Any] = {"mean": float(values.mean()), "sd": _sd(values), "values": values.tolist()}
        if name != OWN:
            pair = comparison.paired(library, name, metric)
            one["against_own_loss"] = {
                "mean": pair.mean, "low": _number(pair.low), "high": _number(pair.high), "p": _number(pair.p),
                "verdict": direction(metric, pair),
            }  # fmt: skip
        scores[metric] = one
    costs = {}
    for cost in COSTS:
        values = comparison.values(library, name, cost)
        costs[cost] = {"mean": float(values.mean()), "sd": _sd(values)}
    return {"scores": scores, "costs": costs, "headline": name in (OWN, WEIGHTS, CHOSEN)}


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


def number(value: float | None, cost: bool = False) -> str:
    """Return a score with four decimals, five where it is small; a cost with three digits or more."""
    if value is None:
        return ""
    return f"{value:,.{_decimals(value, cost)}f}"


def _decimals(value: float, cost: bool) -> int:
    if not cost:
        return 5 if abs(value) < 0.01 else 4
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2


def with_spread(one: dict[str, Any], cost: bool = False) -> str:
    """Return "mean ±sd"."""
    mean, sd = one["mean"], one["sd"]
    if sd is None:
        return number(mean, cost)
    decimals = _decimals(mean, cost)
    return f"{number(mean, cost)} ±{sd:,.{decimals if cost else decimals - 1}f}"


def difference(against: dict[str, Any]) -> str:
    """Return "+0.0012 noise"."""
    return f"{against['mean']:+.4f} {against['verdict']}"


#: Shown under every table; HEADLINES are what the answer is about.
FOOTNOTE = (
    "± is the standard deviation over the splits. γ and α of “focal loss” are those of the grid with the "
    "smallest log loss on the rows set aside in each split; its training time is that of the whole grid. "
    "Every contestant has the same folds, stops on the same rows, and has the library's default settings. "
    "“noise”: a difference that chance makes as large in one of twenty comparisons or more (corrected "
    "resampled t-test of Nadeau and Bengio; for the points of the grid adjusted by Holm). Class weights bend "
    "probabilities; they are reported as they come."
)

__all__ = ["FOOTNOTE", "HEADLINES", "difference", "number", "summarise", "with_spread"]
