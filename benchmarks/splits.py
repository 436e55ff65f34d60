"""Claim: random splits promise more than a model keeps where customers come again and the world changes.

LightGBM's log loss in `focal-gbm compare`, on the table of examples/make_payments.py, with each way to split.
Writes results/splits.json.

    python benchmarks/splits.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from _report import write

from focal_gbm.compare import compare

sys.path.append(str(Path(__file__).parent.parent / "examples"))
from make_payments import payments

WAYS: dict[str, dict[str, Any]] = {
    "random splits": {},
    "`--group customer`": {"group": "customer"},
    "`--time when`": {"time": "when"},
    "both": {"group": "customer", "time": "when"},
}


def main() -> None:
    table, rows = payments(), []
    for way, roles in WAYS.items():
        found = compare(table, "fraud", library="lightgbm", gamma=(1.0,), **roles)
        scores = {
            name: found.values("lightgbm", "log loss", name) for name in ("average_precision", "roc_auc", "log_loss")
        }
        rows.append(
            {"way": way, "splits": found.n_splits, **{name: round(values.mean(), 5) for name, values in scores.items()}}
        )
        print(rows[-1], flush=True)
    write("splits", "splits.py", rows)


if __name__ == "__main__":
    main()
