from inspect import signature

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.utils.class_weight import compute_class_weight

from focal_gbm.training.alpha import DEFAULT_BETA, resolve_alpha, weights_by_label

BINARY = np.array([0, 1])
NAMES = np.array(["ham", "spam", "zoo"])
COUNTS = np.array([90.0, 9.0, 1.0])


def counts(y, weight=None):
    """Rows a class, each counted with its weight."""
    labels = np.unique(y)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    return np.array([weight[np.asarray(y) == label].sum() for label in labels])


def naive_effective(class_counts, beta):
    """Cui et al. 2019, equation 2, weights scaled to sum to the number of classes."""
    with mpmath.workdps(50):
        beta = mpmath.mpf(beta)
        weights = [(1 - beta) / (1 - beta ** mpmath.mpf(n)) for n in class_counts]
        return [float(w * len(weights) / sum(weights)) for w in weights]


def test_none_is_no_weights():
    assert resolve_alpha(None, NAMES, COUNTS) is None


@pytest.mark.parametrize("alpha", [0.25, np.float32(0.25), np.float64(0.25)])
def test_a_float_weighs_the_second_class(alpha):
    assert resolve_alpha(alpha, BINARY, COUNTS[:2]) == (0.75, 0.25)
    assert resolve_alpha(alpha, np.array(["no", "yes"]), COUNTS[:2]) == (0.75, 0.25)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_is_scikit_learns(n_classes, weighted):
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, 100) ** 2 % n_classes])
    weight = rng.uniform(0.1, 4.0, len(y)) if weighted else None
    classes = np.unique(y)
    given = {"sample_weight": weight} if weighted else {}
    if weighted and "sample_weight" not in signature(compute_class_weight).parameters:
        pytest.skip("scikit-learn takes weights from 1.7 on")
    expected = compute_class_weight("balanced", classes=classes, y=y, **given)
    result = resolve_alpha("balanced", classes, counts(y, weight))
    assert_allclose(result, expected, rtol=1e-14)
    assert isinstance(result, tuple)
    assert all(type(a) is float for a in result)


@pytest.mark.parametrize("alpha", ["balanced", "effective", ("effective", 0.9)])
def test_weight_k_equals_k_copies(alpha):
    y, weight = np.array([0, 0, 1, 0, 1, 2, 2]), np.array([3, 1, 2, 1, 1, 0, 4])
    classes = np.arange(3)
    weighted = resolve_alpha(alpha, classes, counts(y, weight))
    assert weighted == resolve_alpha(alpha, classes, counts(np.repeat(y, weight)))
    assert weighted != resolve_alpha(alpha, classes, counts(y))


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99, 0.999, 0.9999, 1 - 1e-9, 1 - 1e-15])
@pytest.mark.parametrize("class_counts", [[50.0, 50.0], [990.0, 10.0], [500.0, 40.0, 1.0], [3.5, 1e6]])
def test_effective_is_the_formula_of_the_paper(beta, class_counts):
    class_counts = np.array(class_counts)
    result = resolve_alpha(("effective", beta), np.arange(len(class_counts)), class_counts)
    assert_allclose(result, naive_effective(class_counts, beta), rtol=1e-13)
    assert sum(result) == pytest.approx(len(class_counts), rel=1e-14)


def test_effective_without_beta():
    assert DEFAULT_BETA == 0.999
    assert resolve_alpha("effective", NAMES, COUNTS) == resolve_alpha(("effective", 0.999), NAMES, COUNTS)


def test_effective_between_no_weights_and_inverse_frequency():
    assert resolve_alpha(("effective", 0), NAMES, COUNTS) == (1.0, 1.0, 1.0)
    almost_one = resolve_alpha(("effective", 1 - 1e-15), NAMES, COUNTS)
    inverse = 1 / COUNTS
    assert_allclose(almost_one, 3 * inverse / inverse.sum(), rtol=1e-12)


def test_effective_of_large_counts_is_no_weight():
    assert_allclose(resolve_alpha("effective", BINARY, np.array([1e9, 1e8])), (1.0, 1.0), rtol=1e-14)


def test_a_dict_is_by_label():
    assert resolve_alpha({"zoo": 3, "ham": 1.0, "spam": 2}, NAMES, COUNTS) == (1.0, 2.0, 3.0)
    assert resolve_alpha({1: 3.0, 0: 1.0}, BINARY, COUNTS[:2]) == (1.0, 3.0)
    assert resolve_alpha({np.int64(1): 3.0, np.int64(0): 1.0}, BINARY, COUNTS[:2]) == (1.0, 3.0)
    assert resolve_alpha({True: 3.0, False: 1.0}, np.array([False, True]), COUNTS[:2]) == (1.0, 3.0)
    assert weights_by_label({0: 1, 1: 2}, BINARY) == (1.0, 2.0)


