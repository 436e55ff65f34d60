"""The numbers behind the pictures, by identities, and that they are drawn where they should be."""

import sys

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from estimators import BOTH
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit, softmax
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from focal_gbm import (
    BinaryFocalLoss,
    FocalLinkDisplay,
    FocalLossDisplay,
    FocalXGBClassifier,
    FocusDisplay,
    MulticlassFocalLoss,
)

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# FocalLossDisplay


def test_loss_is_log_loss_times_power_of_q():
    display = FocalLossDisplay.from_gammas(GAMMAS)
    p, q = expit(display.margin), expit(-display.margin)
    assert_allclose(display.loss[0], -np.log(p), rtol=1e-12)
    assert_allclose(display.gradient[0], -q, rtol=1e-12)
    assert_allclose(display.hessian[0], p * q, rtol=1e-12)
    for gamma, loss in zip(GAMMAS, display.loss, strict=True):
        assert_allclose(loss, q**gamma * display.loss[0], rtol=1e-12)


def test_derivatives_are_those_of_the_curves():
    display = FocalLossDisplay.from_gammas(GAMMAS)
    step = display.margin[1] - display.margin[0]
    inner = slice(2, -2)
    for curve, derivative in ((display.loss, display.gradient), (display.gradient, display.hessian)):
        central = np.gradient(curve, step, axis=1)
        # less the error of the second order: 4th-order differences
        twice = (curve[:, 4:] - curve[:, :-4]) / (4 * step)
        assert_allclose((4 * central[:, inner] - twice) / 3, derivative[:, inner], atol=1e-6)


@pytest.mark.parametrize("hessian", ["floored", "majorizing"])
def test_hessian_of_choice(hessian):
    exact = FocalLossDisplay.from_gammas(GAMMAS)
    other = FocalLossDisplay.from_gammas(GAMMAS, hessian=hessian)
    assert exact.hessian.min() < 0 <= other.hessian.min()
    assert (other.hessian >= exact.hessian).all()
    assert_array_equal(other.hessian[0], exact.hessian[0])
    assert_array_equal(other.loss, exact.loss)


def test_many_classes_have_the_same_curve():
    display = FocalLossDisplay.from_gammas([2.0])
    others = np.array([0.3, -1.0])
    z = np.column_stack([display.margin + np.logaddexp(*others), *np.tile(others[:, np.newaxis], 601)])
    assert_allclose(MulticlassFocalLoss(3).loss(np.zeros(601, dtype=int), z), display.loss[0], rtol=1e-9)


def test_loss_of_an_estimator(make, table):
    model = make(focal_alpha="balanced", focal_gamma={0: 3.0, 1: 1.0}, hessian="exact")
    display = FocalLossDisplay.from_estimator(model.fit(table.X, table.y))
    assert display.labels[0] == "γ = 0 (log loss)"
    assert display.ax_.get_legend().get_title().get_text() == type(model).__name__
    share = table.y.mean()
    assert display.labels[1:] == [
        f"class 0: γ = 3, α = {0.5 / (1 - share):.3g}",
        f"class 1: γ = 1, α = {0.5 / share:.3g}",
    ]
    loss = BinaryFocalLoss((3.0, 1.0), (0.5 / (1 - share), 0.5 / share))
    m = display.margin
    for y, curve in ((0, 1), (1, 2)):
        labels, sign = np.full(len(m), y), 2 * y - 1
        assert_allclose(display.loss[curve], loss.loss(labels, sign * m), rtol=1e-12)
        gradient, hessian = loss.gradient_hessian(labels, sign * m)
        assert_allclose(display.gradient[curve], sign * gradient, rtol=1e-12)
        assert_allclose(display.hessian[curve], hessian, rtol=1e-9, atol=1e-15)


def test_classes_alike_share_a_line(make, table):
    display = FocalLossDisplay.from_estimator(make().fit(table.X, table.y), name="mine")
    assert display.labels == ["γ = 0 (log loss)", "γ = 2"]
    assert (display.hessian[1] >= 0).all()  # the estimator's, floored
    assert display.ax_.get_legend().get_title().get_text() == "mine"
    X, y = load_wine(return_X_y=True)
    many = FocalLossDisplay.from_estimator(make(focal_gamma=1.0).fit(X, y))
    assert many.labels == ["γ = 0 (log loss)", "γ = 1"]


