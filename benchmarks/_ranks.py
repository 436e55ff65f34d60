"""Average ranks over tables with the critical difference (Demšar 2006, JMLR 7:1-30)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats


def average_ranks(scores: pd.DataFrame, higher_is_better: bool) -> pd.Series:
    """Return the mean rank of each column over the rows, 1 the best; equal scores share a rank."""
    return scores.rank(axis=1, ascending=not higher_is_better).mean().sort_values()


def critical_difference(n_contestants: int, n_tables: int, level: float = 0.05) -> float:
    """Return how far two average ranks must differ (Nemenyi)."""
    quantile = stats.studentized_range.ppf(1 - level, n_contestants, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_contestants * (n_contestants + 1) / (6 * n_tables)))


def draw(axes: Axes, ranks: pd.Series, difference: float, title: str) -> None:
    """Draw the ranks on a line, best on the left; a bar joins those that differ by less than critical."""
    n = len(ranks)
    axes.set_title(title, loc="left", fontsize=11)
    axes.hlines(0, 1, n, color="black", linewidth=1)
    for tick in range(1, n + 1):
        axes.vlines(tick, 0, 0.12, color="black", linewidth=1)
        axes.text(tick, 0.22, str(tick), ha="center", va="bottom", fontsize=9)
    left = (n + 1) // 2
    for place, (name, rank) in enumerate(ranks.items()):
        on_left = place < left
        level = -0.95 - 0.55 * (place if on_left else n - 1 - place)
        end = 0.75 if on_left else n + 0.25
        axes.plot([rank, rank, end], [0, level, level], color="black", linewidth=0.9)
        side = "right" if on_left else "left"
        axes.text(end + (-0.06 if on_left else 0.06), level, f"{name} ({rank:.2f})", ha=side, va="center")
    values = ranks.to_numpy()
    groups = []
    for start in range(n):
        stop = int(np.flatnonzero(values <= values[start] + difference)[-1])
        if stop > start and not any(stop <= other for _, other in groups):
            groups.append((start, stop))
    for row, (start, stop) in enumerate(groups):
        height = -0.22 - 0.22 * row
        axes.hlines(height, values[start] - 0.04, values[stop] + 0.04, color="#0072B2", linewidth=4)
    axes.hlines(0.95, 1, 1 + difference, color="#D55E00", linewidth=2)
    axes.text(1 + difference + 0.08, 0.95, f"critical difference {difference:.2f}", va="center", fontsize=9)
    axes.set(xlim=(-1.6, n + 2.6), ylim=(-1.1 - 0.55 * left, 1.25))
    axes.set_axis_off()
