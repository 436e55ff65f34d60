import copy
import pickle
import tracemalloc
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import reference_multiclass as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss
from focal_gbm.losses.links import MulticlassFocalLink

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
HUGE_GAMMAS = (40.5, 1e3, 1e6 + 0.5, 1e15)
DTYPES = (np.float32, np.float64)
HESSIANS = ("exact", "floored", "majorizing")

gammas = st.one_of(st.sampled_from(GAMMAS), st.floats(0.0, 50.0))


@st.composite
def problems(draw, limit=100.0, dtypes=DTYPES):
    """A loss with or without class weights, labels, scores and sample weights."""
    n_classes, n = draw(st.sampled_from((2, 3, 5))), draw(st.integers(1, 8))
    dtype = draw(st.sampled_from(dtypes))
    y = draw(arrays(np.int64, n, elements=st.integers(0, n_classes - 1)))
    width = 8 * np.dtype(dtype).itemsize
    z = draw(arrays(dtype, (n, n_classes), elements=st.floats(-limit, limit, width=width)))
    weight = draw(arrays(np.float64, n, elements=st.floats(0.01, 100)))
    alpha = draw(st.one_of(st.none(), st.tuples(*[st.floats(0.01, 100)] * n_classes)))
    return MulticlassFocalLoss(n_classes, draw(gammas), alpha), y, z, weight


def sample(n_classes, dtype, n=200, scale=2.0, seed=0):
    rng = np.random.default_rng(seed)
    y, z = rng.integers(0, n_classes, n), rng.normal(0, scale, (n, n_classes)).astype(dtype)
    return y, z, rng.uniform(0.5, 2, n)


def hard_rows(n_classes, dtype):
    """Scores of all spreads, ties for the maximum, and one or two classes far above all others."""
    rng = np.random.default_rng(n_classes)
    z = [rng.normal(0, scale, (6, n_classes)) for scale in (0.1, 1, 5, 20)]
    z += [np.zeros((2, n_classes)), np.round(rng.normal(0, 1, (4, n_classes)))]
    for leaders in (1, 2):
        for lead in (15.0, 40.0, 60.0):
            block = rng.normal(0, 1, (n_classes, n_classes))
            block[:, :leaders] += lead
            z.append(block)
    z = np.concatenate(z).astype(dtype)
    return rng.permutation(np.arange(len(z)) % n_classes), z


# Accuracy. mpmath is the arbiter, relative, with nothing absolute to hide behind.

# float32 differences of scores carry a relative error of 2^-24, so that exp of one, 1e-30 at the
# least here, carries 69 times that: 4e-6.
BARS = [(np.float64, 1e-12, 1e-290), (np.float32, 5e-6, 1e-30)]


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize(("dtype", "rtol", "tiny"), BARS)
def test_loss_and_derivatives_agree_with_mpmath(n_classes, gamma, dtype, rtol, tiny):
    y, z = hard_rows(n_classes, dtype)
    true = [reference.derivatives(gamma, label, row) for label, row in zip(y, z, strict=True)]
    loss = MulticlassFocalLoss(n_classes, gamma)
    gradient, exact = loss.gradient_hessian(y, z)

    def error(value, expected, size=None):
        size = np.abs(expected) if size is None else size
        seen = size > tiny
        assert seen.mean() > 0.5
        return np.max(np.abs(value - expected)[seen] / size[seen])

    true_gradient = np.array([d.gradient for d in true])
    true_exact = np.array([np.diag(d.hessian) for d in true])
    terms = np.array([d.terms for d in true])
    assert error(loss.loss(y, z), np.array([d.loss for d in true])) <= rtol
    assert error(gradient, true_gradient) <= rtol
    assert_array_equal(loss.gradient(y, z), gradient)
    assert error(exact, true_exact, terms) <= rtol
    majorizing = loss.gradient_hessian(y, z, hessian="majorizing")[1]
    assert error(majorizing, np.array([d.majorizing for d in true])) <= rtol
    floored = loss.gradient_hessian(y, z, hessian="floored")[1]
    floor = 0.05 * min(gamma, 1.0) * np.abs(true_gradient)
    assert error(floored, np.maximum(true_exact, floor), terms + floor) <= rtol


