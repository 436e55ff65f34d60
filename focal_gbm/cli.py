"""The command ``focal-gbm``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from focal_gbm.compare import Comparison, Protocol, Table

app = typer.Typer(
    help="Focal loss for XGBoost and LightGBM.", add_completion=False, pretty_exceptions_enable=False
)

#: Where nobody watches, lines are wide enough for the tables.
_WIDTH = 118

_READING, _ROWS, _WHAT, _HOW, _OUTPUT = (
    "How the file is read", "What its columns are", "What is compared", "How it is compared", "Output",
)  # fmt: skip


class Library(str, Enum):
    """Which libraries to compare with."""

    both = "both"
    xgboost = "xgboost"
    lightgbm = "lightgbm"


def _option(*names: str, panel: str, **settings: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, **settings)


_Data = Annotated[
    Path | None,
    typer.Argument(help="CSV (also .gz) or Parquet. Without it: a real table that ships with scikit-learn."),
]
_Separator = Annotated[
    str | None,
    _option(panel=_READING, help="Between values. Default: comma, semicolon, tab or bar, as found."),
]
_Decimal = Annotated[
    str | None, _option(panel=_READING, help="The decimal sign. Default: as the values prove.")
]
_Thousands = Annotated[
    str | None, _option(panel=_READING, help="Between thousands. Default: as the values prove.")
]
_Encoding = Annotated[str, _option(panel=_READING, help="Of a text file.")]
_Na = Annotated[
    list[str] | None,
    _option(panel=_READING, help="A text that means missing, beside the usual ones. Repeatable."),
]
_NaOnly = Annotated[
    bool,
    _option(
        "--na-only",
        panel=_READING,
        help="Only the empty text and those of --na mean missing: None may be a class.",
    ),
]
_DayFirst = Annotated[
    bool | None,
    _option(
        "--day-first/--month-first",
        panel=_READING,
        help="Of dates such as 3/4/2024. Default: as the values prove.",
    ),
]
_Target = Annotated[str | None, _option(panel=_ROWS, help="The column to predict.")]
_Positive = Annotated[
    str | None,
    _option(panel=_ROWS, help="The label looked for, as it is written. Default: the rarer of two."),
]
_Time = Annotated[str | None, _option("--time", panel=_ROWS, help="Train on the past, test on the future.")]
_Ordered = Annotated[
    bool,
    _option("--ordered", panel=_ROWS, help="The same where no column has the time: rows are in its order."),
]
_Group = Annotated[
    str | None, _option(panel=_ROWS, help="The customer: rows of one are never in training and test.")
]
_Weight = Annotated[str | None, _option(panel=_ROWS, help="How often each row counts.")]
_CostFp = Annotated[
    str | None, _option(panel=_ROWS, help="What a false alarm costs: a number or a column. With --cost-fn.")
]
_CostFn = Annotated[
    str | None, _option(panel=_ROWS, help="What a missed positive costs: a number or a column (the amount).")
]
_Drop = Annotated[list[str] | None, _option(panel=_ROWS, help="Leave a column out. Repeatable.")]
_Keep = Annotated[
    list[str] | None,
    _option(panel=_ROWS, help="Keep a column that looks like a key or a row number. Repeatable."),
]
_Categorical = Annotated[
    list[str] | None, _option(panel=_ROWS, help="Take a column as categories. Repeatable.")
]
_AllowLeaky = Annotated[
    bool, _option("--allow-leaky", panel=_ROWS, help="Keep columns that predict the target alone.")
]
_MaxRows = Annotated[int, _option(min=100, panel=_ROWS, help="Of a larger table take a sample.")]
_Library = Annotated[Library, _option(panel=_WHAT, help="Which library.")]
_Gamma = Annotated[str, _option(panel=_WHAT, help="Values of γ to try.")]
_Alpha = Annotated[
    str, _option(panel=_WHAT, help="Values of α to try: none, balanced, effective or numbers in (0, 1).")
]
_Precision = Annotated[float, _option(panel=_WHAT, help="Report the recall at this precision.")]
_Top = Annotated[
    str | None,
    _option(
        panel=_WHAT,
        help="Report precision, recall and amount in the top rows: a share (1%) or a number of them.",
    ),
]
_Decide = Annotated[
    str | None,
    _option(
        panel=_WHAT, help="The score of the verdict. Default: cost, precision_at_top or average_precision."
    ),
]
_Margin = Annotated[
    float, _option(panel=_WHAT, help="A difference of less than this share of the score does not matter.")
]
_Folds = Annotated[int, _option(min=2, panel=_HOW, help="Of cross-validation, or windows of time.")]
_Repeats = Annotated[
    int | None,
    _option(min=1, panel=_HOW, help="Of cross-validation. Default: 2, and 1 from 20,000 rows on."),
]
_Rounds = Annotated[int, _option(min=1, panel=_HOW, help="At most.")]
_LearningRate = Annotated[float, _option(panel=_HOW)]
_Patience = Annotated[int, _option(min=1, panel=_HOW, help="Rounds without improvement to stop after.")]
_Minutes = Annotated[float, _option(panel=_HOW, help="Start no split that would probably end later.")]
_Jobs = Annotated[int | None, _option(min=1, panel=_HOW, help="Fits side by side. Default: the cores.")]
_Seed = Annotated[int, _option(min=0, panel=_HOW)]
_Html = Annotated[Path | None, _option(panel=_OUTPUT, help="Write a report with figures to this file.")]
_Json = Annotated[bool, _option("--json", panel=_OUTPUT, help="Print JSON in place of the tables.")]


@app.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    """Focal loss for XGBoost and LightGBM."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def compare(
    data: _Data = None, target: _Target = None, positive: _Positive = None, time_: _Time = None,
    ordered: _Ordered = False,
    group: _Group = None, weight: _Weight = None, cost_fp: _CostFp = None, cost_fn: _CostFn = None,
    drop: _Drop = None, keep: _Keep = None, categorical: _Categorical = None,
    allow_leaky: _AllowLeaky = False, max_rows: _MaxRows = 50_000,
    separator: _Separator = None, decimal: _Decimal = None, thousands: _Thousands = None,
    encoding: _Encoding = "utf-8", na: _Na = None, na_only: _NaOnly = False, day_first: _DayFirst = None,
    library: _Library = Library.both, gamma: _Gamma = "0.5,1,2", alpha: _Alpha = "none,balanced",
    precision: _Precision = 0.9, top: _Top = None, decide: _Decide = None, margin: _Margin = 0.02,
    folds: _Folds = 5, repeats: _Repeats = None, rounds: _Rounds = 500, learning_rate: _LearningRate = 0.1,
    patience: _Patience = 30, minutes: _Minutes = 10.0, jobs: _Jobs = None, seed: _Seed = 0,
    html: _Html = None, as_json: _Json = False,
) -> None:  # fmt: skip
    """Would focal loss help on this table?

    Compares each library's log loss, the same with class weights, and focal
    loss over a small grid of γ and α, by cross-validation with early stopping
    on the same rows, and says whether focal loss is better, worse or
    equivalent, or whether the rows are too few to tell.
    """
    from focal_gbm.compare import Protocol, Roles, Settings, TableError, Writing
    from focal_gbm.compare.output import refuse_unwritable

    started = time.perf_counter()
    try:
        protocol = Protocol(
            libraries=("xgboost", "lightgbm") if library is Library.both else (library.value,),
            gammas=_gammas(gamma), alphas=_alphas(alpha), folds=folds, repeats=repeats,
            settings=Settings(rounds=rounds, learning_rate=learning_rate, patience=patience, seed=seed),
            precision=precision, top=None if top is None else _share_or_count(top), margin=margin,
            decide=decide, minutes=minutes, jobs=jobs,
        )  # fmt: skip
        if html is not None:
            refuse_unwritable(html, "--html")
        roles = Roles(time_, group, weight, _number_or_column(cost_fp), _number_or_column(cost_fn), ordered)
        how_to_read = {
            "encoding": encoding, "separator": separator, "missing": na or [], "only_missing": na_only,
        }  # fmt: skip
        how_to_prepare = {
            "drop": drop or [], "keep": keep or [], "categorical": categorical or [], "roles": roles,
            "writing": Writing(decimal, thousands), "day_first": day_first, "max_rows": max_rows,
            "allow_leaky": allow_leaky,
        }  # fmt: skip
        with _progress() as step:
            table = _table(data, target, positive, protocol, how_to_read, how_to_prepare, step)
            _check_alphas(protocol, table)
            comparison = _run(table, protocol, step, time.perf_counter() - started)
    except (TableError, ValueError, TypeError) as error:
        typer.echo(f"focal-gbm compare: {error}", err=True)
        raise typer.Exit(2) from None
    _report(comparison, html, as_json)


