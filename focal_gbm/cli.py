"""The command ``focal-gbm``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from focal_gbm.compare import Comparison

app = typer.Typer(help="Focal loss for XGBoost and LightGBM.", add_completion=False, pretty_exceptions_enable=False)

#: Where nobody watches, lines are wide enough for the tables.
_WIDTH = 130

#: The digit that is told apart worst.
_DIGIT = "8"

_read = partial(typer.Option, rich_help_panel="How the file is read")
_is = partial(typer.Option, rich_help_panel="What its columns are")
_what = partial(typer.Option, rich_help_panel="What is compared")
_how = partial(typer.Option, rich_help_panel="How it is compared")
_out = partial(typer.Option, rich_help_panel="Output")
_Text: TypeAlias = str | None
_Texts: TypeAlias = list[str] | None


@app.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    """Focal loss for XGBoost and LightGBM."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def compare(
    data: Annotated[Path | None, typer.Argument(help="CSV or Parquet. Without it: written digits.")] = None,
    target: Annotated[_Text, _is(help="The column to predict.")] = None,
    positive: Annotated[_Text, _is(help="The positive label. Default: the rarer of two.")] = None,
    time: Annotated[_Text, _is(help="Time column: train on the past, test on the future.")] = None,
    ordered: Annotated[bool, _is("--ordered", help="Rows are in order of time, without a time column.")] = False,
    group: Annotated[_Text, _is(help="Customer: rows of one are never in both training and test.")] = None,
    weight: Annotated[_Text, _is(help="How often each row counts.")] = None,
    cost_fp: Annotated[_Text, _is(help="What a false alarm costs: a number or a column.")] = None,
    cost_fn: Annotated[_Text, _is(help="What a missed positive costs: a number or a column.")] = None,
    drop: Annotated[_Texts, _is(help="Leave a column out (repeatable, as the next three).")] = None,
    keep: Annotated[_Texts, _is(help="Keep a column that looks like a key or a copy of the target.")] = None,
    numeric: Annotated[_Texts, _is(help="Read a column as numbers or spans of time.")] = None,
    categorical: Annotated[_Texts, _is(help="Take a column as categories.")] = None,
    max_rows: Annotated[int, _is(help="Of a larger table take a stratified sample.", min=100)] = 50_000,
    sep: Annotated[_Text, _read(help="Between values: a character or tab. Default: a comma.")] = None,
    decimal: Annotated[str, _read(help="Decimal separator.")] = ".",
    thousands: Annotated[_Text, _read(help="Thousands separator.")] = None,
    date_format: Annotated[_Texts, _read(help="A format such as %d.%m.%Y, besides ISO.")] = None,
    header: Annotated[str, _read(help="none: columns are called f0, f1, ...")] = "first",
    skip: Annotated[int, _read(help="Lines to skip before the header.", min=0)] = 0,
    encoding: Annotated[str, _read(help="Encoding of a CSV.")] = "utf-8",
    na: Annotated[_Texts, _read(help="A text that means missing, besides the usual ones.")] = None,
    na_only: Annotated[bool, _read("--na-only", help="Only the empty text and --na mean missing.")] = False,
    library: Annotated[str, _what(help="xgboost, lightgbm or both.")] = "both",
    gamma: Annotated[list[float] | None, _what(help="γ to try. Default: 0.5, 1 and 2.")] = None,
    alpha: Annotated[_Texts, _what(help="α to try: balanced, effective or a number. Default: none.")] = None,
    top: Annotated[_Texts, _what(help="Rows to look at: 1% or 100. Default: 0.5%, 1%, 5%.")] = None,
    precision: Annotated[float | None, _what(help="Report the recall at this precision, too.")] = None,
    decide: Annotated[_Text, _what(help="The score of the verdict, such as cost.")] = None,
    margin: Annotated[float, _what(help="A gain below this share of a score does not matter.")] = 0.02,
    folds: Annotated[int, _how(help="Folds of cross-validation, or windows of time.")] = 5,
    repeats: Annotated[int | None, _how(help="Default: 2, and 1 from 20,000 rows on.")] = None,
    rounds: Annotated[int, _how(help="Boosting rounds, at most.")] = 500,
    learning_rate: Annotated[float, _how(help="The same for every contestant.")] = 0.1,
    patience: Annotated[int, _how(help="Rounds without improvement to stop after.")] = 30,
    jobs: Annotated[int | None, _how(help="Fits in parallel. Default: the cores, at most 8.")] = None,
    seed: Annotated[int, _how(help="Seed of splits and models.", min=0)] = 0,
    html: Annotated[Path | None, _out(help="Write a page with pictures here.", dir_okay=False)] = None,
    as_json: Annotated[bool, _out("--json", help="Print JSON instead of the tables.")] = False,
) -> None:  # fmt: skip
    """Would focal loss help on this table?

    Compares each library's log loss, the same with class weights, and focal loss, by cross-validation with
    early stopping on the same rows, and says whether focal loss is better, worse or equivalent, or that the
    rows are too few to tell.
    """
    options = {name: value for name, value in locals().items() if value is not None}
    not_of_compare = ("data", "target", "sep", "header", "skip", "encoding", "na_only", "html", "as_json")
    apart = {name: options.pop(name, None) for name in not_of_compare}
    options |= {name: _number_or_text(options[name]) for name in ("cost_fp", "cost_fn") if name in options}
    if alpha is not None:
        options["alpha"] = [None if one == "none" else _number_or_text(one) for one in alpha]
    try:
        if header not in ("first", "none"):
            raise ValueError(f"--header must be first or none, got {header!r}.")
        if html is not None and not html.absolute().parent.is_dir():
            raise ValueError(f"the folder of {html} (--html) does not exist.")
        comparison = _compare(data, target, apart, options)
    except (ValueError, TypeError) as error:
        typer.echo(f"focal-gbm compare: {error}", err=True)
        raise typer.Exit(2) from None
    _report(comparison, html, as_json)


