"""Draw the guide's figures into docs/images: ``FOCAL_GBM_DATA=folder python docs/make_figures.py``.

The folder is that of the benchmarks, with the table adult; without it a table of scikit-learn is drawn.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit, logit
from sklearn.calibration import CalibrationDisplay
from sklearn.model_selection import cross_val_predict

from focal_gbm import BinaryFocalLoss, FocalLGBMClassifier, FocalLinkDisplay, FocalLossDisplay

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from _tables import tables_of

IMAGES = Path(__file__).parent / "images"


def save(figure: plt.Figure, name: str) -> None:
    """Write a small PNG on white, which reads on dark pages, too."""
    figure.savefig(IMAGES / name, dpi=100, facecolor="white")


def loss() -> None:
    """Figure 1 of the paper, the gradient and the Hessian."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    display = FocalLossDisplay.from_gammas(ax=axes[0])
    for ax, quantity in zip(axes[1:], ("gradient", "hessian"), strict=True):
        display.plot(ax, quantity=quantity, against="margin")
        ax.get_legend().remove()  # the colours are those of the first panel
    save(figure, "loss.png")


def weight() -> None:
    """What focal loss attends to, in probabilities."""
    figure, ax = plt.subplots(figsize=(7.6, 3.6), layout="constrained")
    FocalLossDisplay.from_gammas(ax=ax, quantity="weight", max_margin=12.0)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)  # lines are everywhere
    save(figure, "weight.png")


def probability() -> None:
    """The link, and a reliability diagram of the raw score and of predict_proba, out of fold."""
    tables = tables_of("binary")
    name = "adult" if "adult" in tables else next(iter(tables))
    X, y = tables[name]
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    FocalLinkDisplay.from_gammas(ax=axes[0])
    model = FocalLGBMClassifier(focal_gamma=2.0, random_state=0, n_jobs=1, verbose=-1)
    z = cross_val_predict(model, X, y, cv=3, method="decision_function")
    for proba, label, color in (
        (expit(z), "raw score σ(z), γ = 2", "C1"),
        (BinaryFocalLoss(gamma=2.0).link.inverse(z), "predict_proba, γ = 2", "C0"),
    ):
        CalibrationDisplay.from_predictions(y, proba, n_bins=10, name=label, ax=axes[1], color=color)
    axes[1].set(
        title=f"{name}, {len(y)} rows, out of fold",
        xlabel="Predicted for class 1",
        ylabel="Share of class 1 found",
        aspect="equal",
    )
    axes[1].legend(loc="lower right", frameon=False)
    for side in ("top", "right"):
        axes[1].spines[side].set_visible(False)
    save(figure, "probability.png")


def why() -> None:
    """What a row weighs in training by its probability: focal loss and class weights as proper losses."""
    eta = expit(np.linspace(-11.5, 11.5, 400))
    figure, ax = plt.subplots(figsize=(7.6, 4), layout="constrained")
    ax.axhline(1.0, color="black", linewidth=1.2, label="log loss")
    for gamma, color in ((0.5, "C9"), (1.0, "C0"), (2.0, "C4")):
        loss = BinaryFocalLoss(gamma=gamma)
        z = loss.link.link(eta)
        # in log-odds the gradient of a row of class 0 is w(η) η
        w = loss.gradient(np.zeros(len(eta)), z) * np.gradient(z, logit(eta)) / eta
        ax.plot(logit(eta), w / w.min(), color=color, label=f"focal loss, γ = {gamma:g}")
    weights = 10 / (10 * eta + (1 - eta))  # of class 1 ten times that of class 0
    ax.plot(logit(eta), weights / weights.min(), color="C1", linestyle="--", label="class weights, 10 to 1")
    places = [1e-4, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.9999]
    ax.set_xticks(logit(places), [f"{place:g}" for place in places])
    ax.set(yscale="log", ylim=(0.9, 12), xlabel="True probability η", ylabel="Weight w(η), least = 1")
    ax.set_yticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    ax.minorticks_off()
    ax.legend(frameon=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    save(figure, "why.png")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    loss()
    weight()
    why()
    probability()
