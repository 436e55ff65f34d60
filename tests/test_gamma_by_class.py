"""A focusing parameter by class: losses, links, objective and metric. The estimators have their own file."""

import copy
import pickle
import tracemalloc

import mpmath
import numpy as np
import pytest
import reference
import reference_multiclass
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, logit, softmax

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMObjective,
    FocalXGBMetric,
    FocalXGBObjective,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    focal_loss,
)
from focal_gbm.losses.links import BinaryFocalLink, MulticlassFocalLink
from focal_gbm.training.gamma import resolve_gamma

PAIRS = ((0.0, 5.0), (5.0, 0.0), (50.0, 0.5), (0.5, 2.0), (2.3, 1.0), (0.0, 1e-3))
TRIPLES = ((0.0, 5.0, 1.0), (50.0, 0.5, 2.0), (2.3, 2.3, 0.0))
TEN = (0.0, 0.5, 1.0, 2.0, 5.0, 0.0, 0.3, 2.0, 33.0, 7.7)
#: From where γ is lost in rounding to where 1/γ is.
EXTREMES = (0.0, 1e-300, 1e-17, 1e-12, 1e-6, 0.1, 0.5, 2.0, 5.0, 20.0, 1e3, 1e6, 1e10, 1e15)
DTYPES = (np.float32, np.float64)
HESSIANS = ("exact", "floored", "majorizing")
BARS = [(np.float64, 1e-12), (np.float32, 5e-6)]

gammas = st.one_of(st.sampled_from((0.0, 0.5, 1.0, 2.0, 5.0, 20.0)), st.floats(0.0, 50.0))
weights = st.floats(0.01, 100)


@st.composite
def problems(draw, n_classes=None, limit=100.0):
    """A loss with γ and maybe α by class, labels, scores and sample weights."""
    K, n = n_classes or draw(st.sampled_from((2, 3, 5))), draw(st.integers(1, 8))
    dtype = draw(st.sampled_from(DTYPES))
    y = draw(arrays(np.int64, n, elements=st.integers(0, K - 1)))
    width = 8 * np.dtype(dtype).itemsize
    z = draw(arrays(dtype, (n, K), elements=st.floats(-limit, limit, width=width)))
    gamma = draw(st.tuples(*[gammas] * K))
    alpha = draw(st.one_of(st.none(), st.tuples(*[weights] * K)))
    return gamma, alpha, y, z, draw(arrays(np.float64, n, elements=weights))


def evaluations(loss, y, z, weight=None):
    """The loss, the gradient and all three Hessians."""
    results = {"loss": loss.loss(y, z, weight), "gradient": loss.gradient(y, z, weight)}
    for hessian in HESSIANS:
        results[hessian] = loss.gradient_hessian(y, z, weight, hessian=hessian)[1]
    return results


# Accuracy


@pytest.mark.parametrize("gamma", PAIRS)
@pytest.mark.parametrize(("dtype", "rtol"), BARS)
def test_binary_loss_and_derivatives_agree_with_mpmath(gamma, dtype, rtol):
    rng = np.random.default_rng(0)
    limit = (80.0 if dtype == np.float32 else 300.0) / (1.0 + max(gamma))
    z = np.concatenate([np.linspace(-limit, limit, 20), rng.normal(size=12)]).astype(dtype)
    z = z[np.abs(z) <= limit]
    if max(gamma) > 32:  # an exp in the place of products, and the rounding of its argument
        rtol *= 2
    y = rng.integers(0, 2, len(z))
    true = np.array(
        [reference.binary_derivatives(gamma[t], int(t), float(x)) for t, x in zip(y, z, strict=True)]
    )
    true_loss, true_gradient, true_hessian, negative_term = true.T
    result = evaluations(BinaryFocalLoss(gamma), y, z)
    assert_allclose(result["loss"], true_loss, rtol=rtol, atol=0)
    assert_allclose(result["gradient"], true_gradient, rtol=rtol, atol=0)
    # the Hessian is a difference: relative to the absolute values of its terms
    terms = true_hessian - 2 * negative_term
    assert (np.abs(result["exact"] - true_hessian) <= rtol * terms).all()
    assert_allclose(result["majorizing"], true_hessian - negative_term, rtol=rtol, atol=0)
    floor = 0.05 * np.minimum(np.array(gamma)[y], 1.0) * np.abs(true_gradient)
    assert (np.abs(result["floored"] - np.maximum(true_hessian, floor)) <= rtol * (terms + floor)).all()


