"""The numbers of README.md, from benchmarks/results: ``python docs/readme.py`` writes them into it.

They stand between ``<!-- numbers: NAME -->`` and ``<!-- end -->``; NAME is a function of this module. A test
compares, and lets no other measured number into the README.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from result_tables import LIBRARIES, load, markdown, ordinary_and_separable
from scipy.stats import gmean

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"(<!-- numbers: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)

COUNT = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
NAMES = ("focal γ=0.5", "focal γ=1", "focal γ=2", "class weights", "undersampling")


def verdict() -> str:
    """Return the study in one table: everybody against the log loss, of the same effort."""
    ordinary, separable = ordinary_and_separable()
    rows = [
        [
            f"{COUNT[len(ordinary)]} ordinary tables, median",
            *(f"{ordinary[name].median():.3f}" for name in NAMES),
        ],
        ["their range", *(f"{ordinary[name].min():.2f} to {ordinary[name].max():.2f}" for name in NAMES)],
        [
            f"{COUNT[len(separable)]} nearly separable tables",
            *(" and ".join(f"{ratio:.2f}" for ratio in separable[name]) for name in NAMES),
        ],
    ]
    table = markdown(["log loss, ratio", *NAMES], rows).rstrip("\n") + "\n"
    return table.replace("| ", "|").replace(" |", "|")


def gains() -> str:
    """Return the three numbers that a hand-written objective does not give."""
    frame, _ = load("hand_written")
    real = frame[~frame["table"].str.startswith("rare")].set_index(["contestant", "library"])
    by_hand, ours = "by hand, start at 0", "focal_gbm"

    def loss_of(contestant: str) -> str:
        return both(lambda lib: gmean(real.loc[(contestant, lib), "log loss, over own"]))

    with_start = "by hand, init_score"
    rounds = both(lambda lib: gmean(_rounds(real, by_hand, lib) / _rounds(real, with_start, lib)))
    fits, _ = load("fit_time_vs_library")
    fits = fits[(fits["case"] == "1000000x30x2") & (fits["threads"] == 2)].set_index("library")
    measured = " and ".join(fits["revision"].unique())
    return (
        f"* **Probabilities.** At γ=2 the log loss is {loss_of(ours)} times that of the library's own loss. "
        f"The score of a hand-written objective, read as a probability, has {loss_of(by_hand)} times "
        "([more](docs/guide/migrating.md)).\n"
        f"* **Speed.** A fit of 10⁶ × 30 takes {both(lambda lib: fits.loc[lib, 'ratio'])} times as long as "
        f"with the library's own loss (2 threads, at {measured}; [more](docs/guide/gpu.md)).\n"
        f"* **Start.** Training starts at the base rate. From zero it takes {rounds} times as many rounds "
        "([more](docs/guide/migrating.md)).\n"
    )


def _rounds(real: pd.DataFrame, contestant: str, library: str) -> np.ndarray:
    return real.loc[(contestant, library), "rounds"].to_numpy()


def both(number: Callable[[str], float]) -> str:
    """Return the number of either library."""
    return " / ".join(f"{number(library):.2f}" for library in LIBRARIES)


NUMBERS: dict[str, Callable[[], str]] = {"verdict": verdict, "gains": gains}


def with_numbers(text: str) -> str:
    """Return the README's text with its numbers from the results."""
    return BLOCK.sub(lambda block: block[1] + NUMBERS[block[2]]() + block[3], text)


if __name__ == "__main__":
    README.write_text(with_numbers(README.read_text(encoding="utf-8")), encoding="utf-8")
