"""Class weights α: from what a user writes to one weight per class; they move decisions and not
probabilities."""

from inspect import signature

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import booster, fit, log, n_best, ours, rows
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from focal_gbm.fit.plan import DEFAULT_BETA, by_code, resolve_alpha

BINARY = np.array([0, 1])
NAMES = np.array(["ham", "spam", "zoo"])
COUNTS = np.array([90.0, 9.0, 1.0])


def counts(y, weight=None):
    return np.bincount(np.unique(y, return_inverse=True)[1], weight).astype(float)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_is_scikit_learns(n_classes, weighted):
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, 100) ** 2 % n_classes])
    weight = rng.uniform(0.1, 4.0, len(y)) if weighted else None
    classes, given = np.unique(y), {"sample_weight": weight} if weighted else {}
    if weighted and "sample_weight" not in signature(compute_class_weight).parameters:
        pytest.skip("scikit-learn takes weights from 1.7 on")
    expected = compute_class_weight("balanced", classes=classes, y=y, **given)
    assert_allclose(resolve_alpha("balanced", classes, counts(y, weight)), expected, rtol=1e-14)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.999, 1 - 1e-9, 1 - 1e-15])
@pytest.mark.parametrize("class_counts", [[50.0, 50.0], [990.0, 10.0], [500.0, 40.0, 1.0], [3.5, 1e6]])
def test_effective_is_the_formula_of_the_paper(beta, class_counts):
    """Cui et al. 2019, equation 2, weights scaled to sum to the number of classes."""
    result = resolve_alpha(("effective", beta), np.arange(len(class_counts)), np.array(class_counts))
    with mpmath.workdps(50):
        weights = [(1 - mpmath.mpf(beta)) / (1 - mpmath.mpf(beta) ** mpmath.mpf(n)) for n in class_counts]
        expected = [float(w * len(weights) / sum(weights)) for w in weights]
    assert_allclose(result, expected, rtol=1e-13)


def test_effective_at_its_ends():
    assert DEFAULT_BETA == 0.999
    assert resolve_alpha("effective", NAMES, COUNTS) == resolve_alpha(("effective", 0.999), NAMES, COUNTS)
    assert resolve_alpha(("effective", 0), NAMES, COUNTS) == (1.0, 1.0, 1.0)
    almost_one = resolve_alpha(("effective", 1 - 1e-15), NAMES, COUNTS)
    assert_allclose(almost_one, 3 / COUNTS / (1 / COUNTS).sum(), rtol=1e-12)


FORMS = [
    {"zoo": 3, "ham": 1.0, "spam": 2}, pd.Series({"spam": 2, "zoo": 3.0, "ham": 1}), (1, 2, 3), [1.0, 2, 3],
    np.array([1, 2, 3], np.float32),
]  # fmt: skip


@pytest.mark.parametrize("alpha", FORMS, ids=lambda alpha: type(alpha).__name__)
def test_forms(alpha):
    assert resolve_alpha(alpha, NAMES, COUNTS) == (1.0, 2.0, 3.0)
    assert resolve_alpha(None, NAMES, COUNTS) is None
    for one in (0.25, np.float32(0.25), np.float64(0.25)):
        assert resolve_alpha(one, BINARY, COUNTS[:2]) == (0.75, 0.25)
    assert resolve_alpha({True: 3.0, False: 1.0}, np.array([False, True]), COUNTS[:2]) == (1.0, 3.0)
    assert by_code({"spam": 2.0}, NAMES) == {1: 2.0}
    assert by_code("balanced", NAMES) == "balanced"