@pytest.mark.parametrize("gamma", [*TRIPLES, TEN], ids=lambda gamma: f"{len(gamma)} classes, {gamma[0]}")
@pytest.mark.parametrize(("dtype", "rtol"), BARS)
def test_softmax_loss_and_derivatives_agree_with_mpmath(gamma, dtype, rtol):
    rng = np.random.default_rng(1)
    K = len(gamma)
    z = np.concatenate([rng.normal(0, scale, (8, K)) for scale in (0.1, 1, 5)] + [40.0 * np.eye(K)])
    z, y = z.astype(dtype), np.arange(24 + K) % K
    tiny = 1e-30 if dtype == np.float32 else 1e-290
    result = evaluations(MulticlassFocalLoss(K, gamma), y, z)
    for i, (label, row) in enumerate(zip(y, z, strict=True)):
        true = reference_multiclass.derivatives(gamma[label], label, row)
        assert_allclose(result["loss"][i], true.loss, rtol=rtol, atol=tiny)
        assert_allclose(result["gradient"][i], true.gradient, rtol=rtol, atol=tiny)
        exact = np.diag(true.hessian)
        floor = 0.05 * min(gamma[label], 1.0) * np.abs(true.gradient)
        for name, expected, size in (
            ("exact", exact, true.terms),
            ("floored", np.maximum(exact, floor), true.terms + floor),
            ("majorizing", true.majorizing, true.majorizing),
        ):
            assert (np.abs(result[name][i] - expected) <= rtol * size + tiny).all()


@pytest.mark.parametrize("gamma", [*PAIRS, *TRIPLES])
def test_derivatives_agree_with_finite_differences(gamma):
    K = len(gamma)
    # scores and step are multiples of 2^-20: z + k h is exact
    h = 2.0 ** -np.floor(9 + np.log2(1.0 + max(gamma)))
    rng = np.random.default_rng(0)
    z = np.round(rng.normal(0, 3, (60, K)) * 2.0**20) / 2.0**20
    y, loss, unit = rng.integers(0, K, 60), MulticlassFocalLoss(K, gamma, rng.uniform(0.5, 2, K)), np.eye(K)
    if K == 2:
        z, loss, unit = z[:, 1], BinaryFocalLoss(gamma, loss.alpha), np.ones(1)
    gradient, hessian = loss.gradient_hessian(y, z)
    size = np.abs(gradient).reshape(60, -1).max(axis=1)
    noise = 10 * (1 + max(gamma)) * np.finfo(float).eps / h
    for j, step in enumerate(unit):

        def slope(function, step=step):  # of 4th order
            f = [function(y, z + k * h * step) for k in (-2, -1, 1, 2)]
            return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)

        first, second = (a.reshape(60, -1)[:, j] for a in (gradient, hessian))
        assert (np.abs(slope(loss.loss) - first) <= 1e-8 * size + noise * loss.loss(y, z)).all()
        error = np.abs(slope(loss.gradient).reshape(60, -1)[:, j] - second)
        assert (error <= 1e-8 * (1 + max(gamma)) * size).all()


