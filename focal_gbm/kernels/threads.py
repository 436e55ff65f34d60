"""On whose threads compiled code runs: those of the library that calls, through its own OpenMP runtime."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache

_Number = ctypes.CFUNCTYPE(ctypes.c_int)


@dataclass(frozen=True)
class Threads:
    """The threads of one library, of which a second pool would only take the cores.

    XGBoost and LightGBM keep their threads spinning between two parallel regions: work on the same threads
    starts within microseconds, and no core has two owners. They are reached through ``GOMP_parallel`` of the
    OpenMP runtime that the library is linked with, GNU's or LLVM's. Where a library has no such entry, and in
    a forked process, whose threads were not copied, work runs on the calling thread.

    Parameters
    ----------
    library : str or None, default=None
        Path of the library's shared object, already loaded; None for the calling thread alone.
    n_jobs : int or None, default=None
        As the libraries read it: None or 0 is all cores that this process may use, or OMP_NUM_THREADS of
        them; a negative number leaves that many minus one free.

    Examples
    --------
    >>> from focal_gbm.kernels.threads import Threads
    >>> Threads().n_threads
    1
    """

    library: str | None = None
    n_jobs: int | None = None

    @property
    def runtime(self) -> Runtime | None:
        """Where parallel regions are started, or None where only the calling thread can be used."""
        return None if self.library is None or _is_forked else _runtime_of(self.library)

    @property
    def n_threads(self) -> int:
        """How many threads work runs on: the library's own number, as GNU's runtime ends those left over."""
        runtime = self.runtime
        if runtime is None:
            return 1
        n_cores = int(runtime.omp_get_num_procs())
        if not self.n_jobs:
            return max(1, min(n_cores, int(runtime.omp_get_max_threads())))
        if self.n_jobs < 0:
            return max(1, n_cores + 1 + self.n_jobs)
        return min(self.n_jobs, n_cores)


class Runtime:
    """The entries of the OpenMP runtime that a library is linked with.

    Parameters
    ----------
    library : str
        Path of the library's shared object.

    Raises
    ------
    AttributeError, OSError
        If there is no such library, or it has no such runtime.
    """

    def __init__(self, library: str) -> None:
        # A look-up through the library's handle finds what the library itself is linked with
        handle = ctypes.CDLL(library)
        self.omp_get_num_procs = _Number(("omp_get_num_procs", handle))
        self.omp_get_max_threads = _Number(("omp_get_max_threads", handle))
        names = "GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads"
        self.addresses = tuple(ctypes.cast(getattr(handle, name), ctypes.c_void_p) for name in names)


@cache
def _runtime_of(library: str) -> Runtime | None:
    try:
        return Runtime(library)
    except (AttributeError, OSError):
        return None


_is_forked = False


def _after_fork() -> None:
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):
    # GNU's runtime waits for ever for threads that the parent had started
    os.register_at_fork(after_in_child=_after_fork)
