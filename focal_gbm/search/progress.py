"""Progress of a search on stderr."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from focal_gbm.search.results import Run


class Progress:
    """A bar of tqdm where it is installed, a line a fit where it is not; nothing without `verbose`."""

    def __init__(self, total: int, verbose: int) -> None:
        self._total, self._done = total, 0
        self._verbose = verbose > 0
        self._bar = None
        if self._verbose:
            with suppress(ImportError):
                self._bar = import_module("tqdm.auto").tqdm(total=total, unit="fit", file=sys.stderr)

    def step(self, fold: int, params: dict[str, Any], run: Run) -> None:
        """Count one fit."""
        self._done += 1
        if not self._verbose:
            return
        candidate = ", ".join(f"{name}={value!r}" for name, value in params.items())
        scores = run.scores or {}
        result = ", ".join(f"{name} {score:.5g}" for name, score in scores.items()) or "failed"
        text = f"fold {fold}, {candidate}: {run.n_rounds} rounds, {result}"
        if self._bar is None:
            print(f"[{self._done}/{self._total}] {text}", file=sys.stderr)
        else:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update()

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
