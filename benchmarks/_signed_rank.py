"""The Bayesian signed-rank test with a region of practical equivalence.

Benavoli, Corani, Demšar and Zaffalon 2017, Time for a Change: a Tutorial for Comparing Multiple Classifiers
Through Bayesian Analysis (JMLR 18(77):1-36), section 4.2. The differences on the tables have a Dirichlet
process as prior: its weight of 1/2 lies on a difference of zero. Of a draw of weights, the mass of all pairs
whose mean lies below, in or above the region says how likely a new table is to fall there; the test says how
often each of the three is the largest. (Written here as the authors' package, baycomp, had its last release
in 2023; its probabilities are the same to the noise of drawing.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

#: Of the prior, as in the paper: half a table on which nothing differs.
PRIOR = 0.5

DRAWS = 50_000


class Posterior(NamedTuple):
    """Probabilities that the difference is below the region, within it, above it."""

    below: float
    within: float
    above: float


def bayesian_signed_rank(differences: ArrayLike, region: float, seed: int = 0) -> Posterior:
    """Return where the difference lies, from one difference a table.

    Examples
    --------
    >>> bayesian_signed_rank([0.3, 0.2, 0.4, 0.3, 0.25, 0.2], region=0.1).above > 0.95
    True
    """
    z = np.concatenate([[0.0], np.asarray(differences, dtype=np.float64)])
    sums = np.add.outer(z, z)
    below, above = (sums < -2 * region), (sums > 2 * region)
    strength = np.ones(len(z))
    strength[0] = PRIOR
    weights = np.random.default_rng(seed).dirichlet(strength, size=DRAWS)
    mass = np.stack([np.einsum("di,ij,dj->d", weights, part.astype(np.float64), weights) for part in (below, above)])
    all_three = np.stack([mass[0], 1 - mass.sum(axis=0), mass[1]])
    shares = np.bincount(all_three.argmax(axis=0), minlength=3) / DRAWS
    return Posterior(*map(float, shares))
