"""The CUDA kernels, made into functions by a C compiler: they are the mathematics that the CPU has."""

import numpy as np
import pytest
import reference
import reference_multiclass
from cupy_stand_in import COMPILER, make_cupy
from hypothesis import given
from hypothesis import strategies as st
from needs import missing
from numpy.testing import assert_allclose, assert_array_equal

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss, MultilabelFocalLoss
from focal_gbm.kernels.cpu import formula_of
from focal_gbm.kernels.cuda import Cuda, CudaKernel
from focal_gbm.kernels.task import Task

GAMMAS = (0.0, 0.1, 0.5, 1.0, 2.0, 2.3, 3.5, 5.0)
HESSIANS = ("exact", "floored", "majorizing")
INFO = np.finfo(np.float32)


@pytest.fixture(autouse=True)
def _needs_a_compiler():
    if COMPILER is None:
        missing("compiler", "no C compiler to make functions of the CUDA kernels with")


def cuda_kernel(loss, labels, hessian="exact", weight=None, scale=1.0, factor=1.0, flags=()):
    cupy = make_cupy(flags=flags)
    formula = formula_of(loss, scale, hessian, factor)
    task = Task(loss, hessian, scale, factor, labels, weight)
    return CudaKernel(Cuda(cupy, cupy.cuda.Device()), task, formula)


def of_kernel(loss, labels, z, hessian="exact", weight=None, scale=1.0, factor=1.0, flags=()):
    """Gradient and Hessian as the device would compute them."""
    kernel = cuda_kernel(loss, labels, hessian, weight, scale, factor, flags)
    gradient, second = kernel(z)
    return gradient.get(), second.get()


def is_finite(kernel, z):
    """The flag that the kernel leaves."""
    kernel.compute(kernel.upload(z))
    return kernel.finite()


def terms_of(loss, labels, z, **options):
    """The Hessian in float64, and the sum of the absolute values of the terms that can cancel in it."""
    exact = loss.gradient_hessian(labels, z, hessian="exact", **options)[1]
    bound = loss.gradient_hessian(labels, z, hessian="majorizing", **options)[1]
    return exact, 2 * bound - exact


def has_fma():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return " fma " in file.read()
    except OSError:
        return False


# x86 has fused multiply-add as a CUDA device has it, if only on request
@pytest.mark.parametrize("flags", [(), ("-mfma", "-ffp-contract=fast")], ids=["separate", "fused"])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_sigmoid_agrees_with_mpmath(gamma, flags):
    if flags and not has_fma():
        pytest.skip("this processor has no fused multiply-add, which a CUDA device has")
    limit = 80.0 / (1.0 + gamma)
    rng = np.random.default_rng(0)
    z = np.concatenate([np.linspace(-limit, limit, 40), rng.normal(size=40)]).astype(np.float32)
    y = rng.integers(0, 2, len(z))
    expected = [
        reference.binary_derivatives(gamma, int(label), float(x)) for label, x in zip(y, z, strict=True)
    ]
    _, true_gradient, true_hessian, negative_term = np.array(expected).T
    loss = BinaryFocalLoss(gamma)
    gradient, exact = of_kernel(loss, y, z, flags=flags)
    assert_allclose(gradient, true_gradient, rtol=2e-6, atol=0)
    terms = true_hessian - 2 * negative_term
    assert np.max(np.abs(exact - true_hessian) / terms) <= 2e-6
    majorizing = of_kernel(loss, y, z, "majorizing", flags=flags)[1]
    assert_allclose(majorizing, true_hessian - negative_term, rtol=2e-6, atol=0)
    floored = of_kernel(loss, y, z, "floored", flags=flags)[1]
    floor = 0.05 * min(gamma, 1.0) * np.abs(true_gradient)
    assert np.max(np.abs(floored - np.maximum(true_hessian, floor)) / (terms + floor)) <= 2e-6


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_softmax_agrees_with_mpmath(gamma, n_classes):
    rng = np.random.default_rng(n_classes)
    z = (rng.normal(size=(25, n_classes)) * rng.choice([0.3, 1.0, 4.0], size=(25, 1))).astype(np.float32)
    y = rng.integers(0, n_classes, len(z))
    expected = [reference_multiclass.derivatives(gamma, int(t), row) for t, row in zip(y, z, strict=True)]
    loss = MulticlassFocalLoss(n_classes, gamma)
    gradient, hessian = of_kernel(loss, y, z)
    # a margin of two rounded differences: what it is off by, times its slope
    rtol = 2e-6 * (1 + np.abs(z).max(axis=1, keepdims=True) / 5)
    true = np.array([row.gradient for row in expected])
    assert np.max(np.abs(gradient - true) / np.abs(true) / rtol) <= 1
    true = np.array([np.diag(row.hessian) for row in expected])
    terms = np.array([row.terms for row in expected])
    assert np.max(np.abs(hessian - true) / terms / rtol) <= 1
    true = np.array([row.majorizing for row in expected])
    majorizing = of_kernel(loss, y, z, "majorizing")[1]
    assert np.max(np.abs(majorizing - true) / true / rtol) <= 1