@pytest.mark.parametrize("gamma", [*PAIRS, *TRIPLES, (1e15, 0.0), (0.0, 1e15)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_overflows(gamma, dtype):
    rng, K, info = np.random.default_rng(0), len(gamma), np.finfo(dtype)
    ends = rng.choice([0, info.tiny, -info.tiny, 1e4, -1e4, info.max, -info.max], (300, K))
    z = np.concatenate([rng.normal(0, scale, (100, K)) for scale in (1e-3, 1, 30)] + [ends])
    z = np.concatenate([z, rng.uniform(-1e4, 1e4, (300, K))]).astype(dtype)
    y = rng.integers(0, K, len(z))
    loss = MulticlassFocalLoss(K, gamma)
    if K == 2:
        z, loss = z[:, 1], BinaryFocalLoss(gamma)
    for name, result in evaluations(loss, y, z, rng.integers(0, 2, len(z))).items():
        assert np.isfinite(result).all(), name
        if name not in ("gradient", "exact"):
            assert (result >= 0).all(), name
    probabilities = loss.link.probabilities(z)
    assert_allclose(probabilities.sum(axis=1), 1, rtol=10 * info.eps)
    assert (probabilities >= 0).all()


# Identities


@given(problems())
def test_every_row_has_the_loss_of_its_class(problem):
    gamma, alpha, y, z, weight = problem
    K = z.shape[1]
    by_class = evaluations(MulticlassFocalLoss(K, gamma, alpha), y, z, weight)
    for k in range(K):
        rows = y == k
        alone = evaluations(MulticlassFocalLoss(K, gamma[k], alpha), y, z, weight)
        for name, expected in alone.items():
            rtol = 20 * (1 + gamma[k]) * np.finfo(z.dtype).eps
            size = np.abs(expected) if expected.ndim == 1 else np.abs(alone["gradient"]) + np.abs(expected)
            bound = rtol * size + 1e3 * np.finfo(z.dtype).smallest_normal
            assert (np.abs(by_class[name] - expected)[rows] <= bound[rows]).all(), name


@given(problems(n_classes=2))
def test_every_row_has_the_loss_of_its_class_binary(problem):
    gamma, alpha, y, z, weight = problem
    z = z[:, 0]
    by_class = evaluations(BinaryFocalLoss(gamma, alpha), y, z, weight)
    alone = [evaluations(BinaryFocalLoss(one, alpha), y, z, weight) for one in gamma]
    for name, result in by_class.items():
        expected = np.where(y == 1, alone[1][name], alone[0][name])
        size = np.abs(expected) + np.abs(by_class["gradient"]) * (1 + max(gamma))
        tiny = 10 * np.finfo(z.dtype).smallest_normal
        assert (np.abs(result - expected) <= 4 * np.finfo(z.dtype).eps * size + tiny).all(), name


@given(problems(n_classes=2))
def test_mirror_swaps_gammas_and_weights(problem):
    gamma, alpha, y, z, weight = problem
    z = z[:, 0]
    one = evaluations(BinaryFocalLoss(gamma, alpha), y, z, weight)
    swapped = BinaryFocalLoss(gamma[::-1], None if alpha is None else alpha[::-1])
    for name, result in evaluations(swapped, 1 - y, -z, weight).items():
        assert_array_equal(result, -one[name] if name == "gradient" else one[name])
    link, mirrored = BinaryFocalLoss(gamma).link, BinaryFocalLoss(gamma[::-1]).link
    rtol = 8 * np.finfo(z.dtype).eps
    size = (1 + max(gamma)) * (1 + np.abs(z))
    assert (np.abs(link.posterior_logit(z) + mirrored.posterior_logit(-z)) <= rtol * size).all()


@given(problems(n_classes=2, limit=30.0))
def test_two_classes_are_the_sigmoid(problem):
    gamma, alpha, y, z, weight = problem
    z = z.astype(np.float64)[:, 0]
    two = np.stack([np.zeros_like(z), z], axis=1)
    binary, two_classes = BinaryFocalLoss(gamma, alpha), MulticlassFocalLoss(2, gamma, alpha)
    rtol, tiny = 1e-14 * (1 + max(gamma)), 1e-300
    one, other = evaluations(binary, y, z, weight), evaluations(two_classes, y, two, weight)
    assert_allclose(other["loss"], one["loss"], rtol=rtol, atol=tiny)
    assert_allclose(other["gradient"][:, 1], one["gradient"], rtol=rtol, atol=tiny)
    size = rtol * (1 + max(gamma)) * np.abs(one["gradient"]) + tiny
    for name in ("exact", "floored"):
        assert (np.abs(other[name][:, 1] - one[name]) <= size).all()
    rtol = 1e-13 * (1 + (1 + max(gamma)) * np.abs(z).max())
    assert_allclose(two_classes.link.inverse(two), binary.link.probabilities(z), rtol=rtol, atol=tiny)


@pytest.mark.parametrize("gamma", TRIPLES)
def test_order_of_the_classes_does_not_matter(gamma):
    rng = np.random.default_rng(0)
    y, z, alpha = rng.integers(0, 3, 50), rng.normal(0, 3, (50, 3)), rng.uniform(0.5, 2, 3)
    order = np.array([2, 0, 1])
    loss = MulticlassFocalLoss(3, gamma, alpha)
    permuted = MulticlassFocalLoss(3, np.array(gamma)[order], alpha[order])
    new = evaluations(permuted, np.argsort(order)[y], z[:, order])
    for name, result in evaluations(loss, y, z).items():
        size = 1e-13 * (1 + max(gamma)) * np.abs(result).max()
        assert_allclose(new[name], result[:, order] if result.ndim == 2 else result, rtol=1e-11, atol=size)
    assert_allclose(permuted.link.inverse(z[:, order]), loss.link.inverse(z)[:, order], rtol=1e-11)
    eta = softmax(z, axis=1)
    assert_allclose(permuted.link.link(eta[:, order]), loss.link.link(eta)[:, order], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.7, 2.0, 20.0])
def test_equal_gammas_are_one(gamma):
    for by_class, one in (
        (BinaryFocalLoss((gamma, gamma), 0.3), BinaryFocalLoss(gamma, 0.3)),
        (BinaryFocalLink([gamma, gamma]), BinaryFocalLink(gamma)),
        (MulticlassFocalLoss(3, np.full(3, gamma)), MulticlassFocalLoss(3, gamma)),
        (MulticlassFocalLink((gamma,) * 3, (1.0, 2.0, 3.0)), MulticlassFocalLink(gamma, (1.0, 2.0, 3.0))),
    ):
        assert by_class == one
        assert type(by_class.gamma) is float
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 3, 100), rng.normal(size=(100, 3))
    one = evaluations(MulticlassFocalLoss(3, gamma), y, z)
    for name, result in evaluations(MulticlassFocalLoss(3, (gamma, gamma, gamma)), y, z).items():
        assert_array_equal(result, one[name])


def test_a_class_without_focus_beside_one_with_it_has_the_log_loss():
    rng = np.random.default_rng(0)
    y, z = np.repeat([0, 1], 50), rng.normal(0, 3, 100)
    plain, mixed = (evaluations(BinaryFocalLoss(gamma), y, z) for gamma in (0.0, (0.0, 5.0)))
    for name, result in mixed.items():
        assert_allclose(result[:50], plain[name][:50], rtol=4e-16)
        assert (np.abs(result - plain[name])[50:] > 1e-3 * np.abs(plain[name])[50:]).all()


