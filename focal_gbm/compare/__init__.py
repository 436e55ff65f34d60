"""Would focal loss help on this table? Log loss, class weights and focal loss, compared.

What ``focal-gbm compare`` runs, from Python: `prepare` a table, `run` a `Protocol` on it, `summarise` what
came out. `focal_gbm.compare.html.render` makes the report of it.

Examples
--------
>>> from sklearn.datasets import load_breast_cancer
>>> from focal_gbm.compare import Protocol, Settings, prepare, run, summarise
>>> frame = load_breast_cancer(as_frame=True).frame
>>> table = prepare(frame, "target", name="breast cancer", folds=3)
>>> protocol = Protocol(
...     libraries=("xgboost",), gammas=(2.0,), alphas=(None,), folds=3, repeats=1, jobs=1,
...     settings=Settings(rounds=30),
... )
>>> comparison = run(table, protocol)
>>> bool((comparison.results["average_precision"] > 0.9).all())
True
>>> summarise(comparison)["verdict"]["xgboost"]["metric"]
'average_precision'
"""

from __future__ import annotations

from focal_gbm.compare.contestants import Contestant, Parts, Settings
from focal_gbm.compare.cross_validation import Comparison, run
from focal_gbm.compare.errors import TableError
from focal_gbm.compare.numbers import Writing
from focal_gbm.compare.protocol import Protocol
from focal_gbm.compare.read import read_frame
from focal_gbm.compare.roles import Roles, RowData
from focal_gbm.compare.scores import METRICS, score
from focal_gbm.compare.splits import Split, splits
from focal_gbm.compare.statistics import Paired, compare_paired
from focal_gbm.compare.summary import json_schema, summarise
from focal_gbm.compare.table import Table, embedded_table, prepare
from focal_gbm.compare.verdict import Verdict, decide

__all__ = [
    "METRICS",
    "Comparison",
    "Contestant",
    "Paired",
    "Parts",
    "Protocol",
    "Roles",
    "RowData",
    "Settings",
    "Split",
    "Table",
    "TableError",
    "Verdict",
    "Writing",
    "compare_paired",
    "decide",
    "embedded_table",
    "json_schema",
    "prepare",
    "read_frame",
    "run",
    "score",
    "splits",
    "summarise",
]
