"""The time of one call, in the middle of several."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def median_seconds(turns: int, call: Callable[..., Any], *arguments: Any) -> float:
    """Return the median over so many calls, one after another."""
    seconds = []
    for _ in range(turns):
        started = time.perf_counter()
        call(*arguments)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))
