"""Class counts from one pass over labels that need not fit in memory, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from focal_gbm._arrays import as_column
from focal_gbm._validation import FloatArray, check_choice, check_sample_weight
from focal_gbm.losses import BinaryFocalLoss, MarginLoss, MulticlassFocalLoss
from focal_gbm.training.alpha import resolve_alpha
from focal_gbm.training.labels import (
    as_target,
    check_class_counts,
    check_two_classes,
    classes_and_codes,
    encode_labels,
)
from focal_gbm.training.objective import FocalObjective
from focal_gbm.training.plan import SCALES, as_library_keeps, log_loss_scale, loss_of_classes

Objective = TypeVar("Objective", bound=FocalObjective)


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """The labels of a data set and the weight of each: all that α, the start and the scale depend on.

    Counts of chunks add up to the counts of the whole, in any order: one pass over the labels, on one
    machine or many, is enough to train with the libraries' own functions as the estimators do.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The labels in sorted order.
    counts : ndarray of float64 of shape (n_classes,)
        Sum of the sample weights of each, rounded to float32 as the libraries keep them; the number of rows
        where there are no weights.
    n_samples : int
        Number of rows.

    Examples
    --------
    >>> from focal_gbm import ClassCounts
    >>> chunks = [["ham", "ham", "ham"], ["ham", "spam"]]
    >>> counts = sum((ClassCounts.of(y) for y in chunks), ClassCounts())
    >>> counts.classes.tolist(), counts.counts.tolist()
    (['ham', 'spam'], [4.0, 1.0])

    The objective, and the constant at which training starts, for `xgboost.train`:

    >>> from focal_gbm import FocalXGBObjective
    >>> objective = counts.objective(FocalXGBObjective, gamma=2.0, alpha="balanced")
    >>> objective.loss.alpha
    (0.625, 2.5)
    >>> params = {"objective": "binary:logistic", "base_score": counts.base_score(objective.loss)}
    >>> counts.encode(["spam", "ham"])
    array([1, 0])
    """

    classes: NDArray[Any] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    counts: FloatArray = field(default_factory=lambda: np.empty(0))
    n_samples: int = 0

    @classmethod
    def of(cls, y: ArrayLike, sample_weight: ArrayLike | None = None, name: str = "y") -> ClassCounts:
        """Return the counts of one chunk, which may be empty or lack classes.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels of any type.
        sample_weight : array-like of shape (n_samples,), default=None
        name : str, default="y"
            What errors call the labels.

        Raises
        ------
        TypeError, ValueError
            If labels are missing or continuous, or a weight is negative or not finite.
        """
        if np.ndim(y) == 1 and not np.size(y):
            return cls()
        labels = as_target(y, name)
        if labels.ndim == 2:
            raise ValueError(f"{name} must have shape (n_samples,), got shape {labels.shape}.")
        classes, codes = classes_and_codes(labels)
        if sample_weight is None:
            return cls(classes, np.bincount(codes).astype(np.float64), len(labels))
        weight = as_column(sample_weight)
        if weight.shape != labels.shape or weight.any():  # a chunk may have no weight, the whole may not
            weight = as_library_keeps(check_sample_weight(weight, len(labels)))  # type: ignore[assignment]
        return cls(classes, np.bincount(codes, weights=weight).astype(np.float64), len(labels))

    @classmethod
    def of_chunks(cls, chunks: Iterable[Any]) -> ClassCounts:
        """Return the counts of an iterable of label chunks, or of (labels, weights) pairs as tuples."""
        counts = cls()
        for chunk in chunks:
            counts += cls.of(*chunk) if isinstance(chunk, tuple) else cls.of(chunk)
        return counts

    def __add__(self, other: ClassCounts) -> ClassCounts:
        if not isinstance(other, ClassCounts):
            return NotImplemented
        if not self.n_samples:
            return other
        if not other.n_samples:
            return self
        if any(isinstance(self.classes[0], str) != isinstance(label, str) for label in other.classes):
            # np.concatenate would make text of the numbers
            raise TypeError(
                f"y must hold labels of one kind, got {self.classes.tolist()[0]!r} in one chunk and "
                f"{other.classes.tolist()[0]!r} in another."
            )
        classes, positions = np.unique(np.concatenate([self.classes, other.classes]), return_inverse=True)
        counts = np.bincount(positions, weights=np.concatenate([self.counts, other.counts]))
        return ClassCounts(classes, counts.astype(np.float64), self.n_samples + other.n_samples)

    def encode(self, y: ArrayLike, name: str = "y") -> NDArray[np.intp]:
        """Return the positions of labels in `classes`: what the libraries' own functions take.

        Raises
        ------
        ValueError
            If there is a label that was not counted.
        """
        return encode_labels(y, self.classes, name).astype(np.intp)

    def check_among(self, classes: NDArray[Any], name: str) -> None:
        """Raise unless all labels counted are among `classes`."""
        if self.n_samples:
            encode_labels(self.classes, classes, name)

    def loss(
        self,
        gamma: Any = 2.0,
        alpha: Any = None,
        margin_loss: MarginLoss | None = None,
        focal_link: str = "focal",
    ) -> BinaryFocalLoss | MulticlassFocalLoss:
        """Return the loss of these classes.

        Parameters
        ----------
        gamma, alpha, margin_loss, focal_link
            As `focal_gamma`, `focal_alpha`, `margin_loss` and `focal_link` of the estimators: "balanced" and
            "effective" are of these counts.
        """
        self._check()
        weights = resolve_alpha(alpha, self.classes, self.counts, "alpha")
        return loss_of_classes(self.classes, gamma, weights, margin_loss, focal_link)

    def objective(
        self,
        objective: type[Objective],
        gamma: Any = 2.0,
        alpha: Any = None,
        margin_loss: MarginLoss | None = None,
        focal_link: str = "focal",
        *,
        hessian: str | None = None,
        scale: float | str = "log-loss",
    ) -> Objective:
        """Return the objective that the estimators train with on a data set of these counts.

        Parameters
        ----------
        objective : {FocalXGBObjective, FocalLGBMObjective}
            The objective of the library.
        gamma, alpha, margin_loss, focal_link
            As in `loss`; the loss is the objective's attribute `loss`.
        hessian : {"floored", "exact", "majorizing", "expected"} or None, default=None
        scale : "log-loss" or float, default="log-loss"
            As `focal_scale` of the estimators.
        """
        loss = self.loss(gamma, alpha, margin_loss, focal_link)
        hessian = loss.hessian_of(hessian)
        if isinstance(scale, str):
            check_choice(scale, SCALES, "scale")
            return objective(loss, hessian, log_loss_scale(loss, self.counts, hessian, alpha))
        return objective(loss, hessian, scale)

    def start(self, loss: BinaryFocalLoss | MulticlassFocalLoss) -> float | FloatArray:
        """Return the constant score that minimises the mean loss of all rows; one a class for many.

        It is ``loss.fit_intercept_only(np.arange(n_classes), sample_weight=counts)``: that method
        needs the weight of each class and no more. For LightGBM's `init_score`.
        """
        self._check()
        return loss.start(self.counts)

    def base_score(self, loss: BinaryFocalLoss | MulticlassFocalLoss) -> float | list[float]:
        """Return the start as XGBoost's parameter `base_score`: a probability, or a score a class."""
        start = self.start(loss)
        return float(expit(start)) if isinstance(start, float) else start.tolist()

    def _check(self) -> None:
        check_two_classes(self.classes)
        check_class_counts(self.counts, self.classes)
