"""Claim: on cores that others use, too, a fit is faster with OMP_WAIT_POLICY=passive, whatever the loss.

XGBoost's and LightGBM's threads wait for each other by spinning; a thread whose core another process holds
keeps all the others spinning. Each fit runs in a process of its own, with the setting and without it in turn,
beside processes that do nothing but keep a core busy, as many as there are cores unless given. Seconds of the
fit alone; medians and the longest; the load of the machine at the end. Writes results/shared_cores.json.

    python benchmarks/shared_cores.py [--rows 20000] [--turns 7] [--busy 2]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import Any

import numpy as np
from _made_tables import made_table
from _report import write
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

ROUNDS = 100

CONTESTANTS: dict[tuple[str, str], Any] = {
    ("xgboost", "own loss"): XGBClassifier,
    ("xgboost", "γ=2"): FocalXGBClassifier,
    ("lightgbm", "own loss"): lambda **common: LGBMClassifier(verbose=-1, **common),
    ("lightgbm", "γ=2"): lambda **common: FocalLGBMClassifier(verbose=-1, **common),
}


def measure(library: str, loss: str, n_rows: int) -> None:
    """Print the seconds of one fit."""
    X, y = made_table(n_rows, 20, 2)
    make = CONTESTANTS[library, loss]
    make(n_estimators=2).fit(X[:1000], y[:1000])  # what is loaded on first use
    started = time.perf_counter()
    make(n_estimators=ROUNDS).fit(X, y)
    print(time.perf_counter() - started)


@contextmanager
def busy(n_processes: int):
    """Keep so many cores busy."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(n_processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def seconds_of(library: str, loss: str, n_rows: int, policy: str | None) -> float:
    """Return the seconds of a fit in a process of its own, whose threads wait as `policy` says."""
    environment = {name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if policy is not None:
        environment["OMP_WAIT_POLICY"] = policy
    command = [sys.executable, __file__, "--one", library, loss, "--rows", str(n_rows)]
    return float(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1, help="processes that hold a core")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(*arguments.one, arguments.rows)
        return
    rows = []
    print(f"{'library':<10}{'loss':<10}{'default s':>10}{'longest':>9}{'passive s':>11}{'longest':>9}")
    with busy(arguments.busy):
        for library, loss in CONTESTANTS:
            seconds: dict[str, list[float]] = {"default": [], "passive": []}
            for _ in range(arguments.turns):
                for name, policy in (("default", None), ("passive", "passive")):
                    seconds[name].append(seconds_of(library, loss, arguments.rows, policy))
            row: dict[str, Any] = {"library": library, "loss": loss, "rows": arguments.rows}
            for name, values in seconds.items():
                row[f"{name} seconds"] = round(float(np.median(values)), 3)
                row[f"{name} seconds, longest"] = round(max(values), 3)
            print(
                f"{library:<10}{loss:<10}", *(f"{row[key]:>9}" for key in row if "seconds" in key), flush=True
            )
            row |= {"turns": arguments.turns, "load": round(os.getloadavg()[0], 1)}
            rows.append(row)
    command = f"shared_cores.py --rows {arguments.rows} --turns {arguments.turns} --busy {arguments.busy}"
    write("shared_cores", command, rows)


if __name__ == "__main__":
    main()