WRONG = {
    "unknown word": ("inverse", ValueError, r"must be None, a float .*, 'balanced', .*, got 'inverse'\.$"),
    "bool": (True, TypeError, r"must be None, .*, got True\.$"),
    "a number for three": (0.25, ValueError, r"a single number only for two classes, got 3 classes\.$"),
    "beta 1": (("effective", 1.0), ValueError, r"must have a beta in \[0, 1\) .*, got 1\.0\.$"),
    "beta nan": (("effective", np.nan), ValueError, r"beta in \[0, 1\) .*, got nan\.$"),
    "beta text": (("effective", "0.9"), ValueError, r"beta in \[0, 1\) .*, got '0\.9'\.$"),
    "a label missing": ({"ham": 1.0, "spam": 1.0}, ValueError, r"got none for \['zoo'\]\.$"),
    "a label too many": (
        {"ham": 1.0, "spam": 1.0, "zoo": 1.0, "eggs": 1.0}, ValueError, r"some for the unknown \['eggs'\]\.$"
    ),
    "Series by position": (pd.Series([1.0, 2.0, 3.0]), ValueError, r"one weight for each of the classes"),
    "Series without labels": (pl.Series([1.0, 2.0, 3.0]), TypeError, r"got a Series without an index"),
    "zero": ({"ham": 1, "spam": 1, "zoo": 0}, ValueError, r"finite and > 0 .* \[1\.0, 1\.0, 0\.0\]"),
    "text": ({"ham": 1, "spam": 1, "zoo": "x"}, TypeError, r"must hold 3 positive numbers"),
    "two of three": ((1.0, 2.0), ValueError, r"must hold 3 positive numbers, .* of shape \(2,\)\.$"),
    "a column": (np.ones((3, 1)), ValueError, r"got an array of shape \(3, 1\)\.$"),
    "negative": ((1.0, -2.0, 3.0), ValueError, r"finite and > 0 .*, got \[1\.0, -2\.0, 3\.0\]\.$"),
    "infinite": ((1.0, np.inf, 3.0), ValueError, r"finite and > 0 .*, got \[1\.0, inf, 3\.0\]\.$"),
    "an object": (object(), TypeError, r"must hold 3 positive numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_alpha(library, case):
    alpha, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        resolve_alpha(alpha, NAMES, COUNTS)
    data = rows("many")
    with pytest.raises(error, match=message) as found:
        ours(library, focal_alpha=alpha).fit(data.X, NAMES[data.y])
    assert "got a Series without" in str(found.value) or str(found.value).startswith("focal_alpha")


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1, -0.25, np.nan, np.inf])
def test_a_number_outside_the_interval(library, table, alpha):
    with pytest.raises(ValueError, match=r"alpha must lie in the open interval \(0, 1\), got .*\.$"):
        fit(ours(library, focal_alpha=alpha), table)


@pytest.mark.parametrize("alpha", ["balanced", "effective", ("effective", 0.0)])
def test_a_class_without_rows(alpha):
    with pytest.raises(ValueError, match=r"^focal_alpha=.* needs rows with a positive weight in every class"):
        resolve_alpha(alpha, NAMES, np.array([5.0, 0.0, 1.0]))


# In the estimators


def log_odds(model, X):
    return np.asarray(
        model.decision_function(X) if hasattr(model, "decision_function") else model.predict_proba(X, raw_score=True),
        np.float64,
    )


def test_predict_is_the_class_that_alpha_favours(problem):
    alpha = [1.0, 4.0, 2.0] if problem.kind == "many" else [1.0, 4.0]
    model = fit(problem.ours(focal_alpha=alpha), problem.train)
    p = model.predict_proba(problem.valid.X)
    if problem.kind == "labels":
        expected = (4 * p > 1 - p).astype(int)
        plain = (p > 0.5).astype(int)
    else:
        expected, plain = (p * alpha).argmax(axis=1), p.argmax(axis=1)
    assert_array_equal(model.predict(problem.valid.X), expected)
    assert (expected != plain).mean() > 0.02
    without = fit(problem.ours(), problem.train)
    p = without.predict_proba(problem.valid.X)
    assert_array_equal(
        without.predict(problem.valid.X),
        (p > 0.5).astype(int) if problem.kind == "labels" else p.argmax(axis=1),
    )


def test_probabilities_stay_true(problem):
    """α has them trained on other rows; the mean is that of the labels whatever α."""
    rates = []
    for alpha in (None, [1.0, 5.0, 2.0] if problem.kind == "many" else [1.0, 5.0], "balanced"):
        model = fit(problem.ours(focal_alpha=alpha, n_estimators=30), problem.train)
        p = model.predict_proba(problem.train.X)
        rates.append(p.mean(axis=0) if problem.kind == "labels" else p.mean(axis=0)[1:])
    truth = problem.train.y.mean(axis=0) if problem.kind == "labels" else np.bincount(problem.train.y)[1:] / 300
    assert_allclose(rates, [truth] * 3, atol=0.06)


