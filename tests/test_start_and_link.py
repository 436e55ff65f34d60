"""The start that is stored in the model, and the way from the score to the probability."""

import numpy as np
import pytest
from estimators import BOTH, focal_lgb, focal_xgb, make_table
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss

from focal_gbm import BinaryFocalLoss

ALPHAS = [
    None, 0.1, 0.9, "balanced", "effective", ("effective", 0.99), {0: 1.0, 1: 7.0}, [2.0, 0.5],
    np.array([0.05, 20.0]),
]  # fmt: skip


def one_tiny_step(make, **params):
    """A model that is its start."""
    return make(n_estimators=1, learning_rate=1e-13, **params)


# The start


@pytest.mark.parametrize("alpha", ALPHAS, ids=str)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_the_start_is_the_base_rate(make, table, gamma, alpha, weighted):
    weight = table.weight if weighted else None
    model = one_tiny_step(make, focal_gamma=gamma, focal_alpha=alpha, min_child_weight=0)
    model.fit(table.X, table.y, sample_weight=weight)
    rate = np.average(table.y, weights=weight)
    # the margin is a float32 in XGBoost, and the posterior's logit is (1+γ) times as steep
    tolerance = 1e-5 if make is focal_xgb else 1e-8
    assert_allclose(model.predict_proba(table.X)[:, 1], rate, rtol=tolerance)
    start = BinaryFocalLoss(gamma, model._state().loss.alpha).fit_intercept_only(table.y, weight)
    assert_allclose(model.decision_function(table.X), start, rtol=tolerance, atol=1e-6)


def test_the_start_is_where_the_focal_loss_is_least(make, table):
    model = one_tiny_step(make, focal_alpha="balanced").fit(table.X, table.y)
    (start,) = set(model.decision_function(table.X).astype(np.float64).round(5))
    share = table.y.mean()
    z = start + np.linspace(-0.1, 0.1, 201)
    p = expit(z)
    # "balanced" gives both classes the same total weight
    loss = -((1 - p) ** 2) * np.log(p) * (0.5 / share) * share - p**2 * np.log(1 - p) * 0.5
    assert z[loss.argmin()] == pytest.approx(start, abs=2e-3)
    # and there a start at even scores is fair
    assert start == pytest.approx(0.0, abs=1e-5)


def test_base_score_given_by_the_user(table):
    model = one_tiny_step(focal_xgb, base_score=0.3).fit(table.X, table.y)
    assert_allclose(model.decision_function(table.X), logit(0.3), rtol=1e-6)
    assert model.base_score == 0.3
    trained = focal_xgb(base_score=0.3, n_estimators=100, learning_rate=0.3).fit(table.X, table.y)
    assert trained.predict_proba(table.X)[:, 1].mean() == pytest.approx(table.y.mean(), abs=0.02)


@pytest.mark.parametrize("no", [False, "false", "-"])
def test_boost_from_average_false(table, no):
    model = one_tiny_step(focal_lgb, boost_from_average=no).fit(table.X, table.y)
    assert_allclose(model.decision_function(table.X), 0.0, atol=1e-8)
    assert_array_equal(model.predict_proba(table.X).round(6), 0.5)
    model = one_tiny_step(focal_lgb, boost_from_average=True).fit(table.X, table.y)
    assert_allclose(model.predict_proba(table.X)[:, 1], table.y.mean(), rtol=1e-8)


def test_base_margin_of_xgboost(table):
    """It takes the place of the start, in training and in prediction, as with the library."""
    margin = 0.3 * table.X[:, 0] - 1.0
    model = focal_xgb().fit(table.X, table.y, base_margin=margin)
    trees = model.decision_function(table.X) - logit(model_base_score(model))
    assert_allclose(model.decision_function(table.X, base_margin=margin), margin + trees, atol=1e-5)
    proba = model.predict_proba(table.X, base_margin=margin)
    assert_allclose(
        proba[:, 1], BinaryFocalLoss(2.0).link.inverse((margin + trees).astype(np.float64)), atol=1e-5
    )
    assert_array_equal(model.predict(table.X, base_margin=margin), (margin + trees > 0).astype(int))
    # a margin that is the start changes nothing
    start = np.full(500, logit(model_base_score(model)), dtype=np.float32)
    plain = focal_xgb().fit(table.X, table.y)
    same = focal_xgb().fit(table.X, table.y, base_margin=start)
    assert_allclose(same.decision_function(table.X), plain.decision_function(table.X), atol=1e-5)


