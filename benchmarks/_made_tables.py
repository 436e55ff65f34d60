"""Made tables of any size: imbalanced, not separable, float32."""

from __future__ import annotations

import numpy as np


def made_table(n_rows: int, n_features: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (X, y): the classes fall off by half each from the largest, or 3 % positives of two.

    The score of a class is a sum of a few products and steps of features, and noise, so that trees of
    every round have something to split on.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    share = np.array([0.97, 0.03]) if n_classes == 2 else 0.5 ** np.arange(n_classes)
    scores = np.log(share / share.sum()) + rng.gumbel(size=(n_rows, n_classes))
    for k in range(n_classes):
        a, b, c = rng.choice(n_features, 3, replace=False)
        scores[:, k] += X[:, a] * X[:, b] + (X[:, c] > 0.5)
    return X, scores.argmax(axis=1)
