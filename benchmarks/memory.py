"""Claim: a fit takes no more memory than the library's own but a few bytes a row.

Peak resident memory of a fit above that of the process with the table loaded, each contestant in a process of
its own, three times; medians, and the difference to the library's own loss in bytes a row (or a row and
class). The kernel's counter of the peak is reset just before the fit (Linux). Writes results/memory.json.

    python benchmarks/memory.py [--cases 1000000x30x2,300000x30x5]
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from _made_tables import made_table
from _report import write
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

CONTESTANTS: dict[tuple[str, str], Any] = {
    ("xgboost", "own loss"): lambda **common: XGBClassifier(**common),
    ("xgboost", "γ=2"): lambda **common: FocalXGBClassifier(focal_gamma=2.0, **common),
    ("lightgbm", "own loss"): lambda **common: LGBMClassifier(verbose=-1, force_col_wise=True, **common),
    ("lightgbm", "γ=2"): lambda **common: FocalLGBMClassifier(
        focal_gamma=2.0, verbose=-1, force_col_wise=True, **common
    ),
}


def status(key: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def measure(library: str, name: str, case: str) -> None:
    """Print the peak of one fit above what the process had before it, in bytes."""
    X, y = made_table(*map(int, case.split("x")))
    make = CONTESTANTS[library, name]
    make(n_estimators=2, n_jobs=2).fit(X[:2000], y[:2000])  # what is loaded on first use
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident
    before = status("VmRSS")
    make(n_estimators=20, n_jobs=2).fit(X, y)
    print(status("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="1000000x30x2,300000x30x5")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(*arguments.one)
        return
    rows = []
    print(
        f"{'library':<10}{'case':<18}{'own MiB':>10}{'γ=2 MiB':>10}{'bytes a row':>13}{'a row and class':>17}"
    )
    for case in arguments.cases.split(","):
        n_rows, _, n_classes = map(int, case.split("x"))
        for library in ("xgboost", "lightgbm"):
            peaks: dict[str, list[int]] = {"own loss": [], "γ=2": []}
            for _ in range(3):
                for name, values in peaks.items():
                    command = [sys.executable, __file__, "--one", library, name, case]
                    values.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
            n_scores = 1 if n_classes == 2 else n_classes
            own, focal = (float(np.median(values)) for values in peaks.values())
            row = {
                "library": library,
                "case": case,
                "library MiB": round(own / 2**20, 1),
                "focal MiB": round(focal / 2**20, 1),
                "spread MiB": round(max(np.ptp(values) for values in peaks.values()) / 2**20, 1),
                "bytes a row": round((focal - own) / n_rows, 1),
                "bytes a row and class": round((focal - own) / n_rows / n_scores, 1),
            }
            rows.append(row)
            print(
                f"{library:<10}{case:<18}{row['library MiB']:>10}{row['focal MiB']:>10}"
                f"{row['bytes a row']:>13}{row['bytes a row and class']:>11}",
                flush=True,
            )
    write("memory", f"memory.py --cases {arguments.cases}", rows)


if __name__ == "__main__":
    main()