# The link


@pytest.mark.parametrize("gamma", PAIRS)
@pytest.mark.parametrize("class_weights", [(1.0, 1.0), (3.0, 1e-3)])
def test_binary_link_agrees_with_mpmath(gamma, class_weights):
    z = np.unique(np.concatenate([np.linspace(-100, 100, 21) / (1 + max(gamma)), np.linspace(-2, 2, 8)]))
    link = BinaryFocalLink(gamma, class_weights)
    for dtype, rtol in ((np.float64, 1e-15), (np.float32, 6e-7)):
        x = z.astype(dtype)
        expected = np.array([reference.posterior_logit(gamma, float(one), class_weights) for one in x])
        # a sum of terms of either sign: relative to what is added
        size = (1 + max(gamma)) * (1 + np.abs(x)) + abs(np.log(class_weights[0] / class_weights[1]))
        assert (np.abs(link.posterior_logit(x) - expected) <= rtol * (2 + size)).all()


@pytest.mark.parametrize("gamma", TRIPLES)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-15), (np.float32, 6e-7)])
def test_softmax_link_agrees_with_mpmath(gamma, dtype, rtol):
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(0, scale, (8, 3)) for scale in (0.01, 1, 5, 20)]).astype(dtype)
    class_weights = (1.0, 0.25, 4.0)
    expected = np.array([reference_multiclass.log_posterior(gamma, row, class_weights) for row in z])
    size = (1 + max(gamma)) * (np.ptp(z, axis=1, keepdims=True) + 3) + 2
    error = np.abs(MulticlassFocalLink(gamma, class_weights).log_posterior(z) - expected)
    assert (error <= rtol * size).all()


@given(problems(n_classes=2, limit=30.0))
def test_the_posterior_is_where_the_expected_gradient_vanishes(problem):
    gamma, alpha, _, z, _ = problem
    z = z[:, 0]
    loss = BinaryFocalLoss(gamma, alpha)
    complement, probability = loss.link.probabilities(z).T
    g1 = probability * loss.gradient(np.ones(len(z)), z)
    g0 = complement * loss.gradient(np.zeros(len(z)), z)
    # an error of the logit, as large as its terms times eps, is a relative error of the probability
    rtol = (20 + (1 + max(gamma)) * (1 + np.abs(z))) * 8 * np.finfo(z.dtype).eps
    normal = np.minimum(np.abs(g0), np.abs(g1)) > 1e10 * np.finfo(z.dtype).smallest_normal
    assert (np.abs(g0 + g1) <= rtol * np.abs(g0))[normal].all()


@given(problems(limit=20.0))
def test_the_expected_softmax_gradient_vanishes_at_the_posterior(problem):
    gamma, alpha, _, z, _ = problem
    z, K = z.astype(np.float64), z.shape[1]
    loss = MulticlassFocalLoss(K, gamma, alpha)
    eta = loss.link.inverse(z)
    parts = [eta[:, [t]] * loss.gradient(np.full(len(z), t), z) for t in range(K)]
    rtol = 1e-14 * (20 + (1 + max(gamma)) * (1 + np.ptp(z, axis=1, keepdims=True)))
    assert (np.abs(sum(parts)) <= rtol * sum(np.abs(part) for part in parts) + 1e-290).all()


@pytest.mark.parametrize("gamma", [*PAIRS, *TRIPLES, (20.0, 0.5), (1e4, 0.0), (0.0, 1e4, 0.0)])
def test_the_expected_gradient_vanishes_at_the_link(gamma):
    K = len(gamma)
    rng = np.random.default_rng(0)
    eta = softmax(rng.normal(0, 3, (20, K)), axis=1)
    loss = MulticlassFocalLoss(K, gamma, rng.lognormal(0, 1, K))
    z = loss.link.link(eta)
    if K == 2:
        loss = BinaryFocalLoss(gamma, loss.alpha)
        z = loss.link.link(eta[:, 1])
    gradient = [loss.gradient(np.full(20, t), z).reshape(20, -1) for t in range(K)]
    parts = [eta[:, [t]] * gradient[t] for t in range(K)]
    assert (np.abs(sum(parts)) <= 1e-13 * (1 + max(gamma)) * sum(np.abs(part) for part in parts)).all()


@pytest.mark.parametrize("gamma_0", EXTREMES)
@pytest.mark.parametrize("class_weights", [(1.0, 1.0), (1e-6, 1.0)])
def test_binary_link_converges_for_all_gammas(gamma_0, class_weights):
    small = 10.0 ** -np.arange(1.0, 300.0, 10.0)
    p = np.concatenate([small, np.linspace(0.001, 0.999, 30), 1 - 10.0 ** -np.arange(1, 17)])
    for gamma_1 in EXTREMES:
        link = BinaryFocalLink((gamma_0, gamma_1), class_weights)
        z = link.link(p)
        target = logit(p)
        slope = 1 + np.where(z > 0, gamma_1, gamma_0)
        size = 20 + np.abs(target) + slope * np.abs(z) + np.abs(gamma_1 - gamma_0) * np.exp(-np.abs(z))
        assert (np.abs(link.posterior_logit(z) - target) <= 2e-15 * size).all()
        assert_array_equal(link.link([0.0, 1.0]), [-np.inf, np.inf])


