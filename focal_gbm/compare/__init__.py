"""Would focal loss help on this table? The host's own loss, class weights and focal loss, compared.

What ``focal-gbm compare`` runs, from Python: `prepare` a table, `run` a `Protocol` on it.

Examples
--------
>>> import pandas as pd
>>> from sklearn.datasets import load_breast_cancer
>>> from focal_gbm.compare import Protocol, Settings, prepare, run
>>> frame = load_breast_cancer(as_frame=True).frame
>>> table = prepare(frame, "target", name="breast cancer", folds=3)
>>> protocol = Protocol(
...     libraries=("xgboost",), gammas=(2.0,), alphas=(None,), folds=3, repeats=1, jobs=1,
...     settings=Settings(rounds=30),
... )
>>> comparison = run(table, protocol)
>>> bool((comparison.results["average_precision"] > 0.9).all())
True
"""

from __future__ import annotations

from focal_gbm.compare.contestants import Contestant, Parts, Settings
from focal_gbm.compare.cross_validation import Comparison, Protocol, Split, run, splits
from focal_gbm.compare.errors import TableError
from focal_gbm.compare.read import read_frame
from focal_gbm.compare.scores import METRICS, score
from focal_gbm.compare.statistics import Paired, compare_paired
from focal_gbm.compare.table import Table, embedded_table, prepare

__all__ = [
    "METRICS",
    "Comparison",
    "Contestant",
    "Paired",
    "Parts",
    "Protocol",
    "Settings",
    "Split",
    "Table",
    "TableError",
    "compare_paired",
    "embedded_table",
    "prepare",
    "read_frame",
    "run",
    "score",
    "splits",
]