def test_what_is_drawn_of_the_loss():
    display = FocalLossDisplay.from_gammas([0, 2], max_margin=4, quantity="hessian", against="margin")
    assert display.margin[[0, -1]].tolist() == [-4, 4]
    assert_array_equal(display.lines_[1].get_xdata(), display.margin)
    assert_array_equal(display.lines_[1].get_ydata(), display.hessian[1])
    _, ax = plt.subplots()
    assert display.plot(ax, quantity="gradient", linewidth=3, name="a name") is display
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert_allclose(display.lines_[0].get_xdata(), expit(display.margin))
    assert_array_equal(display.lines_[0].get_ydata(), display.gradient[0])
    assert display.lines_[0].get_linewidth() == 3
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["γ = 0 (log loss)", "γ = 2"]
    assert legend.get_title().get_text() == "a name"


# FocalLinkDisplay


@pytest.mark.parametrize("alpha", [None, 0.9, (3.0, 0.2)])
def test_link_is_where_the_expected_gradient_is_zero(alpha):
    display = FocalLinkDisplay.from_gammas(GAMMAS, alpha=alpha)
    for gamma, eta in zip(GAMMAS, display.probability, strict=True):
        loss = BinaryFocalLoss(gamma, alpha)
        assert (eta < 0.5).sum() > 150
        z, eta = logit(display.score[eta < 0.99]), eta[eta < 0.99]  # 1 - eta is rounded beyond
        one = eta * loss.gradient(np.ones(len(z)), z)
        zero = (1 - eta) * loss.gradient(np.zeros(len(z)), z)
        assert_allclose(one, -zero, rtol=1e-10)


def test_link_without_weights():
    display = FocalLinkDisplay.from_gammas(GAMMAS)
    assert_allclose(display.probability[0], display.score, rtol=1e-12)
    assert_allclose(display.probability, 1 - display.probability[:, ::-1], atol=1e-12)
    assert (np.diff(display.probability, axis=1) >= 0).all()
    low = display.score < 0.5
    assert (np.diff(display.probability[:, low], axis=0) < 0).all()  # γ draws scores to the middle


def test_link_of_an_estimator(make, table):
    model = make(focal_alpha=0.8, n_estimators=30).fit(table.X, table.y)
    display = FocalLinkDisplay.from_estimator(model)
    assert display.labels == ["γ = 0 (log loss)", "γ = 2, α = 0.2 and 0.8"]
    posterior = model.predict_proba(table.X)[:, 1]
    score = model.set_params(probability="score").predict_proba(table.X)[:, 1]
    assert np.ptp(score) > 0.5
    assert_allclose(np.interp(score, display.score, display.probability[1]), posterior, atol=2e-3)
    by_class = make(focal_gamma=[1, 2]).fit(table.X, table.y)
    assert FocalLinkDisplay.from_estimator(by_class).labels[1] == "γ = 1 and γ = 2"


def test_what_is_drawn_of_the_link():
    display = FocalLinkDisplay.from_gammas([0, 2], name="a name", linestyle="--")
    assert_array_equal(display.lines_[1].get_xdata(), display.score)
    assert_array_equal(display.lines_[1].get_ydata(), display.probability[1])
    assert display.lines_[1].get_linestyle() == "--"
    _, ax = plt.subplots()
    assert display.plot(ax=ax).ax_ is ax
    assert ax.get_legend().get_title().get_text() == "a name"


# FocusDisplay


@pytest.fixture(scope="module")
def scores():
    """Labels with 200 rows of 1, and scores that are better than none."""
    rng = np.random.default_rng(0)
    y = np.arange(1000) < 200
    return y, rng.normal(np.where(y, 0.5, -2.0), 1.5)


def test_shares_are_lorenz_curves(scores):
    display = FocusDisplay.from_predictions(*scores)
    share, rows = display.loss_share, display.row_share
    assert share.shape == (2, 5, len(rows))
    assert_array_equal(share[..., 0], 0)
    assert_allclose(share[..., -1], 1)
    slope = np.diff(share) / np.diff(rows)
    assert (np.diff(slope) < 1e-6).all()  # concave: hardest first
    assert (np.diff(share, axis=1) > -1e-12).all()  # more γ, more of the loss in the hardest rows
    tenth = display.loss_share_of(0.1)
    assert (tenth[:, -1] > tenth[:, 0] + 0.1).all()


