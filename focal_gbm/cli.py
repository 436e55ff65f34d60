"""The command ``focal-gbm``."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from focal_gbm.compare import Comparison, Protocol, Table

app = typer.Typer(
    help="Focal loss for XGBoost and LightGBM.", add_completion=False, pretty_exceptions_enable=False
)


class Library(str, Enum):
    """Which libraries to compare with."""

    both = "both"
    xgboost = "xgboost"
    lightgbm = "lightgbm"


@app.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    """Focal loss for XGBoost and LightGBM."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def compare(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="CSV (also .gz) or Parquet. Without it: a real table that ships with scikit-learn."
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    positive: Annotated[
        str | None,
        typer.Option("--positive", "--rare-label", help="The label looked for. Default: the rarer of two."),
    ] = None,
    library: Annotated[Library, typer.Option(help="Which library.")] = Library.both,
    gamma: Annotated[str, typer.Option(help="Values of γ to try.")] = "0.5,1,2",
    alpha: Annotated[
        str, typer.Option(help="Values of α to try: none, balanced, effective or numbers in (0, 1).")
    ] = "none,balanced",
    html: Annotated[Path | None, typer.Option(help="Write a report with figures to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of the tables.")] = False,
    folds: Annotated[int, typer.Option(min=2, help="Of cross-validation.")] = 5,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Of cross-validation. Default: 2, and 1 from 20,000 rows on.")
    ] = None,
    precision: Annotated[float, typer.Option(help="Report the recall at this precision.")] = 0.9,
    top: Annotated[
        int | None, typer.Option(min=1, help="Report the precision in so many top rows of a fold instead.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Leave a column out. Repeatable.")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="Take a column as categories. Repeatable.")
    ] = None,
    missing: Annotated[
        list[str] | None, typer.Option(help="A text that means missing, beside the usual ones. Repeatable.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of a text file.")] = "utf-8",
    max_rows: Annotated[int, typer.Option(min=100, help="Of a larger table take a sample.")] = 50_000,
    allow_leaky: Annotated[
        bool, typer.Option("--allow-leaky", help="Keep columns that predict the target alone.")
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="At most.")] = 500,
    learning_rate: Annotated[float, typer.Option()] = 0.1,
    patience: Annotated[int, typer.Option(min=1, help="Rounds without improvement to stop after.")] = 30,
    minutes: Annotated[float, typer.Option(help="Start no split that would probably end later.")] = 10.0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Fits side by side. Default: the cores.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Would focal loss help on this table?

    Compares each library's own loss, its own loss with class weights, and focal loss over a small grid of γ
    and α, by repeated stratified cross-validation with early stopping, and says in plain words whether the
    differences are more than noise.
    """
    from focal_gbm.compare import Protocol, Settings, TableError

    try:
        protocol = Protocol(
            libraries=("xgboost", "lightgbm") if library is Library.both else (library.value,),
            gammas=_gammas(gamma),
            alphas=_alphas(alpha),
            folds=folds,
            repeats=repeats,
            settings=Settings(rounds=rounds, learning_rate=learning_rate, patience=patience, seed=seed),
            precision=precision,
            top=top,
            minutes=minutes,
            jobs=jobs,
        )
        if html is not None and not html.resolve().parent.is_dir():
            raise ValueError(f"the folder of {html} (--html) does not exist.")
        table = _table(
            data, target, positive, protocol, encoding=encoding, missing=missing or [], drop=drop or [],
            categorical=categorical or [], max_rows=max_rows, allow_leaky=allow_leaky,
        )  # fmt: skip
        _check_alphas(protocol, table)
    except (TableError, ValueError, TypeError) as error:
        typer.echo(f"focal-gbm compare: {error}", err=True)
        raise typer.Exit(2) from None
    _report(_run(table, protocol), html, as_json)


def _table(
    data: Path | None,
    target: str | None,
    positive: str | None,
    protocol: Protocol,
    *,
    encoding: str,
    missing: list[str],
    **how: Any,
) -> Table:
    from focal_gbm.compare import embedded_table, prepare, read_frame

    if data is None:
        if target is not None:
            raise ValueError("--target names a column of DATA, but no DATA was given.")
        return embedded_table(protocol.folds, positive)
    if target is None:
        raise ValueError("say which column to predict: --target COLUMN.")
    frame = read_frame(data, encoding=encoding, missing=missing)
    return prepare(
        frame,
        target,
        name=data.name,
        positive=positive,
        folds=protocol.folds,
        seed=protocol.settings.seed,
        **how,
    )


def _run(table: Table, protocol: Protocol) -> Comparison:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from focal_gbm.compare import run

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("fits"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        return run(
            table,
            protocol,
            lambda done, total, what: progress.update(task, completed=done, total=total, description=what),
        )


def _report(comparison: Comparison, html: Path | None, as_json: bool) -> None:
    from rich.console import Console

    from focal_gbm.compare.summary import summarise
    from focal_gbm.compare.terminal import show

    if as_json:
        typer.echo(json.dumps(summarise(comparison), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        # where nobody watches, lines are wide enough for the tables
        show(comparison, Console(width=None if sys.stdout.isatty() else 110))
    if html is not None:
        from focal_gbm.compare.html import render

        html.write_text(render(comparison), encoding="utf-8")
        typer.echo(f"The report with figures is in {html}.", err=True)


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


def _check_alphas(protocol: Protocol, table: Table) -> None:
    if not table.is_binary and any(isinstance(alpha, float) for alpha in protocol.alphas):
        raise ValueError(
            f"--alpha as a number is for two classes, the target has {len(table.labels)}: take balanced or "
            "effective, or --positive LABEL."
        )