def _compare(data: Path | None, target: str | None, apart: dict[str, Any], options: dict[str, Any]) -> Comparison:
    from focal_gbm.compare import compare, read_frame
    from focal_gbm.compare.table import embedded_frame

    if (data is None) != (target is None):
        raise ValueError("DATA and --target COLUMN, the column to predict, go together: give both.")
    with _progress() as step:
        if data is None:
            frame, target = embedded_frame(), "digit"
            pixels = [column for column in frame if column != target]  # numbers, and no codes
            embedded = {"name": "scikit-learn's written digits", "positive": _DIGIT, "numeric": pixels}
            return compare(frame, target, step=step, **{**embedded, **options})
        step(0, None, f"reading {data.name}")
        how = {name: apart[name] for name in ("sep", "skip", "encoding", "na_only")}
        frame = read_frame(data, header=apart["header"] == "first", **how)
        return compare(frame, str(target), step=step, **{"name": data.name, **options})


@contextmanager
def _progress() -> Iterator[Callable[[int, int | None, str], None]]:
    """Yield what shows how far the work is: (done, of how many, what)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda done, total, what: progress.update(task, completed=done, total=total, description=what)


def _report(comparison: Comparison, html: Path | None, as_json: bool) -> None:
    """Write the page, then print: where printing fails, the page is there."""
    from rich.console import Console

    from focal_gbm.compare import summarise
    from focal_gbm.compare.terminal import show

    if html is not None:
        from focal_gbm.compare.page import render

        html.write_text(render(comparison), encoding="utf-8")
        typer.echo(f"The page with pictures is {html}.", err=True)
    summary = summarise(comparison)
    if as_json:
        typer.echo(json.dumps(summary, indent=1, allow_nan=False))  # ASCII, which every stream takes
    else:
        show(summary, Console(width=None if sys.stdout.isatty() else _WIDTH))


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
