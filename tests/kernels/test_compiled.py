"""The compiled kernel is the losses in NumPy to the rounding of float32: losses, kinds, instruction sets."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import ALPHA, KINDS, LOSSES, ThreeMethods, Twice, Users, made_rows, make
from needs import missing
from numpy.testing import assert_allclose, assert_array_equal

from focal_gbm.kernels import Threads, cpu, kernel_of
from focal_gbm.kernels.cpu import LEVELS, SWITCH, CompiledKernel, NumpyKernel, level, library
from focal_gbm.losses import BinaryFocalLoss, Focal, MulticlassFocalLoss, Poly1Focal

LIBRARIES = {
    "xgboost": os.path.join(os.path.dirname(xgboost.__file__), "lib", "libxgboost.so"),
    "lightgbm": os.path.join(os.path.dirname(lightgbm.__file__), "lib", "lib_lightgbm.so"),
}
HERE = () if level() is None else LEVELS[: LEVELS.index(level()) + 1]

#: Of the sum of the sizes of the terms of a number.
BAR = 2e-6
#: Below, float32 has no normal numbers; exp(-80) of the first class is as far as masses are told apart.
TINY = 1e-30

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _needs_the_kernel():
    if library() is None:
        missing("kernel", "installed without a C compiler")


def compiled(loss, labels, weight=None, **options):
    kernel = kernel_of(loss, labels, weight, **options)
    assert type(kernel) is CompiledKernel
    return kernel


def check(loss, raw, labels, levels=HERE, bar=BAR, scale=1.5, factor=2.0):
    """Compare with float64, at the raw predictions as they are in float32."""
    weight = np.random.default_rng(9).uniform(0.5, 2.0, len(raw)).astype(np.float32)
    kernel = compiled(loss, labels, weight, scale=scale, hessian_factor=factor)
    exact = raw.astype(np.float64)
    g, h = loss.gradient_hessian(labels, exact, weight * scale, hessian="exact", hessian_factor=factor)
    floored = np.maximum(h, loss.margin_loss.floor * np.abs(g))
    normal = np.abs(g) > TINY
    for instructions in levels:
        kernel.level = instructions
        gradient, hessian = kernel(raw)
        assert (np.abs(gradient - g) <= bar * np.abs(g))[normal].all()
        assert (np.abs(gradient) <= 2 * TINY)[~normal].all()
        # the exact Hessian crosses zero, where its terms are of the gradient's size
        assert (np.abs(hessian - floored) <= bar * (np.abs(h) + np.abs(g)))[normal].all()
        assert (hessian >= 0).all()


@every_kind
@pytest.mark.parametrize("margin_loss", LOSSES, ids=repr)
def test_is_numpy(margin_loss, kind):
    loss = make(kind, margin_loss, ALPHA[kind])
    labels, raw = made_rows(loss, 1500, np.repeat([0.3, 1.0, 4.0, 12.0, 30.0], 300), dtype=np.float32)
    # A of a loss that is not like -log p as p → 0 is the exponential of a part of T, with the rounding of T
    check(loss, raw, labels, bar=1e-5 if kind == "many" and isinstance(margin_loss, Users) else BAR)


@pytest.mark.parametrize("margin_loss", [Focal(0.0), Focal(2.0), Poly1Focal(2.0, 1.0)], ids=repr)
def test_ten_classes(margin_loss):
    loss = MulticlassFocalLoss(10, alpha=np.linspace(0.5, 2.0, 10), margin_loss=margin_loss)
    labels, raw = made_rows(loss, 900, np.repeat([0.3, 3.0, 12.0], 300), dtype=np.float32)
    check(loss, raw, labels)


@pytest.mark.parametrize(
    ("margin_loss", "bar"),
    [(Focal(20.0), 3e-5), (Focal(1e-6), 6e-6), (Poly1Focal(0.0, 3.0), 6e-6), (Users(0.1), 1e-5)],
    ids=repr,
)
@pytest.mark.parametrize("kind", ["two", "many"])
def test_losses_at_the_edge_of_what_tables_hold(margin_loss, bar, kind):
    loss = make(kind, margin_loss, (1e-2, 30.0, 1.0)[: 2 + (kind == "many")])
    labels, raw = made_rows(loss, 600, np.repeat([1.0, 4.0, 12.0], 200), dtype=np.float32)
    check(loss, raw, labels, bar=bar)


def test_a_steep_loss_of_many_classes_keeps_its_digits():
    """By NumPy, as the rounding of float32 would be felt in tables."""
    loss = make("many", Focal(100.0), ALPHA["many"])
    labels, raw = made_rows(loss, 600, np.repeat([1.0, 4.0, 12.0], 200), dtype=np.float32)
    gradient, _ = kernel_of(loss, labels, None)(raw)
    assert_allclose(gradient, loss.gradient(labels, raw.astype(float)), rtol=2e-5, atol=TINY)


@pytest.mark.parametrize("kind", ["two", "labels"])
def test_three_methods_are_enough(kind):
    loss = make(kind, ThreeMethods(0.5), ALPHA[kind])
    labels, raw = made_rows(loss, 600, np.repeat([1.0, 4.0, 12.0], 200), dtype=np.float32)
    check(loss, raw, labels)


@every_kind
def test_a_subclass_is_what_it_overrides(kind):
    plain, twice = (make(kind, sort(2.0), ALPHA[kind]) for sort in (Focal, Twice))
    labels, raw = made_rows(plain, 200, 4.0, dtype=np.float32)
    for found, expected in zip(compiled(twice, labels)(raw), compiled(plain, labels)(raw), strict=True):
        assert_allclose(found, 2 * expected, rtol=1e-6)


@every_kind
def test_without_gamma_it_is_the_log_loss_of_the_library(kind):
    loss = make(kind, Focal(0.0))
    labels, raw = made_rows(loss, 4000, 3.0, dtype=np.float32)
    gradient, hessian = compiled(loss, labels)(raw)
    p = loss.probability(raw)
    one = np.eye(3)[labels] if kind == "many" else labels
    assert_allclose(gradient, p - one, rtol=2e-6, atol=1e-7)
    assert_allclose(hessian, p * (1 - p), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_kind
def test_layouts_types_starts_and_threads_change_nothing(kind, dtype):
    loss = make(kind, Focal(2.0), ALPHA[kind])
    labels, raw = made_rows(loss, 60_017, 3.0, dtype=dtype)
    weight = np.random.default_rng(2).uniform(0.1, 3.0, len(raw)).astype(np.float32)
    strided = [np.repeat(array, 2, axis=0)[::2] for array in (labels, weight)]
    start = np.array([0.25, -1.5, 0.75])[: raw.shape[1]] if raw.ndim == 2 else np.array(0.25)
    expected = [array.copy() for array in compiled(loss, labels, weight)(raw + start.astype(dtype))]
    for order in "CF":
        for threads in (Threads(), *(Threads(path, 2) for path in LIBRARIES.values())):
            kernel = compiled(loss, *strided, start=start, order=order, threads=threads)
            for laid_out in (raw, np.asfortranarray(raw), np.repeat(raw, 2, axis=0)[::2]):
                found = kernel(laid_out)
                for array, same in zip(found, expected, strict=True):
                    assert_array_equal(array, same)
                    assert array.dtype == np.float32
                    assert array.flags.c_contiguous if order == "C" else array.flags.f_contiguous
    mutable = compiled(loss, labels)
    assert mutable(raw)[0] is mutable(raw)[0]  # buffers are the kernel's own


@pytest.mark.parametrize("n_classes", [300, 70_000])
def test_codes_of_more_than_a_byte(n_classes):
    loss = MulticlassFocalLoss(n_classes, 2.0)
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(3, n_classes)).astype(np.float32)
    labels = np.array([0, n_classes - 1, n_classes // 2])
    gradient, _ = compiled(loss, labels)(raw)
    assert (np.argmin(gradient, axis=1) == labels).all()
    assert_allclose(gradient.sum(axis=1, dtype=float), 0.0, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_kind
def test_the_first_bad_row_is_named(kind, dtype, bad, monkeypatch):
    loss = make(kind, Focal(2.0))
    labels, raw = made_rows(loss, 40_000, 3.0, dtype=dtype)
    kernel = compiled(loss, labels, threads=Threads(LIBRARIES["xgboost"], 2))
    monkeypatch.setenv(SWITCH, "numpy")
    in_numpy = kernel_of(loss, labels, None)
    assert type(in_numpy) is NumpyKernel
    for row in (0, 511, 512, 39_999):
        broken = raw.copy()
        broken.reshape(40_000, -1)[row, -1] = bad
        broken[-1] = bad
        for either in (kernel, in_numpy):
            with pytest.raises(ValueError, match=f"at row {row}, where the raw prediction is .*{bad}"):
                either(broken)
    kernel(raw)


@pytest.mark.parametrize("weight", [3e38, 1e300])
@every_kind
def test_a_weight_that_is_too_large_is_named(kind, weight, monkeypatch):
    loss = make(kind, Focal(2.0), [30.0 * alpha for alpha in ALPHA[kind]])
    labels, raw = made_rows(loss, 700, 1.0)
    weights = np.ones(700)
    weights[613] = weight
    for switch in ("compiled", "numpy"):
        monkeypatch.setenv(SWITCH, switch)
        kernel = kernel_of(loss, labels, weights, scale=100.0)
        with pytest.raises(ValueError, match="at row 613: sample_weight or alpha is too large for float32"):
            kernel(raw)
    monkeypatch.setenv(SWITCH, "compiled")
    with pytest.raises(ValueError, match="at row 0: sample_weight or alpha is too large"):
        compiled(loss, labels, scale=1e300)(raw)


FAR = st.one_of(st.floats(-1e4, 1e4), st.floats(-30, 30), st.sampled_from([0.0, 1e30, -1e30, 3e38, -1e300]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_never_nan(data):
    margin_loss = data.draw(st.sampled_from([*LOSSES, Focal(20.0), Users(0.9), Poly1Focal(0.0, 3.0)]))
    kind = data.draw(st.sampled_from(KINDS))
    alpha = data.draw(st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3))
    loss = make(kind, margin_loss, alpha[: len(ALPHA[kind])])
    n = data.draw(st.integers(1, 8))
    size = int(np.prod(loss.raw_shape(n)))
    raw = np.array(data.draw(st.lists(FAR, min_size=size, max_size=size))).reshape(loss.raw_shape(n))
    raw = np.clip(raw, -3e38, 3e38).astype(np.float32) if data.draw(st.booleans()) else raw
    labels, _ = made_rows(loss, n, 1.0, seed=n)
    kernel = compiled(loss, labels)
    for kernel.level in HERE:
        gradient, hessian = kernel(raw)  # raises where one is not finite
        assert (hessian >= 0).all()
        if kind != "many":
            assert ((gradient <= 0) == labels)[gradient != 0].all()


@pytest.mark.parametrize("margin_loss", LOSSES, ids=repr)
def test_scores_at_opposite_ends_of_the_range(margin_loss):
    loss = make("many", margin_loss)
    far = [
        [0.0, 6143.0, 1e30],
        [1e30, -1e30, 0.0],
        [3e38, -3e38, 3e38],
        [-200.0, 300.0, 300.0],
        [90.0, 0.0, 0.0],
    ]
    for t in range(3):
        gradient, hessian = compiled(loss, np.full(5, t))(np.array(far, np.float32))
        assert (gradient[:, t] <= 0).all()
        assert (hessian >= 0).all()
        assert_allclose(gradient.sum(axis=1), 0.0, atol=1e-6)


@pytest.mark.parametrize("kind", ["two", "many"])
def test_where_there_is_no_table_numpy_computes_and_says_so_once(kind, monkeypatch):
    loss = make(kind, Focal(1e4))
    labels, raw = made_rows(loss, 100_001, 1.0)
    monkeypatch.setattr(cpu, "_was_warned", False)
    with pytest.warns(UserWarning, match=r"computed by NumPy, .* because Focal\(gamma=10000.0\) is too steep"):
        kernel = kernel_of(loss, labels, None)
    assert type(kernel) is NumpyKernel
    assert type(kernel_of(loss, labels, None)) is NumpyKernel  # warnings are errors
    few = kernel_of(loss, labels[:50], None)
    assert_allclose(few(raw[:50])[0], loss.gradient(labels[:50], raw[:50]), rtol=1e-6, atol=1e-37)


def test_without_a_compiler_numpy_computes_and_says_so_once(monkeypatch):
    monkeypatch.setattr(cpu, "library", lambda: None)
    monkeypatch.setattr(cpu, "_was_warned", False)
    labels = np.zeros(100_001, bool)
    with pytest.warns(UserWarning, match=r"installed without a C compiler\. Install a compiler, then reinstall it"):
        assert type(kernel_of(BinaryFocalLoss(2.0), labels, None)) is NumpyKernel
    kernel_of(BinaryFocalLoss(2.0), labels, None)


@every_kind
def test_the_kernel_in_numpy_is_the_loss(kind, monkeypatch):
    monkeypatch.setenv(SWITCH, "numpy")
    loss = make(kind, Focal(2.0), ALPHA[kind])
    labels, raw = made_rows(loss, 300, 3.0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 300).astype(np.float32)
    kernel = kernel_of(loss, labels, weight, scale=3.0, hessian_factor=2.0, start=0.5, order="F")
    assert type(kernel) is NumpyKernel
    expected = loss.gradient_hessian(labels, raw + 0.5, weight, hessian_factor=2.0)
    for found, exact in zip(kernel(raw), expected, strict=True):
        assert_allclose(found, 3.0 * exact, rtol=1e-6)
        assert found.flags.f_contiguous


def test_refusals():
    loss = BinaryFocalLoss(2.0)
    kernel = compiled(loss, np.array([True, False]))
    with pytest.raises(ValueError, match=r"raw_prediction must have shape \(2,\), got \(3,\)"):
        kernel(np.zeros(3))
    with pytest.raises(TypeError, match="raw_prediction must be float32 or float64, got float16"):
        kernel(np.zeros(2, np.float16))


def test_several_python_threads_at_once():
    loss = MulticlassFocalLoss(3, 2.0)
    labels, raw = made_rows(loss, 60_000, 3.0, dtype=np.float32)
    expected = [array.copy() for array in compiled(loss, labels)(raw)]

    def run(_):
        return compiled(loss, labels, threads=Threads(LIBRARIES["xgboost"], 2))(raw)

    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(run, range(12)):
            assert_array_equal(result, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_forked_process_has_the_calling_thread(name):
    loss = BinaryFocalLoss(2.0)
    labels, raw = made_rows(loss, 60_000, 3.0, dtype=np.float32)
    threads = Threads(LIBRARIES[name], 2)
    expected = compiled(loss, labels, threads=threads)(raw)[0].copy()  # the parent's threads are up
    with multiprocessing.get_context("fork").Pool(1) as pool:
        n_threads, gradient = pool.apply_async(_in_child, (loss, labels, threads, raw)).get(60)
    assert n_threads == 1
    assert_array_equal(gradient, expected)


def _in_child(loss, labels, threads, raw):
    return threads.n_threads, kernel_of(loss, labels, None, threads=threads)(raw)[0]


def test_importing_kernels_imports_no_library():
    code = "import sys, focal_gbm.kernels; print({'xgboost', 'lightgbm', 'cupy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert result.stdout.strip() == "set()"