@pytest.mark.parametrize("K", [2, 3, 10, 50])
def test_softmax_link_converges_for_all_gammas(K):
    rng = np.random.default_rng(K)
    log_eta = np.concatenate([rng.normal(0, scale, (4, K)) for scale in (0, 1e-6, 1, 5, 20, 300)])
    log_eta = np.maximum(log_softmax(log_eta, axis=1), -690.0)  # down to the smallest normal doubles
    for i in range(20):
        # of any γ, and of two alone
        gamma = rng.choice(EXTREMES, K) if i % 2 else np.where(rng.random(K) < 0.5, *rng.choice(EXTREMES, 2))
        link = MulticlassFocalLink(gamma, np.exp(rng.normal(0, 5.0 * (i % 3 == 0), K)))
        z = link.link(np.exp(log_eta))
        size = 1 + np.abs(z).max(axis=1, keepdims=True)
        bound = 1e-13 * (1 + np.abs(log_eta)) + 1e-15 * (1 + gamma.max()) * size
        assert (np.abs(link.log_posterior(z) - log_eta) <= bound).all()


@pytest.mark.parametrize(
    "gamma", [(0.0, 5.0), (20.0, 0.5), (0.0, 1e15), (1e15, 0.0), (100.0, 1e-12), (1e-12, 1e3), (1e3, 1e-6)]
)
def test_softmax_link_of_two_classes_is_the_binary_link(gamma):
    # where one class is nearly certain, the margin of one is found from a term that hardly depends on it
    small = 10.0 ** -np.arange(1.0, 300.0, 7.0)
    p = np.concatenate([small, 1 - small, [0.3, 0.5]])
    for ratio in (1e-5, 1.0, 1e5):
        binary, link = BinaryFocalLink(gamma, (1.0, ratio)), MulticlassFocalLink(gamma, (1.0, ratio))
        scores = link.link(np.stack([1 - p, p], axis=1)[p < 1])
        expected = binary.link(p[p < 1])
        assert_allclose(scores[:, 1] - scores[:, 0], expected, rtol=1e-12, atol=1e-13)


