import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.special import expit

from focal_gbm.losses.links import BinaryFocalLink
from focal_gbm.losses.per_label import MultilabelFocalLink

COLUMNS = (BinaryFocalLink(2.0, (0.3, 1.7)), BinaryFocalLink(0.0), BinaryFocalLink((0.5, 5.0)))
LINK = MultilabelFocalLink(COLUMNS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 3), (3,), (0, 3)])
def test_every_label_has_its_own_link(dtype, shape):
    z = np.random.default_rng(0).normal(0, 4, shape).astype(dtype)
    eta = LINK.inverse(z)
    assert eta.dtype == dtype
    assert eta.shape == shape
    assert_array_equal(LINK.probabilities(z), eta)
    scores = LINK.link(eta)
    assert scores.shape == shape
    for j, column in enumerate(COLUMNS):
        assert_array_equal(eta[..., j], column.inverse(z[..., j]))
        assert_array_equal(scores[..., j], column.link(eta[..., j]))


def test_a_probability_is_not_rounded_on_the_way_to_its_score():
    eta = np.array([1e-300, 0.1, 1 - 1e-15])
    assert_array_equal(LINK.link(eta), [column.link(p) for column, p in zip(COLUMNS, eta, strict=True)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_of_every_label(dtype):
    rng = np.random.default_rng(0)
    z, labels = rng.normal(0, 4, (20, 3)).astype(dtype), rng.random((20, 3)) < 0.5
    result = LINK.log_loss(labels, z)
    assert result.dtype == dtype
    assert result.shape == (20, 3)
    for j, column in enumerate(COLUMNS):
        assert_array_equal(result[:, j], column.log_loss(labels[:, j], z[:, j]))


def test_the_link_of_the_score_is_the_sigmoid():
    z = np.linspace(-30, 30, 60).reshape(20, 3)
    np.testing.assert_allclose(LINK.of_score.inverse(z), expit(z), rtol=1e-15)
