"""Draw the guide's pictures into docs/images: ``FOCAL_GBM_DATA=folder python docs/make_figures.py``.

The folder is that of the benchmarks, with the table adult; without it a table of scikit-learn is drawn.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xgboost
from scipy.special import expit, logit
from sklearn.calibration import CalibrationDisplay
from sklearn.model_selection import train_test_split

from focal_gbm import BinaryFocalLoss, FocalLossDisplay, FocalXGBClassifier, FocalXGBObjective

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from _tables import problems

IMAGES = Path(__file__).parent / "images"
TREES = {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 6}


def save(figure: plt.Figure, name: str) -> None:
    """Write a small PNG on white, which reads on dark pages, too."""
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGES / name, dpi=100, facecolor="white")


def why() -> None:
    """What a row weighs in training by its probability."""
    f = np.linspace(-11.5, 11.5, 400)
    figure, ax = plt.subplots(figsize=(7.6, 4), layout="constrained")
    ax.axhline(1.0, color="black", linewidth=1.5, label="log loss")
    for gamma, color in ((0.5, "C9"), (1.0, "C0"), (2.0, "C4"), (5.0, "C6")):
        # in log-odds the gradient of a row of class 0 is w η; 1 + γ is the scale of the estimators
        weight = (1 + gamma) * BinaryFocalLoss(gamma).gradient(np.zeros(len(f)), f) / expit(f)
        ax.plot(f, weight, color=color, label=f"focal loss, γ = {gamma:g}")
    # of class 1 ten times that of class 0, with the shift of the log-odds undone
    ax.plot(f, 10 / (10 * expit(f) + expit(-f)), color="C1", linestyle="--", label="class weights, 10 to 1")
    ticks = [1e-4, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.9999]
    ax.set_xticks(logit(ticks), [f"{tick:g}" for tick in ticks])
    ax.set(yscale="log", ylim=(0.1, 12), xlabel="Probability η of class 1", ylabel="Weight w(η) of a row")
    ax.set_yticks([0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.1", "0.2", "0.5", "1", "2", "5", "10"])
    ax.minorticks_off()
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, "why.png")


def table() -> tuple[str, list]:
    """Return the name of a large table, and its rows and labels to train and to test on."""
    tables = {one.name: one for one in problems()}
    one = tables.get("adult", tables["digits"])
    return one.name, train_test_split(one.X, one.y, test_size=0.5, stratify=one.y, random_state=0)


def reliability() -> None:
    """What plain XGBoost predicts from the saved file, beside the own loss and σ of a bare objective."""
    name, (X, X_test, y, y_test) = table()
    rows, new = (xgboost.DMatrix(*of, enable_categorical=True) for of in ((X, y), (X_test,)))
    with tempfile.TemporaryDirectory() as folder:
        model = FocalXGBClassifier(focal_gamma=2.0, enable_categorical=True, **TREES).fit(X, y)
        model.save_model(f"{folder}/model.ubj")
        from_file = xgboost.Booster(model_file=f"{folder}/model.ubj").predict(new)
    own = xgboost.XGBClassifier(enable_categorical=True, **TREES).fit(X, y).predict_proba(X_test)[:, 1]
    loss = BinaryFocalLoss(2.0, link="focal")
    params = {"objective": "binary:logistic", "eta": TREES["learning_rate"], "max_depth": TREES["max_depth"]}
    params["base_score"] = expit(loss.fit_intercept_only(y))
    by_hand = xgboost.train(params, rows, TREES["n_estimators"], obj=FocalXGBObjective(loss)).predict(new)
    figure, ax = plt.subplots(figsize=(5.4, 5), layout="constrained")
    for proba, label, color in (
        (from_file, "saved file of γ = 2, read by plain XGBoost", "C0"),
        (own, "XGBoost's log loss", "black"),
        (by_hand, "σ(z) of a bare objective, γ = 2", "C1"),
    ):
        CalibrationDisplay.from_predictions(y_test, proba, n_bins=10, name=label, ax=ax, color=color)
    ax.set(
        title=f"{name}, {len(y_test):,} test rows", xlabel="Predicted probability",
        ylabel="Observed share of class 1", aspect="equal",
    )  # fmt: skip
    ax.legend(loc="lower right", frameon=False, fontsize="small")
    save(figure, "reliability.png")


def top() -> None:
    """Precision among the k rows with the largest probability."""
    name, (X, X_test, y, y_test) = table()
    figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
    k = np.linspace(len(y_test) // 50, len(y_test) // 4, 60).astype(int)
    for gamma, color in ((0.0, "black"), (1.0, "C0"), (2.0, "C4")):
        model = FocalXGBClassifier(focal_gamma=gamma, enable_categorical=True, **TREES).fit(X, y)
        found = np.asarray(pd.Series(y_test))[np.argsort(-model.predict_proba(X_test)[:, 1])].cumsum()
        label = "log loss" if gamma == 0 else f"focal loss, γ = {gamma:g}"
        ax.plot(k, found[k - 1] / k, color=color, label=label)
    ax.set(xlabel="Rows at the top of the list, k", ylabel="Precision")
    ax.set_title(f"{name}, {len(y_test):,} test rows")
    ax.legend(frameon=False)
    save(figure, "top.png")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    save(FocalLossDisplay.from_gammas().figure_, "loss.png")
    why()
    reliability()
    top()