gammas = st.one_of(st.sampled_from(GAMMAS), st.floats(0.0, 8.0))


@given(st.data(), gammas, st.sampled_from(HESSIANS), st.integers(0, 2**32 - 1))
def test_sigmoid_agrees_with_the_cpu(data, gamma, hessian, seed):
    rng = np.random.default_rng(seed)
    gamma = data.draw(st.sampled_from([gamma, (gamma, 2.0)]))
    alpha = data.draw(st.sampled_from([None, 0.25, (0.5, 30.0)]))
    weight = rng.uniform(0.1, 9.0, 200) if data.draw(st.booleans()) else None
    scale = data.draw(st.sampled_from([1.0, 0.382]))
    y = rng.integers(0, 2, 200)
    z = within_range(rng.normal(scale=4.0, size=200), gamma)
    check_against_cpu(BinaryFocalLoss(gamma, alpha), y, z, hessian, weight, scale)


@given(st.data(), gammas, st.sampled_from(HESSIANS), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_softmax_agrees_with_the_cpu(data, gamma, hessian, n_classes, seed):
    rng = np.random.default_rng(seed)
    by_class = tuple(rng.choice([0.0, 0.5, gamma], n_classes).tolist())
    gamma = data.draw(st.sampled_from([gamma, by_class]))
    alpha = data.draw(st.sampled_from([None, tuple(rng.uniform(0.1, 20, n_classes).tolist())]))
    weight = rng.uniform(0.1, 9.0, 100) if data.draw(st.booleans()) else None
    y = rng.integers(0, n_classes, 100)
    z = within_range(rng.normal(scale=2.0, size=(100, n_classes)), gamma)
    z[::7] = z[::7].round()  # ties for the largest
    loss = MulticlassFocalLoss(n_classes, gamma, alpha)
    check_against_cpu(loss, y, z, hessian, weight, 0.382, hessian_factor=2.0)


def within_range(z, gamma):
    """Scores whose derivatives are normal numbers of float32."""
    limit = 35.0 / (1.0 + np.max(gamma))
    return np.clip(z, -limit, limit).astype(np.float32)


def check_against_cpu(loss, y, z, hessian, weight, scale, **options):
    factor = options.get("hessian_factor", 1.0)
    gradient, second = of_kernel(loss, y, z, hessian, weight, scale, factor)
    wide = z.astype(np.float64)
    ones = np.ones(len(y)) if weight is None else weight
    expected = loss.gradient_hessian(y, wide, ones * scale, hessian=hessian, **options)
    _, terms = terms_of(loss, y, wide, sample_weight=ones * scale, **options)
    assert_allclose(gradient, expected[0], rtol=4e-6, atol=0)
    floor = 0.05 * np.abs(expected[0])
    assert np.max(np.abs(second - expected[1]) / (terms + floor)) <= 4e-6


def test_many_labels_are_one_sigmoid_each():
    rng = np.random.default_rng(0)
    columns = (BinaryFocalLoss(2.0), BinaryFocalLoss((0.5, 3.0), (0.2, 5.0)), BinaryFocalLoss(0.0, 0.9))
    y, weight = rng.random((300, 3)) < 0.3, rng.uniform(0.1, 2.0, 300)
    z = rng.normal(size=(300, 3)).astype(np.float32)
    scale = (0.5, 2.0, 1.0)
    both = of_kernel(MultilabelFocalLoss(columns), y, z, "floored", weight, scale)
    for j, column in enumerate(columns):
        one = of_kernel(column, y[:, j], np.ascontiguousarray(z[:, j]), "floored", weight, scale[j])
        assert_array_equal(both[0][:, j], one[0])
        assert_array_equal(both[1][:, j], one[1])


def test_labels_and_scores_mirror():
    z = np.random.default_rng(0).normal(scale=10, size=500).astype(np.float32)
    for hessian in HESSIANS:
        positive = of_kernel(BinaryFocalLoss((1.0, 2.0), (3.0, 0.5)), np.ones(500, bool), z, hessian)
        negative = of_kernel(BinaryFocalLoss((2.0, 1.0), (0.5, 3.0)), np.zeros(500, bool), -z, hessian)
        assert_array_equal(positive[0], -negative[0])
        assert_array_equal(positive[1], negative[1])


@pytest.mark.parametrize("hessian", HESSIANS)
@pytest.mark.parametrize("gamma", [*GAMMAS, 20.0, 33.0, 1e6 + 0.5, 1e15])
def test_nothing_overflows(gamma, hessian):
    far = np.concatenate([np.linspace(0, 1e4, 2001), 10.0 ** np.arange(-30, 38), [INFO.max, INFO.tiny]])
    z = np.concatenate([far, -far]).astype(np.float32)
    for label in (0, 1):
        gradient, second = of_kernel(BinaryFocalLoss(gamma), np.full(len(z), label), z, hessian)
        assert np.isfinite(gradient).all()
        assert np.isfinite(second).all()
        assert (gradient * (1 - 2 * label) >= 0).all()
        for t in (0, 1, 2):
            scores = np.zeros((len(z), 3), np.float32)
            scores[:, label] = z
            loss = MulticlassFocalLoss(3, gamma)
            gradient, second = of_kernel(loss, np.full(len(z), t), scores, hessian)
            assert np.isfinite(gradient).all()
            assert np.isfinite(second).all()
            assert (gradient[:, t] <= 0).all()


@pytest.mark.parametrize("gap", [1e3, 1e30, INFO.max])
def test_scores_at_opposite_ends_of_the_range(gap):
    z = np.array([[gap, -gap, 0.0], [-gap, gap, 0.0], [0.0, gap, gap]], np.float32)
    for t in (0, 1, 2):
        loss = MulticlassFocalLoss(3, 2.0)
        gradient, second = of_kernel(loss, np.full(3, t), z, "floored")
        expected = loss.gradient_hessian(np.full(3, t), z, hessian="floored")
        assert_allclose(gradient, expected[0], rtol=1e-6, atol=0)
        assert_allclose(second, expected[1], rtol=1e-6, atol=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("kind", ["sigmoid", "labels", "softmax"])
def test_the_flag_is_raised_by_one_bad_score_and_reset(kind, column, bad):
    loss, labels = {
        "sigmoid": (BinaryFocalLoss(), np.zeros(900, bool)),
        "labels": (MultilabelFocalLoss((BinaryFocalLoss(),) * 3), np.zeros((300, 3), bool)),
        "softmax": (MulticlassFocalLoss(3), np.full(300, 1)),
    }[kind]
    kernel = cuda_kernel(loss, labels, "floored")
    z = np.zeros(loss.raw_shape(len(labels)), np.float32)
    assert is_finite(kernel, z)
    z.reshape(300, 3)[211, column] = bad
    assert not is_finite(kernel, z)
    z.reshape(300, 3)[211, column] = 0.0
    assert is_finite(kernel, z)


@pytest.mark.parametrize("weight", [np.inf, np.nan, 3e38])
def test_the_flag_is_raised_by_a_weight_that_is_too_large(weight):
    for loss in (BinaryFocalLoss(0.0, (9.0, 9.0)), MulticlassFocalLoss(3)):
        labels = np.ones(3, int)
        kernel = cuda_kernel(loss, labels, weight=np.array([1.0, weight, 1.0]), scale=30.0, factor=2.0)
        assert not is_finite(kernel, np.full(loss.raw_shape(3), -9.0))


def test_the_flag_is_raised_by_another_class_alone():
    # for γ=0 both classes' Hessians are one number
    loss, z = MulticlassFocalLoss(2, 0.5), np.array([[-3.0, 0.0]], np.float32)
    kernel = cuda_kernel(loss, np.array([0]), weight=np.array([3e38]), factor=2.0)
    assert not is_finite(kernel, z)
    assert np.isfinite(kernel.gradient.get()).all()
    assert_array_equal(np.isfinite(kernel.hessian.get()), [[True, False]])


def test_many_classes_against_one_do_not_overflow():
    z = np.full((1, 60), 50.0, np.float32)
    z[0, 7] = -50.0
    gradient, hessian = of_kernel(MulticlassFocalLoss(60, 2.0), np.array([7]), z)
    assert_allclose(gradient[0, 7], -1.0)
    assert_allclose(np.delete(gradient[0], 7), 1 / 59, rtol=1e-6)
    assert np.isfinite(hessian).all()


def test_the_reference_differs_from_another_gamma():
    # the tests above could not pass for the wrong γ or Hessian
    y, z = np.array([1, 0, 1]), np.array([-1.0, 0.5, 2.0], np.float32)
    gradient, hessian = of_kernel(BinaryFocalLoss(2.0), y, z)
    other = of_kernel(BinaryFocalLoss(2.001), y, z)
    assert (np.abs(gradient / other[0] - 1) > 1e-5).all()
    assert (hessian != of_kernel(BinaryFocalLoss(2.0), y, z, "majorizing")[1]).all()
