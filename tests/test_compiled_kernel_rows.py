"""The compiled kernel's rows: layouts, types, threads, what is not finite, and identities of both links."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from needs import missing
from numpy.testing import assert_allclose, assert_array_equal

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss
from focal_gbm.kernels import threads as threads_module
from focal_gbm.kernels.compiled import LEVELS, Kernel, level, library
from focal_gbm.kernels.formula import HESSIANS_OF_LINK, Formula
from focal_gbm.kernels.threads import Threads

LIBRARIES = {
    "xgboost": os.path.join(os.path.dirname(xgboost.__file__), "lib", "libxgboost.so"),
    "lightgbm": os.path.join(os.path.dirname(lightgbm.__file__), "lib", "lib_lightgbm.so"),
}
HERE = () if level() is None else LEVELS[: LEVELS.index(level()) + 1]
N_ROWS = 60_017
CASES = [(link, hessian) for link, hessians in HESSIANS_OF_LINK.items() for hessian in hessians]


@pytest.fixture(autouse=True)
def _needs_the_kernel():
    if library() is None:
        missing("kernel", "installed without a C compiler")


def formulas(link="focal", hessian=None):
    return {
        "two classes": Formula("sigmoid", [[2.0, 1.5]], [[0.3, 0.9]], link, hessian),
        "labels": Formula("sigmoid", [[2.0, 2.0], [0.0, 0.5], [1.0, 1.0]], [[1.0, 3.0]] * 3, link, hessian),
        "many classes": Formula("softmax", [2.0, 0.5, 2.0], [1.0, 2.0, 3.0], link, hessian, 2.0),
        "γ=0": Formula("softmax", [0.0] * 3, [1.0] * 3, link, hessian, 2.0),
    }


KINDS = tuple(formulas())


def made_rows(formula, n=N_ROWS, dtype=np.float32, scale=2.0):
    rng = np.random.default_rng(0)
    shape = (n,) if formula.n_columns == 1 else (n, formula.n_columns)
    raw = (scale * rng.normal(size=shape)).astype(dtype)
    n_codes = formula.n_columns if formula.loss == "softmax" else 2
    labels = rng.integers(0, n_codes, n if formula.loss == "softmax" else shape)
    return labels, raw, rng.uniform(0.1, 3.0, n)


def run(kernel, raw, dtype=np.float32, order="K"):
    out = [np.empty_like(raw, dtype=dtype, order=order) for _ in range(2)]
    assert kernel.gradient_hessian(raw, *out) == -1
    return np.array(out)


@pytest.mark.parametrize(("link", "hessian"), CASES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LIBRARIES)
def test_threads_change_nothing(name, kind, link, hessian):
    formula = formulas(link, hessian)[kind]
    labels, raw, weight = made_rows(formula, dtype=np.float32 if name == "xgboost" else np.float64)
    kernels = [Kernel(formula, labels, weight, Threads(LIBRARIES[name], n)) for n in (1, 2)]
    assert kernels[1].threads.n_threads == min(2, os.cpu_count())
    assert_array_equal(run(kernels[0], raw), run(kernels[1], raw))
    for sum_of in ("focal_loss", "log_loss"):
        assert getattr(kernels[0], sum_of)(raw) == getattr(kernels[1], sum_of)(raw)


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_and_types_change_nothing(kind):
    formula = formulas()[kind]
    labels, raw, weight = made_rows(formula, 3001, np.float64)
    kernel = Kernel(formula, labels, weight)
    wide = run(kernel, raw, np.float64)
    for order in "CF":
        assert_array_equal(run(kernel, np.asarray(raw, order=order), np.float64), wide)
        assert_array_equal(run(kernel, raw, np.float32, order), wide.astype(np.float32))
    in_place = raw.copy()
    second = np.empty_like(raw)
    assert kernel.gradient_hessian(in_place, in_place, second) == -1
    assert_array_equal((in_place, second), wide)
    assert_allclose(run(kernel, raw.astype(np.float32)), wide, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", HESSIANS_OF_LINK)
def test_instructions_agree(link, kind):
    formula = formulas(link)[kind]
    labels, raw, weight = made_rows(formula, 3001)
    results = [run(Kernel(formula, labels, weight, level=name), raw) for name in HERE]
    for result in results[1:]:
        assert_allclose(result, results[0], rtol=1e-5, atol=1e-9)


def test_labels_are_one_sigmoid_each():
    formula = formulas()["labels"]
    labels, raw, weight = made_rows(formula, 1000)
    together = run(Kernel(formula, labels, weight), raw)
    for j in range(3):
        one = Formula("sigmoid", formula.gamma[j : j + 1], formula.class_weight[j : j + 1])
        alone = run(Kernel(one, labels[:, j], weight), raw[:, j].copy())
        assert_array_equal(together[:, :, j], alone)


@pytest.mark.parametrize(("link", "hessian"), CASES)
def test_mirror(link, hessian):
    z = np.random.default_rng(0).normal(scale=8, size=1000)
    one = Formula("sigmoid", [[1.0, 2.0]], [[3.0, 0.5]], link, hessian)
    other = Formula("sigmoid", [[2.0, 1.0]], [[0.5, 3.0]], link, hessian)
    positive = run(Kernel(one, np.ones(1000, bool)), z, np.float64)
    negative = run(Kernel(other, np.zeros(1000, bool)), -z, np.float64)
    assert_allclose(positive[0], -negative[0], rtol=1e-13, atol=0)
    assert_allclose(positive[1], negative[1], rtol=1e-12, atol=0)


@pytest.mark.parametrize(("link", "hessian"), CASES)
def test_two_columns_of_a_softmax_are_a_sigmoid(link, hessian):
    rng = np.random.default_rng(0)
    gammas, weights = [1.0, 2.0], [3.0, 0.5]
    f, y = rng.normal(scale=3, size=(1000, 2)), rng.integers(0, 2, 1000)
    both = run(Kernel(Formula("softmax", gammas, weights, link, hessian), y), f, np.float64)
    single = run(
        Kernel(Formula("sigmoid", [gammas], [weights], link, hessian), y), f[:, 1] - f[:, 0], np.float64
    )
    assert_allclose(both[0, :, 1], single[0], rtol=1e-12, atol=1e-300)
    assert_allclose(both[1, :, 1], single[1], rtol=1e-11, atol=1e-14)
    assert_allclose(both.sum(axis=2)[0], 0, atol=1e-15)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, "by class"])
def test_means_over_the_labels_of_the_logit_link(gamma, n_classes):
    """E[gradient] = 0 and E[hessian] is the expected one: the loss is proper, and f its log-odds."""
    rng = np.random.default_rng(n_classes)
    gammas = np.resize([0.5, 2.0, 0.0], n_classes) if gamma == "by class" else np.full(n_classes, gamma)
    weights = np.resize([1.0, 3.0, 0.5], n_classes)
    f = np.concatenate([rng.normal(size=(50, n_classes)) * scale for scale in (0.5, 3.0, 10.0)])
    eta = np.exp(f - np.logaddexp.reduce(f, axis=1)[:, np.newaxis])
    means = {"exact": 0.0, "expected": 0.0}
    size, total = 0.0, 0.0
    for t in range(n_classes):
        for hessian in means:
            kernel = Kernel(Formula("softmax", gammas, weights, "logit", hessian), np.full(len(f), t))
            g, h = run(kernel, f, np.float64)
            means[hessian] = means[hessian] + eta[:, [t]] * h
        size = size + eta[:, [t]] * np.abs(g)
        total = total + eta[:, [t]] * g
    assert np.max(np.abs(total) / size) <= 1e-12
    assert np.max(np.abs(means["exact"] - means["expected"]) / (means["expected"] + size)) <= 1e-11


def test_finite_differences_of_the_sums():
    """The gradient is the slope of the focal loss's sum, the exact Hessian that of the gradient."""
    rng = np.random.default_rng(0)
    step = 1e-5
    for link in HESSIANS_OF_LINK:
        for kind in ("two classes", "many classes", "labels"):
            formula = formulas(link, "exact")[kind]
            object.__setattr__(formula, "hessian_factor", 1.0)
            labels, raw, _ = made_rows(formula, 20, np.float64)
            labels = labels[:1].repeat(20, axis=0)
            kernel = Kernel(formula, labels)
            g, h = run(kernel, raw, np.float64)
            moved = np.zeros_like(raw)
            row, column = 7, () if raw.ndim == 1 else (rng.integers(raw.shape[1]),)
            moved[(row, *column)] = step
            slope = (kernel.focal_loss(raw + moved) - kernel.focal_loss(raw - moved)) / (2 * step)
            assert_allclose(g[(row, *column)], slope, rtol=1e-6, atol=1e-8)
            up, down = (run(kernel, raw + sign * moved, np.float64)[0] for sign in (1, -1))
            assert_allclose(
                h[(row, *column)], ((up - down) / (2 * step))[(row, *column)], rtol=1e-6, atol=1e-8
            )


