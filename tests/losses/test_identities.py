"""What holds for every loss of every kind, whatever its formulas: identities, limits, refusals."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import ALPHA, KINDS, LOSSES, ThreeMethods, Twice, Users, made_rows, make
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax

from focal_gbm.losses import (
    BinaryFocalLoss,
    Focal,
    Margin,
    MarginLoss,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    Poly1Focal,
    check_margin_loss,
    margin_loss_from_dict,
)

LINKS = ("logit", "focal")
every_loss = pytest.mark.parametrize("margin_loss", [*LOSSES, ThreeMethods(0.5)], ids=repr)
every_kind = pytest.mark.parametrize("kind", KINDS)
both_links = pytest.mark.parametrize("link", LINKS)


def both(loss, labels, raw, weight=None, hessian="exact"):
    return loss.gradient_hessian(labels, raw, weight, hessian=hessian)


@both_links
@every_kind
def test_without_gamma_it_is_the_log_loss(kind, link):
    loss = make(kind, Focal(0.0), link=link)
    labels, raw = made_rows(loss, 200, 5.0)
    if kind == "many":
        p, one = softmax(raw, axis=1), np.eye(3)[labels]
        expected = -log_softmax(raw, axis=1)[np.arange(200), labels]
    else:
        p, one = expit(raw), labels.astype(float)
        expected = np.logaddexp(0.0, np.where(labels, -raw, raw)).reshape(200, -1).sum(axis=1)
    gradient, hessian = both(loss, labels, raw)
    assert_allclose(loss.loss(labels, raw), expected, rtol=1e-12, atol=1e-15)
    assert_allclose(gradient, p - one, rtol=1e-9, atol=1e-15)
    assert_allclose(hessian, p * (1 - p), rtol=1e-9, atol=1e-15)
    assert_array_equal(both(loss, labels, raw, hessian="floored")[1], hessian)
    assert_allclose(loss.probability(raw), p, rtol=1e-12)


@both_links
@every_loss
def test_two_classes_of_many_are_two_classes(margin_loss, link):
    two = make("two", margin_loss, (0.7, 2.0), link=link)
    many = MulticlassFocalLoss(2, alpha=(0.7, 2.0), margin_loss=margin_loss, link=link)
    labels, z = made_rows(two, 300, 6.0)
    pair = np.stack([0.3 * z, 1.3 * z], axis=1)
    assert_allclose(many.loss(labels, pair), two.loss(labels, z), rtol=1e-12)
    assert_allclose(many.probability(pair)[:, 1], two.probability(z), rtol=1e-12)
    for found, expected in zip(both(many, labels, pair), both(two, labels, z), strict=True):
        assert_allclose(found[:, 1], expected, rtol=1e-9, atol=1e-14)
    assert_allclose(many.gradient(labels, pair).sum(axis=1), 0.0, atol=1e-14)


@both_links
@every_loss
def test_swapping_the_classes_mirrors(margin_loss, link):
    loss, swapped = (make("two", margin_loss, alpha, link=link) for alpha in ((0.7, 2.0), (2.0, 0.7)))
    labels, z = made_rows(loss, 300, 8.0)
    assert_allclose(swapped.loss(~labels, -z), loss.loss(labels, z), rtol=1e-13)
    assert_allclose(swapped.gradient(~labels, -z), -loss.gradient(labels, z), rtol=1e-11)
    assert_allclose(swapped.probability(-z) + loss.probability(z), 1.0, rtol=1e-13)


@both_links
@every_loss
def test_labels_are_two_classes_each(margin_loss, link):
    loss = make("labels", margin_loss, (0.7, 2.0), link=link)
    one = make("two", margin_loss, (0.7, 2.0), link=link)
    labels, raw = made_rows(loss, 100, 4.0)
    columns = [(labels[:, j], raw[:, j]) for j in range(3)]
    assert_allclose(loss.loss(labels, raw), sum(one.loss(*column) for column in columns), rtol=1e-13)
    for found, expected in zip(
        both(loss, labels, raw), zip(*(both(one, *column) for column in columns), strict=True), strict=True
    ):
        assert_array_equal(found, np.stack(expected, axis=1))
    assert_array_equal(loss.probability(raw), np.stack([one.probability(z) for _, z in columns], axis=1))


@every_kind
@every_loss
def test_log_odds_are_what_makes_the_mean_gradient_zero(margin_loss, kind):
    """Of classes as likely as the log-odds say; and the mean of the exact Hessians is never negative."""
    if type(margin_loss) is ThreeMethods and kind == "many":
        pytest.skip("its link slope has lost its digits where rows are certain")
    loss = make(kind, margin_loss, ALPHA[kind])
    labels, raw = made_rows(loss, 200, 5.0)
    eta = loss.probability(raw)
    shares = np.stack([1 - eta, eta]) if kind != "many" else eta.T[..., np.newaxis]
    total, size, mean = 0.0, 0.0, 0.0
    for t, share in enumerate(shares):
        gradient, hessian = both(loss, np.full_like(labels, t), raw)
        total, size = total + share * gradient, size + share * np.abs(gradient)
        mean = mean + share * hessian
    assert (np.abs(total) <= 1e-9 * size).all()
    assert (mean >= -1e-9 * size).all()


@both_links
@every_kind
@every_loss
def test_scores_and_log_odds_are_one_loss(margin_loss, kind, link):
    """The same probabilities have the same loss, in whichever coordinate."""
    loss = make(kind, margin_loss, ALPHA[kind], link=link)
    labels, raw = made_rows(loss, 100, 0.3)  # 1 - η keeps its digits
    eta = loss.probability(raw)
    f = np.log(eta) if kind == "many" else np.log(eta) - np.log1p(-eta)
    log_odds = make(kind, margin_loss, ALPHA[kind])
    assert_allclose(log_odds.probability(f), eta, rtol=1e-9)
    assert_allclose(log_odds.loss(labels, f), loss.loss(labels, raw), rtol=1e-8)


@both_links
@every_kind
def test_weights_and_factors(kind, link):
    loss = make(kind, Focal(2.0), ALPHA[kind], link=link)
    labels, raw = made_rows(loss, 150, 4.0)
    weight = np.random.default_rng(1).uniform(0.0, 3.0, 150)
    column = weight.reshape(-1, *[1] * (raw.ndim - 1))
    assert_allclose(loss.loss(labels, raw, weight), weight * loss.loss(labels, raw), rtol=1e-14)
    exact = both(loss, labels, raw)
    for found, expected in zip(both(loss, labels, raw, weight), exact, strict=True):
        assert_allclose(found, column * expected, rtol=1e-14)
    gradient, floored = loss.gradient_hessian(labels, raw, hessian_factor=2.0)
    least = 0.05 * np.abs(gradient)
    assert_allclose(floored, np.maximum(2.0 * exact[1], least), rtol=1e-14)
    assert 0.02 < (2.0 * exact[1] < least).mean() < 0.9
    twice = np.concatenate([labels, labels[:50]])
    copies = np.where(np.arange(150) < 50, 2, 1)
    assert_allclose(loss.fit_intercept_only(twice), loss.fit_intercept_only(labels, copies), rtol=1e-12)
    assert_array_equal(loss.gradient(labels, raw), gradient)


@both_links
@every_kind
@every_loss
def test_float32_and_blocks_change_nothing(margin_loss, kind, link):
    loss = make(kind, margin_loss, ALPHA[kind], link=link)
    labels, raw = made_rows(loss, 6000, 3.0, dtype=np.float32)  # more than one block
    some = slice(5990, None)
    for found, expected, part in zip(
        (loss.loss(labels, raw), *both(loss, labels, raw)),
        (loss.loss(labels, raw.astype(float)), *both(loss, labels, raw.astype(float))),
        (loss.loss(labels[some], raw[some]), *both(loss, labels[some], raw[some])),
        strict=True,
    ):
        assert found.dtype == np.float32
        assert_array_equal(found, expected.astype(np.float32))
        assert_allclose(found[some], part, rtol=1e-6)
    assert loss.probability(raw).dtype == np.float32


SCORES = st.one_of(st.floats(-1e4, 1e4), st.floats(-30, 30), st.sampled_from([0.0, 710.0, -710.0, 1e30]))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_never_nan(data):
    margin_loss = data.draw(st.sampled_from([*LOSSES, ThreeMethods(0.5), Focal(33.0), Focal(1e15), Users(0.1)]))
    kind, link = data.draw(st.sampled_from(KINDS)), data.draw(st.sampled_from(LINKS))
    loss = make(kind, margin_loss, ALPHA[kind], link=link)
    n = data.draw(st.integers(1, 5))
    size = int(np.prod(loss.raw_shape(n)))
    raw = np.array(data.draw(st.lists(SCORES, min_size=size, max_size=size))).reshape(loss.raw_shape(n))
    labels, _ = made_rows(loss, n, 1.0, seed=n)
    with np.errstate(all="ignore"):
        results = (loss.loss(labels, raw), *both(loss, labels, raw), loss.probability(raw))
    for result in results:
        assert not np.isnan(result).any()
    assert (results[0] >= 0).all()


def test_a_subclass_is_what_it_overrides():
    for kind in KINDS:
        for link in LINKS:
            plain, twice = (make(kind, sort(2.0), ALPHA[kind], link=link) for sort in (Focal, Twice))
            labels, raw = made_rows(plain, 50, 4.0)
            assert_allclose(twice.loss(labels, raw), 2 * plain.loss(labels, raw), rtol=1e-14)
            for found, expected in zip(both(twice, labels, raw), both(plain, labels, raw), strict=True):
                assert_allclose(found, 2 * expected, rtol=1e-13)


def test_poly1_without_epsilon_is_focal_loss():
    m = Margin(np.linspace(-50, 50, 101))
    for gamma in (0.0, 0.5, 2.0):
        poly, focal = Poly1Focal(gamma, 0.0), Focal(gamma)
        assert (poly.floor, poly.is_log_loss) == (focal.floor, focal.is_log_loss)
        for name in ("value", "derivatives", "link_term", "link_slope", "share_slope"):
            assert_allclose(getattr(poly, name)(m), getattr(focal, name)(m), rtol=1e-14)


def test_the_floor_goes_to_zero_with_the_parameters():
    floors = [
        loss.floor for loss in (Focal(0.4), Focal(5.0), Poly1Focal(0.0, -0.4), Poly1Focal(0.3, 0.1), Poly1Focal(2.0))
    ]
    assert_allclose(floors, [0.02, 0.05, 0.02, 0.02, 0.05])


def test_slope_at_ends():
    assert Focal(2.0).slope_at_ends == Poly1Focal(2.0, 3.0).slope_at_ends == 3.0
    assert Focal(0.0).slope_at_ends == 1.0
    assert_allclose(Users(0.5).slope_at_ends, 0.5)


def test_whole_powers_cost_no_exp(monkeypatch):
    at = Margin(np.array([-3.0, 0.0, 40.0]))
    q = at.q
    monkeypatch.setattr(np, "exp", lambda *_: pytest.fail("an exp"))
    for power in (0.0, 1.0, 2.0, 5.0, 0.5, 2.5):
        assert_allclose(at.power_of_q(power), q**power, rtol=1e-14)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            {"derivatives": lambda self, m: (m.q + 0.1, m.p * m.q)},
            r"derivatives\(\)\[0\] must be -dφ/dm",
        ),
        ({"derivatives": lambda self, m: (-m.q, m.p * m.q)}, r"0.999665 is expected, got -0.999665"),
        ({"derivatives": lambda self, m: (m.q, m.p)}, r"Broken.derivatives\(\)\[1\] must be -dg/dm"),
        ({"link_term": lambda self, m: -m.minus_log_q}, r"Broken.link_term\(\) must be log\(p q / g\)"),
        ({"link_slope": lambda self, m: m.p}, r"Broken.link_slope\(\) must be the slope"),
        (
            {
                "value": lambda self, m: np.sqrt(m.odds),
                "derivatives": lambda self, m: (np.sqrt(m.odds) / 2, np.sqrt(m.odds) / 4),
                "link_term": lambda self, m: m.m / 2 - m.minus_log_p - m.minus_log_q,
            },
            "Broken must be convex in the probability of the true class",
        ),
    ],
)
def test_methods_that_contradict_each_other_are_refused(broken, message):
    sort = type("Broken", (Focal,), broken)
    with pytest.raises(ValueError, match=message):
        BinaryFocalLoss(margin_loss=sort(0.0))


@pytest.mark.parametrize(
    "margin_loss", [*LOSSES, ThreeMethods(0.5), Focal(100.0), Focal(1e15), Poly1Focal(1e3, 20.0)], ids=repr
)
def test_methods_that_fit_are_not_refused(margin_loss):
    assert check_margin_loss(margin_loss) is margin_loss


class Mutable(Focal):
    """A loss whose parameters could change."""

    __hash__ = None


class Brier(MarginLoss):
    """A loss of finite slope at p = 0."""

    def value(self, m):
        return m.q**2 / 2

    def derivatives(self, m):
        return m.p * m.q**2, m.p * m.q**2 * (2 * m.p - m.q)

    def link_term(self, m):
        return m.minus_log_q


@pytest.mark.parametrize(
    ("make_loss", "error", "message"),
    [
        (lambda: BinaryFocalLoss(), TypeError, "one of gamma and margin_loss must be given, got neither"),
        (lambda: BinaryFocalLoss(1.0, margin_loss=Focal(2.0)), TypeError, "got gamma=1.0 and margin_loss="),
        (lambda: BinaryFocalLoss(margin_loss="focal"), TypeError, "margin_loss must be a MarginLoss, got"),
        (lambda: BinaryFocalLoss(margin_loss=Mutable(2.0)), TypeError, "margin_loss must be hashable"),
        (lambda: BinaryFocalLoss(-1.0), ValueError, "gamma must be a finite number >= 0"),
        (lambda: BinaryFocalLoss("2"), TypeError, "gamma must be a real number >= 0"),
        (lambda: BinaryFocalLoss(2.0, 1.0), ValueError, "alpha must lie in the open interval"),
        (lambda: BinaryFocalLoss(2.0, (1.0, -1.0)), ValueError, "alpha must be finite and > 0"),
        (lambda: BinaryFocalLoss(2.0, True), ValueError, "alpha must hold 2 positive numbers"),
        (lambda: BinaryFocalLoss(2.0, link="probit"), ValueError, "link must be one of 'logit', 'focal'"),
        (lambda: MulticlassFocalLoss(1, 2.0), ValueError, "n_classes must be an integer >= 2, got 1"),
        (lambda: MulticlassFocalLoss(2.0, 2.0), TypeError, "n_classes must be an integer >= 2, got 2.0"),
        (lambda: MulticlassFocalLoss(3, 2.0, (1.0, 2.0)), ValueError, "alpha must hold 3 positive numbers"),
        (lambda: MulticlassFocalLoss(3, margin_loss=Brier()), ValueError, "an infinite slope at p = 0"),
        (lambda: MultilabelFocalLoss(0, 2.0), ValueError, "n_labels must be an integer >= 1, got 0"),
        (lambda: Poly1Focal(-1.0), ValueError, "gamma must be a finite number >= 0"),
        (lambda: Poly1Focal(2.0, -1.0), ValueError, "epsilon must be a finite number > -1"),
        (lambda: Poly1Focal(2.0, "1"), TypeError, "epsilon must be a real number > -1"),
    ],
)  # fmt: skip
def test_refusals_of_losses(make_loss, error, message):
    with pytest.raises(error, match=message):
        make_loss()


TWO, MANY, LABELS = BinaryFocalLoss(2.0), MulticlassFocalLoss(3, 2.0), MultilabelFocalLoss(2, 2.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TWO.loss([0, 2], [0.0, 0.0]), ValueError, "y_true must hold only 0 and 1, got 2 at row 1"),
        (lambda: TWO.loss([[0]], [0.0]), ValueError, r"y_true must have shape \(n_samples,\)"),
        (lambda: TWO.loss(["a"], [0.0]), TypeError, "y_true must hold the numbers 0 and 1"),
        (lambda: MANY.loss([0, 3], np.zeros((2, 3))), ValueError, "from 0 to 2, got 3 at row 1"),
        (lambda: MANY.loss([0.5], np.zeros((1, 3))), ValueError, "from 0 to 2, got 0.5 at row 0"),
        (lambda: MANY.loss([0], np.zeros((1, 2))), ValueError, r"raw_prediction must have shape \(1, 3\)"),
        (lambda: MANY.probability(np.zeros((1, 2))), ValueError, r"raw_prediction must have shape \(1, 3\)"),
        (lambda: LABELS.loss([[0]], np.zeros((1, 2))), ValueError, r"must have shape \(n_samples, 2\)"),
        (lambda: TWO.loss([0], np.zeros(1, np.float16)), TypeError, "must be float32 or float64, got"),
        (lambda: TWO.loss([0], [0.0], [-1.0]), ValueError, "sample_weight must be >= 0"),
        (lambda: TWO.gradient_hessian([0], [0.0], hessian="expected"), ValueError, "hessian must be one of"),
        (lambda: TWO.gradient_hessian([0], [0.0], hessian_factor=0.0), ValueError, "hessian_factor must be"),
        (lambda: TWO.fit_intercept_only([1, 1]), ValueError, "must hold all 2 classes .*, class 0 has none"),
        (lambda: MANY.fit_intercept_only([0, 1, 2], [1, 0, 1]), ValueError, "class 1 has none"),
        (lambda: LABELS.fit_intercept_only([[0, 1], [1, 1]]), ValueError, "class 0 of label 1 has none"),
    ],
)  # fmt: skip
def test_refusals_of_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


@every_kind
@every_loss
def test_a_loss_is_a_value(margin_loss, kind):
    loss = make(kind, margin_loss, ALPHA[kind])
    same = make(kind, margin_loss, list(ALPHA[kind]))
    assert loss == same == pickle.loads(pickle.dumps(loss))
    assert hash(loss) == hash(same)
    assert eval(repr(loss), {**globals()}) == loss
    assert loss != dataclasses.replace(loss, link="focal")
    assert dataclasses.replace(loss, link="focal").margin_loss is margin_loss
    assert margin_loss_from_dict(margin_loss.to_dict()) == margin_loss
    assert loss.class_weights == ALPHA[kind]
    assert (loss.kind, loss.n_classes, loss.n_labels) == {
        "two": ("binary", 2, 1), "many": ("multiclass", 3, 1), "labels": ("multilabel", 2, 3),
    }[kind]  # fmt: skip


def test_alpha_of_the_paper():
    assert BinaryFocalLoss(2.0, 0.25).class_weights == (0.75, 0.25)
    assert BinaryFocalLoss(2.0).class_weights == (1.0, 1.0)
    assert MultilabelFocalLoss(3, 2.0, 0.25).class_weights == (0.75, 0.25)
    assert MulticlassFocalLoss(3, 2.0).class_weights == (1.0, 1.0, 1.0)


def test_names():
    with pytest.raises(ValueError, match="name must be new, got 'focal', which is that of Focal"):
        type("Other", (MarginLoss,), {}, name="focal")
    with pytest.raises(TypeError, match="margin_loss must be of a class with a registered name to be saved"):
        Brier().to_dict()
    with pytest.raises(ValueError, match="the loss 'hinge' is not known, only"):
        margin_loss_from_dict({"name": "hinge"})
    assert (Focal(2.0).symbol, Poly1Focal(2.0, 1.0).symbol) == ("γ = 2", "γ = 2, ε = 1")
