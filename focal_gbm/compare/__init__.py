"""Would focal loss help on this table? Log loss, class weights and focal loss, compared.

What ``focal-gbm compare`` runs, from Python. `summarise` makes plain data of a result, as ``--json`` prints
it, and `focal_gbm.compare.page.render` the page of ``--html``.

Examples
--------
>>> from sklearn.datasets import load_breast_cancer
>>> from focal_gbm.compare import compare
>>> frame = load_breast_cancer(as_frame=True).frame
>>> result = compare(frame, "target", library="xgboost", gamma=[2.0], folds=3, repeats=1, rounds=30, jobs=1)
>>> result.values("xgboost", "focal loss", "average_precision").round(1).tolist()
[1.0, 1.0, 1.0]
>>> list(result.verdict("xgboost").words)
['average_precision', 'log_loss']
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from focal_gbm.compare.columns import Reading
from focal_gbm.compare.comparison import Comparison, run
from focal_gbm.compare.contestants import Protocol
from focal_gbm.compare.errors import TableError, nearest
from focal_gbm.compare.read import read_frame
from focal_gbm.compare.summary import json_schema, summarise
from focal_gbm.compare.table import Roles, prepare

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Comparison", "Protocol", "Reading", "Roles", "TableError", "compare", "json_schema", "read_frame",
    "summarise",
]  # fmt: skip

_OF_TABLE = ("name", "positive", "drop", "keep", "max_rows")


def compare(
    frame: pd.DataFrame,
    target: str,
    *,
    step: Callable[[int, int | None, str], None] = lambda *what: None,
    **options: Any,
) -> Comparison:
    """Compare log loss, class weights and focal loss on a table.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        A named index is a column, too.
    target : str
        The column to predict: classes of any type, of two or more.
    step : callable
        Called with (fits done, fits in all or None, what is being done).
    **options
        * The table: ``name``, ``positive`` (the positive label; by default the rarer of two), ``drop`` and ``keep``
          (lists of columns), ``max_rows`` (50,000).
        * How texts are read, the fields of `Reading`: ``numeric``, ``categorical``, ``decimal``,
          ``thousands``, ``date_format`` and ``na``.
        * Columns that are no features, the fields of `Roles`: ``time``, ``ordered``, ``group``, ``weight``,
          ``cost_fp`` and ``cost_fn``.
        * What is compared, and how: the fields of `Protocol`, such as ``library``, ``gamma``, ``folds``,
          ``top`` and ``seed``.

    Returns
    -------
    Comparison

    Raises
    ------
    TableError
        Naming the column, and the row where there is one, and what to do (in the words of the command).
    TypeError
        For an unknown option.
    ValueError
        For an option that makes no sense.
    """
    names = {group: {one.name for one in fields(group)} for group in (Reading, Roles, Protocol)}
    known = sorted({*_OF_TABLE}.union(*names.values()))
    if unknown := next((name for name in options if name not in known), None):
        raise TypeError(f"compare() has no option {unknown!r}: {nearest(unknown, known)}")

    def of(group: Any) -> Any:
        return group(**{name: options[name] for name in options if name in names[group]})

    protocol = of(Protocol)
    of_table = {name: options[name] for name in _OF_TABLE if name in options}
    table = prepare(
        frame, target, reading=of(Reading), roles=of(Roles), folds=protocol.folds, seed=protocol.seed,
        step=lambda what: step(0, None, what), **of_table,
    )  # fmt: skip
    return run(table, protocol, step)