@pytest.mark.parametrize("kind", KINDS)
def test_without_gamma_both_links_are_the_library_s_log_loss(kind):
    focal, logit = (formulas(link)[kind] for link in HESSIANS_OF_LINK)
    for formula in (focal, logit):
        object.__setattr__(formula, "gamma", np.zeros_like(formula.gamma))
        object.__setattr__(formula, "class_weight", np.ones_like(formula.class_weight))
    labels, raw, weight = made_rows(focal, 2000)
    assert_array_equal(run(Kernel(focal, labels, weight), raw), run(Kernel(logit, labels, weight), raw))


def test_softmax_without_gamma_does_not_know_the_label():
    """p of the other classes is the same bits whatever the true class is, and p - 1 of the library's."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        z = rng.normal(size=(500, 4)).astype(dtype) * 2
        formula = Formula("softmax", [0.0] * 4, [1.0] * 4, hessian_factor=2.0)
        all_labels = [run(Kernel(formula, np.full(500, t)), z, dtype) for t in range(4)]
        for j in range(4):
            others = [all_labels[t][0][:, j] for t in range(4) if t != j]
            assert_array_equal(others[0], others[1])
            assert_array_equal(others[0], others[2])
            p, own = others[0], all_labels[j][0][:, j]
            assert_array_equal(own[p < 0.99], (p - dtype(1))[p < 0.99])
            h = [all_labels[t][1][:, j] for t in range(4)]
            assert_array_equal(h[0], h[3])
            assert_array_equal(h[0][p < 0.99], (dtype(2) * p * (dtype(1) - p))[p < 0.99])
    sure = np.array([[30.0, 0.0, -1.0, 2.0]])
    g = run(Kernel(formula, np.array([0])), sure, np.float64)[0][0]
    assert_allclose(g[0], -np.exp(np.array([-30.0, -31.0, -28.0])).sum(), rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("link", HESSIANS_OF_LINK)
def test_the_first_bad_row_is_returned(link, kind, bad):
    formula = formulas(link)[kind]
    labels, raw, _ = made_rows(formula)
    kernel = Kernel(formula, labels, threads=Threads(LIBRARIES["xgboost"], 2))
    out = np.empty((2, *raw.shape), np.float32)
    for row in (0, 511, 512, N_ROWS // 2, N_ROWS - 1):
        broken = raw.copy()
        broken[row, ...] = bad
        broken[-1] = bad
        assert kernel.gradient_hessian(broken, *out) == row
        assert not np.isfinite(kernel.log_loss(broken))
        in_place = broken.copy()
        assert kernel.gradient_hessian(in_place, in_place, out[1]) == row
        assert_array_equal(in_place[row], broken[row])  # still there to be shown
    if raw.ndim == 2:
        broken = raw.copy()
        broken[40, 2] = broken[41, 0] = bad
        assert kernel.gradient_hessian(broken, *out) == 40


@pytest.mark.parametrize("weight", [np.inf, np.nan, 3e38])
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_that_is_too_large_is_a_bad_row(kind, weight):
    formula = formulas()[kind]
    labels, raw, weights = made_rows(formula, 700)
    weights[613] = weight
    object.__setattr__(formula, "class_weight", np.asarray(formula.class_weight) * 30)
    with np.errstate(over="ignore"):
        kernel = Kernel(formula, labels, weights)
    assert kernel.gradient_hessian(raw, *np.empty((2, *raw.shape), np.float32)) == 613


gammas = st.one_of(
    st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 20.0, 33.0, 1e6 + 0.5, 1e15]), st.floats(0.0, 1e15)
)


@given(st.data())
def test_never_nan(data):
    """Whatever finite numbers come in; and h is not negative where it must not be."""
    link, hessian = data.draw(st.sampled_from(CASES))
    n_classes = data.draw(st.integers(2, 6))
    softmax = data.draw(st.booleans())
    gamma = data.draw(st.lists(gammas, min_size=n_classes, max_size=n_classes))
    if data.draw(st.booleans()):
        gamma = gamma[:1] * n_classes
    weight = data.draw(st.lists(st.floats(1e-3, 1e3), min_size=n_classes, max_size=n_classes))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    numbers = st.one_of(
        st.floats(-1e4, 1e4), st.floats(-30, 30), st.sampled_from([0.0, 1e4, -1e4, 1e30, -1e30])
    )
    rows = data.draw(
        st.lists(st.lists(numbers, min_size=n_classes, max_size=n_classes), min_size=1, max_size=8)
    )
    raw = np.array(rows).astype(dtype)
    if link == "logit":
        raw = np.clip(raw, -1e4, 1e4)
    labels = np.arange(len(raw)) % n_classes
    if softmax:
        formula = Formula("softmax", gamma, weight, link, hessian)
    else:
        raw, labels = raw[:, 0].copy(), labels % 2
        formula = Formula("sigmoid", [gamma[:2]], [weight[:2]], link, hessian)
    kernel = Kernel(formula, labels, level=data.draw(st.sampled_from(HERE)))
    out = np.empty((2, *raw.shape), dtype)
    kernel.gradient_hessian(raw, *out)
    assert not np.isnan(out).any()
    if hessian != "exact":
        assert (out[1] >= 0).all()
    assert not np.isnan(kernel.focal_loss(raw))
    assert not np.isnan(kernel.log_loss(raw))


def test_agrees_with_numpy():
    rng = np.random.default_rng(3)
    z, y, w = rng.normal(scale=4, size=(500, 3)), rng.integers(0, 3, 500), rng.random(500)
    loss = MulticlassFocalLoss(3, (2.0, 1.0, 0.5), (1.0, 2.0, 3.0))
    kernel = Kernel(Formula("softmax", (2.0, 1.0, 0.5), (1.0, 2.0, 3.0)), y, w)
    expected = loss.gradient_hessian(y, z, w.astype(np.float32), hessian="floored")
    assert_allclose(run(kernel, z, np.float64), expected, rtol=1e-11, atol=1e-300)
    assert_allclose(kernel.focal_loss(z), loss.loss(y, z, w.astype(np.float32)).sum(), rtol=1e-13)
    loss = BinaryFocalLoss(2.0, 0.25)
    kernel = Kernel(Formula("sigmoid", [[2.0, 2.0]], [[0.75, 0.25]]), y == 1)
    expected = loss.gradient_hessian(y == 1, z[:, 0], hessian="floored")
    assert_allclose(run(kernel, z[:, 0].copy(), np.float64), expected, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0.0, 1.0])}, "labels must be integers"),
        ({"labels": np.array([0, 3])}, r"labels must lie in \[0, 3\), got 0 to 3"),
        ({"labels": np.array([-1, 1])}, "labels must lie in"),
        ({"labels": np.zeros((2, 3), int)}, "labels must be integers"),
        ({"sample_weight": np.ones(3)}, r"sample_weight must have shape \(2,\)"),
    ],
)
def test_refusals_when_bound(change, message):
    arguments = {"formula": formulas()["many classes"], "labels": np.array([0, 1]), **change}
    with pytest.raises(ValueError, match=message):
        Kernel(**arguments)


def test_refusals_of_arrays():
    kernel = Kernel(formulas()["many classes"], np.array([0, 1]))
    raw, out = np.zeros((2, 3)), np.zeros((2, 2, 3))
    for wrong, message in (
        (np.zeros((4, 6))[::2, ::2], "raw_prediction must be contiguous"),
        (np.zeros((2, 3), np.float16), "raw_prediction must be float32 or float64"),
        (np.zeros((3, 2)), r"raw_prediction must be float32 or float64 of shape \(2, 3\)"),
        (np.zeros((2, 3), ">f8"), "raw_prediction must be float32 or float64"),
    ):
        with pytest.raises(ValueError, match=message):
            kernel.gradient_hessian(wrong, *out)
        with pytest.raises(ValueError, match=message):
            kernel.focal_loss(wrong)
    frozen = np.zeros((2, 3))
    frozen.flags.writeable = False
    for wrong, message in (
        (np.zeros((2, 3), np.float16), "gradient must be float32 or float64"),
        (np.zeros((2, 4)), "gradient must be float32 or float64"),
        (np.zeros((4, 6))[::2, ::2], "gradient must be contiguous"),
        (np.zeros((2, 3), order="F"), "one memory order"),
        (np.zeros((2, 3), np.float32), "one dtype"),
        (frozen, "gradient must be writeable"),
    ):
        with pytest.raises(ValueError, match=message):
            kernel.gradient_hessian(raw, wrong, out[1])
    with pytest.raises(ValueError, match="gradient must be float32 or float32"):
        kernel.gradient_hessian(raw.astype(np.float32), out[0], out[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hinge", [1.0], [1.0]), "loss must be one of"),
        (("softmax", [1.0, 1.0], [1.0, 1.0], "probit"), "link must be one of"),
        (("softmax", [1.0, 1.0], [1.0, 1.0], "logit", "majorizing"), "hessian must be one of"),
        (("softmax", [1.0, -1.0], [1.0, 1.0]), "gamma must be finite and >= 0"),
        (("softmax", [1.0, np.nan], [1.0, 1.0]), "gamma must be finite"),
        (("softmax", [1.0, 1.0], [1.0, 0.0]), "class_weight must be > 0"),
        (("softmax", [1.0], [1.0]), "at least 2 columns"),
        (("sigmoid", [1.0, 1.0], [1.0, 1.0]), "must have shape"),
    ],
)
def test_refusals_of_formulas(arguments, message):
    with pytest.raises(ValueError, match=message):
        Formula(*arguments)


def test_instructions_that_are_missing(monkeypatch):
    monkeypatch.setattr("focal_gbm.kernels.compiled.library", lambda: None)
    with pytest.raises(RuntimeError, match="installed without a C compiler"):
        Kernel(formulas()["two classes"], np.array([0, 1]))


@pytest.mark.parametrize("name", LIBRARIES)
def test_n_jobs_as_the_libraries_read_it(name, monkeypatch):
    def count(n_jobs):
        return Threads(LIBRARIES[name], n_jobs).n_threads

    n_cores = Threads(LIBRARIES[name]).runtime.omp_get_num_procs()
    assert n_cores == len(os.sched_getaffinity(0))
    assert count(1) == 1
    assert count(99) == count(-1) == n_cores
    assert count(-99) == 1
    assert count(-n_cores) == 1
    assert 1 <= count(None) == count(0) <= n_cores


def test_omp_num_threads_is_heard():
    code = (
        "import xgboost, os; from focal_gbm.kernels.threads import Threads; "
        "print(Threads(os.path.join(os.path.dirname(xgboost.__file__), 'lib', 'libxgboost.so')).n_threads)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert result.stdout.split() == [b"1"]


def test_a_library_without_openmp_has_the_calling_thread():
    import ctypes.util

    assert Threads(ctypes.util.find_library("m"), 4).n_threads == 1
    assert Threads("/no/such/library.so", 4).n_threads == 1
    assert Threads(None, 4).n_threads == 1


def test_small_tables_stay_on_the_calling_thread(monkeypatch):
    formula = formulas()["two classes"]
    labels, raw, _ = made_rows(formula, 1000)
    monkeypatch.setattr(threads_module.Threads, "n_threads", property(lambda self: pytest.fail("asked")))
    run(Kernel(formula, labels, threads=Threads(LIBRARIES["xgboost"], 2)), raw)


def test_several_python_threads_at_once():
    formula = formulas("logit")["many classes"]
    labels, raw, weight = made_rows(formula)
    kernel = Kernel(formula, labels, weight, Threads(LIBRARIES["xgboost"], 2))
    expected = run(kernel, raw)
    with ThreadPoolExecutor(6) as pool:
        for result in pool.map(lambda _: run(kernel, raw), range(24)):
            assert_array_equal(result, expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_forked_process(name):
    formula = formulas()["two classes"]
    labels, raw, _ = made_rows(formula)
    kernel = Kernel(formula, labels, threads=Threads(LIBRARIES[name], 2))
    expected = run(kernel, raw)  # the parent's threads are up
    with multiprocessing.get_context("fork").Pool(1) as pool:
        n_threads, result = pool.apply_async(_in_child, (kernel.threads, formula, labels, raw)).get(60)
    assert n_threads == 1
    assert_array_equal(result, expected)


def _in_child(threads, formula, labels, raw):
    return threads.n_threads, run(Kernel(formula, labels, threads=threads), raw)
