"""What came out of the study: who is chosen in each split, and tables as units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from _signed_rank import bayesian_signed_rank
from _study_contestants import PRUDENT
from scipy.stats import wilcoxon

from focal_gbm.compare import compare_paired

Row = dict[str, Any]

#: What is compared: the column that a candidate is chosen by, the column that counts, whether more is better.
CONTESTS = {
    "average precision": ("average precision on stop", "average precision", True),
    "log loss": ("log loss on stop", "log loss", False),
}
LIBRARIES = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}
OWN = {"xgboost": "log loss", "lightgbm": "log loss", "catboost": "CatBoost log loss"}
ORDER = (
    "log loss", PRUDENT, "focal γ=0.5", "focal γ=1", "focal γ=2", "focal γ tuned", "focal γ and trees tuned",
    "class weights", "class weights, half the way", "class weights, full", "undersampling",
    "undersampling, 1:3", "undersampling, 1:10", "CatBoost log loss", "CatBoost Focal",
)  # fmt: skip
FOCAL = ("focal γ=0.5", "focal γ=1", "focal γ=2")

#: Relative differences up to this do not matter: a score of 0.800 or 0.808.
REGION = float(np.log(1.01))

#: Settings without any choosing.
DEFAULT = "{}"


def with_tuned(results: pd.DataFrame) -> pd.DataFrame:
    """Return the results with the contestants that choose γ: of fits that there are already.

    "focal γ tuned" has as many candidates as everybody: γ of 0, 0.5, 1 and 2 with the library's own trees.
    "focal γ and trees tuned" has four times as many, each of these with all trees.
    """
    could = results[results.contestant.isin(("log loss", *FOCAL))]
    return pd.concat(
        [
            results,
            could[could.setting == DEFAULT].assign(contestant="focal γ tuned"),
            could.assign(contestant="focal γ and trees tuned"),
        ],
        ignore_index=True,
    )


def untuned(results: pd.DataFrame) -> pd.DataFrame:
    """Return the results of the libraries' own trees, each strength of weights and samples a contestant."""
    of = results[results.setting.str.endswith(DEFAULT) & ~results.contestant.str.startswith("CatBoost")]
    strength = (
        of.setting.str.removesuffix(DEFAULT)
        .str.strip()
        .replace({"power 0.5": "half the way", "power 1": "full"})
    )
    return of.assign(contestant=of.contestant + np.where(strength == "", "", ", " + strength))


def chosen(results: pd.DataFrame, by: str, higher_is_better: bool) -> pd.DataFrame:
    """Return, for each contestant and split, the candidate that the rows set aside choose."""
    ordered = results.sort_values(by, ascending=not higher_is_better, kind="stable")
    return ordered.groupby(["table", "library", "contestant", "split"], sort=False).head(1)


def of_tables(results: pd.DataFrame, folds: dict[str, int]) -> list[Row]:
    """Return one row a (contest, trees, library, table, contestant), against the library's log loss.

    "trees tuned" lets the rows set aside choose, "default trees" is without any choosing.
    """
    rows = []
    for contest, (by, column, more) in CONTESTS.items():
        for trees, best in (("tuned", chosen(with_tuned(results), by, more)), ("default", untuned(results))):
            for (library, table), part in best.groupby(["library", "table"], sort=False):
                wide = part.pivot_table(index="split", columns="contestant", values=column)
                kind = part.kind.iloc[0]
                for name in [one for one in ORDER if one in wide.columns]:
                    row = {"part": "table", "contest": contest, "trees": trees, "library": library,
                           "kind": kind, "table": table, "contestant": name,
                           "mean": float(wide[name].mean())}  # fmt: skip
                    if name != OWN[library]:
                        row |= _against(wide[name] - wide[OWN[library]], folds[table], more)
                    rows.append(row)
    return rows


def _against(differences: pd.Series, folds: int, more: bool) -> Row:
    # the draws of a made table share no rows
    pair = compare_paired(differences, max(folds, 2), 0.0 if folds == 1 else None)
    outcome = "tie" if not pair.is_significant else "win" if (pair.mean > 0) == more else "loss"
    return {"difference": pair.mean, "p": pair.p, "outcome": outcome}


