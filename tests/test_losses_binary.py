import copy
import pickle
import tracemalloc
from dataclasses import FrozenInstanceError

import mpmath
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import log_loss

from focal_gbm import BinaryFocalLoss
from focal_gbm._arrays import BLOCK_SIZE
from focal_gbm.losses.links import BinaryFocalLink

GAMMAS = (0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 20.0)
HUGE_GAMMAS = (33.0, 1e3, 1e6 + 0.5, 1e15)
DTYPES = (np.float32, np.float64)
HESSIANS = ("exact", "floored", "majorizing")

gammas = st.one_of(st.sampled_from(GAMMAS), st.floats(0.0, 50.0))
alphas = st.one_of(st.none(), st.floats(0.01, 0.99), st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)))


@st.composite
def rows(draw, limit=100.0):
    """Labels, raw predictions of either dtype and weights, of one length."""
    n = draw(st.integers(1, 20))
    width = draw(st.sampled_from((32, 64)))
    dtype = np.float32 if width == 32 else np.float64
    y = draw(arrays(np.int64, n, elements=st.integers(0, 1)))
    z = draw(arrays(dtype, n, elements=st.floats(-limit, limit, width=width)))
    weight = draw(arrays(np.float64, n, elements=st.floats(0.01, 100)))
    return y, z, weight


def mesh(gamma, dtype, n=40):
    """Raw predictions over the whole range of the accuracy claim, dense around 0, and labels for them."""
    limit = (80.0 if dtype == np.float32 else 300.0) / (1.0 + gamma)
    rng = np.random.default_rng(0)
    z = np.concatenate([np.linspace(-limit, limit, n), rng.normal(size=n), 10.0 ** np.arange(-300, 1, 50)])
    z = np.unique(z.astype(dtype))
    z = z[np.abs(z) <= limit]
    return rng.integers(0, 2, len(z)), z


# Accuracy. mpmath is the arbiter, relative, with nothing absolute to hide behind.


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 5e-6)])
def test_loss_and_derivatives_agree_with_mpmath(gamma, dtype, rtol):
    y, z = mesh(gamma, dtype)
    expected = [
        reference.binary_derivatives(gamma, int(label), float(x)) for label, x in zip(y, z, strict=True)
    ]
    true_loss, true_gradient, true_hessian, negative_term = np.array(expected).T
    loss = BinaryFocalLoss(gamma)
    gradient, hessian = loss.gradient_hessian(y, z)

    assert_allclose(loss.loss(y, z), true_loss, rtol=rtol, atol=0)
    assert_allclose(gradient, true_gradient, rtol=rtol, atol=0)
    assert_allclose(loss.gradient(y, z), true_gradient, rtol=rtol, atol=0)
    # the Hessian is a difference: relative to the two terms' absolute values
    terms = true_hessian - 2 * negative_term
    assert np.max(np.abs(hessian - true_hessian) / terms) <= rtol
    majorizing = loss.gradient_hessian(y, z, hessian="majorizing")[1]
    assert_allclose(majorizing, true_hessian - negative_term, rtol=rtol, atol=0)
    floored = loss.gradient_hessian(y, z, hessian="floored")[1]
    floor = 0.05 * min(gamma, 1.0) * np.abs(true_gradient)
    assert np.max(np.abs(floored - np.maximum(true_hessian, floor)) / (terms + floor)) <= rtol


@pytest.mark.parametrize("gamma", [32.5, 33.0, 150.25, 1e4, 1e6 + 0.5, 1e15])
def test_derivatives_agree_with_mpmath_for_large_gamma(gamma):
    # around γ p = 1, where (1-p)^γ is neither 0 nor 1
    m = np.linspace(-6.0, 4.0, 25) - np.log(gamma)
    y = np.arange(len(m)) % 2
    z = np.where(y == 1, m, -m)
    points = zip(y, z, strict=True)
    expected = [reference.binary_derivatives(gamma, int(label), float(x)) for label, x in points]
    true_loss, true_gradient, true_hessian, negative_term = np.array(expected).T
    loss = BinaryFocalLoss(gamma)
    gradient, hessian = loss.gradient_hessian(y, z)
    assert_allclose(loss.loss(y, z), true_loss, rtol=1e-13, atol=0)
    assert_allclose(gradient, true_gradient, rtol=1e-13, atol=0)
    assert np.max(np.abs(hessian - true_hessian) / (true_hessian - 2 * negative_term)) <= 1e-13


@pytest.mark.parametrize("gamma", GAMMAS)
def test_derivatives_agree_with_finite_differences(gamma):
    # points and step are multiples of 2^-20: z + k h is exact
    h = 2.0 ** -np.floor(9 + np.log2(1.0 + gamma))
    z = np.round(np.linspace(-30, 30, 121) * 2.0**20) / 2.0**20
    loss = BinaryFocalLoss(gamma)

    def slope(function):  # of 4th order
        f = [function(z + k * h) for k in (-2, -1, 1, 2)]
        return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)

    for label in (0, 1):
        y = np.full(len(z), label)
        value = loss.loss(y, z)
        gradient, hessian = loss.gradient_hessian(y, z)
        terms = 2 * loss.gradient_hessian(y, z, hessian="majorizing")[1] - hessian
        noise = 10 * (1 + gamma) * np.finfo(float).eps / h
        error = np.abs(gradient - slope(lambda x, y=y: loss.loss(y, x)))
        assert (error <= 1e-9 * np.abs(gradient) + noise * value).all()
        error = np.abs(hessian - slope(lambda x, y=y: loss.gradient(y, x)))
        assert (error <= 1e-9 * terms + noise * np.abs(gradient)).all()


