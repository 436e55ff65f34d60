"""``python -m focal_gbm``: focal models of both libraries beside the hosts' own loss, on a real table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss
from sklearn.model_selection import StratifiedKFold

DIGIT = 8  # the digit that is told apart worst
FOLDS = 5
ROUNDS = 100


def contestants() -> dict[str, ClassifierMixin]:
    """Return the estimators by name; the same settings for all."""
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

    common: dict[str, Any] = {"n_estimators": ROUNDS, "learning_rate": 0.1, "random_state": 0}
    return {
        "XGBoost, its log loss": XGBClassifier(**common),
        "XGBoost, focal γ=2": FocalXGBClassifier(**common, focal_gamma=2.0),
        "LightGBM, its log loss": LGBMClassifier(**common, verbose=-1),
        "LightGBM, focal γ=2": FocalLGBMClassifier(**common, focal_gamma=2.0, verbose=-1),
    }


def out_of_fold(
    model: ClassifierMixin, X: NDArray[np.float64], y: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return P(y=1) of every row from a model that has not seen it, and a focal model's raw score σ(z)."""
    posterior = np.empty(len(y))
    score = np.empty(len(y)) if "probability" in model.get_params() else None
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(X, y):
        model.set_params(**({} if score is None else {"probability": "posterior"}))
        model.fit(X[train], y[train])
        posterior[test] = model.predict_proba(X[test])[:, 1]
        if score is not None:
            score[test] = model.set_params(probability="score").predict_proba(X[test])[:, 1]
    return posterior, score


def main() -> None:
    """Print the comparison."""
    X, digits = load_digits(return_X_y=True)
    y = digits == DIGIT
    print(
        f"scikit-learn's digits: {len(y)} rows, {X.shape[1]} features, {y.sum()} rows "
        f"({y.mean():.1%}) are the digit {DIGIT}. {FOLDS}-fold, {ROUNDS} rounds.\n"
    )
    line = "{:<34}{:>19}{:>11}{:>13}"
    print(line.format("", "average precision", "log loss", "Brier score"))
    for name, model in contestants().items():
        posterior, score = out_of_fold(model, X, y)
        for label, proba in ((name, posterior), ("  its raw score, not undone", score)):
            if proba is not None:
                average_precision = average_precision_score(y, proba)
                print(
                    line.format(
                        label,
                        f"{average_precision:.4f}",
                        f"{log_loss(y, proba):.4f}",
                        f"{brier_score_loss(y, proba):.4f}",
                    )
                )
    print(
        "\nA higher average precision is better, a lower log loss and Brier score is better. Focal loss\n"
        "bends the raw score away from the probability; predict_proba undoes that in closed form."
    )


if __name__ == "__main__":
    main()
