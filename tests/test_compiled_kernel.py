"""The compiled kernel against mpmath: both links, both types, every set of instructions of this processor."""

import numpy as np
import pytest
import reference
import reference_logit
import reference_multiclass
from needs import missing
from numpy.testing import assert_allclose

from focal_gbm.kernels.compiled import LEVELS, Kernel, level, library
from focal_gbm.kernels.formula import HESSIANS_OF_LINK, Formula

GAMMAS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0)
DTYPES = {"float32": (np.float32, 5e-6), "float64": (np.float64, 1e-12)}
HERE = () if level() is None else LEVELS[: LEVELS.index(level()) + 1]


@pytest.fixture(autouse=True)
def _needs_the_kernel():
    if library() is None:
        missing("kernel", "installed without a C compiler")


def derivatives(formula, labels, raw, weight=None, level=None):
    out = np.empty((2, *raw.shape), raw.dtype)
    assert Kernel(formula, labels, weight, level=level).gradient_hessian(raw, *out) == -1
    return out.astype(np.float64)


def two_classes(gamma, hessian, weight=(1.0, 1.0), link="focal"):
    gammas = np.broadcast_to(gamma, (1, 2))
    return Formula("sigmoid", gammas, [weight], link, hessian)


def many_classes(gamma, hessian, weights, link="focal", factor=1.0):
    return Formula("softmax", np.broadcast_to(gamma, len(weights)), weights, link, hessian, factor)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_two_classes(gamma, dtype):
    dtype, rtol = DTYPES[dtype]
    limit = (80.0 if dtype == np.float32 else 300.0) / (1.0 + gamma)  # where results are normal numbers
    z = np.round(np.concatenate([np.linspace(-limit, limit, 41), np.linspace(-4, 4, 33)]) * 64) / 64
    z, y = np.tile(z, 2), np.repeat([0, 1], len(z))
    expected = [reference.binary_derivatives(gamma, int(a), float(b)) for a, b in zip(y, z, strict=True)]
    _, g, h, negative = np.array(expected).T
    terms = np.abs(h - negative) + np.abs(negative)
    z = z.astype(dtype)
    for instructions in HERE:
        gradient, exact = derivatives(two_classes(gamma, "exact"), y, z, level=instructions)
        assert_allclose(gradient, g, rtol=rtol, atol=0)
        assert np.max(np.abs(exact - h) / terms) <= rtol
        gradient, floored = derivatives(two_classes(gamma, "floored"), y, z, level=instructions)
        assert_allclose(gradient, g, rtol=rtol, atol=0)
        floor = 0.05 * min(gamma, 1.0) * np.abs(g)
        assert np.max(np.abs(floored - np.maximum(h, floor)) / (terms + floor)) <= rtol
        majorizing = derivatives(two_classes(gamma, "majorizing"), y, z, level=instructions)[1]
        assert_allclose(majorizing, h - negative, rtol=rtol, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_many_classes(gamma, n_classes, dtype):
    dtype, rtol = DTYPES[dtype]
    rng = np.random.default_rng(n_classes)
    scale = rng.choice([0.3, 1.0, 4.0], size=(12, 1))
    z = np.round(rng.normal(size=(12, n_classes)) * scale * 64) / 64
    y = np.arange(12) % n_classes
    expected = [reference_multiclass.derivatives(gamma, int(t), row) for t, row in zip(y, z, strict=True)]
    ones = np.ones(n_classes)
    # a margin is a rounded difference: what it is off by, times its slope
    rtol = rtol * (1 + np.abs(z).max(axis=1, keepdims=True) * (1 + gamma / 5) / 5)

    def worst(found, true, size):
        normal = size > 1e3 * np.finfo(dtype).tiny
        return np.max(np.abs(found - true) / np.where(normal, size, np.inf) / rtol)

    g = np.array([row.gradient for row in expected])
    h = np.array([np.diag(row.hessian) for row in expected])
    terms, bound = (np.array([getattr(row, name) for row in expected]) for name in ("terms", "majorizing"))
    for instructions in HERE:
        of_kernel = [
            derivatives(many_classes(gamma, kind, ones), y, z.astype(dtype), level=instructions)
            for kind in ("exact", "majorizing")
        ]
        assert worst(of_kernel[0][0], g, np.abs(g)) <= 1
        assert worst(of_kernel[0][1], h, terms) <= 1
        assert gamma == 0 or worst(of_kernel[1][1], bound, bound) <= 1


def logit_reference(f, gammas, alphas):
    """Loss, gradient and Hessian of every class (last axis) for every true class (first axis)."""
    columns = [reference_logit.derivatives(tuple(f.tolist()), j, gammas, alphas) for j in range(len(f))]
    return np.moveaxis(np.array(columns), 2, 0).swapaxes(1, 2)


LOGITS = {2: [(0.0, -1.5), (0.0, 9.0)], 3: [(0.25, -1.5, 0.75), (4.0, -9.0, 1.5)]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("gamma", [*GAMMAS, "by class"])
def test_logit_link(gamma, n_classes, dtype):
    dtype, rtol = DTYPES[dtype]
    by_class = (0.5, 2.0, 0.0)[:n_classes]
    gammas = by_class if gamma == "by class" else (gamma,) * n_classes
    alphas = (1.0, 2.0, 0.5)[:n_classes]
    for row in LOGITS[n_classes]:
        f = np.array(row)
        _, g, h = logit_reference(f, gammas, alphas)
        eta = np.array([float(x) for x in reference_logit.posterior(row)])
        expected = eta @ h
        rows, t = np.tile(f, (n_classes, 1)).astype(dtype), np.arange(n_classes)
        tolerance = rtol * (1 + np.abs(f).max() / 5) * (1 + max(gammas) / 5)
        for instructions in HERE:
            cases = [
                (many_classes(gammas, kind, alphas, "logit"), rows, g, h) for kind in ("exact", "expected")
            ]
            if n_classes == 2:
                single = np.ascontiguousarray(rows[:, 1])
                cases += [(two_classes(gammas, kind, alphas, "logit"), single, g[:, 1], h[:, 1])
                          for kind in ("exact", "expected")]  # fmt: skip
            for formula, raw, true_g, true_h in cases:
                gradient, hessian = derivatives(formula, t, raw, level=instructions)
                assert_allclose(gradient, true_g, rtol=tolerance, atol=0)
                if formula.hessian == "exact":
                    assert np.max(np.abs(hessian - true_h) / (np.abs(true_h) + np.abs(true_g))) <= tolerance
                else:
                    mean = np.broadcast_to(expected if raw.ndim == 2 else expected[1], hessian.shape)
                    assert_allclose(hessian, mean, rtol=tolerance, atol=0)


def test_logit_link_of_ten_classes():
    rng = np.random.default_rng(0)
    f = np.round(rng.normal(size=10) * 3 * 64) / 64
    gammas, alphas = (2.0,) * 5 + (0.5,) * 5, tuple(np.linspace(0.5, 2.0, 10).tolist())
    rows, t = np.tile(f, (10, 1)), np.arange(10)
    gradient, hessian = derivatives(many_classes(gammas, "exact", alphas, "logit"), t, rows)
    expected = derivatives(many_classes(gammas, "expected", alphas, "logit"), t, rows)[1]
    eta = np.array([float(x) for x in reference_logit.posterior(tuple(f.tolist()))])
    for j in (0, 7):
        _, g, h = np.array(reference_logit.derivatives(tuple(f.tolist()), j, gammas, alphas)).T
        assert_allclose(gradient[:, j], g, rtol=1e-12, atol=0)
        assert np.max(np.abs(hessian[:, j] - h) / (np.abs(h) + np.abs(g))) <= 1e-12
        assert_allclose(expected[:, j], eta @ h, rtol=1e-12, atol=0)


@pytest.mark.parametrize("gamma", [*GAMMAS, "by class"])
def test_gradients_in_float32_by_table_are_those_of_the_search(gamma):
    # float32 results look a table up; float64 ones are searched for row by row
    rng = np.random.default_rng(1)
    weights = (0.5, 1.0, 3.0, 1.5)
    gammas = (0.5, 3.0, 0.0, 2.0) if gamma == "by class" else (gamma,) * 4
    f = np.concatenate([rng.normal(size=(300, 4)) * s for s in (1, 4, 15)]).astype(np.float32).astype(float)
    y = rng.integers(0, 4, len(f))
    for formula, raw, labels in [
        case
        for hessian in HESSIANS_OF_LINK["logit"]
        for case in (
            (many_classes(gammas, hessian, weights, "logit"), f, y),
            (two_classes(gammas[:2], hessian, weights[:2], "logit"), f[:, 0].copy(), y % 2),
        )
    ]:
        true = derivatives(formula, labels, raw)
        size = 1 + np.abs(f).max(axis=1) * (1 + max(gammas) / 5) / 5
        size = size if raw.ndim == 1 else size[:, np.newaxis]
        for dtype, rtol in ((np.float32, 3e-6), (np.float64, 1e-6)):
            found = np.empty((2, *raw.shape), np.float32)
            assert Kernel(formula, labels).gradient_hessian(raw.astype(dtype), *found) == -1
            normal = np.abs(true[0]) > 1e-35
            terms = np.abs(true[0]), np.abs(true).sum(axis=0)  # an exact Hessian crosses zero
            for result, truth, scale, bar in zip(found, true, terms, (rtol, 5e-6), strict=True):
                error = np.abs(result - truth)[normal] / scale[normal]
                error /= np.broadcast_to(size if dtype == np.float32 else 1, truth.shape)[normal]
                assert np.max(error) <= bar


@pytest.mark.parametrize("link", ["focal", "logit"])
def test_losses_are_those_of_mpmath(link):
    gammas, alphas, f = (0.5, 2.0, 1.0), (1.0, 2.0, 0.5), (0.75, -1.5, 2.0)
    weight = np.array([1.0, 3.0, 0.5])
    kernel = Kernel(many_classes(gammas, None, alphas, link), np.arange(3), weight)
    raw = np.tile(f, (3, 1))
    if link == "logit":
        focal = np.array([row[0] for row in reference_logit.derivatives(f, 0, gammas, alphas)])
        log_loss = -np.log([float(x) for x in reference_logit.posterior(f)])
    else:
        focal = [
            a * reference_multiclass.derivatives(g, t, np.array(f)).loss
            for t, (g, a) in enumerate(zip(gammas, alphas, strict=True))
        ]
        log_loss = -reference_multiclass.log_posterior(gammas, np.array(f), alphas)
    assert_allclose(kernel.focal_loss(raw), weight @ focal, rtol=1e-14)
    assert_allclose(kernel.log_loss(raw), weight @ log_loss, rtol=1e-14)
    assert_allclose(kernel.focal_loss(raw.astype(np.float32)), weight @ focal, rtol=1e-6)
    assert_allclose(kernel.log_loss(raw.astype(np.float32)), weight @ log_loss, rtol=1e-6)


@pytest.mark.parametrize("link", ["focal", "logit"])
@pytest.mark.parametrize("z", [-30.0, -2.5, 0.0, 1.75, 90.0])
def test_losses_of_two_classes(link, z):
    gammas, alphas = (0.5, 2.0), (1.0, 3.0)
    kernel = Kernel(two_classes(gammas, None, alphas, link), np.array([0, 1]))
    raw = np.full(2, z)
    if link == "logit":
        focal = sum(row[0] for row in reference_logit.derivatives((0.0, z), 0, gammas, alphas))
        log_loss = np.logaddexp(0, z) + np.logaddexp(0, -z)
    else:
        focal = sum(
            a * reference.binary_derivatives(g, y, z).loss
            for y, (g, a) in enumerate(zip(gammas, alphas, strict=True))
        )
        f = reference.posterior_logit(gammas, z, alphas)
        log_loss = np.logaddexp(0, f) + np.logaddexp(0, -f)
    assert_allclose(kernel.focal_loss(raw), focal, rtol=1e-13)
    assert_allclose(kernel.log_loss(raw), log_loss, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_floored_is_the_exact_hessian_with_a_floor_in_log_odds_too(n_classes, dtype):
    rng = np.random.default_rng(4)
    gammas, weights = (0.5, 3.0, 0.0, 2.0)[:n_classes], (0.5, 1.0, 3.0, 1.5)[:n_classes]
    f = (rng.normal(size=(500, n_classes)) * 4).astype(dtype)
    y = rng.integers(0, n_classes, 500)
    raw = f[:, 0].copy() if n_classes == 2 else f
    make = two_classes if n_classes == 2 else many_classes
    gradient, exact = derivatives(make(gammas, "exact", weights, "logit"), y, raw)
    same, floored = derivatives(make(gammas, "floored", weights, "logit"), y, raw)
    floor = (0.05 * np.minimum(np.array(gammas)[y], 1.0)).astype(dtype)
    least = floor.reshape(-1, *[1] * (raw.ndim - 1)) * np.abs(gradient)
    assert_allclose(same, gradient, rtol=0, atol=0)
    assert_allclose(floored, np.maximum(exact, least), rtol=1e-6 if dtype == np.float32 else 1e-14)
    assert 0.01 < (exact < least).mean() < 0.5
