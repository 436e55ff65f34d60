"""On whose threads compiled code runs: those of the library that calls, through its own OpenMP runtime."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache

import joblib

_Number = ctypes.CFUNCTYPE(ctypes.c_int)


@dataclass(frozen=True)
class Threads:
    """The threads of one library, as many as the library itself uses.

    XGBoost and LightGBM keep their threads spinning between two parallel regions: work on the same threads
    starts within microseconds, and no core has two owners. They are reached through ``GOMP_parallel`` of the
    OpenMP runtime that the library is linked with, GNU's or LLVM's. A second pool would take cores from them,
    and GNU's runtime ends those threads of a pool that a region leaves out.

    Where a library has no such entry, and in a forked process, whose threads were not copied, work runs on
    the calling thread.

    Parameters
    ----------
    library : str or None, default=None
        Path of the library's shared object, already loaded; None for the calling thread alone.
    n_jobs : int or None, default=None
        The parameter of the booster (``nthread``, ``num_threads``), None or not positive where it has none.

        - XGBoost uses that many, but no more than the processors of this process, OMP_NUM_THREADS,
          OMP_THREAD_LIMIT and the CPU quota of a container, which are also its default.
        - LightGBM says itself how many it uses, whatever the alias of its parameter: the parameter is needed
          only outside of its training.

    Examples
    --------
    >>> from focal_gbm.kernels import Threads
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
        """How many threads work runs on."""
        runtime = self.runtime
        if runtime is None:
            return 1
        asked = self.n_jobs if self.n_jobs and self.n_jobs > 0 else None
        if runtime.of_lightgbm is not None:
            return max(1, int(asked or runtime.of_lightgbm()))
        limits = [int(limit()) for limit in runtime.limits]
        return max(1, min(*limits, _n_cpus(), *([asked] if asked else [])))


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
        names = "GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads"
        self.addresses = tuple(ctypes.cast(getattr(handle, name), ctypes.c_void_p) for name in names)
        names = "omp_get_num_procs", "omp_get_max_threads", "omp_get_thread_limit"
        self.limits = [_Number((name, handle)) for name in names]
        is_lightgbm = hasattr(handle, "OMP_NUM_THREADS")
        self.of_lightgbm = _Number(("OMP_NUM_THREADS", handle)) if is_lightgbm else None


@cache
def _runtime_of(library: str) -> Runtime | None:
    try:
        return Runtime(library)
    except (AttributeError, OSError):
        return None


@cache
def _n_cpus() -> int:
    """Return the CPUs of this process, those of a container's quota included, as XGBoost counts them once."""
    return int(joblib.cpu_count())


_is_forked = False


def _after_fork() -> None:
    global _is_forked
    _is_forked = True


if hasattr(os, "register_at_fork"):
    # GNU's runtime waits for ever for threads that the parent had started
    os.register_at_fork(after_in_child=_after_fork)
