r"""
What focal loss does to a row
=============================

The loss multiplies the log loss by :math:`(1 - p_t)^\gamma`: rows that are already right weigh less. These
are figure 1 of the paper, and the two derivatives that a boosting library is handed.
"""

import matplotlib.pyplot as plt

from focal_gbm import FocalLossDisplay

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
display = FocalLossDisplay.from_gammas([0, 0.5, 1, 2, 5], ax=axes[0])
display.plot(axes[1], quantity="gradient")
display.plot(axes[2], quantity="hessian")
plt.show()

# %%
# The gradient of a row that is very wrong is *larger* than that of the log loss, up to a :math:`p_t` of 0.42
# for γ=0.5, of 0.2 for γ=5; that of a row that is right vanishes sooner. The Hessian dips below zero on the
# far left: a Newton step there would go the wrong way. The estimators never start there, and by default hand
# over a floored Hessian. Against the margin the dip is easier to see:

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
exact = FocalLossDisplay.from_gammas(
    [0, 1, 2], quantity="hessian", against="margin", ax=axes[0], name="exact"
)
FocalLossDisplay.from_gammas(
    [0, 1, 2], hessian="floored", quantity="hessian", against="margin", ax=axes[1], name="floored"
)
plt.show()

# %%
# Two classes or many make no difference: softmax focal loss is the same function of one number, the margin of
# the true class.
