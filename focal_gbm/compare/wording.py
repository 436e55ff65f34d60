"""Numbers and sentences that the terminal and the report share."""

from __future__ import annotations

from typing import Any

#: Under the tables.
FOOTNOTE = (
    "± is the standard deviation over the splits. γ and α of “focal loss” are those of the grid with the "
    "smallest log loss on the rows set aside in each split; its training time is that of the whole grid. "
    "Every contestant has the same splits, stops on the same rows, and has the library's default settings. "
    "“Class weights” are the probabilities as they come, “shifted” the same models with the weights undone "
    "in closed form. “Not significant”: a difference that chance makes as large in one of twenty comparisons "
    "or more (corrected resampled t-test of Nadeau and Bengio; for the points of the grid adjusted by Holm). "
    "“Equivalent”: the whole interval lies within the margin (--margin); “cannot tell”: it holds zero and "
    "reaches out of the margin."
)


def number(value: float | None, effort: bool = False) -> str:
    """Return a score with four decimals, five where it is small; an effort with three digits or more."""
    if value is None:
        return ""
    return f"{value:,.{_decimals(value, effort)}f}"


def _decimals(value: float, effort: bool) -> int:
    if not effort and abs(value) < 10:
        return 5 if abs(value) < 0.01 else 4
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2


def with_spread(one: dict[str, Any], effort: bool = False) -> str:
    """Return "mean ±sd"."""
    mean, sd = one["mean"], one["sd"]
    if sd is None:
        return number(mean, effort)
    decimals = _decimals(mean, effort)
    return f"{number(mean, effort)} ±{sd:,.{decimals if effort else max(decimals - 1, 0)}f}"


def difference(one: dict[str, Any]) -> str:
    """Return "+0.0012 not significant"."""
    return f"{one['mean']:+.4f} {one['significance']}"


def how_split(plan: dict[str, Any]) -> str:
    """Return in words how rows were split."""
    ways = {
        "chance": "{splits} splits of {folds}-fold stratified cross-validation",
        "group": "{splits} splits of {folds}-fold cross-validation with the rows of a group on one side",
        "time": "{splits} windows of time, each tested by models that were trained on the past",
        "time and group": (
            "{splits} parts of {folds} windows of time, each tested by models that were trained on the past "
            "of other groups"
        ),
    }
    return ways[plan["splits_by"]].format(**plan)


def settings(plan: dict[str, Any]) -> str:
    """Return in words what all contestants have in common."""
    return (
        f"at most {plan['rounds']} rounds at learning rate {plan['learning_rate']:g}, stopped after "
        f"{plan['patience']} rounds without improvement"
    )
