import mpmath
import numpy as np
import pytest
import reference_multiclass as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from focal_gbm import MulticlassFocalLoss
from focal_gbm.losses import Focal, Margin
from focal_gbm.losses.links import BinaryFocalLink, MulticlassFocalLink
from focal_gbm.losses.roots import increasing_root

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
#: From where the search starts to where rounding takes over
ALL_GAMMAS = (*GAMMAS, 1e-17, 1e-16, 1e-12, 1e-6, 1e-3, 0.1, 0.9, 1.1, 20.0, 100.0, 1e4, 1e8)
DTYPES = (np.float32, np.float64)

gammas = st.one_of(st.sampled_from(GAMMAS), st.floats(0.0, 50.0))


@st.composite
def problems(draw, limit):
    """A link and scores in float64."""
    n_classes = draw(st.sampled_from((2, 3, 5)))
    weights = draw(st.one_of(st.just((1.0,) * n_classes), st.tuples(*[st.floats(0.01, 100)] * n_classes)))
    z = draw(arrays(np.float64, (4, n_classes), elements=st.floats(-limit, limit)))
    return MulticlassFocalLink(draw(gammas), weights), z


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("class_weights", [(1.0, 1.0), (1.0, 1.0, 1.0), (0.25, 3.0, 1e-3, 1.0)])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-15), (np.float32, 6e-7)])
def test_log_posterior_agrees_with_mpmath(gamma, class_weights, dtype, rtol):
    rng = np.random.default_rng(0)
    n_classes = len(class_weights)
    z = np.concatenate([rng.normal(0, scale, (8, n_classes)) for scale in (0.01, 1, 5, 20)])
    z = np.concatenate([z, np.zeros((1, n_classes)), np.round(rng.normal(0, 1, (5, n_classes)))]).astype(
        dtype
    )
    link = MulticlassFocalLink(gamma, class_weights)
    expected = np.array([reference.log_posterior(gamma, row, class_weights) for row in z])
    result = link.log_posterior(z)
    # the logarithm is a sum of terms of either sign: relative to what is added
    size = (1 + gamma) * (np.ptp(z, axis=1, keepdims=True) + n_classes) + np.abs(np.log(class_weights)).max()
    assert (np.abs(result - expected) <= rtol * size).all()
    # the largest keeps the digits of what it lacks to 1
    nearly_certain = (expected > -1e-3) & (np.abs(expected) > np.finfo(dtype).tiny)
    error = np.abs(result - expected) / np.abs(expected)
    assert (error <= 10 * rtol * size)[nearly_certain].all()
    assert_allclose(link.inverse(z), np.exp(result), rtol=4 * np.finfo(dtype).eps)


@given(problems(limit=20.0))
def test_the_posterior_is_where_the_expected_gradient_vanishes(problem):
    link, z = problem
    n_classes = z.shape[1]
    loss = MulticlassFocalLoss(n_classes, link.gamma, link.class_weights)
    eta = link.inverse(z)
    parts = [eta[:, [t]] * loss.gradient(np.full(len(z), t), z) for t in range(n_classes)]
    rtol = 1e-14 * (20 + (1 + link.gamma) * np.ptp(z, axis=1, keepdims=True))
    assert (np.abs(sum(parts)) <= rtol * sum(np.abs(part) for part in parts) + 1e-290).all()


@pytest.mark.parametrize("gamma", ALL_GAMMAS)
@pytest.mark.parametrize("n_classes", [2, 3, 10, 100])
def test_the_expected_gradient_vanishes_at_the_link(gamma, n_classes):
    rng = np.random.default_rng(0)
    weights = rng.lognormal(0, 1, n_classes)
    eta = softmax(rng.normal(0, 3, (5, n_classes)), axis=1)
    loss = MulticlassFocalLoss(n_classes, gamma, weights)
    z = loss.link.link(eta)
    parts = [eta[:, [t]] * loss.gradient(np.full(5, t), z) for t in range(n_classes)]
    assert (np.abs(sum(parts)) <= 1e-13 * (1 + gamma) * sum(np.abs(part) for part in parts)).all()


