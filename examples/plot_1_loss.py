r"""
What focal loss does to a row
=============================

A booster predicts log-odds. Here are the loss of a row, its gradient, and the weight w of the gradient
:math:`w(\eta)\,(\eta - y)`, where η is the probability of class 1.
"""

import matplotlib.pyplot as plt

from focal_gbm import FocalLossDisplay, Poly1Focal

FocalLossDisplay.from_gammas([0, 0.5, 1, 2, 5])
plt.show()

# %%
# The log loss has a weight of 1 throughout. Up to γ=2 the weights are near it; γ=5 gives little weight to
# rows of medium probability. Any other loss is drawn the same way:

FocalLossDisplay.from_gammas([0, 1, Poly1Focal(gamma=1.0, epsilon=1.0)])
plt.show()
