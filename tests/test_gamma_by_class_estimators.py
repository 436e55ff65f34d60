"""A focusing parameter by class in both estimators: every form of `focal_gamma`."""

import numpy as np
import pytest
from estimators import focal_lgb, focal_xgb, make_table
from many import make_classes, make_labels
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier

from focal_gbm import BinaryFocalLoss, MulticlassFocalLoss
from focal_gbm.training.metrics import FocalMetric

FORMS = {
    "float": 1.5,
    "tuple": (4.0, 0.5),
    "list": [0, 5],
    "array": np.array([0.5, 2.0]),
    "dict": {1: 0.0, 0: 3.0},
    "dict of NumPy's numbers": {np.int64(0): np.float32(3.0), np.int64(1): 1},
}


def as_list(gamma):
    return gamma.tolist() if isinstance(gamma, np.ndarray) else gamma


def reload(model, tmp_path):
    path = tmp_path / "model.json"
    model.save_model(path)
    restored = type(model)(**({} if hasattr(model, "get_xgb_params") else {"verbose": -1}))
    restored.load_model(path)
    return restored


# What it means


@pytest.mark.parametrize("gamma", [(0.0, 5.0), (5.0, 0.0), (4.0, 0.5), (1.0, 3.0)])
def test_probabilities_are_true(make, gamma):
    train, test = make_table(2, 4000), make_table(3, 4000)
    # XGBoost 3.4 gave min_child_weight another meaning
    params = {"n_estimators": 60, "learning_rate": 0.15, "min_child_weight": 0.0}
    log_loss_model = make(focal_gamma=0.0, **params).fit(train.X, train.y)
    model = make(focal_gamma=gamma, **params).fit(train.X, train.y)
    off = [np.abs(m.predict_proba(test.X)[:, 1] - test.probability).mean() for m in (log_loss_model, model)]
    assert off[1] < 1.25 * off[0]
    assert model.predict_proba(test.X)[:, 1].mean() == pytest.approx(test.probability.mean(), abs=0.015)
    # and the scores alone are not
    score = expit(model.decision_function(test.X))
    assert np.abs(score - test.probability).mean() > 2 * off[1]


def test_probabilities_of_many_classes_are_true(make):
    train, test = make_classes(2, 4000), make_classes(3, 4000)
    params = {"n_estimators": 40, "learning_rate": 0.15}
    off = [
        np.abs(
            make(focal_gamma=g, **params).fit(train.X, train.y).predict_proba(test.X) - test.probability
        ).mean()
        for g in (0.0, {0: 4.0, 1: 0.0, 2: 1.0})
    ]
    assert off[1] < 1.25 * off[0]


def test_probabilities_of_many_labels_are_true():
    train, test = make_labels(2, 4000), make_labels(3, 4000)
    model = focal_xgb(focal_gamma=[{0: 4.0, 1: 0.5}, 2.0, (0.0, 3.0)], n_estimators=60, learning_rate=0.15)
    plain = focal_xgb(focal_gamma=0.0, n_estimators=60, learning_rate=0.15)
    off = [
        np.abs(m.fit(train.X, train.y).predict_proba(test.X) - test.probability).mean()
        for m in (plain, model)
    ]
    assert off[1] < 1.25 * off[0]


def test_more_focus_on_a_class_scores_it_lower(make, table):
    recall = [
        make(focal_gamma=gamma, n_estimators=30).fit(table.X, table.y).predict(table.X)[table.y == 1].mean()
        for gamma in ((0.0, 4.0), (0.0, 0.0), (4.0, 0.0))
    ]
    assert recall[0] < recall[1] - 0.05
    assert recall[1] < recall[2] - 0.05


@pytest.mark.parametrize("gamma", [(2.0, 2.0), {0: 2, 1: 2}, np.full(2, 2.0)], ids=str)
def test_equal_gammas_are_one(make, table, gamma):
    one, by_class = (
        make(focal_gamma=g).fit(table.X, table.y, sample_weight=table.weight) for g in (2.0, gamma)
    )
    assert_array_equal(by_class.predict_proba(table.X), one.predict_proba(table.X))


@pytest.mark.parametrize("hessian", ["floored", "exact", "majorizing"])
def test_mirrored_labels_and_gammas_are_mirrored_scores(make, table, hessian):
    params = {"n_estimators": 3, "hessian": hessian}
    model = make(focal_gamma=(4.0, 0.5), **params).fit(table.X, table.y)
    mirrored = make(focal_gamma=(0.5, 4.0), **params).fit(table.X, 1 - table.y)
    assert_allclose(
        mirrored.decision_function(table.X), -model.decision_function(table.X), rtol=1e-4, atol=1e-5
    )