@pytest.mark.parametrize("gamma", ALL_GAMMAS)
@pytest.mark.parametrize("n_classes", [2, 3, 10, 100])
@pytest.mark.parametrize("weight_spread", [0.0, 5.0])
def test_inverse_of_link_is_the_probabilities(gamma, n_classes, weight_spread):
    rng = np.random.default_rng(0)
    link = MulticlassFocalLink(gamma, np.exp(rng.normal(0, weight_spread, n_classes)))
    log_eta = np.concatenate([rng.normal(0, scale, (10, n_classes)) for scale in (0, 1e-6, 1, 5, 20, 300)])
    # down to the smallest normal doubles
    log_eta = np.maximum(log_softmax(log_eta, axis=1), -690.0)
    z = link.link(np.exp(log_eta))
    size = 1 + np.abs(z).max(axis=1, keepdims=True)
    assert (np.abs(z.mean(axis=1, keepdims=True)) <= 1e-14 * size).all()
    bound = 1e-13 * (1 + np.abs(log_eta)) + 1e-15 * (1 + gamma) * size
    assert (np.abs(link.log_posterior(z) - log_eta) <= bound).all()


@given(problems(limit=3.0))
def test_link_of_inverse_is_the_centred_score(problem):
    link, z = problem
    expected = z - z.mean(axis=1, keepdims=True)
    log_posterior = link.log_posterior(z)
    kept = (log_posterior.max(axis=1) < -1e-4) & (log_posterior.min(axis=1) > -500.0)
    assert_allclose(link.link(link.inverse(z))[kept], expected[kept], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gamma", [*GAMMAS, 20.0])
def test_two_classes_are_the_binary_link(gamma):
    weights = (0.3, 1.7)
    link, binary = MulticlassFocalLink(gamma, weights), BinaryFocalLink(gamma, weights)
    z = np.linspace(-15, 15, 61) / (1 + gamma)
    two = np.stack([np.zeros_like(z), z], axis=1)
    assert_allclose(link.inverse(two), binary.probabilities(z), rtol=1e-13)
    probability = np.array([1e-300, 1e-9, 0.1, 0.5, 0.99])
    scores = link.link(np.stack([1 - probability, probability], axis=1))
    assert_allclose(scores[:, 1] - scores[:, 0], binary.link(probability), rtol=1e-13, atol=1e-14)


def test_gamma_zero_with_equal_weights_is_the_softmax():
    z = np.random.default_rng(0).normal(0, 5, (50, 4))
    link = MulticlassFocalLink(0.0, (1.0,) * 4)
    assert_allclose(link.log_posterior(z), log_softmax(z, axis=1), rtol=1e-14, atol=1e-14)
    assert_allclose(link.inverse(z), softmax(z, axis=1), rtol=1e-13)
    weighted = MulticlassFocalLink(0.0, (1.0, 2.0, 3.0, 4.0))
    assert_allclose(weighted.inverse(z), softmax(z - np.log([1, 2, 3, 4]), axis=1), rtol=1e-13)


@given(problems(limit=10.0), st.integers(1, 60))
def test_shift_of_all_scores_and_scale_of_all_weights_change_nothing(problem, shift):
    link, z = problem
    z = np.round(z * 2.0**20) / 2.0**20  # so that adding a whole number is exact
    expected = link.log_posterior(z)
    assert_array_equal(link.log_posterior(z + shift), expected)
    scaled = MulticlassFocalLink(link.gamma, tuple(shift * np.array(link.class_weights)))
    assert_allclose(scaled.log_posterior(z), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_order_of_the_classes_does_not_matter(gamma):
    rng = np.random.default_rng(0)
    z, weights, order = rng.normal(0, 3, (30, 5)), rng.uniform(0.1, 5, 5), rng.permutation(5)
    link, permuted = MulticlassFocalLink(gamma, weights), MulticlassFocalLink(gamma, weights[order])
    assert_allclose(permuted.inverse(z[:, order]), link.inverse(z)[:, order], rtol=1e-12)
    eta = softmax(z, axis=1)
    assert_allclose(permuted.link(eta[:, order]), link.link(eta)[:, order], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5, 0.9, 1.0, 1.5, 2.0, 5.0, 50.0, 1e4])
def test_slope_of_the_term_is_positive_and_as_the_docstring_says(gamma):
    m = np.unique(np.concatenate([np.linspace(-60, 60, 61), np.linspace(-3, 3, 41)]))
    loss, margin = Focal(gamma), Margin.of(-m)
    for x, term, slope in zip(m, loss.link_term(margin), loss.link_slope(margin), strict=True):
        with mpmath.workdps(120):
            g, p = mpmath.mpf(gamma), 1 / (1 + mpmath.exp(-mpmath.mpf(float(x))))
            q = 1 - p
            r = -mpmath.log(p) * p / q
            # p / w, w = -(slope of the loss in p) p: what the weighted probability is proportional to
            w = q**g - g * p * q ** (g - 1) * mpmath.log(p)
            stated = (q + 2 * g * p - g * (1 - g) * p * r) / (1 + g * r)
            assert slope > 0
            assert slope == pytest.approx(float(stated), rel=1e-12 * (1 + gamma / 1e3), abs=0)
            size = (1 + gamma) * (1 + abs(x))
            assert term == pytest.approx(float(mpmath.log(p / w)), rel=0, abs=1e-15 * size)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_probability_of_a_class_grows_with_its_score(gamma, dtype):
    link = MulticlassFocalLink(gamma, (0.2, 1.0, 4.0))
    z = np.zeros((101, 3), dtype=dtype)
    z[:, 1], z[:, 2] = np.linspace(-6, 6, 101) / (1 + gamma), 0.5
    assert (np.diff(link.inverse(z)[:, 1]) > 0).all()


@pytest.mark.parametrize("gamma", [*GAMMAS, 50.0])
def test_equal_weights_keep_the_order_of_the_classes(gamma):
    z = np.random.default_rng(0).normal(0, 2, (500, 5))
    link = MulticlassFocalLink(gamma, (1.0,) * 5)
    assert_array_equal(np.argsort(link.inverse(z), axis=1), np.argsort(z, axis=1))


def test_unequal_weights_can_change_the_most_probable_class():
    z = np.array([0.1, 0.0, 0.0])
    assert MulticlassFocalLink(2.0, (5.0, 1.0, 1.0)).inverse(z).argmax() != z.argmax()


@given(problems(limit=700.0), st.sampled_from(DTYPES))
def test_probabilities_sum_to_one(problem, dtype):
    link, z = problem
    eta = link.inverse(z.astype(dtype))
    assert eta.dtype == dtype
    assert (eta >= 0).all()
    assert_allclose(eta.sum(axis=1), 1, rtol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("gamma", [*ALL_GAMMAS, 1e15])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_overflows(gamma, dtype):
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    far = rng.choice([0, info.tiny, -info.tiny, 1e4, -1e4, info.max, -info.max], (200, 3))
    z = np.concatenate([far, rng.uniform(-1e4, 1e4, (100, 3))]).astype(dtype)
    link = MulticlassFocalLink(gamma, (1.0, 2.0, 0.5))
    assert not np.isnan(link.log_posterior(z)).any()
    assert np.isfinite(link.inverse(z)).all()
    assert_allclose(link.inverse(z).sum(axis=1), 1, rtol=10 * info.eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_loss_is_that_of_the_label(dtype):
    link = MulticlassFocalLink(2.0, (1.0, 0.3, 4.0))
    rng = np.random.default_rng(0)
    z, labels = rng.normal(0, 5, (20, 3)).astype(dtype), rng.integers(0, 3, 20)
    result = link.log_loss(labels, z)
    assert result.dtype == dtype
    assert_array_equal(result, [-row[t] for row, t in zip(link.log_posterior(z), labels, strict=True)])


def test_nan_stays_nan_in_its_row():
    result = MulticlassFocalLink(2.0, (1.0, 1.0, 1.0)).inverse([[0.0, np.nan, 1.0], [0.0, 0.0, 1.0]])
    assert_array_equal(np.isnan(result), [[True] * 3, [False] * 3])


@pytest.mark.parametrize("dtype", DTYPES)
def test_link_keeps_shape_and_dtype(dtype):
    link = MulticlassFocalLink(2.0, (1.0, 2.0, 3.0))
    z = np.random.default_rng(0).normal(size=(12_000, 3)).astype(dtype)
    eta = link.inverse(z)
    for function, expected in ((link.inverse, eta), (link.log_posterior, link.log_posterior(z))):
        for other in (np.asfortranarray(z), np.repeat(z, 2, axis=0)[::2]):
            assert_array_equal(function(other), expected)
        # one row alone, and none
        assert_array_equal(function(z[7]), expected[7])
        assert function(z[:0]).shape == (0, 3)
        assert function(z).dtype == dtype
    scores = link.link(eta[:20])
    assert scores.dtype == np.float64
    assert scores.shape == (20, 3)
    assert_allclose(link.link(eta[7]), scores[7], rtol=1e-13)
    assert link.link(np.zeros((0, 3))).shape == (0, 3)


def test_root_search_converges_where_newtons_method_alone_does_not():
    # from |x - root| > 1.39 Newton's method on an arc tangent diverges
    root = np.array([-3.0, 0.0, 7.0, 100.0])

    def function(x):
        return np.arctan(x - root), 1 / (1 + (x - root) ** 2)

    found = increasing_root(function, np.full(4, -1e6), np.full(4, 1e6), np.array([50.0, -2.0, 7.0, -1e6]))
    assert_allclose(found, root, rtol=1e-12, atol=1e-12)


def test_root_search_does_not_go_to_and_fro():
    # Newton's step of a signed root is to the point on the other side, for ever
    root = np.array([0.0, 3.0])

    def function(x):
        y = x - root
        return np.sign(y) * np.sqrt(np.abs(y)), 0.5 / np.sqrt(np.maximum(np.abs(y), 1e-300))

    found = increasing_root(function, np.full(2, -9.0), np.full(2, 9.0), np.array([2.0, -1.0]))
    assert_allclose(found, root, rtol=1e-12, atol=1e-12)


def test_link_of_a_gamma_beyond_all_use_beside_others():
    # Newton's steps between two margins, 4.36 and 28.39, were taken for the end of the search
    link = MulticlassFocalLink((1e15, 5.0, 1000.0), (5.18948819e-02, 2.15377042e07, 1.88483407e-05))
    eta = np.array([0.999, 1e-3, 1e-25])
    assert_allclose(link.inverse(link.link(eta)), eta, rtol=1e-11)


def test_link_normalises_what_sums_to_one_within_the_tolerance():
    link = MulticlassFocalLink(2.0, (1.0, 1.0, 1.0))
    exact = np.array([0.2, 0.3, 0.5])
    assert_allclose(link.link(exact * (1 + 5e-6)), link.link(exact), rtol=1e-13)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1.0, (1, 1)), ValueError, r"^gamma must be a finite number >= 0 .*, got -1\.0\.$"),
        ((2.0, (1.0,)), ValueError, r"^class_weights must hold at least 2 numbers, got \(1\.0,\)\.$"),
        ((2.0, 1.0), ValueError, r"^class_weights must hold at least 2 numbers, got 1\.0\.$"),
        ((2.0, (1.0, 0.0)), ValueError, r"^class_weights must be finite and > 0 .*\[1\.0, 0\.0\]\.$"),
        ((2.0, [[1, 1]]), ValueError, r"^class_weights must hold 2 positive .*shape \(1, 2\)\.$"),
        ((2.0, ("a", "b")), TypeError, r"^class_weights must hold 2 positive numbers"),
    ],
)
def test_constructor_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        MulticlassFocalLink(*arguments)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.5], r"^probabilities must have shape \(n_samples, 3\) or \(3,\), got \(2,\)\.$"),
        (np.full((1, 1, 3), 1 / 3), r"^probabilities must have shape .*, got \(1, 1, 3\)\.$"),
        (0.5, r"^probabilities must have shape .*, got \(\)\.$"),
        ([0.5, 0.5, 0.0], r"^probabilities must be > 0, got 0\.0\.$"),
        ([[0.2, 0.3, 0.5], [1.5, -0.25, -0.25]], r"^probabilities must be > 0, got -0\.25\.$"),
        ([0.5, 0.5, np.nan], r"^probabilities must be > 0, got nan\.$"),
        ([0.5, 0.3, 0.3], r"^probabilities must sum to 1 within 1e-05, got 1\.1\.$"),
        ([[0.2, 0.3, 0.5], [0.5, 0.25, 0.125]], r"^probabilities must sum to 1 within 1e-05, got 0\.875\.$"),
        ([[0.5, 0.25, 0.0625], [0.5, 0.25, 0.125]], r"^probabilities must sum to 1 .*, got 0\.8125\.$"),
    ],
)
def test_link_errors(probabilities, message):
    with pytest.raises(ValueError, match=message):
        MulticlassFocalLink(2.0, (1.0, 1.0, 1.0)).link(probabilities)


@pytest.mark.parametrize("method", ["inverse", "log_posterior"])
def test_inverse_errors(method):
    function = getattr(MulticlassFocalLink(2.0, (1.0, 1.0, 1.0)), method)
    with pytest.raises(TypeError, match=r"^raw_prediction must be float32 or float64, got float16\.$"):
        function(np.zeros((2, 3), dtype=np.float16))
    with pytest.raises(ValueError, match=r"^raw_prediction must have shape \(n_samples, 3\) or \(3,\), got"):
        function(np.zeros((3, 2)))