@pytest.mark.parametrize("gamma", [0.3, 32.5, 150.25])
def test_derivatives_agree_with_mpmath_for_other_gamma(gamma):
    y, z = hard_rows(3, np.float64)
    loss = MulticlassFocalLoss(3, gamma)
    gradient, exact = loss.gradient_hessian(y, z)
    for i, (label, row) in enumerate(zip(y, z, strict=True)):
        true = reference.derivatives(gamma, label, row)
        assert_allclose(gradient[i], true.gradient, rtol=1e-12, atol=1e-290)
        assert (np.abs(exact[i] - np.diag(true.hessian)) <= 1e-12 * true.terms + 1e-290).all()


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_derivatives_agree_with_finite_differences(gamma, n_classes):
    # scores and step are multiples of 2^-20: z + k h is exact
    h = 2.0 ** -np.floor(9 + np.log2(1.0 + gamma))
    y, z, _ = sample(n_classes, np.float64, scale=4.0)
    z = np.round(z * 2.0**20) / 2.0**20
    loss = MulticlassFocalLoss(n_classes, gamma, np.linspace(0.5, 2, n_classes))
    value, (gradient, hessian) = loss.loss(y, z), loss.gradient_hessian(y, z)
    noise = 10 * (1 + gamma) * np.finfo(float).eps / h
    for j in range(n_classes):

        def slope(function, j=j):  # of 4th order
            f = [function(y, z + k * h * (np.arange(n_classes) == j)) for k in (-2, -1, 1, 2)]
            return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)

        size = np.abs(gradient).max(axis=1)
        assert (np.abs(slope(loss.loss) - gradient[:, j]) <= 1e-8 * size + noise * value).all()
        error = np.abs(slope(loss.gradient)[:, j] - hessian[:, j])
        assert (error <= 1e-8 * (1 + gamma) * size).all()


