"""
Choosing γ and a threshold
==========================

γ=0 is the library's own loss, and belongs in every grid: the search says whether more helps. What is done
with the probability is a second, separate choice.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from focal_gbm import FocalXGBClassifier

X, digit = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, digit == 8, stratify=digit == 8, random_state=0)

model = FocalXGBClassifier(n_estimators=60, learning_rate=0.3, max_depth=3)
grid = {"focal_gamma": [0.0, 0.5, 1.0, 2.0]}
search = GridSearchCV(model, grid, scoring="neg_log_loss", cv=3).fit(X, y)

# %%
# Each point is a mean over the folds, with their standard deviation. Where the bars overlap, γ does not
# matter here.

gamma = search.cv_results_["param_focal_gamma"].astype(float)
loss, spread = -search.cv_results_["mean_test_score"], search.cv_results_["std_test_score"]
_, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
ax.errorbar(gamma, loss, yerr=spread, marker="o", capsize=4)
ax.set(xlabel="γ", ylabel="Log loss of predict_proba, out of fold", xticks=gamma)
plt.show()

# %%
# The best threshold is arithmetic. Say a missed 8 costs nine times a false alarm: call class 1 wherever
# P(y=1) · 9 > P(y=0) · 1, that is from a probability of 0.1 on.

miss, alarm = 9.0, 1.0
threshold = alarm / (alarm + miss)
proba = search.predict_proba(X_test)[:, 1]
for name, called in (("predict", search.predict(X_test)), (f"P(y=1) > {threshold:g}", proba > threshold)):
    cost = miss * np.sum(y_test & ~called) + alarm * np.sum(~y_test & called)
    print(f"{name:<14} {np.sum(y_test & ~called):>2} missed, {np.sum(~y_test & called):>2} false, cost {cost:g}")
