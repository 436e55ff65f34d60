"""What is compared, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from focal_gbm.compare.contestants import LIBRARIES, Contestant, Settings
from focal_gbm.compare.roles import RowData
from focal_gbm.compare.scores import METRICS, OPTIONAL

#: Names of the contestants that every library has; the last is the best point of the grid.
LOG_LOSS, WEIGHTS, SHIFTED, CHOSEN = "log loss", "class weights", "class weights, shifted", "focal loss"

#: A table of fewer rows is cross-validated twice: its splits differ more, and its fits are quick. More
#: repeats would narrow the corrected interval by 10 % at most.
_REPEATED_BELOW = 20_000


@dataclass(frozen=True)
class Protocol:
    """What is compared, and how.

    Attributes
    ----------
    libraries : tuple of {"xgboost", "lightgbm"}
    gammas, alphas : tuple
        The grid of focal loss.
    folds : int
        Of cross-validation, or windows of time.
    repeats : int or None
        None is 2, and 1 from 20,000 rows on. In order of time there is one.
    settings : Settings
        The same for every contestant.
    precision : float
        For the recall at this precision.
    top : float or None
        Report precision and recall among the rows with the highest probabilities: a share of them below 1, or
        their number.
    margin : float
        A difference of less than this share of the log loss contestant's score does not matter.
    decide : str or None
        The score that the verdict is about. None is the cost where costs are given, then the precision at the
        top where that is asked for, then average precision.
    minutes : float
        Start no split that would probably end later than this, but two in any case.
    jobs : int or None
        Fits side by side, each on `settings.threads`; None is the number of cores, eight at most.
    """

    libraries: tuple[str, ...] = tuple(LIBRARIES)
    gammas: tuple[float, ...] = (0.5, 1.0, 2.0)
    alphas: tuple[Any, ...] = (None, "balanced")
    folds: int = 5
    repeats: int | None = None
    settings: Settings = field(default_factory=Settings)
    precision: float = 0.9
    top: float | None = None
    margin: float = 0.02
    decide: str | None = None
    minutes: float = 10.0
    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError(f"folds must be an integer >= 2, got {self.folds!r}.")
        if self.repeats is not None and self.repeats < 1:
            raise ValueError(f"repeats must be an integer >= 1, got {self.repeats!r}.")
        if not 0.0 < self.precision <= 1.0:
            raise ValueError(f"precision must lie in (0, 1], got {self.precision!r}.")
        if self.top is not None and not (0 < self.top < 1 or (self.top >= 1 and self.top == int(self.top))):
            raise ValueError(f"top must be a share in (0, 1) or a number of rows >= 1, got {self.top!r}.")
        if not 0.0 < self.margin < 1.0:
            raise ValueError(f"margin must lie in (0, 1), got {self.margin!r}.")
        if not self.minutes > 0:
            raise ValueError(f"minutes must be a number > 0, got {self.minutes!r}.")
        if not (self.libraries and self.gammas and self.alphas):
            raise ValueError("libraries, gammas and alphas must have one entry or more each.")
        if self.decide is not None and self.decide not in METRICS:
            raise ValueError(f"decide must be one of {', '.join(METRICS)}, got {self.decide!r}.")

    def contestants(self, library: str) -> list[Contestant]:
        """Return who meets with one library: its log loss first."""
        grid = [Contestant(library, "focal", gamma, alpha) for gamma in self.gammas for alpha in self.alphas]
        return [Contestant(library, "log_loss"), Contestant(library, "weights"), *grid]

    def metrics(self, rows: RowData | None = None) -> list[str]:
        """Return the names of the scores that are reported on a table with such data of its rows."""
        rows = rows or RowData()
        asked = {
            "precision_at_top": self.top is not None,
            "recall_at_top": self.top is not None,
            "amount_at_top": self.top is not None and rows.has_amounts,
            "cost": rows.cost_fp is not None,
            "cost_at_threshold": rows.cost_fp is not None,
        }
        return [name for name in METRICS if name not in OPTIONAL or asked[name]]

    def decisive(self, rows: RowData | None = None) -> list[str]:
        """Return the two or three scores that decide; the verdict is about the first."""
        metrics = self.metrics(rows)
        asked = [name for name in ("cost", "precision_at_top") if name in metrics][:1]
        first = [self.decide] if self.decide else asked
        if first and first[0] not in metrics:
            raise ValueError(f"decide {first[0]!r} needs --top or --cost-fp and --cost-fn.")
        return list(dict.fromkeys([*first, *asked, "average_precision", "log_loss"]))[:3]

    def label(self, metric: str) -> str:
        """Return the name of a score for people."""
        if metric == "recall_at_precision":
            return f"recall at precision {self.precision:g}"
        if self.top is not None and metric.endswith("_at_top"):
            rows = f"{self.top:.4g} rows" if self.top >= 1 else f"{100 * self.top:.4g} %"
            return METRICS[metric].label.replace("the top", f"the top {rows}")
        return METRICS[metric].label

    def repeats_for(self, n_rows: int) -> int:
        """Return how often cross-validation is repeated on a table of so many rows."""
        if self.repeats is not None:
            return self.repeats
        return 2 if n_rows < _REPEATED_BELOW else 1
