"""The comparison as tables in a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from focal_gbm.compare.cross_validation import EFFORT
from focal_gbm.compare.protocol import CHOSEN, LOG_LOSS, SHIFTED, WEIGHTS
from focal_gbm.compare.wording import FOOTNOTE, difference, how_split, settings, with_spread

#: Blue and orange are told apart by nearly everybody; the word says it anyway.
_STYLES = {"better": "bold blue", "worse": "bold dark_orange"}


def show(summary: dict[str, Any], console: Console) -> None:
    """Print the comparison.

    Parameters
    ----------
    summary : dict
        From `summarise`.
    console : rich.console.Console
    """
    about, plan = summary["table"], summary["protocol"]
    console.print(
        f"\n[bold]{escape(about['name'])}[/bold]: {about['rows']:,} rows, {about['features']} features "
        f"({len(about['categorical'])} categorical), {about['missing_values']:,} missing values."
    )
    for note in summary["notes"]:
        console.print(f"• {escape(note)}", highlight=False)
    console.print(f"• {how_split(plan)}, {settings(plan)}; {plan['seconds']:.0f} seconds.\n", highlight=False)
    for found in summary["libraries"].values():
        console.print(_headline(summary, found))
        console.print(_points(summary, found))
    console.print(f"[dim]{escape(FOOTNOTE)}[/dim]\n", highlight=False)
    console.print("[bold]Would focal loss help on this table?[/bold]")
    for verdict in summary["verdict"].values():
        console.print(f"[bold]{escape(verdict['sentence'])}[/bold]", highlight=False)
        for sentence in verdict["details"]:
            console.print(f"  {escape(sentence)}", highlight=False)


def _headline(summary: dict[str, Any], found: dict[str, Any]) -> RichTable:
    table = RichTable(title=found["name"], title_justify="left", title_style="bold", padding=(0, 1))
    by_name = found["contestants"]
    contestants = [by_name[name] for name in (CHOSEN, LOG_LOSS, SHIFTED)]
    table.add_column("")
    table.add_column("focal − log loss", justify="right")
    for one in contestants:
        table.add_column(one["name"], justify="right")
    for metric, about in summary["metrics"].items():
        arrow = "↑" if about["higher_is_better"] else "↓"
        cells = [with_spread(one["scores"][metric]) for one in contestants]
        table.add_row(
            f"{arrow} {about['label']}", _styled(by_name[CHOSEN]["scores"][metric]["difference"]), *cells
        )
    table.add_section()
    for what, label in EFFORT.items():
        table.add_row(
            f"  {label}", "", *(with_spread(one["effort"][what], effort=True) for one in contestants)
        )
    return table


def _points(summary: dict[str, Any], found: dict[str, Any]) -> RichTable:
    title = f"{found['name']}: difference to log loss"
    table = RichTable(title=title, title_justify="left", title_style="bold", padding=(0, 1))
    table.add_column("")
    decisive = [metric for metric, about in summary["metrics"].items() if about["decides"]]
    for metric in decisive:
        table.add_column(summary["metrics"][metric]["label"], justify="right")
    table.add_column("times chosen", justify="right")
    for one in found["contestants"].values():
        if one["name"] in (LOG_LOSS, CHOSEN):
            continue
        name = f"{one['name']}, as they come" if one["name"] == WEIGHTS else one["name"]
        cells = [_styled(one["scores"][metric]["difference"]) for metric in decisive]
        table.add_row(name, *cells, str(one["times_chosen"]) if one["of_grid"] else "")
    return table


def _styled(one: dict[str, Any]) -> Text:
    return Text(difference(one), style=_STYLES.get(one["significance"], ""))
