"""Small tables of many classes and of many labels."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax


class Classes(NamedTuple):
    X: np.ndarray
    y: np.ndarray  #: 0 to K-1
    weight: np.ndarray
    probability: np.ndarray  #: of shape (n, K), the truth


class Labels(NamedTuple):
    X: np.ndarray
    y: np.ndarray  #: of shape (n, 3), zeros and ones
    weight: np.ndarray
    probability: np.ndarray  #: of shape (n, 3), the truth


def make_classes(seed: int, n_samples: int = 600, n_classes: int = 3) -> Classes:
    """Five features; the last class is the rarest, with a tenth of the rows where there are three."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 5))
    slopes = np.random.default_rng(n_classes).normal(size=(5, n_classes))
    scores = np.linspace(2, -0.5, n_classes) + X @ slopes + np.abs(X[:, :1]) * X[:, 1:2] * slopes[:1]
    probability = softmax(scores, axis=1)
    y = (probability.cumsum(axis=1) < rng.random((n_samples, 1))).sum(axis=1)
    weight = rng.uniform(0.2, 3.0, n_samples).astype(np.float32).astype(np.float64)  # as they are kept
    return Classes(X, y, weight, probability)


def make_labels(seed: int, n_samples: int = 600) -> Labels:
    """Five features; half, a quarter and a tenth of the rows have the labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 5))
    probability = expit(
        np.column_stack([X[:, 0] * 1.5, X[:, 1] + np.abs(X[:, 2]) - 2.2, 1.5 * X[:, 3] + X[:, 0] - 3.5])
    )
    y = (rng.random(probability.shape) < probability).astype(np.int64)
    weight = rng.uniform(0.2, 3.0, n_samples).astype(np.float32).astype(np.float64)
    return Labels(X, y, weight, probability)