def test_forms_are_one_model(problem):
    if problem.kind == "labels":
        forms = [[1.0, 3.0], (1, 3), {0: 1.0, 1: 3.0}, 0.75]
    elif problem.kind == "two":
        forms = [[1.0, 3.0], {0: 1.0, 1: 3.0}, pd.Series({1: 3.0, 0: 1.0}), 0.75]
    else:
        forms = [
            [1.0, 3.0, 2.0],
            {2: 2.0, 0: 1.0, 1: 3.0},
            pd.Series({1: 3, 2: 2, 0: 1}),
            np.array([2.0, 6.0, 4.0]),
        ]
    models = [fit(problem.ours(focal_alpha=alpha), problem.train) for alpha in forms]
    for model in models[1:]:
        assert_allclose(
            model.predict_proba(problem.train.X), models[0].predict_proba(problem.train.X), rtol=0, atol=1e-6
        )
        assert_array_equal(model.predict(problem.train.X), models[0].predict(problem.train.X))
    # text labels, by name
    if problem.kind == "two":
        y = np.array(["no", "yes"])[problem.train.y]
        named = problem.ours(focal_alpha={"yes": 3.0, "no": 1.0}).fit(problem.train.X, y)
        assert_allclose(
            named.predict_proba(problem.train.X), models[0].predict_proba(problem.train.X), rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("alpha", ["balanced", "effective"])
def test_counts_are_weighted(problem, alpha):
    weight = np.random.default_rng(0).integers(1, 4, 300)
    model = problem.ours(focal_alpha=alpha).fit(problem.train.X, problem.train.y, sample_weight=weight)
    classes = 3 if problem.kind == "many" else 2
    y = problem.train.y.ravel()
    repeated = np.repeat(weight, 3) if problem.kind == "labels" else weight
    given = resolve_alpha(alpha, np.arange(classes), np.bincount(y, repeated).astype(float))
    same = problem.ours(focal_alpha=given).fit(problem.train.X, problem.train.y, sample_weight=weight)
    assert_allclose(model.predict_proba(problem.train.X), same.predict_proba(problem.train.X), rtol=0, atol=1e-6)
    assert_array_equal(model.predict(problem.train.X), same.predict(problem.train.X))


def test_a_common_factor_changes_nothing(problem):
    """It would divide min_child_weight and the penalties."""
    alpha = np.array([1.0, 3.0, 2.0] if problem.kind == "many" else [1.0, 3.0])
    models = [fit(problem.ours(focal_alpha=factor * alpha), problem.train) for factor in (1.0, 1e-3, 200.0)]
    for model in models[1:]:
        assert_allclose(
            model.predict_proba(problem.train.X), models[0].predict_proba(problem.train.X), rtol=0, atol=2e-6
        )


def test_equal_weights_are_none(problem):
    model = fit(problem.ours(focal_alpha=[2.0] * (3 if problem.kind == "many" else 2)), problem.train)
    without = fit(problem.ours(), problem.train)
    assert_allclose(model.predict_proba(problem.train.X), without.predict_proba(problem.train.X), rtol=0, atol=1e-6)
    assert_array_equal(model.predict(problem.train.X), without.predict(problem.train.X))


def test_alpha_of_the_log_loss_trains_and_decides(problem):
    """γ=0 with α is no longer the library's own loss."""
    alpha = [1.0, 4.0, 2.0] if problem.kind == "many" else [1.0, 4.0]
    model = fit(problem.ours(focal_gamma=0.0, focal_alpha=alpha), problem.train)
    p = model.predict_proba(problem.train.X)
    expected = (4 * p > 1 - p).astype(int) if problem.kind == "labels" else (p * alpha).argmax(axis=1)
    assert_array_equal(model.predict(problem.train.X), expected)


def test_alpha_of_an_earlier_fit_is_forgotten(problem):
    """Also where training goes on from a model that had one."""
    first = fit(problem.ours(focal_alpha=[1.0, 5.0, 2.0] if problem.kind == "many" else 0.9), problem.train)
    name = "xgb_model" if problem.library == "xgboost" else "init_model"
    for model in (problem.ours(focal_gamma=0.0), problem.ours()):
        fit(model, problem.train, **{name: booster(first)})
        p = model.predict_proba(problem.train.X)
        expected = (p > 0.5).astype(int) if problem.kind == "labels" else p.argmax(axis=1)
        assert_array_equal(model.predict(problem.train.X), expected)
    again = fit(first.set_params(focal_alpha=None), problem.train)
    assert_array_equal(again.predict(problem.train.X), fit(problem.ours(), problem.train).predict(problem.train.X))


# The library's own class weights

OWN_WEIGHTS = {
    "xgboost": [{"scale_pos_weight": 3.0}],
    "lightgbm": [
        {"scale_pos_weight": 3.0}, {"scale_pos_weight": "3"}, {"is_unbalance": True}, {"unbalance": "true"},
        {"class_weight": {0: 1.0, 1: 3.0}}, {"class_weight": {1: 3.0}}, {"class_weight": "balanced"},
        {"class_weight": pd.Series({1: 3.0, 0: 1.0})},
    ],
}  # fmt: skip


def test_the_librarys_weights_are_alpha_and_say_so(library, table):
    for params in OWN_WEIGHTS[library]:
        (name,) = params
        message = rf"{name}=.* moves the decisions of Focal.*\.predict, not its probabilities.*focal_alpha="
        with pytest.warns(UserWarning, match=message) as told:
            model = fit(ours(library, **params), table)
        assert told[0].filename.endswith("problems.py")  # the line that called `fit`
        written = str(told[0].message).split("focal_alpha=")[1].split(" to say")[0]
        same = fit(ours(library, focal_alpha=eval(written)), table)  # without a warning, as it says
        assert_allclose(model.predict_proba(table.X), same.predict_proba(table.X), rtol=0, atol=1e-7)
        assert_array_equal(model.predict(table.X), same.predict(table.X))
        assert repr(model.get_params()[name]) == repr(params[name])
        p = model.predict_proba(table.X)
        assert abs(p[:, 1].mean() - table.y.mean()) < 0.05
        assert log_loss(table.y, p) < log_loss(table.y, np.full(300, table.y.mean()))


@pytest.mark.filterwarnings("ignore:class_weight=:UserWarning")
def test_class_weight_of_many_classes():
    data = rows("many")
    for weight in ("balanced", {0: 1.0, 1: 2.0, 2: 5.0}, {2: 5.0}):
        model = fit(ours("lightgbm", class_weight=weight), data)
        alpha = {0: 1.0, 1: 1.0, 2: 1.0, **weight} if isinstance(weight, dict) else weight
        same = fit(ours("lightgbm", focal_alpha=alpha), data)
        assert_array_equal(model.predict(data.X), same.predict(data.X))


def test_one_parameter_can_weight_the_classes(library, table):
    for params in OWN_WEIGHTS[library]:
        (name,) = params
        with pytest.raises(
            ValueError, match=rf"only one parameter can weight the classes, got focal_alpha and {name}."
        ):
            fit(ours(library, focal_alpha="balanced", **params), table)
    fit(ours(library, focal_alpha="balanced", scale_pos_weight=1.0), table)
    if library == "lightgbm":
        fit(ours(library, focal_alpha="balanced", is_unbalance=False, class_weight=None), table)
        with pytest.raises(ValueError, match="only one parameter can weight the classes"):
            fit(ours(library, scale_pos_weight=2.0, is_unbalance=True), table)


def test_wrong_weights_of_the_library(library, table):
    for weight in (-1.0, 0.0, np.nan):
        with pytest.raises(ValueError, match=r"^scale_pos_weight must be finite and > 0 for every class"):
            fit(ours(library, scale_pos_weight=weight), table)
    with pytest.raises(ValueError, match=r"^scale_pos_weight (is for two classes, got 3|must hold 3 positive numbers)"):
        fit(ours(library, scale_pos_weight=2.0), rows("many"))
    if library == "lightgbm":
        for weight, message in (
            ({"yes": 2.0}, r"some for the unknown \['yes'\]"),
            ("balnced", "got 'balnced'"),
        ):
            with pytest.raises(ValueError, match=message):
                fit(ours(library, class_weight=weight), table)


def test_early_stopping_and_metrics_with_alpha(problem):
    params = {"focal_alpha": "balanced", "n_estimators": 60, "learning_rate": 0.5}
    model = fit(problem.ours(**params), problem.train, problem.valid, stop=5)
    (values,) = log(model).values()
    assert n_best(model) == np.argmin(values) + 1