def model_base_score(model):
    import json

    config = json.loads(model.get_booster().save_config())
    return json.loads(config["learner"]["learner_model_param"]["base_score"])[0]


def test_init_score_of_lightgbm(table):
    """It takes the place of the start and is not stored in the model, as with the library."""
    score = 0.3 * table.X[:, 0] - 1.0
    model = focal_lgb(n_estimators=50).fit(table.X, table.y, init_score=score)
    assert abs(model.decision_function(table.X).mean()) < 0.3
    total = model.decision_function(table.X) + score
    posterior = BinaryFocalLoss(2.0).link.inverse(total)
    assert posterior.mean() == pytest.approx(table.y.mean(), abs=0.02)
    # a score that is the start gives the same trees
    start = BinaryFocalLoss(2.0).fit_intercept_only(table.y)
    plain = focal_lgb().fit(table.X, table.y)
    same = focal_lgb().fit(table.X, table.y, init_score=np.full(500, start))
    assert_allclose(same.decision_function(table.X) + start, plain.decision_function(table.X), rtol=1e-12)


def wrong_start(library, hessian, table):
    """The base rate as a log loss would have it: rare positives are where the exact Hessian is negative."""
    rate = float(table.y.mean())
    if library == "xgboost":
        return focal_xgb(hessian=hessian, base_score=rate, n_estimators=30).fit(table.X, table.y)
    score = np.full(len(table.y), logit(rate))
    return focal_lgb(hessian=hessian, n_estimators=30).fit(table.X, table.y, init_score=score)


@pytest.mark.parametrize("library", BOTH)
def test_from_a_wrong_start(library):
    table, other = (make_table(seed, n_samples=6000, shift=-6.0) for seed in (0, 1))
    assert 0.005 < table.y.mean() < 0.015
    for hessian in ("floored", "majorizing"):
        model = wrong_start(library, hessian, table)
        precision = average_precision_score(other.y, model.decision_function(other.X))
        assert precision > 5 * other.y.mean()
    with pytest.warns(UserWarning, match=r'grew no split .* hessian="floored" never is'):
        model = wrong_start(library, "exact", table)
    assert np.ptp(model.decision_function(other.X)) == 0


@pytest.mark.parametrize("hessian", ["floored", "majorizing", "exact"])
def test_rare_positives(make, hessian):
    """One in two thousand: from the focal start every Hessian trains."""
    table, other = (make_table(seed, n_samples=20000, shift=-9.8) for seed in (0, 1))
    assert 1 / 3000 < table.y.mean() < 1 / 1500
    model = make(hessian=hessian, n_estimators=20, learning_rate=0.05).fit(table.X, table.y)
    assert average_precision_score(other.y, model.decision_function(other.X)) > 5 * other.y.mean()
    posterior = model.predict_proba(table.X)[:, 1]
    assert posterior.max() > 5 * table.y.mean()
    if hessian != "exact":
        assert posterior.mean() == pytest.approx(table.y.mean(), rel=0.5)


# The link


@pytest.fixture(scope="module")
def logistic():
    """Rows for training and for testing, with the true probability, a logistic function of x."""

    def rows(seed):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(6000, 2))
        p = expit(X @ [1.5, -1.0] - 1.5)
        return X, (rng.random(6000) < p).astype(int), p

    return rows(0), rows(1)


@pytest.fixture(scope="module", params=BOTH.values(), ids=BOTH.keys())
def by_alpha(request, logistic):
    """Models that differ in α."""
    (X, y, _), _ = logistic
    return {alpha: request.param(n_estimators=60, focal_alpha=alpha).fit(X, y) for alpha in (None, 0.2, 0.8)}


def excess(y, estimate, truth):
    """Log loss above that of the truth."""
    return log_loss(y, estimate) - log_loss(y, truth)


