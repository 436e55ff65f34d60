"""
From scores to probabilities
============================

At its best a focal model predicts a score that is *not* the probability. The link between them is known
exactly. Here are the link, and what it does to a model's reliability diagram.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_digits
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import cross_val_predict

from focal_gbm import FocalLGBMClassifier, FocalLinkDisplay

FocalLinkDisplay.from_gammas([0, 0.5, 1, 2, 5])
plt.show()

# %%
# ``predict_proba`` goes from the horizontal axis to the vertical. With ``probability="score"`` it stays on
# the horizontal one, which is what a booster alone predicts. Out of fold, on one digit against the others:

X, digit = load_digits(return_X_y=True)
y = digit == 8
model = FocalLGBMClassifier(focal_gamma=2.0, n_estimators=60, verbose=-1)
found = {}
for kind in ("score", "posterior"):
    model.set_params(probability=kind)
    found[kind] = cross_val_predict(model, X, y, cv=3, method="predict_proba")[:, 1]

_, ax = plt.subplots(figsize=(5, 5), layout="constrained")
for kind, proba in found.items():
    CalibrationDisplay.from_predictions(y, proba, n_bins=5, name=kind, ax=ax)
ax.set(xlabel="Predicted for class 1", ylabel="Share of class 1 found")
plt.show()

# %%
# Nothing was fitted for it, and no row was held out. Few rows lie in the middle, so that the curves are rough
# there; over all rows:

for kind, proba in found.items():
    print(f"{kind:<10} {log_loss(y, proba):.4f} log loss, {brier_score_loss(y, proba):.4f} Brier score")