def test_order_is_by_label(make, table):
    names = np.array(["yes", "no"])[table.y]  # "no" comes first, and is class 1 of the table
    model = make(focal_gamma={"yes": 4.0, "no": 0.5}).fit(table.X, names)
    same = make(focal_gamma=[0.5, 4.0]).fit(table.X, names)
    assert model._state().loss == BinaryFocalLoss((0.5, 4.0))
    assert_array_equal(model.predict_proba(table.X), same.predict_proba(table.X))


def test_start_is_the_base_rate(make, table):
    model = make(focal_gamma=(20.0, 0.5), focal_alpha="balanced", n_estimators=1, learning_rate=1e-13)
    model.set_params(min_child_weight=0).fit(table.X, table.y, sample_weight=table.weight)
    rate = np.average(table.y, weights=table.weight)
    assert_allclose(model.predict_proba(table.X)[:, 1], rate, rtol=1e-4)


def test_metric_of_the_evaluation_set_is_that_of_the_loss(make, table, validation):
    model = make(focal_gamma={0: 4.0, 1: 0.5}, n_estimators=4)
    model.fit(table.X, table.y, eval_set=[(validation.X, validation.y)])
    results = model.evals_result_ if hasattr(model, "evals_result_") else model.evals_result()
    ((_, metrics),) = results.items()
    metric = FocalMetric(BinaryFocalLoss((4.0, 0.5)))
    expected = metric.value(validation.y, model.decision_function(validation.X).astype(np.float64))
    assert metrics["focal_loss"][-1] == pytest.approx(expected, rel=1e-6)


# Saving, cloning, searching


@pytest.mark.parametrize("form", FORMS)
def test_a_saved_model_is_restored(make, table, form, tmp_path):
    gamma = FORMS[form]
    model = make(focal_gamma=gamma).fit(table.X, table.y)
    restored = reload(model, tmp_path)
    assert_array_equal(restored.predict_proba(table.X), model.predict_proba(table.X))
    assert restored._state().loss == model._state().loss
    assert restored.focal_gamma == as_list(gamma)
    assert type(restored.focal_gamma) is type(as_list(gamma))
    params = {name: value for name, value in model.get_params().items() if name != "focal_gamma"}
    again = restored.set_params(**params).fit(table.X, table.y)
    assert_array_equal(again.predict_proba(table.X), model.predict_proba(table.X))


def test_labels_of_a_saved_dict(make, table, tmp_path):
    names = np.array(["ham", "spam"])[table.y]
    model = make(focal_gamma={"spam": 0.5, "ham": 4.0}).fit(table.X, names)
    restored = reload(model, tmp_path)
    assert restored.focal_gamma == {"spam": 0.5, "ham": 4.0}
    assert_array_equal(restored.predict_proba(table.X), model.predict_proba(table.X))


def test_a_saved_model_of_many_classes_is_restored(make, tmp_path):
    data = make_classes(0)
    model = make(focal_gamma=(0.0, 1.0, 4.0)).fit(data.X, data.y)
    restored = reload(model, tmp_path)
    assert restored._state().loss == MulticlassFocalLoss(3, (0.0, 1.0, 4.0))
    assert_array_equal(restored.predict_proba(data.X), model.predict_proba(data.X))


@pytest.mark.parametrize(
    ("parameters", "gammas"),
    [
        ({"focal_gamma": 1.5}, [1.5, 1.5, 1.5]),
        ({"focal_gamma": {0: 4, 1: 0.5}}, [(4.0, 0.5)] * 3),
        ({"focal_gamma": [1, {1: 0.5, 0: 4}, (0, 2)]}, [1.0, (4.0, 0.5), (0.0, 2.0)]),
        ({"focal_gamma": (1.0, 2.0, 3.0)}, [1.0, 2.0, 3.0]),
        ({"focal_gamma": np.array([1.0, 2.0, 3.0])}, [1.0, 2.0, 3.0]),
        ({"focal_gamma": np.array([[4.0, 0.5], [1.0, 1.0], [0.0, 2.0]])}, [(4.0, 0.5), 1.0, (0.0, 2.0)]),
        # forms of α that share the way they are saved
        ({"focal_alpha": (1.0, 3.0)}, [2.0] * 3),
        ({"focal_alpha": [0.25, (1.0, 3.0), ("effective", 0.9)]}, [2.0] * 3),
    ],
    ids=str,
)
def test_many_labels(parameters, gammas, tmp_path):
    data = make_labels(0, 300)
    model = focal_xgb(n_estimators=3, **parameters).fit(data.X, data.y)
    assert [column.gamma for column in model._state().loss.columns] == gammas
    restored = reload(model, tmp_path)
    assert restored._state().loss == model._state().loss
    assert_array_equal(restored.predict_proba(data.X), model.predict_proba(data.X))
    again = restored.set_params(n_estimators=3, max_depth=3, n_jobs=1).fit(data.X, data.y)
    assert_array_equal(again.predict_proba(data.X), model.predict_proba(data.X))