def test_shares_of_log_loss_are_those_of_scikit_learn(scores):
    y, z = scores
    display = FocusDisplay.from_predictions(y, z, gammas=[0])
    for k, of_class in enumerate((~y, y)):
        p = expit(z[of_class])
        hardest = np.sort(p)[:: 1 if k else -1][: len(p) // 10]
        expected = log_loss(np.full(len(hardest), k), hardest, labels=[0, 1]) * 0.1
        expected /= log_loss(np.full(len(p), k), p, labels=[0, 1])
        assert_allclose(display.loss_share_of(0.1)[k], expected, rtol=1e-6)


def test_rows_alike_carry_alike():
    display = FocusDisplay.from_predictions([0, 0, 0, 1, 1, 1], np.full(6, -1.0))
    assert_allclose(display.loss_share, np.broadcast_to(display.row_share, (2, 5, len(display.row_share))))
    assert_allclose(display.loss_share_of(0.3), 0.3)


def test_mirrored_labels_swap_the_classes(scores):
    y, z = scores
    display, mirror = FocusDisplay.from_predictions(y, z), FocusDisplay.from_predictions(~y, -z)
    assert_allclose(display.loss_share, mirror.loss_share[::-1], rtol=1e-12)


def test_a_weight_is_copies_of_a_row(scores):
    y, z = scores
    copies = np.random.default_rng(1).integers(1, 4, len(y))
    weighted = FocusDisplay.from_predictions(y, z, sample_weight=copies)
    repeated = FocusDisplay.from_predictions(np.repeat(y, copies), np.repeat(z, copies))
    assert_allclose(weighted.loss_share, repeated.loss_share, atol=1e-12)


def test_two_classes_are_softmax_of_two(scores):
    y, z = scores
    binary = FocusDisplay.from_predictions(y, z)
    three = np.column_stack([np.zeros_like(z), z, np.full_like(z, -60.0)])  # a third class, never likely
    labels = np.r_[y.astype(int), 2]
    many = FocusDisplay.from_predictions(labels, np.vstack([three, [0.0, 0.0, 1.0]]))
    assert many.loss_share.shape[0] == 3
    assert_allclose(many.loss_share[:2], binary.loss_share, rtol=1e-9)


def test_focus_of_a_focal_estimator_is_that_of_its_score(make, table):
    words = np.where(table.y, "yes", "no")
    model = make().fit(table.X, words)
    display = FocusDisplay.from_estimator(model, table.X, words)
    expected = FocusDisplay.from_predictions(words, model.decision_function(table.X))
    assert_array_equal(display.loss_share, expected.loss_share)
    assert display.classes == ["no", "yes"]
    assert [ax.get_title() for ax in display.axes_] == ["Rows of class no", "Rows of class yes"]
    assert display.axes_[0].get_legend().get_title().get_text() == type(model).__name__


def test_focus_of_any_classifier_is_that_of_its_logit(table):
    model = LogisticRegression().fit(table.X, table.y)
    display = FocusDisplay.from_estimator(model, table.X, table.y, sample_weight=table.weight)
    z = model.decision_function(table.X)
    expected = FocusDisplay.from_predictions(table.y, z, sample_weight=table.weight)
    assert_allclose(display.loss_share, expected.loss_share, rtol=1e-9)


def test_focus_of_many_classes():
    X, y = load_wine(return_X_y=True)
    model = LogisticRegression(max_iter=5000).fit(X, y)
    display = FocusDisplay.from_estimator(model, X, y, gammas=[1])
    p = softmax(model.decision_function(X), axis=1)
    for k in range(3):
        p_t = p[y == k, k]
        loss = np.sort(-(1 - p_t) * np.log(p_t))[::-1]
        share = np.interp(0.2, np.arange(len(loss) + 1) / len(loss), np.r_[0, loss.cumsum()] / loss.sum())
        assert_allclose(display.loss_share_of(0.2)[k], share, rtol=1e-3)


def test_what_is_drawn_of_the_focus(scores):
    display = FocusDisplay.from_predictions(*scores, gammas=[0, 2], linewidth=3)
    assert len(display.lines_) == 4
    assert_array_equal(display.lines_[3].get_ydata(), display.loss_share[1, 1])
    assert display.lines_[3].get_linewidth() == 3
    _, axes = plt.subplots(2)
    assert display.plot(axes, name="a name") is display
    assert list(display.axes_) == list(axes)
    assert axes[1].get_legend().get_title().get_text() == "a name"
    figure, ax = plt.subplots()
    assert display.plot(ax).figure_ is figure
    assert len(figure.axes) == 3


# Errors


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: FocalLossDisplay.from_gammas([]), ValueError, r"gammas must hold one number >= 0 or more"),
        (lambda: FocalLossDisplay.from_gammas(2.0), ValueError, r"gammas must hold .* got 2\.0\."),
        (lambda: FocalLinkDisplay.from_gammas([1, -1]), ValueError, r"gammas\[1\] must be a finite number"),
        (lambda: FocusDisplay.from_predictions([0, 1], [0.0, 1.0], gammas="12"), ValueError, r"^gammas must"),
        (lambda: FocalLossDisplay.from_gammas(quantity="slope"), ValueError, r"quantity must be one of"),
        (lambda: FocalLossDisplay.from_gammas(against="p"), ValueError, r"against must be one of"),
        (lambda: FocalLossDisplay.from_gammas(max_margin=0), ValueError, r"max_margin must be a finite"),
        (lambda: FocalLinkDisplay.from_gammas(alpha=1.5), ValueError, r"alpha must lie in"),
        (lambda: FocalLinkDisplay.from_estimator(LogisticRegression()), TypeError, r"got LogisticRegression"),
        (lambda: FocalLossDisplay.from_estimator(FocalXGBClassifier()), NotFittedError, r"not fitted yet"),
        (lambda: FocusDisplay.from_estimator(object(), [[0]], [0]), TypeError, r"predict_proba, got object"),
        (lambda: FocusDisplay.from_predictions([0, 1, 1], [1.0, 2.0]), ValueError, r"inconsistent numbers"),
        (
            lambda: FocusDisplay.from_predictions([0, 1], [1.0, 2.0], labels=[0, 1, 2]),
            ValueError,
            r"y_true must hold rows of every class, \[0, 1, 2\], and of no other, got \[0, 1\]",
        ),
        (
            lambda: FocusDisplay.from_predictions([0, 1], np.zeros((2, 2))),
            ValueError,
            r"raw_prediction must have shape \(2,\)",
        ),
        (
            lambda: FocusDisplay.from_predictions([0, 1], [1.0, 2.0], sample_weight=[1, 0]),
            ValueError,
            r"rows of class 1 must have a loss and a weight",
        ),
        (
            lambda: FocusDisplay.from_predictions([0, 1], [1.0, 2.0], ax=plt.subplots(3)[1]),
            ValueError,
            r"ax must hold 2 Axes, one a class, got 3",
        ),
        (
            lambda: FocusDisplay.from_predictions([0, 1], [1.0, 2.0], ax=plt.figure().add_axes((0, 0, 1, 1))),
            ValueError,
            r"ax must be of a grid",
        ),
        (
            lambda: FocusDisplay.from_predictions([0, 1], [1.0, 2.0]).loss_share_of(2),
            ValueError,
            r"row_share must lie in \[0, 1\], got 2",
        ),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_only_two_classes_have_one_link(make):
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match=r"two classes, got a MulticlassFocalLoss"):
        FocalLinkDisplay.from_estimator(make(n_estimators=2).fit(X, y))


def test_many_labels_have_no_single_loss(table):
    model = BOTH["xgboost"](n_estimators=2).fit(table.X, np.column_stack([table.y, 1 - table.y]))
    with pytest.raises(ValueError, match=r"one loss, got many labels"):
        FocalLossDisplay.from_estimator(model)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"^Pictures need matplotlib: pip install 'focal-gbm\[plot\]'\.$"):
        FocalLossDisplay.from_gammas()