@pytest.mark.parametrize("hessian", HESSIANS)
@pytest.mark.parametrize("gamma", GAMMAS + HUGE_GAMMAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_overflows(gamma, dtype, hessian):
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    z = np.concatenate(
        [
            *(rng.normal(0, scale, (60, 3)) for scale in (1e-3, 1, 20, 100, 1000)),
            rng.uniform(-1e4, 1e4, (200, 3)),
            rng.choice([0, info.tiny, -info.tiny, 1e4, -1e4, info.max, -info.max], (400, 3)),
        ]
    ).astype(dtype)
    y, weight = rng.integers(0, 3, len(z)), rng.integers(0, 2, len(z))
    loss = MulticlassFocalLoss(3, gamma)
    value = loss.loss(y, z, weight)
    gradient, second = loss.gradient_hessian(y, z, weight, hessian=hessian)
    for result in (value, gradient, second):
        assert np.isfinite(result).all()
    assert (value >= 0).all()
    rows = np.arange(len(z))
    assert (gradient[rows, y] <= 0).all()
    gradient[rows, y] = 0
    assert (gradient >= 0).all()
    if hessian != "exact":
        assert (second >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_odds_of_many_classes_do_not_overflow(dtype):
    z = np.zeros((1, 20_000), dtype=dtype)
    z[0, 3] = -1e4
    loss = MulticlassFocalLoss(20_000, 1.5)
    assert_allclose(loss.loss([3], z), 1e4 + np.log(19_999), rtol=1e-6)
    gradient, hessian = loss.gradient_hessian([3], z)
    p = np.where(np.arange(20_000) == 3, 0, 1 / 19_999)
    assert_allclose(gradient[0], p - (np.arange(20_000) == 3), rtol=1e-6, atol=1e-30)
    assert_allclose(hessian[0], p * (1 - p), rtol=1e-6, atol=1e-25)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("column", [0, 1])
def test_nan_stays_nan_in_its_row(dtype, column):
    z = np.zeros((2, 3), dtype=dtype)
    z[0, column] = np.nan
    loss = MulticlassFocalLoss(3)
    assert_array_equal(np.isnan(loss.loss([1, 1], z)), [True, False])
    for result in loss.gradient_hessian([1, 1], z):
        assert_array_equal(np.isnan(result), [[True] * 3, [False] * 3])


# Identities


@given(problems())
def test_two_classes_are_the_sigmoid(problem):
    loss, y, z, weight = problem
    y = y % 2
    alpha = None if loss.alpha is None else loss.alpha[:2]
    binary, softmax_ = BinaryFocalLoss(loss.gamma, alpha), MulticlassFocalLoss(2, loss.gamma, alpha)
    score = z[:, 0]
    two = np.stack([np.zeros_like(score), score], axis=1)
    rtol, tiny = 50 * np.finfo(z.dtype).eps * (1 + loss.gamma), 1e3 * np.finfo(z.dtype).smallest_normal
    assert_allclose(softmax_.loss(y, two, weight), binary.loss(y, score, weight), rtol=rtol, atol=tiny)
    for hessian in HESSIANS:
        gradient, second = softmax_.gradient_hessian(y, two, weight, hessian=hessian)
        expected_gradient, expected = binary.gradient_hessian(y, score, weight, hessian=hessian)
        assert_allclose(gradient[:, 1], expected_gradient, rtol=rtol, atol=tiny)
        assert_allclose(gradient[:, 0], -expected_gradient, rtol=rtol, atol=tiny)
        size = np.abs(expected_gradient).max(initial=0) * rtol + tiny
        assert_allclose(second[:, 1], expected, rtol=rtol, atol=size)
        assert_array_equal(second[:, 0], second[:, 1])


@given(problems(limit=30.0, dtypes=(np.float64,)))
def test_gamma_zero_is_the_cross_entropy(problem):
    _, y, z, _ = problem
    n_classes = z.shape[1]
    y = y % n_classes
    loss = MulticlassFocalLoss(n_classes, gamma=0.0)
    p, target = softmax(z, axis=1), np.eye(n_classes)[y]
    assert_allclose(loss.loss(y, z), -log_softmax(z, axis=1)[np.arange(len(y)), y], rtol=1e-13, atol=1e-15)
    gradient, hessian = loss.gradient_hessian(y, z)
    assert_allclose(gradient, p - target, rtol=1e-13, atol=1e-15)
    assert_allclose(hessian, p * (1 - p), rtol=1e-13, atol=1e-15)
    for factor in (2.0, n_classes / (n_classes - 1)):
        for name in HESSIANS:
            second = loss.gradient_hessian(y, z, hessian=name, hessian_factor=factor)[1]
            assert_allclose(second, factor * p * (1 - p), rtol=1e-13, atol=1e-15)


def test_gamma_zero_is_scikit_learns_log_loss():
    y, z, weight = sample(4, np.float64)
    mean = np.average(MulticlassFocalLoss(4, 0.0).loss(y, z), weights=weight)
    assert mean == pytest.approx(log_loss(y, softmax(z, axis=1), sample_weight=weight), rel=1e-13, abs=0)


@given(problems())
def test_gradient_rows_sum_to_zero(problem):
    loss, y, z, weight = problem
    gradient = loss.gradient(y, z, weight)
    bound = 10 * np.finfo(z.dtype).eps * np.abs(gradient).sum(axis=1) + np.finfo(z.dtype).tiny
    assert (np.abs(gradient.sum(axis=1)) <= bound).all()


@given(problems(), st.randoms())
def test_order_of_the_classes_does_not_matter(problem, random):
    loss, y, z, weight = problem
    order = list(range(loss.n_classes))
    random.shuffle(order)
    alpha = tuple(np.array(loss.class_weights)[order])
    permuted = MulticlassFocalLoss(loss.n_classes, loss.gamma, alpha)
    new_y, new_z = np.argsort(order)[y], z[:, order]
    rtol, tiny = 20 * (1 + loss.gamma) * np.finfo(z.dtype).eps, 1e3 * np.finfo(z.dtype).smallest_normal
    assert_allclose(permuted.loss(new_y, new_z, weight), loss.loss(y, z, weight), rtol=rtol, atol=tiny)
    for hessian in HESSIANS:
        gradient, second = loss.gradient_hessian(y, z, weight, hessian=hessian)
        new_gradient, new_second = permuted.gradient_hessian(new_y, new_z, weight, hessian=hessian)
        assert_allclose(new_gradient, gradient[:, order], rtol=rtol, atol=tiny)
        size = rtol * (1 + loss.gamma) * np.abs(gradient[:, order])
        assert (np.abs(new_second - second[:, order]) <= size + rtol * np.abs(second[:, order]) + tiny).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_shift_of_all_scores_changes_nothing(dtype):
    y, z, weight = sample(5, dtype)
    z = np.round(z * 2**8) / dtype(2**8)  # so that adding a whole number is exact
    loss = MulticlassFocalLoss(5, 2.0, (1, 2, 3, 4, 5))
    expected = (loss.loss(y, z, weight), *loss.gradient_hessian(y, z, weight))
    for shift in (-1000, 3, 4096):
        moved = z + dtype(shift)
        for a, b in zip(
            (loss.loss(y, moved, weight), *loss.gradient_hessian(y, moved, weight)), expected, strict=True
        ):
            assert_array_equal(a, b)


@given(problems())
def test_alpha_and_sample_weight_are_factors(problem):
    loss, y, z, weight = problem
    plain = MulticlassFocalLoss(loss.n_classes, loss.gamma)
    factor = weight * np.array(loss.class_weights)[y]
    rtol, tiny = 10 * np.finfo(z.dtype).eps, 1e5 * np.finfo(z.dtype).smallest_normal
    assert_allclose(loss.loss(y, z, weight), factor * plain.loss(y, z), rtol=rtol, atol=tiny)
    for hessian in HESSIANS:
        gradient, second = loss.gradient_hessian(y, z, weight, hessian=hessian)
        expected, expected_second = plain.gradient_hessian(y, z, hessian=hessian)
        assert_allclose(gradient, factor[:, None] * expected, rtol=rtol, atol=tiny)
        bound = rtol * (np.abs(expected_second) + (1 + loss.gamma) * np.abs(expected)) * factor[:, None]
        assert (np.abs(second - factor[:, None] * expected_second) <= bound + tiny).all()


@pytest.mark.parametrize("k", [0, 1, 4])
def test_weight_k_equals_k_copies(k):
    y, z, _ = sample(3, np.float64, n=20)
    weight = np.ones(20, dtype=int)
    weight[:5] = k
    loss = MulticlassFocalLoss(3, 2.0, (1, 2, 3))
    copies = np.repeat(np.arange(20), weight)
    assert_allclose(loss.loss(y, z, weight).sum(), loss.loss(y[copies], z[copies]).sum(), rtol=1e-14)
    for one, many in zip(
        loss.gradient_hessian(y, z, weight), loss.gradient_hessian(y[copies], z[copies]), strict=True
    ):
        assert_allclose(one.sum(axis=0), many.sum(axis=0), rtol=1e-13)


@given(problems())
def test_rows_do_not_influence_one_another(problem):
    loss, y, z, weight = problem
    # three blocks of rows, the last of them partly filled
    many = np.arange(40_000 // loss.n_classes) % len(z)
    whole = (
        loss.loss(y[many], z[many], weight[many]),
        *loss.gradient_hessian(y[many], z[many], weight[many]),
    )
    part = (loss.loss(y, z, weight), *loss.gradient_hessian(y, z, weight))
    rtol, tiny = 20 * np.finfo(z.dtype).eps * (1 + loss.gamma), np.finfo(z.dtype).smallest_normal * 1e3
    size = (1 + loss.gamma) * np.abs(part[1][many]) * rtol + tiny
    for a, b in zip(whole, part, strict=True):
        assert (np.abs(a - b[many]) <= rtol * np.abs(b[many]) + (size if a.ndim == 2 else tiny)).all()


# The Hessians


@pytest.mark.parametrize("gamma", [*GAMMAS, 20.0])
@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_twice_majorizing_majorises_the_full_hessian(gamma, n_classes):
    y, z = hard_rows(n_classes, np.float64)
    loss = MulticlassFocalLoss(n_classes, gamma)
    bound = loss.gradient_hessian(y, z, hessian="majorizing", hessian_factor=2.0)[1]
    for label, row, diagonal in zip(y, z, bound, strict=True):
        full = reference.derivatives(gamma, label, row).hessian
        lowest = np.linalg.eigvalsh(np.diag(diagonal) - full)[0]
        assert lowest >= -1e-13 * diagonal.max()
    assert (bound >= 0).all()


def test_majorizing_is_not_below_the_exact_hessian_and_half_the_bound_is_not_enough():
    y, z, _ = sample(3, np.float64, n=300)
    loss = MulticlassFocalLoss(3, 2.0)
    exact = loss.gradient_hessian(y, z)[1]
    majorizing = loss.gradient_hessian(y, z, hessian="majorizing")[1]
    assert (majorizing >= exact * (1 - 1e-12)).all()
    full = [reference.derivatives(2.0, label, row).hessian for label, row in zip(y, z, strict=True)]
    assert min(np.linalg.eigvalsh(np.diag(d) - h)[0] for d, h in zip(majorizing, full, strict=True)) < -1e-3


@given(problems(), st.floats(0.1, 4.0))
def test_hessian_factor_comes_before_the_floor(problem, factor):
    loss, y, z, weight = problem
    rtol, tiny = 10 * np.finfo(z.dtype).eps, 10 * np.finfo(z.dtype).smallest_normal
    gradient, exact = loss.gradient_hessian(y, z, weight)
    slack = rtol * factor * (1 + loss.gamma) * np.abs(gradient) + tiny

    def with_factor(hessian):
        same, second = loss.gradient_hessian(y, z, weight, hessian=hessian, hessian_factor=factor)
        assert_array_equal(same, gradient)
        return second

    def assert_near(value, expected):
        assert (np.abs(value - expected) <= slack + rtol * np.abs(expected)).all()

    assert_near(with_factor("exact"), factor * exact)
    majorizing = loss.gradient_hessian(y, z, weight, hessian="majorizing")[1]
    assert (majorizing >= 0).all()
    assert_near(with_factor("majorizing"), factor * majorizing)
    floored = with_factor("floored")
    assert (floored >= 0).all()
    floor = 0.05 * min(loss.gamma, 1.0) * np.abs(gradient)
    assert_near(floored, np.maximum(with_factor("exact"), floor))
    if loss.gamma == 0.0:
        assert_array_equal(floored, with_factor("exact"))


def test_the_exact_diagonal_is_negative_in_places():
    y, z, _ = sample(3, np.float64, n=20_000)
    share = (MulticlassFocalLoss(3, 2.0).gradient_hessian(y, z)[1] < 0).mean()
    assert 0.05 < share < 0.3


# The best constant


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("weighted", [False, True])
def test_intercept_is_stationary_and_its_inverse_is_the_class_frequencies(n_classes, gamma, weighted):
    rng = np.random.default_rng(0)
    loss = MulticlassFocalLoss(n_classes, gamma, rng.uniform(0.2, 5, n_classes) if weighted else None)
    y = rng.permutation(np.repeat(np.arange(n_classes), 2 ** np.arange(n_classes)))
    weight = rng.uniform(0.1, 2, len(y)) if weighted else None
    constant = loss.fit_intercept_only(y, weight)
    assert constant.shape == (n_classes,)
    assert constant.dtype == np.float64
    assert abs(constant.mean()) <= 1e-15 * np.abs(constant).max()
    frequency = np.bincount(y, weight)
    assert_allclose(loss.link.inverse(constant), frequency / frequency.sum(), rtol=1e-13)
    gradient = loss.gradient(y, np.tile(constant, (len(y), 1)), weight)
    assert (np.abs(gradient.sum(axis=0)) <= 1e-12 * np.abs(gradient).sum(axis=0)).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_intercept_minimises_the_mean_loss(gamma):
    loss = MulticlassFocalLoss(3, gamma, (1.0, 4.0, 0.5))
    y = np.repeat([0, 1, 2], [90, 7, 3])
    found = minimize(lambda c: loss.loss(y, np.tile(c, (100, 1))).mean(), np.zeros(3), tol=1e-9)
    assert_allclose(loss.fit_intercept_only(y), found.x - found.x.mean(), atol=1e-4)


def test_intercept_of_gamma_zero_is_the_log_of_the_frequencies():
    constant = MulticlassFocalLoss(3, 0.0).fit_intercept_only([0, 0, 0, 1, 2, 2])
    assert_allclose(softmax(constant), [3 / 6, 1 / 6, 2 / 6], rtol=1e-14)


@pytest.mark.parametrize("weight_dtype", [np.float32, np.float16, np.int64, np.bool_])
def test_intercept_with_narrow_weights_is_summed_wide(weight_dtype):
    y = np.arange(90_000) % 5 // 2
    weight = np.ones(len(y), dtype=weight_dtype)
    loss = MulticlassFocalLoss(3)
    assert_array_equal(loss.fit_intercept_only(y, weight), loss.fit_intercept_only(y))


# What goes in and out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weight", [None, np.array([1.0, 2.0]), np.float32([1, 2]), [1, 2]])
@pytest.mark.parametrize("alpha", [None, (1.0, 2.0, 3.0)])
def test_dtype_in_is_dtype_out(dtype, weight, alpha):
    z, loss = np.zeros((2, 3), dtype=dtype), MulticlassFocalLoss(3, 1.5, alpha)
    assert loss.loss([0, 1], z, weight).dtype == dtype
    for result in (loss.gradient([0, 1], z, weight), *loss.gradient_hessian([0, 1], z, weight)):
        assert result.dtype == dtype
        assert result.shape == (2, 3)


def test_labels_of_any_kind():
    z, labels, loss = np.array([[-1.0, 0.5, 2.0], [0, 0, 1], [1, 0, 0]]), [2, 0, 1], MulticlassFocalLoss(3)
    expected = loss.gradient_hessian(np.array(labels), z)
    for dtype in (np.int8, np.uint8, np.int64, np.uint64, np.float32, np.float64):
        assert_array_equal(loss.gradient_hessian(np.array(labels, dtype=dtype), z), expected)
    assert_array_equal(loss.gradient_hessian(labels, z.tolist(), [1, 1, 1]), expected)
    two = MulticlassFocalLoss(2)
    assert_array_equal(two.loss([True, False], [[0, 1], [2, 3]]), two.loss([1, 0], [[0.0, 1.0], [2.0, 3.0]]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_order_strides_and_read_only_input(dtype):
    y, z, weight = sample(3, dtype, n=12_000)
    loss = MulticlassFocalLoss(3, 2.0, (1, 2, 3))
    expected = (loss.loss(y, z, weight), *loss.gradient_hessian(y, z, weight))
    frozen = z.copy()
    frozen.flags.writeable = False
    y.flags.writeable = weight.flags.writeable = False
    spread = np.repeat(np.repeat(z, 2, axis=0), 2, axis=1)[::2, ::2]
    for other in (np.asfortranarray(z), spread, z[::-1].copy()[::-1], frozen):
        before = other.copy()
        results = (loss.loss(y, other, weight), *loss.gradient_hessian(y, other, weight))
        for a, b in zip(results, expected, strict=True):
            assert_array_equal(a, b)
        assert_array_equal(other, before)


@pytest.mark.parametrize("hessian", HESSIANS)
@pytest.mark.parametrize(("dtype", "out_dtype"), [(a, b) for a in DTYPES for b in DTYPES])
@pytest.mark.parametrize("order", ["C", "F"])
def test_out_is_written_and_returned(hessian, dtype, out_dtype, order):
    y, z, weight = sample(3, dtype, n=12_000)
    loss = MulticlassFocalLoss(3, 2.0, (1, 2, 3))
    expected = loss.gradient_hessian(y, z, weight, hessian=hessian)
    out = tuple(np.full(z.shape, np.nan, dtype=out_dtype, order=order) for _ in range(2))
    result = loss.gradient_hessian(y, np.array(z, order=order), weight, hessian=hessian, out=out)
    for a, b, c in zip(result, out, expected, strict=True):
        assert a is b
        assert_array_equal(b, c.astype(out_dtype))


def test_no_rows():
    loss = MulticlassFocalLoss(3)
    assert loss.loss([], np.zeros((0, 3))).shape == (0,)
    for result in loss.gradient_hessian([], np.zeros((0, 3))):
        assert result.shape == (0, 3)


def test_more_classes_than_a_block_holds():
    n_classes = 20_000
    y, z, _ = sample(n_classes, np.float64, n=3)
    gradient, hessian = MulticlassFocalLoss(n_classes, 0.0).gradient_hessian(y, z)
    p = softmax(z, axis=1)
    assert_allclose(gradient, p - (np.arange(n_classes) == y[:, None]), rtol=1e-12)
    assert_allclose(hessian, p * (1 - p), rtol=1e-12)


def test_prepared_form_is_the_checked_form():
    y, z, weight = sample(4, np.float64)
    loss = MulticlassFocalLoss(4, 2.0, (1, 2, 3, 4))
    targets = loss.prepare(y.astype(np.int32), weight, np.float64)
    assert targets.label.dtype == np.uint8  # a byte a row is kept, not eight
    assert MulticlassFocalLoss(4).prepare(y, None).weight is None
    assert loss.prepare(y, weight).weight.dtype == np.float32
    out = np.empty((2, *z.shape))
    for hessian in HESSIANS:
        loss.gradient_hessian_prepared(targets, z, hessian, *out, hessian_factor=2.0)
        assert_array_equal(out, loss.gradient_hessian(y, z, weight, hessian=hessian, hessian_factor=2.0))
    assert_array_equal(loss.loss_prepared(targets, z), loss.loss(y, z, weight))


def test_the_prepared_form_has_no_factor():
    loss, y, z = MulticlassFocalLoss(3), np.array([0, 2]), np.array([[1.0, 0, 0], [0, 2.0, 1.0]])
    gradient, second = np.empty((2, 3)), np.empty((2, 3))
    loss.gradient_hessian_prepared(loss.prepare(y, None), z, "exact", gradient, second)
    assert_array_equal(second, loss.gradient_hessian(y, z)[1])


@pytest.mark.parametrize(("n_classes", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_labels_are_kept_in_the_smallest_type_that_holds_them(n_classes, dtype):
    label = np.arange(n_classes)
    targets = MulticlassFocalLoss(n_classes).prepare(label, None)
    assert targets.label.dtype == dtype
    assert_array_equal(targets.label, label)


def test_gradients_are_evaluated_in_blocks():
    loss = MulticlassFocalLoss(10, 2.5, np.arange(1, 11))
    peaks = []
    for n in (20_000, 200_000):
        y, z, _ = sample(10, np.float32, n=n)
        targets, out = loss.prepare(y, None), np.empty((2, n, 10), dtype=np.float32)
        tracemalloc.start()
        try:
            loss.gradient_hessian_prepared(targets, z, "floored", *out)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert 0 < peaks[1] < 1.3e6  # one temporary of all rows and classes is 8e6
    assert peaks[1] < 1.1 * peaks[0]


def test_equality_hash_and_pickle():
    loss = MulticlassFocalLoss(3, 2, [1, 2, 3])
    assert loss == MulticlassFocalLoss(np.int64(3), np.float32(2.0), np.array([1.0, 2.0, 3.0]))
    assert hash(loss) == hash(MulticlassFocalLoss(3, 2.0, (1.0, 2.0, 3.0)))
    assert loss not in (MulticlassFocalLoss(3), MulticlassFocalLoss(3, 1.0, (1, 2, 3)))
    assert MulticlassFocalLoss(3) != MulticlassFocalLoss(4)
    expected = "MulticlassFocalLoss(n_classes=3, gamma=1.0, alpha=None, margin_loss=None, focal_link='focal')"
    assert repr(MulticlassFocalLoss(3, 1)) == expected
    for item in (loss, loss.link):
        for twin in (pickle.loads(pickle.dumps(item)), copy.deepcopy(item)):
            assert twin == item
            assert hash(twin) == hash(item)
            assert repr(twin) == repr(item)
    with pytest.raises(FrozenInstanceError):
        loss.gamma = 1.0


def test_parameters_are_kept_as_plain_numbers():
    pairs = [
        (MulticlassFocalLink(2.0, [1, 3]), MulticlassFocalLink(2.0, (1.0, 3.0))),
        (MulticlassFocalLoss(np.int64(3)), MulticlassFocalLoss(3, 2.0)),
    ]
    for given_so, plain in pairs:
        assert hash(given_so) == hash(plain)
        assert repr(given_so) == repr(plain)


def test_class_weights():
    assert MulticlassFocalLoss(3).class_weights == (1.0, 1.0, 1.0)
    assert MulticlassFocalLoss(3, alpha=np.array([2, 3, 4])).class_weights == (2.0, 3.0, 4.0)
    assert MulticlassFocalLoss(3, 1.0, (2, 3, 4)).link == MulticlassFocalLink(1.0, (2.0, 3.0, 4.0))


# Errors: which argument, what was expected, what came


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((1,), ValueError, r"^n_classes must be an integer >= 2, got 1\.$"),
        ((-3,), ValueError, r"^n_classes must be an integer >= 2, got -3\.$"),
        ((3.0,), TypeError, r"^n_classes must be an integer >= 2, got 3\.0 \(float\)\.$"),
        ((True,), TypeError, r"^n_classes must be an integer >= 2, got True \(bool\)\.$"),
        (("3",), TypeError, r"^n_classes must be an integer >= 2, got '3' \(str\)\.$"),
        ((3, -1), ValueError, r"^gamma must be a finite number >= 0 .*, got -1\.$"),
        ((3, None), TypeError, r"^gamma must be a real number >= 0, got None"),
        (
            (3, 2.0, (1, 2)),
            ValueError,
            r"^alpha must hold 3 positive numbers, one a class, got an array of shape \(2,\)\.$",
        ),
        ((3, 2.0, 0.25), ValueError, r"^alpha must hold 3 .*, got an array of shape \(\)\.$"),
        ((3, 2.0, "balanced"), TypeError, r"^alpha must hold 3 .*, got 'balanced'\.$"),
        ((3, 2.0, (1, 0, 2)), ValueError, r"^alpha must be finite and > 0 .*, got \[1\.0, 0\.0, 2\.0\]\.$"),
        ((3, 2.0, (1, np.nan, 2)), ValueError, r"^alpha must be finite and > 0 .*nan"),
    ],
)
def test_constructor_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        MulticlassFocalLoss(*arguments)


ZEROS = np.zeros((2, 3))


@pytest.mark.parametrize("method", ["loss", "gradient", "gradient_hessian"])
@pytest.mark.parametrize(
    ("y", "z", "weight", "error", "message"),
    [
        ([[0, 1]], ZEROS, None, ValueError, r"^y_true must have shape \(n_samples,\), got shape \(1, 2\)\.$"),
        ([0, 3], ZEROS, None, ValueError, r"^y_true must hold whole numbers from 0 to 2, got 3 at row 1\.$"),
        ([-1, 2], ZEROS, None, ValueError, r"from 0 to 2, got -1 at row 0\.$"),
        ([0, 1.5], ZEROS, None, ValueError, r"from 0 to 2, got 1\.5 at row 1\.$"),
        ([np.nan, 1], ZEROS, None, ValueError, r"from 0 to 2, got nan at row 0\.$"),
        ([np.inf, 1], ZEROS, None, ValueError, r"from 0 to 2, got inf at row 0\.$"),
        (["a", "b"], ZEROS, None, TypeError, r"^y_true must hold whole numbers .*, got dtype <U1\.$"),
        (
            [0, 1],
            ZEROS[:, :2],
            None,
            ValueError,
            r"^raw_prediction must have shape \(2, 3\), got \(2, 2\)\.$",
        ),
        ([0, 1], ZEROS.ravel(), None, ValueError, r"^raw_prediction must have shape \(2, 3\), got \(6,\)\.$"),
        ([0], ZEROS, None, ValueError, r"^raw_prediction must have shape \(1, 3\), got \(2, 3\)\.$"),
        ([0, 1], ZEROS.astype(np.float16), None, TypeError, r"must be float32 or float64, got float16\.$"),
        ([0, 1], ZEROS, [1.0], ValueError, r"^sample_weight must have shape \(2,\), got shape \(1,\)\.$"),
        ([0, 1], ZEROS, [1.0, -1.0], ValueError, r"^sample_weight must be >= 0, got the negative weight -1"),
        ([0, 1], ZEROS, [1.0, np.nan], ValueError, r"^sample_weight must be finite, got nan at row 1\.$"),
    ],
)
def test_argument_errors(method, y, z, weight, error, message):
    with pytest.raises(error, match=message):
        getattr(MulticlassFocalLoss(3), method)(y, z, weight)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"hessian": "fisher"}, r"^hessian must be one of 'floored', 'exact', 'majorizing', got 'fisher'\.$"),
        ({"hessian_factor": 0.0}, r"^hessian_factor must be a finite number > 0, got 0\.0\.$"),
        ({"hessian_factor": np.nan}, r"^hessian_factor must be a finite number > 0, got nan\.$"),
        ({"hessian_factor": np.inf}, r"^hessian_factor must be a finite number > 0, got inf\.$"),
        ({"hessian_factor": "2"}, r"^hessian_factor must be a finite number > 0, got '2'\.$"),
        ({"out": (ZEROS,)}, r"^out must be two float arrays of shape \(2, 3\), got 1\.$"),
        ({"out": (ZEROS, ZEROS.T)}, r"^out must be two .* \(2, 3\), got float64 of shape \(3, 2\)\.$"),
        ({"out": (ZEROS.astype(int), ZEROS)}, r"^out must be two .*, got int64 of shape \(2, 3\)\.$"),
    ],
)
def test_gradient_hessian_errors(keywords, message):
    with pytest.raises(ValueError, match=message):
        MulticlassFocalLoss(3).gradient_hessian([0, 1], ZEROS, **keywords)


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        ([0, 2], None, r"^y_true must hold all 3 classes with a positive weight, class 1 has none\.$"),
        ([0, 1, 2], [1, 1, 0], r"class 2 has none\.$"),
        ([], None, r"class 0 has none\.$"),
        ([0, 1, 4], None, r"^y_true must hold whole numbers from 0 to 2, got 4 at row 2\.$"),
        ([0, 1, 2], [1.0], r"^sample_weight must have shape \(3,\), got shape \(1,\)\.$"),
    ],
)
def test_intercept_errors(y, weight, message):
    with pytest.raises(ValueError, match=message):
        MulticlassFocalLoss(3).fit_intercept_only(y, weight)