def test_every_label_has_its_own_gamma():
    data = make_labels(0, 300)
    model = focal_xgb(focal_gamma=[0.0, (4.0, 0.5), 2.0]).fit(data.X, data.y)
    for j, gamma in enumerate([0.0, (4.0, 0.5), 2.0]):
        alone = focal_xgb(focal_gamma=gamma).fit(data.X, data.y[:, j])
        assert_allclose(model.predict_proba(data.X)[:, j], alone.predict_proba(data.X)[:, 1], rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_clone_and_get_params(make, form):
    gamma = FORMS[form]
    model = make(focal_gamma=gamma)
    assert model.get_params()["focal_gamma"] is gamma
    assert_array_equal(as_list(clone(model).focal_gamma), as_list(gamma))
    repr(model)


def test_search_over_forms(make, table):
    grid = {"focal_gamma": [2.0, (4.0, 0.5), {0: 0.0, 1: 3.0}]}
    search = GridSearchCV(make(n_estimators=5), grid, cv=2, scoring="neg_log_loss").fit(table.X, table.y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert search.best_params_["focal_gamma"] in grid["focal_gamma"]


def test_lightgbm_in_a_wrapper_for_many_labels():
    data = make_labels(0, 300)
    model = MultiOutputClassifier(focal_lgb(focal_gamma=(4.0, 0.5))).fit(data.X, data.y)
    proba = np.column_stack([p[:, 1] for p in model.predict_proba(data.X)])
    assert log_loss(data.y[:, 0], proba[:, 0]) < log_loss(data.y[:, 0], np.full(300, data.y[:, 0].mean()))


# Errors


@pytest.mark.parametrize(
    ("gamma", "error", "message"),
    [
        ({0: 1.0}, ValueError, r"^focal_gamma must have one γ for each .* \[0, 1\], got none for \[1\]\.$"),
        ({0: 1.0, 1: 1.0, "x": 2.0}, ValueError, r"^focal_gamma .*some for the unknown \['x'\]\.$"),
        ((1.0, 2.0, 3.0), ValueError, r"^focal_gamma must be a number or hold 2 numbers, .* got 3 of them"),
        ((1.0, -2.0), ValueError, r"^focal_gamma\[1\] must be a finite number >= 0 .*, got -2\.0\.$"),
        ({0: 1.0, 1: -2.0}, ValueError, r"^focal_gamma\[1\] must be a finite number >= 0 .*, got -2\.0\.$"),
        ({0: 1.0, 1: "x"}, TypeError, r"^focal_gamma\[1\] must be a real number >= 0, got 'x' \(str\)\.$"),
        (["1", 2.0], TypeError, r"^focal_gamma\[0\] must be a real number >= 0, got '1' \(str\)\.$"),
    ],
)
def test_errors(make, table, gamma, error, message):
    with pytest.raises(error, match=message):
        make(focal_gamma=gamma).fit(table.X, table.y)


@pytest.mark.parametrize(
    ("gamma", "message"),
    [
        ([1.0, 2.0], r"^focal_gamma must be one γ for all labels or a list of one for each of the 3 .*got 2"),
        ([1.0, 2.0, -1.0], r"^focal_gamma\[2\] must be a finite number >= 0 .*got -1\.0\.$"),
        ([1.0, {0: 1.0}, 1.0], r"^focal_gamma\[1\] must have one γ for each .*got none for \[1\]"),
        ([1.0, (1.0, 2.0, 3.0), 1.0], r"^focal_gamma\[1\] must be a number or hold 2 numbers"),
        ({0: 1.0, 2: 3.0}, r"^focal_gamma must have one γ for each .*none for \[1\] .*unknown \[2\]\.$"),
    ],
)
def test_errors_of_many_labels(gamma, message):
    data = make_labels(0, 100)
    with pytest.raises(ValueError, match=message):
        focal_xgb(focal_gamma=gamma).fit(data.X, data.y)
