"""The numbers of README.md, from benchmarks/results: ``python docs/readme.py`` writes them into it.

They stand between ``<!-- numbers: NAME -->`` and ``<!-- end -->``; NAME is a function of this module. A test
compares, and lets no other measured number into the README.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from scipy.stats import gmean
from tables import LIBRARIES, RESULTS, case_name

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- numbers: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)

#: The table that fits are timed on, and the loss.
CASE, LOSS = "1000000x30x2", "γ=2"

COUNT = {7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve"}


def rows_of(name: str) -> pd.DataFrame:
    """Return the rows of a result."""
    return pd.DataFrame(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["rows"])


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join("|" + "|".join(line) + "|\n" for line in lines)


def verdict() -> str:
    """Return the study in one table: everybody against the log loss, of the same effort."""
    frame = rows_of("study")
    pairs = frame[(frame["part"] == "pair") & (frame["trees"] == "tuned") & (frame["library"] == "both")]
    pairs = pairs[pairs["against"] == "log loss"].set_index(["contest", "contestant"])
    names = ["focal γ=0.5", "focal γ=1", "focal γ=2", "class weights", "undersampling"]
    rows = [["log loss, times"], ["average precision, difference"], ["worse / level / better, %"]]
    for name in names:
        loss, ranking = (pairs.loc[(contest, name)] for contest in ("log loss", "average precision"))
        rows[0].append(f"{loss['median ratio']:.3f}")
        rows[1].append(f"{ranking['median difference']:+.3f}")
        chances = (loss[f"P {how}"] for how in ("worse", "level", "better"))
        rows[2].append(" / ".join(f"{100 * chance:.0f}" for chance in chances))
    tables = int(pairs["tables"].iloc[0])
    return (
        f"On {COUNT[tables]} real tables, both libraries, all tuned alike, medians against the log loss:\n\n"
        + table(["", *names], rows)
        + "\nLast line: the probability that a new table's log loss is worse, within 1 %, or better.\n"
    )


def gains() -> str:
    """Return what a hand-written objective does not give, each with its measured number."""
    rows = [*_probabilities(), _start(), _derivatives(), _objective(), *_fits(), _on_cuda()]
    return table(["XGBoost / LightGBM", "by hand", "focal_gbm"], rows)


def _probabilities() -> list[list[str]]:
    frame = rows_of("calibration")
    frame = frame[(frame["table"] == "geometric mean over own loss") & (frame["γ"] == 2.0)]
    means = frame.set_index(["method", "library"])["log loss"]

    def both(method: str) -> str:
        return " / ".join(f"{means[method, library]:.2f}" for library in LIBRARIES)

    return [
        ["Probabilities: log loss over the library's own", both("raw score"), both("closed form")],
        ['The same for the booster alone, `focal_link="logit"`', both("raw score"), both("logit link")],
    ]


def _start() -> list[str]:
    frame = rows_of("hand_written")
    real = frame[~frame["table"].str.startswith("rare")]
    rounds = real.pivot_table(index=["library", "table"], columns="contestant", values="rounds")
    ratio = rounds["by hand, start at 0"] / rounds["focal_gbm"]
    values = " / ".join(f"{gmean(ratio[library]):.2f}" for library in LIBRARIES)
    return ["Start: rounds from zero, over those from the stored start", values, "1"]


def _derivatives() -> list[str]:
    frame = rows_of("accuracy_of_derivatives")
    frame = frame[(frame["gamma"] == 2.0) & (frame["dtype"] == "float64") & frame["right_up_to"].notna()]
    right = frame.groupby("contestant")["right_up_to"].min()
    return [
        "Exact derivatives: right (0.1 %) up to a margin of",
        f"{right['textbook NumPy, no clipping']:.0f}",
        f"{right['focal_gbm']:.0f}, as far as tried",
    ]


def _objective() -> list[str]:
    frame = rows_of("kernel").set_index("contestant")["ns"]
    return [
        "Objective, ns a row, one thread",
        f"{frame['2 classes: textbook NumPy, 1 thread']:.0f}",
        f"{frame['2 classes: C, focal, float32, 1 thread(s)']:.1f}",
    ]


def _fits() -> list[list[str]]:
    peers = rows_of("fit_time_vs_peers")
    # with fewer leaves it did not train: bokbokbok's Hessian in XGBoost
    peers = peers[peers["loss"].isin(["gbdtCBL", "imlightgbm", "imbalance-xgboost"]) & (peers["leaves"] > 10)]
    slower = f"{peers['over ours'].min():.1f} to {peers['over ours'].max():.1f} times ours"
    rows = []
    for threads, ratios in sorted(_ratios_by_threads().items()):
        label = f"Fit over the library's own, 10⁶ × 30, {threads} threads"
        rows.append(
            [label, slower if not rows else "", " / ".join(f"{ratios[library]:.2f}" for library in LIBRARIES)]
        )
    return rows


def _ratios_by_threads() -> dict[int, dict[str, float]]:
    """Return {threads: {library: ratio}}."""
    frame = rows_of("fit_time_vs_library")
    frame = frame[(frame["case"] == CASE) & (frame["loss"] == LOSS)]
    ratios = frame.pivot_table(index="threads", columns="library", values="ratio")
    return ratios.to_dict("index")


def _on_cuda() -> list[str]:
    frame = rows_of("gpu")
    device = frame[frame["part"] == "device"]["name"].iloc[0]
    fits = frame[(frame["kind"] == "rows on the device") & (frame["loss"] == LOSS) & (frame["part"] == "fit")]
    two_classes = fits[fits["case"].str.endswith("x2")]
    row = two_classes.iloc[two_classes["case"].str.split("x").str[0].astype(int).argmax()]
    return [f"The same, XGBoost, {case_name(row['case'])}, {device}", "", f"{row['over own']:.2f}"]


NUMBERS: dict[str, Callable[[], str]] = {"verdict": verdict, "gains": gains}


def with_numbers(text: str) -> str:
    """Return the README's text with its numbers from the results."""
    return BLOCK.sub(lambda block: block[1] + NUMBERS[block[2]]() + block[3], text)


if __name__ == "__main__":
    README.write_text(with_numbers(README.read_text(encoding="utf-8")), encoding="utf-8")
