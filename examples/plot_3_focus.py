"""
How much of the loss sits in how few rows
=========================================

Figure 4 of the paper for a boosted model: sort the rows of a class from hardest to easiest, and sum up their
loss. The model stays as it is; only γ of the loss that is summed changes.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from focal_gbm import FocalXGBClassifier, FocusDisplay

X, digit = load_digits(return_X_y=True)
X_fit, X_test, y_fit, y_test = train_test_split(X, digit == 8, stratify=digit == 8, random_state=0)
model = FocalXGBClassifier(n_estimators=40).fit(X_fit, y_fit)

display = FocusDisplay.from_estimator(model, X_test, y_test, gammas=[0, 0.5, 1, 2, 5])
plt.show()

# %%
# The share of the loss that the hardest tenth of each class carries, for each γ:

for label, shares in zip(display.classes, display.loss_share_of(0.1), strict=True):
    print(f"class {label!s:<6}", "  ".join(f"{share:.0%}" for share in shares))

# %%
# Already with γ=0 most of the loss of a good model sits in few rows: boosting attends to hard rows without
# being told to. That is why focal loss changes trees less than it changes the detectors of the paper.
