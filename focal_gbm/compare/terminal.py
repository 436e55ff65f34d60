"""The comparison in a terminal: the verdict first, then one table for each library."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from focal_gbm.compare.contestants import CHOSEN, LOG_LOSS
from focal_gbm.compare.summary import EFFORT, FOOTNOTE, number

#: Blue and orange are told apart by nearly everybody; the word says it anyway.
_STYLES = {"better": "bold blue", "worse": "bold dark_orange"}

#: A narrower terminal shows the contestants that decide.
_WIDE = 120


def show(summary: dict[str, Any], console: Console) -> None:
    """Print the comparison.

    Parameters
    ----------
    summary : dict
        From `summarise`.
    console : rich.console.Console
    """
    about = summary["table"]
    console.print(f"\n[bold]Would focal loss help on {escape(about['name'])}?[/bold]", highlight=False)
    for verdict in summary["verdict"].values():
        console.print(f"[bold]{escape(verdict['sentence'])}[/bold]", highlight=False)
    rows = f"{about['rows']:,} rows, {len(about['features'])} features ({len(about['categorical'])} categorical)"
    facts = f"{rows}, {about['missing_values']:,} missing values; {summary['how']}."
    for note in ("", facts, *summary["notes"]):
        console.print(f"• {escape(note)}" if note else "", highlight=False)
    for library in summary["libraries"].values():
        console.print(_scores(summary, library, console.width >= _WIDE))
    console.print(f"[dim]{escape(FOOTNOTE)}[/dim]\n", highlight=False)
    for key, verdict in summary["verdict"].items():
        console.print(f"[bold]To fit {summary['libraries'][key]['name']}, {verdict['recommended']}:[/bold]")
        console.print(verdict["snippet"], markup=False, soft_wrap=True)


def _scores(summary: dict[str, Any], library: dict[str, Any], is_wide: bool) -> RichTable:
    found = library["contestants"]
    others = [name for name in found if name not in (LOG_LOSS, CHOSEN)] if is_wide else []
    table = RichTable(title=f"\n{library['name']}", title_justify="left", title_style="bold", padding=(0, 1))
    table.add_column("", no_wrap=True)
    for name in (LOG_LOSS, CHOSEN, "gain", *others):
        table.add_column(name, justify="right", no_wrap=name == "gain")
    for metric, about in summary["metrics"].items():
        scores = {name: one["scores"][metric] for name, one in found.items()}
        cells = [_cell(scores[name], about["decides"]) for name in (LOG_LOSS, CHOSEN, *others)]
        cells[1:2] = [Text(number(scores[CHOSEN]["mean"])), _gain(scores[CHOSEN]["gain"])]
        arrow = "↑" if about["higher_is_better"] else "↓"
        table.add_row(f"{arrow} {about['label']}", *cells, style="bold" if about["decides"] else "")
    for what, label in EFFORT.items():
        efforts = {name: f"{one['effort'][what]:.3g}" for name, one in found.items()}
        table.add_row(f"  {label}", efforts[LOG_LOSS], efforts[CHOSEN], "", *(efforts[name] for name in others))
    return table


def _gain(one: dict[str, Any]) -> Text:
    return Text(f"{one['mean']:+.4f} {one['word'] or ''}".rstrip(), style=_STYLES.get(one["word"], ""))


def _cell(score: dict[str, Any], decides: bool) -> Text:
    word = score["gain"] and score["gain"]["word"]
    text = number(score["mean"])
    return Text(f"{text}\n{word}" if word and decides else text, style=_STYLES.get(word, ""))