def of_pairs(rows: list[Row]) -> list[Row]:
    """Return one row a (contest, trees, library, pair of contestants): the tables of two classes as units."""
    frame = pd.DataFrame(rows)
    frame = frame[frame.kind == "two classes"]
    found = []
    for (contest, trees), part in frame.groupby(["contest", "trees"], sort=False):
        more = CONTESTS[contest][2]
        for library in ("xgboost", "lightgbm", "both", "catboost"):
            of = part[part.library.isin(LIBRARIES) if library == "both" else part.library == library]
            # of both libraries: the mean of their logarithms, so that a table stays one unit
            mean = np.exp(of.assign(mean=np.log(of["mean"])).pivot_table(
                index="table", columns="contestant", values="mean", sort=False))  # fmt: skip
            own = OWN.get(library, "log loss")
            others = [one for one in ORDER if one in mean.columns and one != own]
            pairs = [(one, own) for one in others]
            pairs += [(a, b) for a, b in ((FOCAL[2], FOCAL[1]), (FOCAL[2], FOCAL[0])) if a in others]
            for one, other in pairs:
                row = {"part": "pair", "contest": contest, "trees": trees, "library": library,
                       "contestant": one, "against": other, "tables": len(mean)}  # fmt: skip
                row |= _as_units(mean[one], mean[other], more)
                if other == own and library != "both":
                    counts = of[of.contestant == one].outcome.value_counts()
                    row |= {key: int(counts.get(key, 0)) for key in ("win", "tie", "loss")}
                found.append(row)
    return found


def _as_units(one: pd.Series, other: pd.Series, more: bool) -> Row:
    ratio = np.log(one / other)
    gain = ratio if more else -ratio
    test = bayesian_signed_rank(gain, REGION)
    p = float(wilcoxon(ratio).pvalue) if (ratio != 0).any() else 1.0
    return {
        "difference": float((one - other).mean()), "ratio": float(np.exp(ratio.mean())),
        "median difference": float((one - other).median()), "median ratio": float(np.exp(ratio.median())),
        "better on": int((gain > 0).sum()), "Wilcoxon p": p,
        "P better": test.above, "P level": test.within, "P worse": test.below,
    }  # fmt: skip


#: Of a fit with default trees, over that of the log loss.
BESIDES = (
    "rounds", "leaves", "rounds to the loss", "leaves to the loss", "cost, threshold chosen",
    "cost, threshold by arithmetic",
)  # fmt: skip


def besides(results: pd.DataFrame) -> list[Row]:
    """Return what a fit takes and what decisions cost, for each library and contestant with default trees.

    Over the log loss: geometric means over the tables of two classes, of the means over their splits.
    """
    of_all = untuned(results[results.kind == "two classes"])
    rows = []
    for library in LIBRARIES:
        wide = of_all[of_all.library == library].set_index(["contestant", "table", "split"])
        own = wide.loc["log loss"]
        for name in [one for one in ORDER if one in wide.index]:
            part = wide.loc[name]
            row: Row = {"part": "besides", "library": library, "contestant": name}
            for column in BESIDES:
                both = part[column].notna() & own[column].notna()  # splits in which both arrive
                row[column] = _over(part[column][both], own[column][both])
            if part["rounds to the loss"].notna().any():
                reached = part["rounds to the loss"].notna().groupby("table").mean()
                row["share that reaches the loss"] = float(reached.mean())
            chosen_one, arithmetic = (part[f"cost, threshold {how}"] for how in ("chosen", "by arithmetic"))
            row["chosen over arithmetic"] = _over(chosen_one, arithmetic)
            rows.append(row)
    return rows


def _over(one: pd.Series, other: pd.Series) -> float | None:
    if not len(one):
        return None
    ratios = one.groupby("table").mean() / other.groupby("table").mean()
    return float(np.exp(np.log(ratios).mean()))
