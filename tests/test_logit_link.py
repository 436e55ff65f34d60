"""Losses in log-odds: right to rounding, identities, and the library's own at γ=0."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_log_odds import derivatives
from scipy.special import expit, log_softmax, softmax

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss, MultilabelFocalLoss, Poly1Focal
from focal_gbm.kernels.cpu import formula_of
from focal_gbm.kernels.formula import HESSIANS_OF_LINK
from focal_gbm.losses import HESSIANS, MarginLoss
from focal_gbm.losses.logit import sums_of_others

GAMMAS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0)

#: What differences of the reference leave of numbers that are 0: a Hessian is a second one.
NOISE = 1e-45


def loss_of(n_classes, gamma, alpha, **params):
    if n_classes == 2:
        return BinaryFocalLoss(gamma, alpha, focal_link="logit", **params)
    return MulticlassFocalLoss(n_classes, gamma, alpha, focal_link="logit", **params)


def points(n_classes, seed):
    """Log-odds near 0 and far from it, up to 10000."""
    rng = np.random.default_rng(seed)
    spans = (1.0, 10.0, 100.0) if n_classes < 10 else (10.0,)
    return [rng.normal(size=n_classes) * span for span in spans] + [rng.uniform(-1e4, 1e4, n_classes)]


def check_point(loss, f, gammas, alphas, dtype, epsilon=0.0, columns=None):
    two = loss.n_classes == 2
    raw = np.array([f[1] - f[0]] if two else [f]).astype(dtype)
    exact = [0.0, float(raw[0])] if two else raw[0].astype(float).tolist()
    start = loss.margins(raw)[:, 0]
    bar = 1e-12 if dtype == np.float64 else 5e-6
    for j in columns or ([1] if two else range(loss.n_classes)):
        reference = derivatives(exact, j, gammas, alphas, start, epsilon)
        for t, (value, gradient, hessian) in enumerate(reference):
            g, h = (x[0] if two else x[0, j] for x in loss.gradient_hessian([t], raw))
            assert_allclose(loss.loss([t], raw)[0], value, rtol=bar, atol=NOISE)
            assert_allclose(g, gradient, rtol=bar, atol=NOISE)
            # the terms are of the gradient's size where the Hessian crosses zero
            assert abs(h - hessian) <= bar * (abs(hessian) + abs(gradient)) + NOISE
            assert g.dtype == h.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_right_to_rounding(n_classes, gamma, dtype):
    alphas = [0.7, 2.0, 1.3][:n_classes]
    for f in points(n_classes, seed=int(10 * gamma)):
        check_point(loss_of(n_classes, gamma, alphas), f, [gamma] * n_classes, alphas, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_right_to_rounding_with_ten_classes(gamma, dtype):
    alphas = np.random.default_rng(0).uniform(0.3, 3.0, 10).tolist()
    near, far = points(10, seed=1)
    for f in (near, far):
        likeliest = int(f.argmax())
        check_point(
            loss_of(10, gamma, alphas),
            f,
            [gamma] * 10,
            alphas,
            dtype,
            columns=[likeliest, (likeliest + 3) % 10],
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gammas", [(2.0, 0.5), (0.0, 5.0), (20.0, 0.1), (2.0, 1.0, 0.1), (0.0, 20.0, 0.5)])
def test_right_to_rounding_with_a_gamma_by_class(gammas, dtype):
    alphas = [0.7, 2.0, 1.3][: len(gammas)]
    for f in points(len(gammas), seed=3):
        check_point(loss_of(len(gammas), gammas, alphas), f, gammas, alphas, dtype)


@pytest.mark.parametrize(("gamma", "epsilon"), [(0.0, 1.0), (2.0, -0.5), (0.5, 3.0)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_poly1_goes_through_it(n_classes, gamma, epsilon):
    alphas = [0.7, 2.0, 1.3][:n_classes]
    loss = loss_of(n_classes, 2.0, alphas, margin_loss=Poly1Focal(gamma, epsilon))
    for f in points(n_classes, seed=4)[:2]:
        check_point(loss, f, [gamma] * n_classes, alphas, np.float64, epsilon)


@pytest.mark.parametrize("hessian", ["expected", "floored", "exact"])
@pytest.mark.parametrize("gamma", [*GAMMAS, "by class"])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_expectations(n_classes, gamma, hessian):
    """E[gradient] = 0 and E[hessian] = Ā π (1 - π), the expectation over labels of the posterior."""
    rng = np.random.default_rng(0)
    gamma = rng.uniform(0.0, 3.0, n_classes) if gamma == "by class" else gamma
    loss = loss_of(n_classes, gamma, rng.uniform(0.3, 3.0, n_classes))
    f = rng.normal(size=n_classes) * 2
    raw = np.repeat([f[1]] if n_classes == 2 else [f], n_classes, axis=0)
    eta = loss.link.probabilities(raw)[0]
    g, h = loss.gradient_hessian(np.arange(n_classes), raw, hessian=hessian)
    assert_allclose(eta @ g, 0, atol=1e-15 * n_classes)
    if hessian == "floored":
        exact = loss.gradient_hessian(np.arange(n_classes), raw, hessian="exact")[1]
        floors = [one.floor for one, _ in loss.weighted_losses()]
        floors = np.reshape(floors, (-1, *[1] * (g.ndim - 1)))
        assert_allclose(h, np.maximum(exact, floors * np.abs(g)), rtol=1e-14)
        return
    expected = loss.gradient_hessian(np.arange(n_classes), raw, hessian="expected")[1]
    assert (expected > 0).all()
    assert_allclose(eta @ h, eta @ expected, rtol=1e-12)


@pytest.mark.parametrize("gamma", [*GAMMAS, "by class"])
@pytest.mark.parametrize("n_classes", [3, 10])
def test_the_expected_hessian_is_that_of_one_softmax(n_classes, gamma):
    """E[hessian] = Ā (diag π - π π'), the whole matrix: by differences of the gradient."""
    rng = np.random.default_rng(2)
    gamma = rng.uniform(0.0, 3.0, n_classes) if gamma == "by class" else gamma
    loss = loss_of(n_classes, gamma, rng.uniform(0.3, 3.0, n_classes))
    f, labels, step = rng.normal(size=n_classes), np.arange(n_classes), 1e-5
    eta = loss.link.probabilities(f[np.newaxis])[0]
    expected = np.empty((n_classes, n_classes))
    for j, move in enumerate(step * np.eye(n_classes)):
        up, down = (loss.gradient(labels, np.tile(x, (n_classes, 1))) for x in (f + move, f - move))
        expected[j] = eta @ (up - down) / (2 * step)
    p, gammas, alphas = (
        expit(loss.margins(f[np.newaxis]))[:, 0],
        np.broadcast_to(gamma, n_classes),
        loss.class_weights,
    )
    q, log_p = 1 - p, np.log(p)
    slope = gammas * q ** (gammas - 1) * log_p - q**gammas / p  # φ'
    curvature = (
        2 * gammas * q ** (gammas - 1) / p
        + q**gammas / p**2
        - gammas * (gammas - 1) * q ** (gammas - 2) * log_p
    )
    a, pi = alphas * slope**2 / curvature, slope / curvature / (slope / curvature).sum()
    assert_allclose(expected, (eta @ a) * (np.diag(pi) - np.outer(pi, pi)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_logarithmic_loss_is_the_library_s_own(n_classes):
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, 50)
    f = rng.normal(size=50 if n_classes == 2 else (50, n_classes)) * 5
    loss = loss_of(n_classes, 0.0, None)
    p = expit(f) if n_classes == 2 else softmax(f, axis=1)
    onehot = y if n_classes == 2 else np.eye(n_classes)[y]
    log_p = np.log(np.where(y, p, 1 - p)) if n_classes == 2 else log_softmax(f, axis=1)[np.arange(50), y]
    assert_allclose(loss.loss(y, f), -log_p, rtol=1e-11)
    for hessian in ("expected", "exact"):
        g, h = loss.gradient_hessian(y, f, hessian=hessian)
        assert_allclose(g, p - onehot, rtol=1e-11, atol=1e-15)
        assert_allclose(h, p * (1 - p), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("gamma", [0.5, 2.0, 20.0])
def test_both_links_are_one_loss(n_classes, gamma):
    """Loss, probability, decision and the best constant are those of the focal scores."""
    rng = np.random.default_rng(1)
    logit = loss_of(n_classes, gamma, rng.uniform(0.3, 3.0, n_classes))
    focal = type(logit)(**{**vars_of(logit), "focal_link": "focal"})
    f = rng.normal(size=200 if n_classes == 2 else (200, n_classes)) * 3
    z, y = logit.focal_scores(f), rng.integers(0, n_classes, 200)
    assert_allclose(logit.loss(y, f), focal.loss(y, z), rtol=1e-12)
    assert_allclose(logit.link.probabilities(f), focal.link.probabilities(z), rtol=1e-11)
    assert_array_equal(logit.decide(f), focal.decide(z))
    counts = rng.uniform(1.0, 100.0, n_classes)
    start = logit.start(counts)
    share = expit(start) if n_classes == 2 else softmax(start)
    assert_allclose(share, counts[1] / counts.sum() if n_classes == 2 else counts / counts.sum(), rtol=1e-13)


def vars_of(loss):
    names = ("gamma", "alpha", "margin_loss", "focal_link")
    more = {} if loss.n_classes == 2 else {"n_classes": loss.n_classes}
    return {name: getattr(loss, name) for name in names} | more


def test_a_gamma_by_class_decides_by_the_largest_score():
    loss = loss_of(3, (2.0, 0.5, 0.0), (1.0, 2.0, 3.0))
    f = np.random.default_rng(0).normal(size=(300, 3)) * 2
    decided = loss.decide(f)
    assert_array_equal(decided, loss.margins(f).argmax(axis=0))
    assert (decided != f.argmax(axis=1)).any()


def test_many_labels_are_one_of_two_classes_each():
    columns = (loss_of(2, 2.0, (1.0, 3.0)), loss_of(2, 0.5, None))
    loss = MultilabelFocalLoss(columns)
    assert loss.focal_link == "logit"
    rng = np.random.default_rng(0)
    y, f = rng.integers(0, 2, (50, 2)), rng.normal(size=(50, 2)) * 4
    g, h = loss.gradient_hessian(y, f, hessian=None)
    for j, column in enumerate(columns):
        of_column = column.gradient_hessian(y[:, j], f[:, j], hessian="floored")
        assert_array_equal((g[:, j], h[:, j]), of_column)
        assert_array_equal(loss.decide(f)[:, j], column.decide(f[:, j]))
    with pytest.raises(ValueError, match=r"^columns must have one focal_link, got \['focal', 'logit'\]\.$"):
        MultilabelFocalLoss((columns[0], BinaryFocalLoss()))


def test_choices():
    assert dict(HESSIANS) == HESSIANS_OF_LINK
    assert formula_of(loss_of(3, 2.0, None)).hessian == "floored"
    with pytest.raises(ValueError, match=r"^focal_link must be one of 'focal', 'logit', got 'log'\.$"):
        BinaryFocalLoss(focal_link="log")
    with pytest.raises(
        ValueError, match=r"^hessian must be one of 'floored', 'exact', 'expected', got 'majorizing'\.$"
    ):
        loss_of(2, 2.0, None).gradient_hessian([1], [0.0], hessian="majorizing")


class Exponential(MarginLoss):
    """-log p (2 - p), which states no more than it must."""

    def value(self, m):
        return m.minus_log_p * (1 + m.q)

    def derivatives(self, m):
        g = m.q * (1 + m.q) + m.minus_log_p * m.p * m.q
        pq = m.p * m.q
        h = pq * (1 + 2 * m.q) + pq * m.q - m.minus_log_p * pq * (m.q - m.p)
        return g, h

    def link_term(self, m):
        return -m.minus_log_p - np.log1p(m.q + m.minus_log_p * m.p)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_loss_of_ones_own(n_classes):
    loss = loss_of(n_classes, 2.0, None, margin_loss=Exponential())
    rng = np.random.default_rng(0)
    f, y, step = rng.normal(size=(20, n_classes)), rng.integers(0, n_classes, 20), 1e-5
    f = f[:, 0] if n_classes == 2 else f
    move = step if n_classes == 2 else step * np.eye(n_classes)[1]
    difference = (loss.loss(y, f + move) - loss.loss(y, f - move)) / (2 * step)
    gradient = loss.gradient_hessian(y, f, hessian=None)[0]
    assert_allclose(gradient if n_classes == 2 else gradient[:, 1], difference, atol=1e-9)
    assert loss.hessian_of(None) == "expected"
    for hessian in ("exact", "floored"):
        with pytest.raises(NotImplementedError, match=r"need Exponential\.share_slope"):
            loss.gradient_hessian(y, f, hessian=hessian)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_newton_s_step_of_nearly_certain_rows_is_one(gamma):
    """With the exact Hessian, as for the log loss; the expected one is larger by the share of a class."""
    share = np.array([0.7, 0.2, 0.1])
    f = np.array([[0.0, *np.log(1e-16 * share)]])
    loss = loss_of(4, gamma, None)
    g, exact = loss.gradient_hessian([0], f, hessian="exact")
    assert_allclose(g[0, 1:], 1e-16 * share / (1 + gamma), rtol=0.1)
    assert_allclose(exact[0, 1:] / g[0, 1:], 1, rtol=0.1)
    expected = loss.gradient_hessian([0], f, hessian="expected")[1]
    assert_allclose(expected[0, 1:] / g[0, 1:], 1 + gamma * (1 - share), rtol=0.1)


def test_sums_of_others_do_not_cancel():
    assert_array_equal(sums_of_others(np.array([[1.0], [1e-20], [-1e-40]])), [[1e-20], [1.0], [1.0]])


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_scale_makes_certain_rows_those_of_the_log_loss(gamma):
    counts = np.array([90.0, 10.0])
    loss = loss_of(2, gamma, None)
    assert loss.log_loss_scale(counts) == pytest.approx(1 + gamma, rel=1e-14)
    far = np.array([-300.0])
    scaled = loss.log_loss_scale(counts) * loss.gradient([0], far)
    assert_allclose(scaled, expit(far), rtol=0.01 if gamma else 1e-12)
    by_class = loss_of(3, (0.0, 1.0, 5.0), None)
    assert by_class.log_loss_scale(np.ones(3)) == pytest.approx(3.0, rel=1e-14)