@pytest.mark.parametrize(
    "alpha", [(1, 2, 3), [1.0, 2.0, 3.0], np.array([1, 2, 3]), np.array([1, 2, 3], np.float32)]
)
def test_an_array_is_by_position(alpha):
    assert resolve_alpha(alpha, NAMES, COUNTS) == (1.0, 2.0, 3.0)


def test_weights_do_not_depend_on_counts_unless_asked():
    for alpha in (0.25, (1.0, 2.0), {0: 1.0, 1: 2.0}):
        assert resolve_alpha(alpha, BINARY, np.array([1.0, 1.0])) == resolve_alpha(
            alpha, BINARY, np.array([9.0, 1.0])
        )


@pytest.mark.parametrize(
    ("alpha", "error", "message"),
    [
        (
            "inverse",
            ValueError,
            r"^focal_alpha must be None, a float .*, 'balanced', 'effective', .* a class, got 'inverse'\.$",
        ),
        (("balanced", 0.9), ValueError, r"^focal_alpha must be None, .*, got \('balanced', 0\.9\)\.$"),
        (True, TypeError, r"^focal_alpha must be None, .*, got True\.$"),
        (np.False_, TypeError, r"^focal_alpha must be None, .*, got .*False.*\.$"),
        (0.25, ValueError, r"^focal_alpha can be a single number only for two classes, got 3 classes\.$"),
        (("effective", 1.0), ValueError, r"^focal_alpha must have a beta in \[0, 1\) .*, got 1\.0\.$"),
        (("effective", -0.1), ValueError, r"beta in \[0, 1\) in \('effective', beta\), got -0\.1\.$"),
        (("effective", np.nan), ValueError, r"beta in \[0, 1\) .*, got nan\.$"),
        (("effective", "0.9"), ValueError, r"beta in \[0, 1\) .*, got '0\.9'\.$"),
        (("effective", True), ValueError, r"beta in \[0, 1\) .*, got True\.$"),
        (
            ("effective", 0.9, 1),
            TypeError,
            r"^focal_alpha must hold 3 positive numbers, one a class, got \('eff",
        ),
        ({"ham": 1.0, "spam": 1.0}, ValueError, r"got none for \['zoo'\]\.$"),
        (
            {"ham": 1.0, "spam": 1.0, "zoo": 1.0, "eggs": 1.0},
            ValueError,
            r"^focal_alpha must have one weight for each of the classes \['ham', 'spam', 'zoo'\], "
            r"got some for the unknown \['eggs'\]\.$",
        ),
        (
            {"ham": 1, "spam": 1, "zoo": 0},
            ValueError,
            r"^focal_alpha must be finite and > 0 .* \[1\.0, 1\.0, 0\.0\]",
        ),
        ({"ham": 1, "spam": 1, "zoo": "x"}, TypeError, r"^focal_alpha must hold 3 positive numbers"),
        (
            (1.0, 2.0),
            ValueError,
            r"^focal_alpha must hold 3 positive numbers, .* got an array of shape \(2,\)\.$",
        ),
        (np.ones((3, 1)), ValueError, r"got an array of shape \(3, 1\)\.$"),
        ((1.0, -2.0, 3.0), ValueError, r"finite and > 0 for every class, got \[1\.0, -2\.0, 3\.0\]\.$"),
        ((1.0, np.inf, 3.0), ValueError, r"finite and > 0 for every class, got \[1\.0, inf, 3\.0\]\.$"),
        (object(), TypeError, r"^focal_alpha must hold 3 positive numbers, one a class, got <object"),
        (1j, TypeError, r"^focal_alpha must hold 3 positive numbers"),
    ],
)
def test_errors(alpha, error, message):
    with pytest.raises(error, match=message):
        resolve_alpha(alpha, NAMES, COUNTS)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1, -0.25, np.nan, np.inf])
def test_a_float_outside_the_interval(alpha):
    with pytest.raises(ValueError, match=r"^focal_alpha must lie in the open interval \(0, 1\), got .*\.$"):
        resolve_alpha(alpha, BINARY, COUNTS[:2])


def test_the_name_of_the_argument():
    with pytest.raises(ValueError, match=r"^class_weight must be None"):
        resolve_alpha("inverse", BINARY, COUNTS[:2], name="class_weight")
    with pytest.raises(ValueError, match=r"^alpha must have one weight for each of the classes \[0, 1\]"):
        weights_by_label({}, BINARY, "alpha")


@pytest.mark.parametrize("alpha", ["balanced", "effective", ("effective", 0.0)])
def test_a_class_without_rows(alpha):
    with pytest.raises(ValueError, match=r"^focal_alpha=.* needs rows with a positive weight in every class"):
        resolve_alpha(alpha, NAMES, np.array([5.0, 0.0, 1.0]))