def test_the_posterior_is_calibrated_and_the_score_is_not(by_alpha, logistic):
    _, (X, y, truth) = logistic
    for alpha, model in by_alpha.items():
        posterior = model.predict_proba(X)[:, 1].astype(np.float64)
        score = expit(model.decision_function(X).astype(np.float64))
        assert excess(y, posterior, truth) < 0.015, alpha
        assert excess(y, score, truth) > 0.04, alpha
        # slope and intercept of the truth over the estimate, in logits: 1 and 0
        assert_allclose(fit_line(posterior, y), (1.0, 0.0), atol=0.2)
        assert abs(fit_line(score, y)[0] - 1) > 0.8, alpha
        # in tenths of the rows
        for tenth in np.array_split(np.argsort(posterior), 10):
            assert posterior[tenth].mean() == pytest.approx(truth[tenth].mean(), abs=0.05)


def fit_line(probability, y):
    line = LogisticRegression(C=np.inf).fit(logit(probability)[:, np.newaxis], y)
    return line.coef_[0, 0], line.intercept_[0]


def test_alpha_moves_the_decision_and_not_the_probability(by_alpha, logistic):
    _, (X, _, truth) = logistic
    rate = truth.mean()
    positives = {}
    for alpha, model in by_alpha.items():
        posterior = model.predict_proba(X)[:, 1]
        assert posterior.mean() == pytest.approx(rate, abs=0.02)
        assert abs(posterior - by_alpha[None].predict_proba(X)[:, 1]).mean() < 0.03
        positives[alpha] = model.predict(X).mean()
    assert positives[0.2] < 0.7 * positives[None] < 0.5 * positives[0.8]
    assert positives[None] == pytest.approx(np.mean(truth > 0.5), abs=0.02)
    # α weights the classes: class 1 is predicted where α P(1) > (1-α) P(0)
    assert positives[0.8] == pytest.approx(np.mean(truth > 0.2), abs=0.03)
    assert positives[0.2] == pytest.approx(np.mean(truth > 0.8), abs=0.03)


def test_the_posterior_is_the_link_of_the_score(make, table):
    """logit η = log(α0/α1) + (1+γ) z + log1p(γ r(z)) - log1p(γ r(-z)), r(x) = softplus(x) exp(-x)."""
    for gamma, alpha in ((2.0, 0.3), (0.5, None), (5.0, 0.9)):
        model = make(focal_gamma=gamma, focal_alpha=alpha).fit(table.X, table.y)
        z = model.decision_function(table.X).astype(np.float64)

        def r(x):
            return np.log1p(np.exp(x)) * np.exp(-x)

        odds = 1.0 if alpha is None else (1 - alpha) / alpha
        expected = np.log(odds) + (1 + gamma) * z + np.log1p(gamma * r(z)) - np.log1p(gamma * r(-z))
        found = model.predict_proba(table.X).astype(np.float64)
        assert_allclose(np.log(found[:, 1] / found[:, 0]), expected, rtol=2e-5, atol=2e-5)


def test_gamma_does_not_distort_the_probability(make, logistic):
    (X, y, _), (other, y_other, truth) = logistic
    losses = {}
    for gamma in (0.0, 1.0, 2.0, 5.0):
        model = make(focal_gamma=gamma, n_estimators=60).fit(X, y)
        losses[gamma] = excess(y_other, model.predict_proba(other)[:, 1], truth)
    assert max(losses.values()) < min(losses.values()) + 0.01


def test_probabilities_of_both_classes_are_precise(make):
    """Neither is one minus the other: a certain row keeps its small probability."""
    x = np.linspace(-1, 1, 400)[:, np.newaxis]
    y = (x[:, 0] > 0).astype(int)
    model = make(focal_gamma=0.5, n_estimators=300, learning_rate=1.0, min_child_weight=1e-9, reg_lambda=0)
    proba = model.fit(x, y).predict_proba([[-1.0], [1.0]])
    assert 0 < proba[0, 1] < 1e-8
    assert 0 < proba[1, 0] < 1e-8
    assert proba[0, 1] == pytest.approx(proba[1, 0], rel=1.0)
