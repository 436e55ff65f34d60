"""Every loss, of every kind, in both coordinates, against mpmath: right to rounding wherever numbers are."""

import mpmath
import numpy as np
import pytest
import reference
from loss_cases import ALPHA, FOCAL, LOSSES, ThreeMethods, make, paper
from mpmath import mpf
from numpy.testing import assert_allclose

from focal_gbm.losses import Focal, Margin, MulticlassFocalLoss, Poly1Focal
from focal_gbm.losses.log_odds import margins_of_log_odds

BAR = 1e-12
#: What differences of the reference leave of numbers that are 0, and limits of `Margin` of tiny ones.
NOISE = 1e-45

MARGINS = np.concatenate([np.linspace(-40.0, 40.0, 21), [-300.0, -0.1, 1e-8, 0.01, 120.0]])


def points(n_classes, seed):
    """Raw predictions near 0 and far from it."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n_classes) * span for span in (1.0, 10.0, 60.0)] + [rng.uniform(-300.0, 300.0, n_classes)]


def check(loss, exact, j, margins):
    """Compare value, gradient and exact Hessian at one point, for every true class."""
    two = loss.kind == "binary"
    raw = np.array([exact[1]] if two else [exact])
    found = reference.derivatives(paper(loss.margin_loss), loss.class_weights, exact, j, margins)
    for t, (value, gradient, hessian) in enumerate(found):
        assert_allclose(loss.loss([t], raw)[0], value, rtol=BAR, atol=NOISE)
        g, h = (x[0] if two else x[0, j] for x in loss.gradient_hessian([t], raw, hessian="exact"))
        assert_allclose(g, gradient, rtol=BAR, atol=NOISE)
        # the terms are of the gradient's size where the Hessian crosses zero
        assert abs(h - hessian) <= BAR * (abs(hessian) + abs(gradient)) + NOISE


@pytest.mark.parametrize("kind", ["two", "many"])
@pytest.mark.parametrize("margin_loss", [*LOSSES, ThreeMethods(0.5), Focal(20.0)], ids=repr)
def test_in_log_odds(margin_loss, kind):
    if type(margin_loss) is ThreeMethods and kind == "many":
        pytest.skip("a slope of its own is asked for with many classes, see MarginLoss.link_slope")
    loss = make(kind, margin_loss, ALPHA[kind])
    alpha = np.array(ALPHA[kind])
    for exact in points(len(alpha), seed=1):
        if kind == "two":
            exact[0] = 0.0
        start = margins_of_log_odds(margin_loss, alpha, exact[:, np.newaxis])[:, 0]

        def margins(f, start=start):
            return reference.margins_of_log_odds(paper(margin_loss), [mpf(a) for a in alpha], f, start)

        for j in (1,) if kind == "two" else (0, 2):
            check(loss, exact, j, margins)


@pytest.mark.parametrize("kind", ["two", "many"])
@pytest.mark.parametrize("margin_loss", [*LOSSES, ThreeMethods(0.5)], ids=repr)
def test_in_published_scores(margin_loss, kind):
    loss = make(kind, margin_loss, ALPHA[kind], link="focal")
    for exact in points(len(ALPHA[kind]), seed=2):
        if kind == "two":
            exact[0] = 0.0
        for j in (1,) if kind == "two" else (0, 2):
            check(loss, exact, j, reference.margins_of_scores)


def test_ten_classes():
    loss = MulticlassFocalLoss(10, 2.0, np.linspace(0.5, 2.0, 10))
    alpha = np.array(loss.class_weights)
    for span in (1.0, 10.0):
        exact = np.random.default_rng(3).normal(size=10) * span
        start = margins_of_log_odds(loss.margin_loss, alpha, exact[:, np.newaxis])[:, 0]

        def margins(f, start=start):
            return reference.margins_of_log_odds(paper(loss.margin_loss), [mpf(a) for a in alpha], f, start)

        check(loss, exact, 4, margins)


@pytest.mark.parametrize("margin_loss", LOSSES, ids=repr)
def test_the_slopes_of_the_link(margin_loss):
    at = Margin(MARGINS)
    slopes, shares = margin_loss.link_slope(at), margin_loss.share_slope(at)

    def term(x):
        return reference.log_odds(paper(margin_loss), [1.0], [x])[0]

    def log_share(x):  # B = p q / t'
        return -mpmath.log1p(mpmath.exp(-x)) - mpmath.log1p(mpmath.exp(x)) - mpmath.log(mpmath.diff(term, x))

    for m, slope, share, q in zip(MARGINS, slopes, shares, at.q, strict=True):
        with mpmath.workdps(200):
            expected = mpmath.diff(term, mpf(m))
            assert_allclose(slope, float(expected), rtol=BAR, atol=0)
            # where the slope goes to 0, the Hessian multiplies an error of the share's slope by q
            size = 1.0 if type(margin_loss) in (Focal, Poly1Focal) else max(1.0, 1.0 / slope)
            true = float(mpmath.diff(log_share, mpf(m)) / expected)
            assert abs(share - true) <= 1e-11 * (abs(true) + size), (m, q)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.3, 2.0)])
@pytest.mark.parametrize("margin_loss", LOSSES, ids=repr)
def test_probabilities_that_published_scores_mean(margin_loss, weights):
    loss = make("two", margin_loss, weights, link="focal")
    many = make("many", margin_loss, (*weights, 1.0), link="focal")
    for z in (-30.0, -2.5, 0.0, 1e-8, 0.75, 20.0):
        with mpmath.workdps(60):
            f = reference.log_odds(paper(margin_loss), weights, [mpf(-z), mpf(z)])
            expected = float(1 / (1 + mpmath.exp(f[0] - f[1])))
            scores = [mpf(0), mpf(z), mpf("0.5")]
            f = reference.log_odds(paper(margin_loss), many.class_weights, reference.margins_of_scores(scores))
            total = mpmath.fsum(map(mpmath.exp, f))
            of_many = [float(mpmath.exp(one) / total) for one in f]
        assert_allclose(loss.probability([z])[0], expected, rtol=BAR, atol=0)
        assert_allclose(many.probability([[0.0, z, 0.5]])[0], of_many, rtol=BAR, atol=0)


@pytest.mark.parametrize("margin_loss", [*FOCAL, Poly1Focal(2.0, 1.0), ThreeMethods(0.5)], ids=repr)
@pytest.mark.parametrize("kind", ["two", "many", "labels"])
def test_the_start_is_where_the_mean_loss_is_least(margin_loss, kind):
    for counts in ((70, 20, 10), (1, 3, 9000)):
        weight = np.array(counts, float)
        labels = np.arange(3) if kind == "many" else np.array([0, 1, 0])
        labels = np.stack([labels, 1 - labels, labels], axis=1) if kind == "labels" else labels
        for link in ("logit", "focal"):
            loss = make(kind, margin_loss, ALPHA[kind], link=link)
            start = loss.fit_intercept_only(labels, weight)
            rows = np.broadcast_to(start, loss.raw_shape(3))
            gradient = loss.gradient(labels, rows, weight)
            assert (np.abs(gradient.sum(axis=0)) <= BAR * np.abs(gradient).sum(axis=0)).all()
            assert kind != "many" or abs(start.mean()) <= 1e-12
            if link == "logit":  # that of the log loss, whatever the loss
                rates = (weight if kind == "many" else np.bincount([0, 1, 0], weight)) / weight.sum()
                first = loss.probability(rows[:1])[0]
                assert_allclose(np.ravel(first)[:2], rates[:2] if kind == "many" else
                                [rates[1]] if kind == "two" else [rates[1], rates[0]], rtol=BAR)  # fmt: skip