@pytest.mark.parametrize("hessian", HESSIANS)
@pytest.mark.parametrize("gamma", GAMMAS + HUGE_GAMMAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_overflows(gamma, dtype, hessian):
    info = np.finfo(dtype)
    far = np.concatenate(
        [np.linspace(0, 1e4, 2001), 10.0 ** np.arange(-30, 4), [info.max, np.inf, info.tiny]]
    )
    z = np.concatenate([far, -far]).astype(dtype)
    for label in (0, 1):
        y = np.full(len(z), label)
        loss = BinaryFocalLoss(gamma)
        gradient, second = loss.gradient_hessian(y, z, hessian=hessian)
        assert np.isfinite(gradient).all()
        assert np.isfinite(second).all()
        assert (gradient * (1 - 2 * label) >= 0).all()
        # infinite where it ought to be, at an infinitely wrong score
        infinitely_wrong = z == (-np.inf if label else np.inf)
        assert_array_equal(loss.loss(y, z) == np.inf, infinitely_wrong)
        assert not np.isnan(loss.loss(y, z)).any()


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_at_infinite_scores(gamma, dtype):
    loss = BinaryFocalLoss(gamma)
    z = np.array([np.inf, -np.inf], dtype=dtype)
    tiny = 1e-30 if dtype == np.float32 else 1e-290
    assert_allclose(loss.loss([1, 0], z), 0, atol=tiny)
    assert_array_equal(loss.gradient([0, 1], z), [1, -1])
    assert_allclose(loss.gradient([1, 0], z), 0, atol=tiny)
    assert_allclose(loss.gradient_hessian([1, 0], z)[1], 0, atol=tiny)
    assert_allclose(loss.gradient_hessian([0, 1], z)[1], 0, atol=tiny)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_nan(dtype):
    z = np.array([np.nan, 0.0], dtype=dtype)
    loss = BinaryFocalLoss()
    for result in (*loss.gradient_hessian([1, 1], z), loss.link.inverse(z)):
        assert_array_equal(np.isnan(result), [True, False])


# Identities


@given(rows(), gammas)
def test_mirror(data, gamma):
    y, z, weight = data
    loss = BinaryFocalLoss(gamma)
    gradient, hessian = loss.gradient_hessian(y, z, weight)
    mirrored_gradient, mirrored_hessian = loss.gradient_hessian(1 - y, -z, weight)
    assert_array_equal(loss.loss(1 - y, -z, weight), loss.loss(y, z, weight))
    assert_array_equal(mirrored_gradient, -gradient)
    assert_array_equal(mirrored_hessian, hessian)


@given(rows(), gammas, st.floats(0.01, 0.99))
def test_mirror_swaps_the_class_weights(data, gamma, alpha):
    y, z, weight = data
    a, b = BinaryFocalLoss(gamma, (1 - alpha, alpha)), BinaryFocalLoss(gamma, (alpha, 1 - alpha))
    assert_array_equal(a.loss(y, z, weight), b.loss(1 - y, -z, weight))
    assert_array_equal(a.gradient(y, z, weight), -b.gradient(1 - y, -z, weight))


@given(rows(limit=30.0))
def test_gamma_zero_is_the_log_loss(data):
    y, z, weight = data
    loss = BinaryFocalLoss(gamma=0.0)
    rtol = 1e-6 if z.dtype == np.float32 else 1e-14
    wide = z.astype(np.float64)
    true_class = np.where(y == 1, wide, -wide)
    assert_allclose(loss.loss(y, z), np.logaddexp(0.0, -true_class), rtol=rtol)
    gradient, hessian = loss.gradient_hessian(y, z)
    assert_allclose(gradient, np.where(y == 1, -expit(-wide), expit(wide)), rtol=rtol)
    assert_allclose(hessian, expit(wide) * expit(-wide), rtol=rtol)
    if z.dtype == np.float64:
        mean = np.average(loss.loss(y, z), weights=weight)
        # scikit-learn takes log(1 - p): to the digits that 1 - p has left
        assert mean == pytest.approx(log_loss(y, expit(z), sample_weight=weight, labels=[0, 1]), rel=1e-3)


def test_gamma_zero_is_scikit_learns_log_loss():
    rng = np.random.default_rng(0)
    y, z, weight = rng.integers(0, 2, 500), rng.normal(size=500), rng.uniform(0.1, 3, 500)
    mean = np.average(BinaryFocalLoss(0.0).loss(y, z), weights=weight)
    assert mean == pytest.approx(log_loss(y, expit(z), sample_weight=weight), rel=1e-13, abs=0)


@given(rows(), gammas)
def test_alpha_one_half_is_half_the_loss(data, gamma):
    y, z, weight = data
    half, plain = BinaryFocalLoss(gamma, alpha=0.5), BinaryFocalLoss(gamma)
    tiny = np.finfo(z.dtype).smallest_normal  # halving is exact down to here
    assert_allclose(2 * half.loss(y, z, weight), plain.loss(y, z, weight), rtol=0, atol=tiny)
    for a, b in zip(half.gradient_hessian(y, z, weight), plain.gradient_hessian(y, z, weight), strict=True):
        assert_allclose(2 * a, b, rtol=0, atol=tiny)


@given(rows(), gammas, alphas)
def test_alpha_and_sample_weight_are_factors(data, gamma, alpha):
    y, z, weight = data
    weighted, plain = BinaryFocalLoss(gamma, alpha), BinaryFocalLoss(gamma)
    factor = weight * np.array(weighted.class_weights)[y]
    rtol, tiny = 4 * np.finfo(z.dtype).eps, 100 * np.finfo(z.dtype).smallest_normal
    assert_allclose(weighted.loss(y, z, weight), factor * plain.loss(y, z), rtol=rtol, atol=tiny)
    for hessian in HESSIANS:
        result = weighted.gradient_hessian(y, z, weight, hessian=hessian)
        expected = plain.gradient_hessian(y, z, hessian=hessian)
        for a, b in zip(result, expected, strict=True):
            assert_allclose(a, factor * b, rtol=rtol, atol=tiny)


@given(rows(), gammas, alphas, st.integers(0, 5))
def test_weight_k_equals_k_copies(data, gamma, alpha, k):
    y, z, weight = data
    loss = BinaryFocalLoss(gamma, alpha)
    weight = np.full(len(y), 1)
    weight[0] = k
    repeated_y, repeated_z = np.repeat(y, weight), np.repeat(z, weight)
    rtol = 10 * np.finfo(z.dtype).eps
    if weight.any():
        one, many = loss.loss(y, z, weight), loss.loss(repeated_y, repeated_z)
        assert_allclose(one.sum(), many.sum(), rtol=rtol)
        pairs = zip(
            loss.gradient_hessian(y, z, weight), loss.gradient_hessian(repeated_y, repeated_z), strict=True
        )
        for one, many in pairs:
            assert_allclose(one.sum(), many.sum(), rtol=rtol, atol=rtol * np.abs(many).sum())


@given(rows(), gammas, alphas)
def test_majorizing_is_never_below_the_exact_hessian(data, gamma, alpha):
    y, z, weight = data
    loss = BinaryFocalLoss(gamma, alpha)
    exact = loss.gradient_hessian(y, z, weight)[1]
    majorizing = loss.gradient_hessian(y, z, weight, hessian="majorizing")[1]
    assert (majorizing >= exact).all()
    assert (majorizing >= 0).all()


@pytest.mark.parametrize("gamma", GAMMAS + HUGE_GAMMAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_majorizing_is_positive_wherever_it_is_representable(gamma, dtype):
    limit = np.log(np.finfo(dtype).max) / (1.0 + min(gamma, 100.0)) * 0.95
    z = np.linspace(-limit, limit, 999).astype(dtype)[:, None]
    for y in (0, 1):
        wrong_side = z[:, 0] if gamma < 100.0 else z[:, 0][(1 - 2 * y) * z[:, 0] > np.log(gamma)]
        labels = np.full(len(wrong_side), y)
        assert (
            BinaryFocalLoss(gamma).gradient_hessian(labels, wrong_side, hessian="majorizing")[1] > 0
        ).all()


@given(rows(), gammas, alphas)
def test_floored_is_never_negative(data, gamma, alpha):
    y, z, weight = data
    loss = BinaryFocalLoss(gamma, alpha)
    gradient, exact = loss.gradient_hessian(y, z, weight)
    same_gradient, floored = loss.gradient_hessian(y, z, weight, hessian="floored")
    assert_array_equal(same_gradient, gradient)
    assert (floored >= 0).all()
    floor = 0.05 * min(gamma, 1.0) * np.abs(gradient)
    tiny = np.finfo(z.dtype).smallest_normal
    assert_allclose(floored, np.maximum(exact, floor), rtol=4 * np.finfo(z.dtype).eps, atol=tiny)
    above = exact > 1.001 * floor + tiny
    assert_array_equal(floored[above], exact[above])


@given(rows(), alphas)
def test_all_hessians_are_the_log_loss_hessian_for_gamma_zero(data, alpha):
    y, z, weight = data
    loss = BinaryFocalLoss(0.0, alpha)
    exact, floored, majorizing = (loss.gradient_hessian(y, z, weight, hessian=h)[1] for h in HESSIANS)
    assert_array_equal(floored, exact)
    assert_array_equal(majorizing, exact)


@pytest.mark.parametrize(("gamma", "p"), [(0.5, 0.0177), (1.0, 0.0432), (2.0, 0.0578), (5.0, 0.0502)])
@pytest.mark.parametrize("y", [0, 1])
def test_where_the_exact_hessian_changes_sign(gamma, p, y):
    def hessian(p):
        z = logit(p) if y == 1 else -logit(p)
        return BinaryFocalLoss(gamma).gradient_hessian([y], [z])[1][0]

    assert hessian(p - 0.002) < 0 < hessian(p + 0.002)
    assert brentq(hessian, p - 0.005, p + 0.005) == pytest.approx(p, abs=5e-5)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_loss_falls_with_gamma_and_is_positive(gamma):
    z = np.linspace(-20, 20, 401)
    for y in (0, 1):
        labels = np.full(len(z), y)
        loss = BinaryFocalLoss(gamma).loss(labels, z)
        assert (loss > 0).all()
        assert (BinaryFocalLoss(gamma + 0.5).loss(labels, z) < loss).all()
        assert (np.diff(loss) * (1 - 2 * y) > 0).all()


@given(rows(), gammas, alphas)
def test_rows_do_not_influence_one_another(data, gamma, alpha):
    y, z, weight = data
    loss = BinaryFocalLoss(gamma, alpha)
    # three blocks of rows, the last of them partly filled
    many = np.arange(40_000) % len(z)
    for whole, part in zip(
        (loss.loss(y[many], z[many], weight[many]), *loss.gradient_hessian(y[many], z[many], weight[many])),
        (loss.loss(y, z, weight), *loss.gradient_hessian(y, z, weight)),
        strict=True,
    ):
        assert_allclose(whole, part[many], rtol=4 * np.finfo(z.dtype).eps)


# The link


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("class_weights", [(1.0, 1.0), (0.25, 0.75), (3.0, 1e-3)])
def test_link_agrees_with_mpmath(gamma, class_weights):
    z = np.unique(np.concatenate([np.linspace(-100, 100, 21) / (1 + gamma), np.linspace(-2, 2, 8)]))
    expected = np.array([reference.posterior_logit(gamma, float(x), class_weights) for x in z])
    link = BinaryFocalLink(gamma, class_weights)
    # the logit is a sum of terms of either sign: relative to what is added
    size = (1 + gamma) * np.abs(z) + abs(np.log(class_weights[0] / class_weights[1])) + np.log1p(gamma)
    assert (np.abs(link.posterior_logit(z) - expected) <= 1e-15 * (2 + size)).all()
    narrow = z.astype(np.float32)
    expected = np.array([reference.posterior_logit(gamma, float(x), class_weights) for x in narrow])
    assert (np.abs(link.posterior_logit(narrow) - expected) <= 6e-7 * (2 + size)).all()
    with mpmath.workdps(50):
        probability = [float(1 / (1 + mpmath.exp(-mpmath.mpf(float(x))))) for x in link.posterior_logit(z)]
    assert_allclose(link.inverse(z), probability, rtol=1e-14, atol=0)


@given(rows(limit=30.0), gammas, alphas)
def test_the_posterior_is_where_the_expected_gradient_vanishes(data, gamma, alpha):
    _, z, _ = data
    loss = BinaryFocalLoss(gamma, alpha)
    complement, probability = loss.link.probabilities(z).T
    g1 = probability * loss.gradient(np.ones(len(z)), z)
    g0 = complement * loss.gradient(np.zeros(len(z)), z)
    # an error of the logit, as large as itself times eps, is a relative error of the probability
    rtol = (20 + (1 + gamma) * np.abs(z)) * 8 * np.finfo(z.dtype).eps
    normal = np.abs(g0) > 1e10 * np.finfo(z.dtype).smallest_normal
    assert (np.abs(g0 + g1)[normal] <= (rtol * np.abs(g0))[normal]).all()


@given(gammas, alphas, arrays(np.float64, 10, elements=st.floats(1e-300, 1.0 - 1e-16)))
def test_inverse_of_link_is_the_probability(gamma, alpha, p):
    link = BinaryFocalLoss(gamma, alpha).link
    z = link.link(p)
    assert_allclose(link.posterior_logit(z), logit(p), rtol=4e-15, atol=1e-13)
    assert_allclose(link.inverse(z), p, rtol=1e-11)


@given(rows(limit=500.0), gammas, alphas)
def test_link_of_inverse_is_the_score(data, gamma, alpha):
    _, z, _ = data
    link = BinaryFocalLoss(gamma, alpha).link
    z = z.astype(np.float64)
    z = z[np.abs(link.posterior_logit(z)) < 8.0]  # 1 - p keeps its digits
    assert_allclose(link.link(link.inverse(z)), z, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("gamma", HUGE_GAMMAS)
def test_link_of_huge_gamma(gamma):
    link = BinaryFocalLink(gamma)
    p = np.array([1e-300, 1e-10, 0.3, 0.5, 0.9, 1 - 1e-12])
    assert_allclose(link.inverse(link.link(p)), p, rtol=2e-12)


def test_link_of_certainty():
    for gamma, alpha in ((0.0, None), (2.0, 0.25), (1e15, None)):
        link = BinaryFocalLoss(gamma, alpha).link
        assert_array_equal(link.link([0.0, 1.0]), [-np.inf, np.inf])
        assert_array_equal(link.inverse([-np.inf, np.inf, -1e308, 1e308]), [0, 1, 0, 1])
        assert_array_equal(link.link(np.zeros((2, 3, 0))), np.zeros((2, 3, 0)))


@pytest.mark.parametrize("gamma", GAMMAS + HUGE_GAMMAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_link_is_strictly_increasing_with_bounded_slope(gamma, dtype):
    link = BinaryFocalLink(gamma, (0.3, 0.7))
    # steps of powers of two: exact in both dtypes
    step = 2.0**-5
    z = np.arange(-30, 30, step, dtype=dtype)
    rise = np.diff(link.posterior_logit(z).astype(np.float64))
    assert (rise > 0).all()
    slack = 1e-4 if dtype == np.float32 else 1e-11
    assert (rise / step <= (1 + gamma) * (1 + slack)).all()
    assert (rise / step >= (1 + gamma - 0.4325 * gamma) * (1 - slack)).all()
    assert (rise / step >= 0.88 * (1 + gamma) * (1 - slack)).all()
    assert (np.diff(link.link(np.linspace(0.001, 0.999, 999))) > 0).all()


@given(rows(), gammas, st.floats(0.01, 0.99))
def test_alpha_shifts_the_logit(data, gamma, alpha):
    _, z, _ = data
    z = z.astype(np.float64)
    shift = BinaryFocalLoss(gamma, alpha).link.posterior_logit(z) - BinaryFocalLoss(
        gamma
    ).link.posterior_logit(z)
    assert_allclose(shift, np.log((1 - alpha) / alpha), rtol=1e-9, atol=1e-11)


def test_link_of_gamma_zero_is_the_logit():
    z = np.linspace(-50, 50, 101)
    assert_array_equal(BinaryFocalLink(0.0).posterior_logit(z), z)
    np.testing.assert_array_max_ulp(BinaryFocalLink(0.0).inverse(z), expit(z), maxulp=2)  # one each


@given(rows(), gammas, alphas)
def test_probabilities_sum_to_one(data, gamma, alpha):
    _, z, _ = data
    link = BinaryFocalLoss(gamma, alpha).link
    probabilities = link.probabilities(z)
    assert probabilities.shape == (len(z), 2)
    assert probabilities.dtype == z.dtype
    assert_allclose(probabilities.sum(axis=1), 1, rtol=4 * np.finfo(z.dtype).eps)
    assert_array_equal(probabilities[:, 1], link.inverse(z))
    # the small one keeps its digits: it is that of the swapped problem
    swapped = BinaryFocalLoss(gamma, loss_weights(alpha)[::-1]).link
    assert_allclose(probabilities[:, 0], swapped.inverse(-z), rtol=1e-3 if z.dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", [0.0, 2.0, (5.0, 0.5)])
def test_log_loss_of_the_link_agrees_with_mpmath(gamma, dtype):
    class_weights = (0.3, 1.7)
    link = BinaryFocalLink(gamma, class_weights)
    z = np.linspace(-8, 8, 17, dtype=dtype)
    for y in (0, 1):
        logits = [reference.posterior_logit(gamma, float(x), class_weights) for x in z]
        with mpmath.workdps(50):
            expected = [float(mpmath.log1p(mpmath.exp(-(2 * y - 1) * mpmath.mpf(x)))) for x in logits]
        result = link.log_loss(np.full(17, y == 1), z)
        assert result.dtype == dtype
        # where it is small, an error of the logit is a relative error of it
        assert_allclose(result, expected, rtol=100 * np.finfo(dtype).eps, atol=0)


def loss_weights(alpha):
    return BinaryFocalLoss(alpha=alpha).class_weights


@pytest.mark.parametrize("dtype", DTYPES)
def test_link_keeps_shape_and_dtype(dtype):
    link = BinaryFocalLink()
    for shape in ((), (3,), (2, 3), (0,)):
        z = np.zeros(shape, dtype=dtype)
        for function in (link.posterior_logit, link.inverse):
            assert function(z).shape == shape
            assert function(z).dtype == dtype
    assert link.probabilities(np.zeros(3, dtype=dtype)).dtype == dtype
    assert link.link(0.3).shape == ()
    assert link.link([0.3, 0.4]).dtype == np.float64
    spread = np.zeros((4, 6), dtype=dtype)[::2, ::3]
    assert link.inverse(spread).shape == (2, 2)


@pytest.mark.parametrize("gamma", [2.0, (0.5, 3.0)])
def test_link_of_more_rows_than_a_block(gamma):
    z, link = np.random.default_rng(0).normal(size=BLOCK_SIZE + 7), BinaryFocalLink(gamma)
    for function in (link.posterior_logit, link.inverse, link.probabilities):
        whole = function(z)
        assert_allclose(whole[:9], function(z[:9]), rtol=1e-15)
        assert_allclose(whole[-9:], function(z[-9:]), rtol=1e-15)


# The best constant


@given(gammas, alphas, st.integers(1, 30), st.integers(1, 30), st.floats(0.1, 10.0))
def test_intercept_is_stationary_and_its_inverse_is_the_base_rate(gamma, alpha, n0, n1, factor):
    loss = BinaryFocalLoss(gamma, alpha)
    y = np.repeat([0, 1], [n0, n1])
    weight = np.where(y == 1, factor, np.linspace(0.5, 1.5, n0 + n1))
    constant = loss.fit_intercept_only(y, weight)
    assert isinstance(constant, float)
    base_rate = weight[y == 1].sum() / weight.sum()
    assert loss.link.inverse(constant) == pytest.approx(base_rate, rel=1e-12, abs=0)
    gradient = loss.gradient(y, np.full(len(y), constant), weight)
    assert abs(gradient.sum()) <= 1e-12 * np.abs(gradient).sum()
    assert loss.fit_intercept_only(y) == pytest.approx(
        float(loss.link.link(n1 / (n0 + n1))), rel=1e-12, abs=1e-14
    )


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [None, 0.9])
def test_intercept_minimises_the_mean_loss(gamma, alpha):
    loss = BinaryFocalLoss(gamma, alpha)
    y = np.repeat([0, 1], [93, 7])
    found = minimize_scalar(
        lambda c: loss.loss(y, np.full(100, c)).mean(), bounds=(-10, 10), method="bounded"
    )
    assert loss.fit_intercept_only(y) == pytest.approx(found.x, abs=1e-4)


def test_intercept_of_gamma_zero_is_the_logit_of_the_base_rate():
    assert BinaryFocalLoss(0.0).fit_intercept_only([0, 0, 0, 1]) == pytest.approx(np.log(1 / 3), rel=1e-14)


@pytest.mark.parametrize("weight_dtype", [np.float32, np.float16, np.int64, np.bool_])
def test_intercept_with_narrow_weights_is_summed_wide(weight_dtype):
    y = np.arange(200_000) % 4 == 0
    weight = np.ones(len(y), dtype=weight_dtype)
    assert BinaryFocalLoss().fit_intercept_only(y, weight) == BinaryFocalLoss().fit_intercept_only(y)


def test_intercept_counts_a_weight_as_copies():
    loss = BinaryFocalLoss(2.0, 0.25)
    y, weight = np.array([0, 1, 0, 1]), np.array([3, 1, 0, 2])
    expected = loss.fit_intercept_only(np.repeat(y, weight))
    assert loss.fit_intercept_only(y, weight) == pytest.approx(expected, rel=1e-14)


# What goes in and out


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_in_is_dtype_out(dtype):
    z = np.array([-1.0, 2.0], dtype=dtype)
    for weight in (None, np.array([1.0, 2.0]), np.array([1.0, 2.0], dtype=np.float32), [1, 2]):
        for loss in (BinaryFocalLoss(), BinaryFocalLoss(0.0), BinaryFocalLoss(1.5, 0.3)):
            results = (loss.loss([0, 1], z, weight), loss.gradient([0, 1], z, weight))
            for result in (*results, *loss.gradient_hessian([0, 1], z, weight)):
                assert result.dtype == dtype
                assert result.shape == (2,)


def test_labels_of_any_kind():
    z = np.array([-1.0, 0.5, 2.0])
    labels = [1, 0, 1]
    expected = BinaryFocalLoss().gradient_hessian(np.array(labels), z)
    for dtype in (bool, np.int8, np.uint8, np.int64, np.float32, np.float64):
        assert_array_equal(BinaryFocalLoss().gradient_hessian(np.array(labels, dtype=dtype), z), expected)
    assert_array_equal(BinaryFocalLoss().gradient_hessian(labels, [-1.0, 0.5, 2.0], [1, 1, 1]), expected)
    assert_array_equal(
        BinaryFocalLoss().loss([True, False], [1, 0]), BinaryFocalLoss().loss([1, 0], [1.0, 0.0])
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_strided_and_read_only_input(dtype):
    rng = np.random.default_rng(0)
    y, z, weight = rng.integers(0, 2, 50), rng.normal(size=50).astype(dtype), rng.uniform(0.5, 2, 50)
    loss = BinaryFocalLoss(2.0, 0.25)
    expected = (loss.loss(y, z, weight), *loss.gradient_hessian(y, z, weight))

    strided = [np.stack([a, a], axis=1)[:, 0] for a in (y, z, weight)]
    reverse = [a[::-1].copy()[::-1] for a in (y, z, weight)]
    frozen = [a.copy() for a in (y, z, weight)]
    for array in frozen:
        array.flags.writeable = False
    for arrays_ in (strided, reverse, frozen):
        assert_array_equal((loss.loss(*arrays_), *loss.gradient_hessian(*arrays_)), expected)


def test_input_is_not_written_to():
    y, z, weight = np.array([0.0, 1.0]), np.array([0.3, -2.0]), np.array([1.0, 2.0])
    before = [a.copy() for a in (y, z, weight)]
    loss = BinaryFocalLoss(2.0, 0.25)
    loss.loss(y, z, weight)
    loss.link.inverse(z)
    for hessian in HESSIANS:
        loss.gradient_hessian(y, z, weight, hessian=hessian)
    assert_array_equal((y, z, weight), before)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("hessian", HESSIANS)
@pytest.mark.parametrize(("dtype", "out_dtype"), [(a, b) for a in DTYPES for b in DTYPES])
def test_out_is_written_and_returned(gamma, hessian, dtype, out_dtype):
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, 20_000), rng.normal(size=20_000).astype(dtype)
    loss = BinaryFocalLoss(gamma, 0.25)
    expected = loss.gradient_hessian(y, z, hessian=hessian)
    contiguous = np.full((2, len(z)), np.nan, dtype=out_dtype)
    strided = np.full((len(z), 2), np.nan, dtype=out_dtype).T
    for buffer in (contiguous, strided):
        out = (buffer[0], buffer[1])
        result = loss.gradient_hessian(y, z, hessian=hessian, out=out)
        assert result[0] is out[0]
        assert result[1] is out[1]
        assert_array_equal(buffer, np.asarray(expected, dtype=out_dtype))


def test_arguments_may_be_named():
    y, z, weight = np.array([0, 1]), np.array([0.5, -0.5]), np.array([1.0, 2.0])
    loss = BinaryFocalLoss()
    named = loss.gradient_hessian(y_true=y, raw_prediction=z, sample_weight=weight)
    assert_array_equal(named, loss.gradient_hessian(y, z, weight))


def test_a_row_without_weight_has_no_loss_however_wrong_it_is():
    assert_array_equal(BinaryFocalLoss().loss([1, 0], [-np.inf, np.inf], [0.0, 1.0])[0], 0.0)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_loss_of_more_rows_than_a_block(gamma):
    rng = np.random.default_rng(0)
    n_rows = BLOCK_SIZE + 7
    y, z = rng.integers(0, 2, n_rows), rng.normal(size=n_rows)
    whole = BinaryFocalLoss(gamma).loss(y, z)
    assert_array_equal(whole[:9], BinaryFocalLoss(gamma).loss(y[:9], z[:9]))
    assert_array_equal(whole[-9:], BinaryFocalLoss(gamma).loss(y[-9:], z[-9:]))


def test_no_rows():
    loss = BinaryFocalLoss()
    for result in (loss.loss([], []), *loss.gradient_hessian([], [])):
        assert result.shape == (0,)


def test_prepared_form_is_the_checked_form():
    rng = np.random.default_rng(0)
    y, z, weight = rng.integers(0, 2, 99), rng.normal(size=99), rng.uniform(0.5, 2, 99)
    loss = BinaryFocalLoss(2.0, 0.25)
    targets = loss.prepare(y == 1, weight, np.float64)
    out = np.empty((2, 99))
    loss.gradient_hessian_prepared(targets, z, "exact", *out)
    assert_array_equal(out, loss.gradient_hessian(y, z, weight))
    assert_array_equal(loss.loss_prepared(targets, z), loss.loss(y, z, weight))


@pytest.mark.parametrize("gamma", [0.0, 2.0, 2.5])
def test_gradients_are_evaluated_in_blocks(gamma):
    n = 1_000_000
    rng = np.random.default_rng(0)
    z = rng.normal(size=n).astype(np.float32)
    loss = BinaryFocalLoss(gamma, 0.25)
    targets = loss.prepare(rng.random(n) < 0.1, None)
    out = np.empty((2, n), dtype=np.float32)
    tracemalloc.start()
    try:
        loss.gradient_hessian_prepared(targets, z, "floored", *out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0 < peak < 2e6  # one temporary of all rows is 4e6


def test_equality_hash_and_pickle():
    loss = BinaryFocalLoss(2, [0.25, 0.75])
    assert loss == BinaryFocalLoss(2.0, (0.25, 0.75))
    assert hash(loss) == hash(BinaryFocalLoss(2.0, (0.25, 0.75)))
    assert loss != BinaryFocalLoss(2.0)
    assert loss != BinaryFocalLoss(1.0, (0.25, 0.75))
    assert BinaryFocalLoss(np.float32(0.5), np.float64(0.25)) == BinaryFocalLoss(0.5, 0.25)
    assert BinaryFocalLoss().gamma == 2.0
    assert BinaryFocalLoss().alpha is None
    of_repr = "BinaryFocalLoss(gamma=1.0, alpha=0.25, margin_loss=None, focal_link='focal')"
    assert repr(BinaryFocalLoss(1, 0.25)) == of_repr
    for item in (loss, BinaryFocalLoss(0.5, 0.25), loss.link, BinaryFocalLink(3.0)):
        for twin in (pickle.loads(pickle.dumps(item)), copy.deepcopy(item)):
            assert twin == item
            assert hash(twin) == hash(item)
            assert repr(twin) == repr(item)
    assert pickle.loads(pickle.dumps(loss)).link.inverse(0.3) == loss.link.inverse(0.3)


def test_class_weights():
    assert BinaryFocalLoss().class_weights == (1.0, 1.0)
    assert BinaryFocalLoss(alpha=0.25).class_weights == (0.75, 0.25)
    assert BinaryFocalLoss(alpha=(2, 3)).class_weights == (2.0, 3.0)
    assert BinaryFocalLoss(alpha=np.array([2, 3])).class_weights == (2.0, 3.0)
    assert BinaryFocalLoss(3.0, 0.25).link == BinaryFocalLink(3.0, (0.75, 0.25))


def test_parameters_are_kept_as_plain_numbers():
    pairs = [
        (BinaryFocalLink(2.0, np.array([1.0, 3.0])), BinaryFocalLink(2.0, (1.0, 3.0))),
        (BinaryFocalLoss(2.0, np.float64(0.25)), BinaryFocalLoss(2.0, 0.25)),
    ]
    for given_so, plain in pairs:
        assert hash(given_so) == hash(plain)
        assert repr(given_so) == repr(plain)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        BinaryFocalLoss().gamma = 1.0
    with pytest.raises(FrozenInstanceError):
        BinaryFocalLink().class_weights = (1.0, 2.0)


# Errors: which argument, what was expected, what came


@pytest.mark.parametrize("factory", [BinaryFocalLoss, BinaryFocalLink])
@pytest.mark.parametrize(
    ("gamma", "error", "message"),
    [
        (-1, ValueError, r"^gamma must be a finite number >= 0 \(and <= 1e\+15\), got -1\.$"),
        (-1e-9, ValueError, r"got -1e-09\.$"),
        (np.nan, ValueError, r"finite number >= 0 .*, got nan\.$"),
        (np.inf, ValueError, r"finite number >= 0 .*, got inf\.$"),
        (1e16, ValueError, r"\(and <= 1e\+15\), got 1e\+16\.$"),
        (10**400, ValueError, r"\(and <= 1e\+15\), got 10+\.$"),
        ("2", TypeError, r"^gamma must be a real number >= 0, got '2' \(str\)\.$"),
        (None, TypeError, r"real number >= 0, got None \(NoneType\)\.$"),
        (True, TypeError, r"real number >= 0, got True \(bool\)\.$"),
        (np.True_, TypeError, r"real number >= 0, got .*True.* \(bool.*\)\.$"),
        (1j, TypeError, r"real number >= 0, got 1j \(complex\)\.$"),
        ([2.0], ValueError, r"^gamma must be a number or hold 2 numbers, one a class, got 1 of them\.$"),
        ((2.0, -1.0), ValueError, r"^gamma\[1\] must be a finite number >= 0 .*, got -1\.0\.$"),
        (np.ones((2, 2)), TypeError, r"^gamma\[0\] must be a real number >= 0, got .* \(ndarray\)\.$"),
    ],
)
def test_gamma_errors(factory, gamma, error, message):
    with pytest.raises(error, match=message):
        factory(gamma)


@pytest.mark.parametrize(
    ("alpha", "error", "message"),
    [
        (0.0, ValueError, r"^alpha must lie in the open interval \(0, 1\), got 0\.0\.$"),
        (1, ValueError, r"open interval \(0, 1\), got 1\.$"),
        (-0.5, ValueError, r"open interval \(0, 1\), got -0\.5\.$"),
        (np.nan, ValueError, r"open interval \(0, 1\), got nan\.$"),
        ("balanced", TypeError, r"^alpha must hold 2 positive numbers, one a class, got 'balanced'\.$"),
        ({0: 1.0, 1: 2.0}, TypeError, r"^alpha must hold 2 positive numbers, .*got \{0: 1\.0, 1: 2\.0\}\.$"),
        (
            True,
            ValueError,
            r"^alpha must hold 2 positive numbers, one a class, got an array of shape \(\)\.$",
        ),
        ((1, 2, 3), ValueError, r"2 positive numbers, one a class, got an array of shape \(3,\)\.$"),
        ([[1, 2]], ValueError, r"got an array of shape \(1, 2\)\.$"),
        ((1, 0), ValueError, r"^alpha must be finite and > 0 for every class, got \[1\.0, 0\.0\]\.$"),
        ((1, -2), ValueError, r"finite and > 0 for every class, got \[1\.0, -2\.0\]\.$"),
        ((np.inf, 1), ValueError, r"finite and > 0 for every class, got \[inf, 1\.0\]\.$"),
        ((np.nan, 1), ValueError, r"finite and > 0 for every class, got \[nan, 1\.0\]\.$"),
    ],
)
def test_alpha_errors(alpha, error, message):
    with pytest.raises(error, match=message):
        BinaryFocalLoss(2.0, alpha)


def test_link_errors():
    with pytest.raises(ValueError, match=r"^class_weights must hold 2 positive numbers.*shape \(3,\)\.$"):
        BinaryFocalLink(2.0, (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match=r"^class_weights must be finite and > 0 .*got \[0\.0, 1\.0\]\.$"):
        BinaryFocalLink(2.0, (0.0, 1.0))
    for wrong in (-0.1, 1.1, np.nan, [0.5, 2.0]):
        with pytest.raises(ValueError, match=r"^probability must lie in \[0, 1\], got "):
            BinaryFocalLink().link(wrong)
    with pytest.raises(TypeError, match=r"^raw_prediction must be float32 or float64, got float16\.$"):
        BinaryFocalLink().inverse(np.zeros(3, dtype=np.float16))


METHODS = ("loss", "gradient", "gradient_hessian")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("y", "z", "weight", "error", "message"),
    [
        (
            [[0, 1]],
            [0.0, 1.0],
            None,
            ValueError,
            r"^y_true must have shape \(n_samples,\), got shape \(1, 2\)\.$",
        ),
        (1, 0.0, None, ValueError, r"^y_true must have shape \(n_samples,\), got shape \(\)\.$"),
        (["a", "b"], [0.0, 1.0], None, TypeError, r"^y_true must hold the numbers 0 and 1, got dtype <U1\.$"),
        ([None, 1], [0.0, 1.0], None, TypeError, r"numbers 0 and 1, got dtype object\.$"),
        ([0, 2], [0.0, 1.0], None, ValueError, r"^y_true must hold only 0 and 1, got 2 at row 1\.$"),
        ([-1, 1], [0.0, 1.0], None, ValueError, r"only 0 and 1, got -1 at row 0\.$"),
        ([0, 1, 0.5], [0.0, 1.0, 0.0], None, ValueError, r"only 0 and 1, got 0\.5 at row 2\.$"),
        ([np.nan, 1], [0.0, 1.0], None, ValueError, r"only 0 and 1, got nan at row 0\.$"),
        ([0, 1], [0.0], None, ValueError, r"^raw_prediction must have shape \(2,\), got \(1,\)\.$"),
        (
            [0, 1],
            [[0.0], [1.0]],
            None,
            ValueError,
            r"^raw_prediction must have shape \(2,\), got \(2, 1\)\.$",
        ),
        (
            [0, 1],
            np.zeros(2, np.float16),
            None,
            TypeError,
            r"^raw_prediction must be float32 or float64, got float16",
        ),
        ([0, 1], ["a", "b"], None, TypeError, r"must be float32 or float64, got <U1\.$"),
        ([0, 1], [0.0, 1j], None, TypeError, r"must be float32 or float64, got complex128\.$"),
        (
            [0, 1],
            [0.0, 1.0],
            [1.0],
            ValueError,
            r"^sample_weight must have shape \(2,\), got shape \(1,\)\.$",
        ),
        ([0, 1], [0.0, 1.0], 2.0, ValueError, r"^sample_weight must have shape \(2,\), got shape \(\)\.$"),
        (
            [0, 1],
            [0.0, 1.0],
            [1.0, np.nan],
            ValueError,
            r"^sample_weight must be finite, got nan at row 1\.$",
        ),
        (
            [0, 1],
            [0.0, 1.0],
            [np.inf, 1.0],
            ValueError,
            r"^sample_weight must be finite, got inf at row 0\.$",
        ),
        (
            [0, 1],
            [0.0, 1.0],
            [1.0, -1.0],
            ValueError,
            r"must be >= 0, got the negative weight -1\.0 at row 1\.$",
        ),
        ([0, 1], [0.0, 1.0], [0, 0], ValueError, r"at least one positive weight, got all weights zero\.$"),
        (
            [0, 1],
            [0.0, 1.0],
            ["a", "b"],
            TypeError,
            r"^sample_weight must hold real numbers, got dtype <U1\.$",
        ),
    ],
)
def test_argument_errors(method, y, z, weight, error, message):
    with pytest.raises(error, match=message):
        getattr(BinaryFocalLoss(), method)(y, z, weight)


def test_gradient_hessian_errors():
    loss, y, z = BinaryFocalLoss(), [0, 1], np.zeros(2)
    with pytest.raises(
        ValueError, match=r"^hessian must be one of 'floored', 'exact', 'majorizing', got 'fisher'\.$"
    ):
        loss.gradient_hessian(y, z, hessian="fisher")
    with pytest.raises(ValueError, match=r"^hessian must be one of .*, got 'expected'\.$"):
        loss.gradient_hessian(y, z, hessian="expected")
    with pytest.raises(ValueError, match=r"^out must be two float arrays of shape \(2,\), got 1\.$"):
        loss.gradient_hessian(y, z, out=(np.empty(2),))
    with pytest.raises(ValueError, match=r"^out must be two .* \(2,\), got float64 of shape \(3,\)\.$"):
        loss.gradient_hessian(y, z, out=(np.empty(2), np.empty(3)))
    with pytest.raises(ValueError, match=r"^out must be two .* \(2,\), got int64 of shape \(2,\)\.$"):
        loss.gradient_hessian(y, z, out=(np.empty(2, dtype=np.int64), np.empty(2)))


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        ([1, 1], None, r"^y_true must hold both classes .*got a weighted share of class 1 of 1\.0\.$"),
        ([0, 0], None, r"got a weighted share of class 1 of 0\.0\.$"),
        ([0, 1], [1.0, 0.0], r"got a weighted share of class 1 of 0\.0\.$"),
        ([], None, r"got a weighted share of class 1 of nan\.$"),
        ([0, 2], None, r"^y_true must hold only 0 and 1, got 2 at row 1\.$"),
        ([0, 1], [1.0], r"^sample_weight must have shape \(2,\), got shape \(1,\)\.$"),
    ],
)
def test_intercept_errors(y, weight, message):
    with pytest.raises(ValueError, match=message):
        BinaryFocalLoss().fit_intercept_only(y, weight)
