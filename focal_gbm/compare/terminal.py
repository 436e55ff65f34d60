"""The comparison as tables in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from focal_gbm.compare.cross_validation import CHOSEN, COSTS, OWN, WEIGHTS, Comparison
from focal_gbm.compare.scores import METRICS
from focal_gbm.compare.summary import FOOTNOTE, HEADLINES, difference, summarise, with_spread

#: Blue and orange are told apart by nearly everybody; the word says it anyway.
_STYLES = {"better": "bold blue", "worse": "bold dark_orange", "noise": ""}


def show(comparison: Comparison, console: Console) -> None:
    """Print the comparison.

    Parameters
    ----------
    comparison : Comparison
    console : rich.console.Console
    """
    summary = summarise(comparison)
    about = summary["table"]
    console.print(
        f"\n[bold]{escape(about['name'])}[/bold]: {about['rows']:,} rows, {about['features']} features "
        f"({len(about['categorical'])} categorical), {about['missing_values']:,} missing values."
    )
    for note in summary["notes"]:
        console.print(f"• {escape(note)}", highlight=False)
    plan = summary["protocol"]
    console.print(
        f"• {plan['splits']} splits of {plan['folds']}-fold cross-validation, at most {plan['rounds']} "
        f"rounds, learning rate {plan['learning_rate']:g}; {plan['seconds']:.0f} seconds.\n",
        highlight=False,
    )
    for found in summary["libraries"].values():
        console.print(_headline(comparison, found))
        console.print(_grid(found))
    console.print(f"[dim]{escape(FOOTNOTE)}[/dim]\n", highlight=False)
    console.print("[bold]Would focal loss help on this table?[/bold]")
    for found in summary["libraries"].values():
        console.print(f"[bold]{escape(found['answer'])}[/bold]", highlight=False)
        for sentence in found["details"]:
            console.print(f"  {escape(sentence)}", highlight=False)


def _headline(comparison: Comparison, found: dict[str, Any]) -> RichTable:
    table = RichTable(title=found["name"], title_justify="left", title_style="bold", padding=(0, 1))
    table.add_column("")
    for name in (OWN, WEIGHTS, CHOSEN):
        table.add_column(name, justify="right")
    table.add_column("focal less own", justify="right")
    contestants = [found["contestants"][name] for name in (OWN, WEIGHTS, CHOSEN)]
    for metric in comparison.protocol.metrics():
        arrow = "↑" if METRICS[metric].higher_is_better else "↓"
        cells = [with_spread(one["scores"][metric]) for one in contestants]
        against = contestants[2]["scores"][metric]["against_own_loss"]
        last = Text(difference(against), style=_STYLES[against["verdict"]])
        table.add_row(f"{arrow} {comparison.protocol.label(metric)}", *cells, last)
    table.add_section()
    for cost, label in COSTS.items():
        table.add_row(f"  {label}", *(with_spread(one["costs"][cost], cost=True) for one in contestants), "")
    return table


def _grid(found: dict[str, Any]) -> RichTable:
    title = f"{found['name']}: each one less own loss"
    table = RichTable(title=title, title_justify="left", title_style="bold", padding=(0, 1))
    table.add_column("")
    for metric in HEADLINES:
        table.add_column(METRICS[metric].label, justify="right")
    table.add_column("chosen", justify="right")
    for name, contestant in found["contestants"].items():
        if name in (OWN, CHOSEN):
            continue
        cells = []
        for metric in HEADLINES:
            against = contestant["scores"][metric]["against_own_loss"]
            cells.append(Text(difference(against), style=_STYLES[against["verdict"]]))
        times = found["chosen"].get(name, 0)
        table.add_row(name, *cells, "" if name == WEIGHTS else f"{times} times")
    return table
