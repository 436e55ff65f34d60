"""Small tables for the tests."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit


class Table(NamedTuple):
    X: np.ndarray
    y: np.ndarray  #: 0 and 1
    weight: np.ndarray
    probability: np.ndarray  #: of class 1, the truth


def make_table(seed: int, n_samples: int = 500, shift: float = -1.5) -> Table:
    """Five features, of which the first three matter; about a quarter positives at the usual shift."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 5))
    probability = expit(1.5 * X[:, 0] - np.abs(X[:, 1]) * X[:, 2] + shift)
    y = (rng.random(n_samples) < probability).astype(np.int64)
    return Table(X, y, rng.uniform(0.2, 3.0, n_samples), probability)
