"""Threads over the rows: NumPy lets go of the interpreter inside each of its passes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import joblib  # of scikit-learn's dependencies; its count knows containers

from focal_gbm._arrays import BLOCK_SIZE

#: Between passes a thread holds the interpreter for about a microsecond, of the ten to twenty that a pass
#: over a block takes: more threads than this would wait for each other.
_MAX_THREADS = 8

#: Of GNU OpenMP's GOMP_SPINCOUNT, 300,000 by default: a tenth of a millisecond or so.
_SHORT_SPIN = 10_000


class RowThreads:
    """Parts of the rows, each worked on by one thread.

    Parameters
    ----------
    n_rows : int
    row_size : int
        Numbers a row.
    n_jobs : int or None
        The host's number of threads, as the hosts read it: None or 0 is all cores, or OMP_NUM_THREADS
        of them, and a negative number leaves that many minus one free. Ours are no more than these, on
        the cores that the host leaves free, and on the host's own where its threads sleep in between.

    Attributes
    ----------
    parts : list of slice
        Together all rows, in order; one where a single thread does not fill a block.
    """

    def __init__(self, n_rows: int, row_size: int = 1, n_jobs: int | None = None) -> None:
        n_blocks = n_rows * row_size // BLOCK_SIZE
        n_parts = max(1, min(n_blocks, _MAX_THREADS, _n_threads(n_jobs)))
        bounds = [n_rows * i // n_parts for i in range(n_parts + 1)]
        self.parts = [slice(start, stop) for start, stop in itertools.pairwise(bounds)]
        # Of this object's own: a pool of the module would have no threads left in a forked process.
        self._pool = ThreadPoolExecutor(n_parts - 1) if n_parts > 1 else None

    def run(self, work: Callable[[int], None]) -> None:
        """Call ``work(i)`` for each part i and return when all have ended; the first error is raised."""
        if self._pool is None:
            work(0)
            return
        others = [self._pool.submit(work, i) for i in range(1, len(self.parts))]
        try:
            work(0)
        finally:
            errors = [other.exception() for other in others]  # waits for each
        for error in errors:
            if error is not None:
                raise error


def _n_threads(n_jobs: int | None) -> int:
    n_cores: int = joblib.cpu_count()
    if n_jobs and n_jobs > 0:
        of_host = min(int(n_jobs), n_cores)
    elif n_jobs:
        of_host = max(1, n_cores + 1 + int(n_jobs))
    else:
        wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
        of_host = min(n_cores, int(wanted)) if wanted.isdigit() and int(wanted) > 0 else n_cores
    return of_host if _host_threads_sleep() else min(of_host, 1 + n_cores - of_host)


def _host_threads_sleep() -> bool:
    """Say whether the OpenMP threads of the hosts leave their cores when they have nothing to do.

    By default GNU OpenMP's spin for milliseconds, longer than an objective takes. On their cores ours
    made whole fits slower (benchmarks/fit_time_vs_host.py); the environment can tell them to sleep.
    """
    if os.environ.get("OMP_WAIT_POLICY", "").strip().lower() == "passive":
        return True
    spins = os.environ.get("GOMP_SPINCOUNT", "").strip()
    return spins.isdigit() and int(spins) <= _SHORT_SPIN