_Step = Callable[[int, int | None, str], None]


@contextmanager
def _progress() -> Iterator[_Step]:
    """Yield what shows how far the work is: (done, of how many, what)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=None)

        def step(done: int, total: int | None, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what)

        yield step


def _table(
    data: Path | None,
    target: str | None,
    positive: str | None,
    protocol: Protocol,
    how_to_read: dict[str, Any],
    how_to_prepare: dict[str, Any],
    step: _Step,
) -> Table:
    from focal_gbm.compare import embedded_table, prepare, read_frame

    if data is None:
        if target is not None:
            raise ValueError("--target names a column of DATA, but no DATA was given.")
        return embedded_table(protocol.folds, positive)
    if target is None:
        raise ValueError("say which column to predict: --target COLUMN.")
    step(0, None, f"reading {data.name}")
    frame = read_frame(data, **how_to_read)
    return prepare(
        frame,
        target,
        name=data.name,
        positive=positive,
        folds=protocol.folds,
        seed=protocol.settings.seed,
        # the fits must have some of the time, too
        seconds=60 * protocol.minutes / 2,
        step=lambda what: step(0, None, what),
        **how_to_prepare,
    )


def _run(table: Table, protocol: Protocol, step: _Step, seconds_before: float) -> Comparison:
    from focal_gbm.compare import run

    step(0, None, "starting the fits")
    return run(table, protocol, step, seconds_before)


def _report(comparison: Comparison, html: Path | None, as_json: bool) -> None:
    """Write the report, then print: where printing fails, the report is there."""
    from rich.console import Console

    from focal_gbm.compare import summarise
    from focal_gbm.compare.output import write_whole
    from focal_gbm.compare.terminal import show

    summary = summarise(comparison)
    if html is not None:
        from focal_gbm.compare.html import render

        write_whole(html, render(comparison, summary))
        typer.echo(f"The report with figures is in {html}.", err=True)
    if as_json:
        typer.echo(json.dumps(summary, indent=1, allow_nan=False))  # ASCII, which every stream takes
    else:
        show(summary, Console(width=None if sys.stdout.isatty() else _WIDTH))


def _gammas(text: str) -> tuple[float, ...]:
    from focal_gbm._validation import check_gamma

    gammas = tuple(check_gamma(_as_number(one, "--gamma"), "--gamma") for one in text.split(","))
    return tuple(dict.fromkeys(gammas))


def _alphas(text: str) -> tuple[Any, ...]:
    words = {"none": None, "balanced": "balanced", "effective": "effective"}
    alphas = []
    for one in (part.strip() for part in text.split(",")):
        alpha = words[one] if one in words else _as_number(one, "--alpha")
        if isinstance(alpha, float) and not 0 < alpha < 1:
            raise ValueError(f"--alpha must be none, balanced, effective or a number in (0, 1), got {one!r}.")
        alphas.append(alpha)
    return tuple(dict.fromkeys(alphas))


def _as_number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{option} must be numbers with commas between, got {text!r}.") from None


def _share_or_count(text: str) -> float:
    """Return "1%" and "0.01" as 0.01, and "100" as 100."""
    is_percent = text.strip().endswith("%")
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        raise ValueError(f"--top must be a share such as 1% or a number of rows, got {text!r}.") from None
    if is_percent and not 0 < value < 100:
        raise ValueError(f"--top must be a share above 0 % and below 100 %, got {text!r}.")
    return value / 100 if is_percent else value


def _number_or_column(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _check_alphas(protocol: Protocol, table: Table) -> None:
    if not table.is_binary and any(isinstance(alpha, float) for alpha in protocol.alphas):
        raise ValueError(
            f"--alpha as a number is for two classes, the target has {len(table.labels)}: take balanced or "
            "effective, or --positive LABEL."
        )