@given(problems(limit=3.0))
def test_link_of_inverse_is_the_score(problem):
    gamma, alpha, _, z, _ = problem
    z, K = z.astype(np.float64), z.shape[1]
    link = MulticlassFocalLoss(K, gamma, alpha).link
    log_posterior = link.log_posterior(z)
    kept = (log_posterior.max(axis=1) < -1e-4) & (log_posterior.min(axis=1) > -500.0)
    expected = z - z.mean(axis=1, keepdims=True)
    assert_allclose(link.link(link.inverse(z))[kept], expected[kept], rtol=1e-9, atol=1e-9)
    if K == 2:
        binary = BinaryFocalLoss(gamma, alpha).link
        score = z[:, 1] - z[:, 0]
        assert_allclose(binary.link(binary.inverse(score))[kept], score[kept], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gamma_0", EXTREMES)
def test_binary_link_is_strictly_increasing(gamma_0):
    z = np.arange(-40, 40, 2.0**-5)
    for gamma_1 in EXTREMES:
        rise = np.diff(BinaryFocalLink((gamma_0, gamma_1)).posterior_logit(z))
        # where (γ_1 - γ_0) log1p(exp(-|z|)) and a logarithm nearly cancel, what is left is rounded
        noise = 1e-15 * abs(gamma_1 - gamma_0) * np.exp(-np.abs(z[1:]))
        assert (rise > -4 * noise).all()
        assert (rise[noise < 1e-4] > 0).all()
        assert (rise / 2.0**-5 <= (1 + max(gamma_0, gamma_1)) * (1 + 1e-9) + 40 * noise).all()


@pytest.mark.parametrize("gamma", [(0.0, 1e6), (1e6, 0.0), (0.5, 1e6), (20.0, 0.0), (0.0, 2.0), (2.0, 5.0)])
def test_slope_of_the_binary_link_is_the_sum_of_two_positive_terms(gamma):
    """The proof that the link is increasing, at points; t as the docstring of the softmax link states it."""

    def term(m, g):
        p = 1 / (1 + mpmath.exp(-m))
        q, r = 1 - p, -mpmath.log(p) * p / (1 - p)
        assert 0 < r < 1
        slope = (q + 2 * g * p - g * (1 - g) * p * r) / (1 + g * r)
        assert slope > 0
        return slope

    h = 2.0**-12
    with mpmath.workdps(120):
        for x in (-60.0, -20.0, -14.0, -3.0, -0.5, 0.0, 0.25, 2.0, 13.0, 60.0):
            stated = float(
                term(mpmath.mpf(x), mpmath.mpf(gamma[1])) + term(-mpmath.mpf(x), mpmath.mpf(gamma[0]))
            )
            logits = [reference.posterior_logit(gamma, x + k * h) for k in (-2, -1, 1, 2)]
            slope = (logits[0] - 8 * logits[1] + 8 * logits[2] - logits[3]) / (12 * h)
            assert slope == pytest.approx(stated, rel=1e-9, abs=1e-11 * max(gamma))


def test_the_slope_of_unequal_gammas_goes_down_to_nearly_zero():
    # why the search for the inverse is bracketed: γ_0 = 1e15 and γ_1 = 0
    z = np.linspace(20, 60, 4001)
    slope = np.diff(BinaryFocalLink((1e15, 0.0)).posterior_logit(z)) / 0.01
    assert 0 < slope.min() < 0.35
    assert slope[-1] == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("gamma", TRIPLES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_odds_of_a_class_grow_with_its_score(gamma, dtype):
    link = MulticlassFocalLink(gamma, (0.2, 1.0, 4.0))
    for k in range(3):
        z = np.zeros((101, 3), dtype=dtype)
        z[:, k] = np.linspace(-6, 6, 101)
        log_posterior = link.log_posterior(z)
        log_odds = log_posterior[:, [k]] - np.delete(log_posterior, k, axis=1)
        assert (np.diff(log_odds, axis=0) > 0).all()


def test_unequal_gammas_move_the_decision():
    # even scores are not even odds: the more focused class is scored too low
    logit_at_zero = -3 * np.log(2) + np.log1p(4 * np.log(2)) - np.log1p(np.log(2))
    assert BinaryFocalLink((4.0, 1.0)).posterior_logit(0.0) == pytest.approx(logit_at_zero, rel=1e-14)
    assert logit_at_zero < -1
    assert MulticlassFocalLink((4.0, 0.0, 0.0), (1.0, 1.0, 1.0)).inverse([0.1, 0.0, 0.0]).argmax() == 0
    assert MulticlassFocalLink((0.0, 4.0, 4.0), (1.0, 1.0, 1.0)).inverse([0.1, 0.0, 0.0]).argmax() != 0


def test_the_link_of_the_score_has_no_gamma():
    assert BinaryFocalLink((4.0, 1.0), (1.0, 2.0)).of_score == BinaryFocalLink(0.0)
    assert MulticlassFocalLink((4.0, 1.0, 0.0), (1.0, 2.0, 3.0)).of_score.gamma == 0.0


# The best constant and the objective


@pytest.mark.parametrize("gamma", PAIRS)
def test_intercept_minimises_the_mean_loss(gamma):
    y = np.repeat([0, 1], [93, 7])
    weight = np.linspace(0.5, 1.5, 100)
    loss = BinaryFocalLoss(gamma, (1.0, 2.0))
    found = minimize_scalar(
        lambda c: np.average(loss.loss(y, np.full(100, c)), weights=weight),
        bounds=(-10, 10),
        method="bounded",
        options={"xatol": 1e-9},
    )
    constant = loss.fit_intercept_only(y, weight)
    assert constant == pytest.approx(found.x, abs=1e-4)
    gradient = loss.gradient(y, np.full(100, constant), weight)
    assert abs(gradient.sum()) <= 1e-12 * np.abs(gradient).sum()
    assert loss.link.inverse(constant) == pytest.approx(np.average(y, weights=weight), rel=1e-12)


@pytest.mark.parametrize("gamma", TRIPLES)
def test_softmax_intercept_minimises_the_mean_loss(gamma):
    y = np.repeat([0, 1, 2], [70, 20, 10])
    loss = MulticlassFocalLoss(3, gamma, (1.0, 4.0, 0.5))
    constant = loss.fit_intercept_only(y)
    gradient = loss.gradient(y, np.tile(constant, (100, 1)))
    assert (np.abs(gradient.sum(axis=0)) <= 1e-12 * np.abs(gradient).sum(axis=0)).all()
    found = minimize(lambda c: loss.loss(y, np.tile(c, (100, 1))).mean(), np.zeros(3), tol=1e-9)
    assert found.fun >= loss.loss(y, np.tile(constant, (100, 1))).mean() - 1e-9


@pytest.mark.parametrize(
    "loss",
    [
        BinaryFocalLoss((4.0, 0.5)),
        BinaryFocalLoss((0.0, 5.0), 0.8),
        MulticlassFocalLoss(3, (0.0, 5.0, 1.0), (1.0, 2.0, 3.0)),
    ],
)
@pytest.mark.parametrize("hessian", HESSIANS)
def test_log_loss_scale_is_beside_the_log_loss(loss, hessian):
    n_classes = len(loss.class_weights)
    y = np.repeat(np.arange(n_classes), 100 // 2 ** np.arange(n_classes))
    plain = BinaryFocalLoss(0.0, loss.alpha) if n_classes == 2 else MulticlassFocalLoss(3, 0.0, loss.alpha)
    mean = []
    for one in (plain, loss):
        start = np.empty(one.raw_shape(len(y)))
        start[...] = one.fit_intercept_only(y)
        mean.append(one.gradient_hessian(y, start, hessian=hessian)[1].mean())
    scale = loss.log_loss_scale(np.bincount(y), hessian)
    assert scale == pytest.approx(loss.log_loss_scale(np.bincount(y) / len(y), hessian), rel=1e-13)
    assert scale == pytest.approx(mean[0] / mean[1], rel=1e-12)
    assert scale > 0


def test_scale_of_many_labels():
    columns = (BinaryFocalLoss((4.0, 0.5)), BinaryFocalLoss(2.0))
    shares = np.array([[0.9, 0.1], [0.6, 0.4]])
    expected = tuple(loss.log_loss_scale(of_label) for loss, of_label in zip(columns, shares, strict=True))
    assert MultilabelFocalLoss(columns).log_loss_scale(shares) == expected


def test_objective_hands_on_the_gradients_of_the_loss():
    rng = np.random.default_rng(0)
    y, z, weight = rng.integers(0, 2, 200), rng.normal(0, 2, 200), rng.uniform(0.5, 2, 200)
    loss = BinaryFocalLoss((4.0, 0.5), 0.25)
    objective = FocalLGBMObjective(loss, scale=0.5)
    expected = loss.gradient_hessian(y, z, 0.5 * weight, hessian="floored")
    for result in (objective(y, z, weight), objective.bind(y == 1, weight)(z)):
        for a, b in zip(result, expected, strict=True):
            assert_allclose(a, b, rtol=1e-6)
    many = MultilabelFocalLoss((loss, BinaryFocalLoss(1.0)))
    table, scores = np.column_stack([y, 1 - y]), np.column_stack([z, -z])
    gradient, _ = FocalXGBObjective(many)(table, scores, weight)
    assert_allclose(gradient[:, 0], loss.gradient(y, z, weight), rtol=1e-6)


def test_gradients_are_evaluated_in_blocks():
    rng = np.random.default_rng(0)
    n = 1_000_000
    y, z = rng.random(n) < 0.1, rng.normal(size=n).astype(np.float32)
    loss = BinaryFocalLoss((4.0, 0.5))
    targets, out = loss.prepare(y, None), np.empty((2, n), np.float32)
    tracemalloc.start()
    try:
        loss.gradient_hessian_prepared(targets, z, "floored", *out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0 < peak < 3e6  # one temporary of all rows is 4e6
    first = loss.gradient_hessian(y[:50], z[:50], hessian="floored")
    assert_allclose(out[:, :50], first, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_in_is_dtype_out(dtype):
    z = np.zeros((4, 3), dtype=dtype)
    for loss, scores in ((BinaryFocalLoss((4.0, 0.3)), z[:, 0]), (MulticlassFocalLoss(3, (4.0, 0.3, 0)), z)):
        for result in evaluations(loss, [0, 1, 0, 1], scores, [1, 2, 3, 4]).values():
            assert result.dtype == dtype
        assert loss.link.inverse(scores).dtype == dtype


def test_equality_hash_and_pickle():
    loss = BinaryFocalLoss([0, np.float32(0.5)])
    assert loss.gamma == (0.0, 0.5)
    assert repr(loss) == "BinaryFocalLoss(gamma=(0.0, 0.5), alpha=None, margin_loss=None, focal_link='focal')"
    assert loss != BinaryFocalLoss((0.5, 0.0))
    assert loss.link == BinaryFocalLink((0.0, 0.5))
    many = MulticlassFocalLoss(3, np.array([0.0, 1.0, 2.0]))
    assert many.link == MulticlassFocalLink((0.0, 1.0, 2.0), (1.0, 1.0, 1.0))
    for item in (loss, many, loss.link, many.link):
        for twin in (pickle.loads(pickle.dumps(item)), copy.deepcopy(item)):
            assert twin == item
            assert hash(twin) == hash(item)


# From what a user writes


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (2, 2.0),
        (np.float32(0.5), 0.5),
        ([0, 1, 2], (0.0, 1.0, 2.0)),
        ((0.5, 0.5, 1), (0.5, 0.5, 1.0)),
        (np.array([3.0, 2.0, 1.0]), (3.0, 2.0, 1.0)),
        ({"zoo": 3, "ham": 1, "spam": 2.0}, (1.0, 2.0, 3.0)),
        ({"zoo": 3, "ham": 3, "spam": 3.0}, 3.0),
        ((2.0, 2.0, 2.0), 2.0),
    ],
)
def test_resolve_gamma(gamma, expected):
    result = resolve_gamma(gamma, np.array(["ham", "spam", "zoo"]))
    assert result == expected
    assert type(result) is type(expected)


def test_resolve_gamma_by_numbers():
    for gamma in ({0: 1, 1: 2.5}, {np.int64(1): 2.5, np.int64(0): 1}, {True: 2.5, False: 1}):
        assert resolve_gamma(gamma, np.array([0, 1])) == (1.0, 2.5)


@pytest.mark.parametrize(
    ("gamma", "error", "message"),
    [
        (-1.0, ValueError, r"^focal_gamma must be a finite number >= 0 .*, got -1\.0\.$"),
        ("2", TypeError, r"^focal_gamma must be a real number >= 0, got '2' \(str\)\.$"),
        (None, TypeError, r"^focal_gamma must be a real number >= 0, got None"),
        (True, TypeError, r"^focal_gamma must be a real number >= 0, got True"),
        ({1.0, 2.0}, TypeError, r"^focal_gamma must be a real number >= 0, got \{1\.0, 2\.0\} \(set\)\.$"),
        ((1.0,), ValueError, r"^focal_gamma must be a number or hold 2 numbers, one a class, got 1 of them"),
        ([1, 2, 3], ValueError, r"^focal_gamma must be a number or hold 2 numbers, .* got 3 of them\.$"),
        ([], ValueError, r"got 0 of them\.$"),
        ((1.0, -2.0), ValueError, r"^focal_gamma\[1\] must be a finite number >= 0 .*, got -2\.0\.$"),
        ((np.nan, 1.0), ValueError, r"^focal_gamma\[0\] must be a finite number .*, got nan\.$"),
        ((1.0, "2"), TypeError, r"^focal_gamma\[1\] must be a real number >= 0, got '2' \(str\)\.$"),
        (np.ones((2, 2)), TypeError, r"^focal_gamma\[0\] must be a real number .* \(ndarray\)\.$"),
        ({"ham": 1.0}, ValueError, r"one γ for each .*\['ham', 'spam'\], got none for \['spam'\]\.$"),
        (
            {"ham": 1.0, "spam": 1.0, "eggs": 1.0},
            ValueError,
            r"^focal_gamma must have one γ for each of the classes \['ham', 'spam'\], "
            r"got some for the unknown \['eggs'\]\.$",
        ),
        ({"ham": 1.0, "spam": -1}, ValueError, r"^focal_gamma\['spam'\] must be a finite number .*got -1\.$"),
        ({"ham": None, "spam": 1}, TypeError, r"^focal_gamma\['ham'\] must be a real number .*got None"),
    ],
)
def test_errors(gamma, error, message):
    with pytest.raises(error, match=message):
        resolve_gamma(gamma, np.array(["ham", "spam"]))


def test_errors_of_losses_and_links():
    message = r"^gamma must be a number or hold 3 numbers, one a class, got 2 of them\.$"
    with pytest.raises(ValueError, match=message):
        MulticlassFocalLoss(3, (1.0, 2.0))
    with pytest.raises(ValueError, match=message):
        MulticlassFocalLink((1.0, 2.0), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"^gamma must be a number or hold 2 numbers"):
        BinaryFocalLink((1.0, 2.0, 3.0))


# The metric


def test_metric_takes_gamma_by_class():
    y = np.array(["spam", "ham", "spam", "spam", "ham"])
    p = np.array([0.9, 0.2, 0.4, 0.7, 0.6])
    true = np.where(y == "spam", p, 1 - p)
    expected = np.mean(-((1 - true) ** np.where(y == "spam", 0.5, 4.0)) * np.log(true))
    for gamma in ({"spam": 0.5, "ham": 4.0}, (4.0, 0.5), [4, 0.5], np.array([4.0, 0.5])):
        assert focal_loss(y, p, gamma=gamma) == pytest.approx(expected, rel=1e-13)
    table = np.column_stack([1 - p, p])
    assert focal_loss(y, table, gamma={"spam": 0.5, "ham": 4.0}) == pytest.approx(expected, rel=1e-13)
    assert FocalXGBMetric(BinaryFocalLoss((4.0, 0.5)))(y == "spam", logit(p)) == pytest.approx(
        expected, rel=1e-13
    )


def test_metric_takes_gamma_by_class_of_many():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, 50), softmax(rng.normal(size=(50, 3)), axis=1)
    gamma = (0.0, 1.5, 4.0)
    true = p[np.arange(50), y]
    expected = np.mean(-((1 - true) ** np.array(gamma)[y]) * np.log(true))
    assert focal_loss(y, p, gamma=gamma) == pytest.approx(expected, rel=1e-12)
    assert focal_loss(y, p, gamma={2: 4.0, 0: 0.0, 1: 1.5}) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("gamma", "message"),
    [
        ({0: 1.0}, r"^gamma must have one γ for each of the classes \[0, 1\], got none for \[1\]"),
        ((1.0, 2.0, 3.0), r"^gamma must be a number or hold 2 numbers, one a class, got 3 of them\.$"),
        ({0: 1.0, 1: -1.0}, r"^gamma\[1\] must be a finite number >= 0"),
        (-1.0, r"^gamma must be a finite number >= 0"),
    ],
)
def test_metric_errors(gamma, message):
    with pytest.raises(ValueError, match=message):
        focal_loss([0, 1], [0.2, 0.7], gamma=gamma)
