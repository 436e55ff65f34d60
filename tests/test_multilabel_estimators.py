"""Many labels: FocalXGBClassifier itself, FocalLGBMClassifier inside scikit-learn's wrappers."""

import os
import pickle
import re
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import BOTH, focal_lgb, focal_xgb
from many import make_labels
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_absolute_error
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

from focal_gbm import BinaryFocalLoss, FocalXGBClassifier

strategies = pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
weighted = pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])

ALPHA = [0.25, "balanced", {0: 1.0, 1: 4.0}]


@pytest.fixture(scope="module")
def table():
    return make_labels(0)


@pytest.fixture(scope="module")
def validation():
    return make_labels(1)


@pytest.fixture(scope="module")
def model(table):
    """A fitted model with γ=2 and another α a label."""
    return focal_xgb(focal_alpha=ALPHA).fit(table.X, table.y, sample_weight=table.weight)


def rates_of(table, weight=None):
    return np.average(table.y, axis=0, weights=weight)


def losses_of(table, weight=None, gamma=2.0):
    """The loss of each label for ALPHA."""
    rate = rates_of(table, weight)[1]
    balanced = 0.5 / (1 - rate), 0.5 / rate
    return [BinaryFocalLoss(gamma, alpha) for alpha in (0.25, balanced, (1.0, 4.0))]


def log_of(model):
    return model.evals_result()["validation_0"]


# γ=0 is the library's own training


@weighted
@strategies
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"subsample": 0.6, "colsample_bynode": 0.7},
        {"tree_method": "exact"},
        {"base_score": [0.4, 0.2, 0.2]},
    ],
    ids=str,
)
def test_gamma_zero_is_xgboosts_own_training(table, strategy, weighted, params):
    if strategy == "multi_output_tree" and params.get("tree_method") == "exact":
        return  # the library grows them by histograms alone
    weight = table.weight if weighted else None
    params = {"n_estimators": 12, "max_depth": 3, "n_jobs": 1, "multi_strategy": strategy, **params}
    plain = xgboost.XGBClassifier(**params).fit(table.X, table.y, sample_weight=weight)
    ours = focal_xgb(focal_gamma=0.0, **params).fit(table.X, table.y, sample_weight=weight)
    margin = plain.predict(table.X, output_margin=True)
    assert np.ptp(margin) > 0.5
    assert_allclose(ours.decision_function(table.X), margin, atol=1e-5, rtol=0)
    assert_allclose(ours.predict_proba(table.X), plain.predict_proba(table.X), atol=2e-6, rtol=0)
    assert_array_equal(ours.predict(table.X), plain.predict(table.X))


@weighted
def test_evaluation_log_at_gamma_zero(table, validation, weighted):
    metrics = ["logloss", "error", "error@0.3", "mae", "rmse"]
    params = {"n_estimators": 8, "max_depth": 3, "n_jobs": 1, "eval_metric": metrics}
    fit = {"eval_set": [(validation.X, validation.y)], "verbose": False}
    if weighted:
        fit["sample_weight_eval_set"] = [validation.weight]
    plain = xgboost.XGBClassifier(**params).fit(table.X, table.y, **fit)
    ours = focal_xgb(focal_gamma=0.0, **params).fit(table.X, table.y, **fit)
    assert list(log_of(ours)) == metrics
    for name, expected in plain.evals_result()["validation_0"].items():
        assert_allclose(log_of(ours)[name], expected, atol=2e-6, rtol=0, err_msg=name)


# Start, α, link: a label at a time


@weighted
@strategies
@pytest.mark.parametrize("alpha", [None, "balanced", 0.25, ALPHA], ids=str)
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_start_is_the_base_rate_of_each_label(table, alpha, gamma, strategy, weighted):
    weight = table.weight if weighted else None
    params = {"n_estimators": 1, "learning_rate": 1e-9, "multi_strategy": strategy}
    model = focal_xgb(focal_gamma=gamma, focal_alpha=alpha, **params)
    model.fit(table.X, table.y, sample_weight=weight)
    expected = np.tile(rates_of(table, weight), (len(table.y), 1))
    assert_allclose(model.predict_proba(table.X), expected, atol=1e-6, rtol=0)
    assert model.intercept_.shape == (3,)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_each_label_is_a_model_of_its_own(table, model, gamma):
    """With one tree a label, all labels together are XGBoost on each label by itself."""
    params = {"focal_gamma": gamma, "n_estimators": 5}
    together = focal_xgb(focal_alpha=ALPHA, **params)
    together.fit(table.X, table.y, sample_weight=table.weight)
    proba = together.predict_proba(table.X)
    assert proba.shape == (len(table.y), 3)
    assert proba.dtype == np.float32
    for j, alpha in enumerate(ALPHA):
        alone = focal_xgb(focal_alpha=alpha, **params)
        alone.fit(table.X, table.y[:, j], sample_weight=table.weight)
        assert_allclose(
            together.decision_function(table.X)[:, j], alone.decision_function(table.X), atol=1e-5
        )
        assert_allclose(proba[:, j], alone.predict_proba(table.X)[:, 1], atol=1e-6)
        assert_array_equal(together.predict(table.X)[:, j], alone.predict(table.X))


def test_predictions(table, model):
    decision, predicted = model.decision_function(table.X), model.predict(table.X)
    assert decision.shape == predicted.shape == (len(table.y), 3)
    assert_array_equal(predicted, decision > 0)
    assert predicted.dtype.kind == "i"
    assert_array_equal(model.classes_, [0, 1])
    assert_array_equal(model.predict(table.X, output_margin=True), decision)
    expected = [
        loss.link.inverse(z) for loss, z in zip(losses_of(table, table.weight), decision.T, strict=True)
    ]
    assert_allclose(model.predict_proba(table.X), np.transpose(expected), atol=1e-6)
    copy = pickle.loads(pickle.dumps(model))
    copy.probability = "score"
    assert_allclose(copy.predict_proba(table.X), expit(decision), atol=1e-6)
    assert model.score(table.X, table.y) == (predicted == table.y).all(axis=1).mean()


@pytest.mark.parametrize(
    ("alpha", "same"),
    [
        ("balanced", ["balanced"] * 3),
        (0.25, [0.25] * 3),
        ({0: 1.0, 1: 3.0}, [(1.0, 3.0)] * 3),
        ((1.0, 3.0), [(1.0, 3.0)] * 3),
        (("effective", 0.99), [("effective", 0.99)] * 3),
        (np.array([0.2, 0.5, 0.8]), [(0.8, 0.2), (0.5, 0.5), (0.2, 0.8)]),
        (np.array([[1.0, 2.0], [1.0, 3.0], [2.0, 1.0]]), [(1.0, 2.0), (1.0, 3.0), (2.0, 1.0)]),
    ],
    ids=str,
)
def test_alpha_for_all_labels_or_for_each(table, alpha, same):
    for strategy in ("one_output_per_tree", "multi_output_tree"):
        params = {"n_estimators": 4, "multi_strategy": strategy}
        first = focal_xgb(focal_alpha=alpha, **params).fit(table.X, table.y)
        second = focal_xgb(focal_alpha=same, **params).fit(table.X, table.y)
        assert_allclose(first.decision_function(table.X), second.decision_function(table.X), atol=1e-6)
        plain = focal_xgb(**params).fit(table.X, table.y)
        assert np.abs(first.decision_function(table.X) - plain.decision_function(table.X)).max() > 0.01


def test_scale_pos_weight_is_for_every_label(table):
    first = focal_xgb(scale_pos_weight=3.0).fit(table.X, table.y)
    assert [loss.class_weights for loss in first._state().loss.columns] == [(1.0, 3.0)] * table.y.shape[1]
    # the same weights in focal_alpha, but for the factor that they share
    second = focal_xgb(focal_alpha=(1.0, 3.0), focal_scale=1.0).fit(table.X, table.y)
    third = focal_xgb(scale_pos_weight=3.0, focal_scale=1.0).fit(table.X, table.y)
    assert_array_equal(second.predict_proba(table.X), third.predict_proba(table.X))


@strategies
def test_posteriors_are_the_true_probabilities(strategy):
    train, test = make_labels(3, 4000), make_labels(4, 2000)

    def expected_log_loss(proba):
        p = test.probability
        return -(p * np.log(proba) + (1 - p) * np.log1p(-proba)).mean()

    values = {}
    for gamma in (0.0, 2.0):
        params = {"n_estimators": 30, "learning_rate": 0.2, "focal_gamma": gamma, "multi_strategy": strategy}
        model = focal_xgb(focal_alpha=ALPHA, **params).fit(train.X, train.y)
        proba = model.predict_proba(test.X).astype(np.float64)
        assert_allclose(proba.mean(axis=0), test.probability.mean(axis=0), atol=0.02)
        values[gamma] = expected_log_loss(proba)
        score = expit(model.decision_function(test.X).astype(np.float64))
        assert values[gamma] < 0.9 * expected_log_loss(score)
    assert values[2.0] < 1.03 * values[0.0]


# Evaluation sets


@weighted
def test_metrics_see_what_predict_and_predict_proba_return(table, validation, weighted):
    weight = validation.weight if weighted else None
    seen = []

    def spy(y_true, proba, sample_weight=None):
        seen.append((y_true.copy(), proba.copy(), sample_weight))
        return 0.5

    names = ["focal_loss", "logloss", "error", "mae"]
    model = focal_xgb(focal_alpha=ALPHA, eval_metric=[*names, spy])
    fit = {"sample_weight_eval_set": [weight]} if weighted else {}
    model.fit(table.X, table.y, eval_set=[(validation.X, validation.y)], verbose=False, **fit)
    log = {name: values[-1] for name, values in log_of(model).items()}
    assert list(log) == [*names, "spy"]
    proba, z = model.predict_proba(validation.X).astype(np.float64), model.decision_function(validation.X)
    columns = range(3)
    focal = [loss.loss(validation.y[:, j], z[:, j]) for j, loss in enumerate(losses_of(table))]
    assert log["focal_loss"] == pytest.approx(np.average(np.mean(focal, axis=0), weights=weight), rel=1e-5)
    by_label = [log_loss(validation.y[:, j], proba[:, j], sample_weight=weight) for j in columns]
    assert log["logloss"] == pytest.approx(np.mean(by_label), rel=1e-5)
    wrong = model.predict(validation.X) != validation.y
    assert log["error"] == pytest.approx(np.average(wrong.mean(axis=1), weights=weight), abs=1e-6)
    expected = mean_absolute_error(validation.y, proba, sample_weight=weight)
    assert log["mae"] == pytest.approx(expected, rel=1e-5)
    y_true, last, given = seen[-1]
    assert_array_equal(y_true, validation.y)
    assert_allclose(last, proba, atol=1e-6)
    assert given is None if weight is None else (np.abs(given - weight) < 1e-6).all()


@strategies
def test_early_stopping(table, validation, strategy):
    params = {
        "n_estimators": 300,
        "learning_rate": 0.5,
        "multi_strategy": strategy,
        "early_stopping_rounds": 5,
    }
    model = focal_xgb(focal_alpha=ALPHA, **params)
    model.fit(table.X, table.y, eval_set=[(validation.X, validation.y)], verbose=False)
    values = log_of(model)["focal_loss"]
    best = model.best_iteration + 1
    assert 1 < best == np.argmin(values) + 1 < 100
    part = model.predict_proba(table.X, iteration_range=(0, best))
    assert_array_equal(model.predict_proba(table.X), part)


# What the booster gives


def test_slices_and_warm_starts(table, model, tmp_path):
    fit = {"X": table.X, "y": table.y, "sample_weight": table.weight}
    half = focal_xgb(focal_alpha=ALPHA, n_estimators=4).fit(**fit)
    assert_array_equal(model.predict_proba(table.X, iteration_range=(0, 4)), half.predict_proba(table.X))
    half.save_model(tmp_path / "half.json")
    for previous in (half, half.get_booster(), tmp_path / "half.json"):
        whole = focal_xgb(focal_alpha=ALPHA, n_estimators=6).fit(**fit, xgb_model=previous)
        assert_allclose(whole.predict_proba(table.X), model.predict_proba(table.X), atol=1e-6)
        for y, n_scores in ((table.y[:, 0], 1), (table.y[:, :2], 2)):
            with pytest.raises(
                ValueError, match=rf"^xgb_model must have {n_scores} scores a row for this y, got 3\.$"
            ):
                focal_xgb().fit(table.X, y, xgb_model=previous)


def test_shap_values_add_up(table, model):
    contributions = model.get_booster().predict(xgboost.DMatrix(table.X), pred_contribs=True)
    assert contributions.shape == (len(table.y), 3, 6)
    assert_allclose(contributions.sum(axis=2), model.decision_function(table.X), atol=1e-5)


def test_base_margin(table, model):
    start = [
        loss.fit_intercept_only(y, table.weight)
        for loss, y in zip(losses_of(table, table.weight), table.y.T, strict=True)
    ]
    start = np.tile(start, (len(table.y), 1))
    again = focal_xgb(focal_alpha=ALPHA).fit(table.X, table.y, sample_weight=table.weight, base_margin=start)
    assert_allclose(again.predict_proba(table.X, base_margin=start), model.predict_proba(table.X), atol=1e-5)


# Saved models


@strategies
@pytest.mark.parametrize("suffix", ["json", "ubj"])
def test_a_saved_model_is_restored(table, strategy, suffix, tmp_path):
    path = tmp_path / f"model.{suffix}"
    params = {"multi_strategy": strategy, "max_depth": 3, "n_estimators": 10, "n_jobs": 1}
    model = focal_xgb(focal_alpha=ALPHA, **params).fit(table.X, table.y)
    model.save_model(path)
    restored = FocalXGBClassifier()
    restored.load_model(path)
    assert_array_equal(restored.predict_proba(table.X), model.predict_proba(table.X))
    assert_array_equal(restored.predict(table.X), model.predict(table.X))
    assert restored.get_params()["focal_alpha"] == ALPHA
    restored.set_params(**params).fit(table.X, table.y)
    assert_array_equal(restored.predict_proba(table.X), model.predict_proba(table.X))


def test_a_saved_model_stands_alone(table, tmp_path):
    """In a process that has xgboost alone it predicts σ(z)."""
    scores = {}
    for strategy in ("one_output_per_tree", "multi_output_tree"):
        model = focal_xgb(focal_alpha=ALPHA, multi_strategy=strategy).fit(table.X, table.y)
        model.save_model(tmp_path / f"{strategy}.ubj")
        scores[strategy] = expit(model.decision_function(table.X).astype(np.float64))
    np.save(tmp_path / "X.npy", table.X)
    script = """
        import sys, numpy, xgboost
        data = numpy.load("X.npy")
        for name in ("one_output_per_tree", "multi_output_tree"):
            booster = xgboost.Booster(model_file=f"{name}.ubj")
            numpy.save(f"{name}.npy", booster.predict(xgboost.DMatrix(data)))
        assert not any(name.startswith("focal_gbm") for name in sys.modules)
        """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, env=environment, check=True)
    for strategy, score in scores.items():
        assert_allclose(np.load(tmp_path / f"{strategy}.npy"), score, atol=1e-6, rtol=0)


def test_pickle_clone_and_parameters_after_a_fit(table, model):
    proba = model.predict_proba(table.X)
    restored = pickle.loads(pickle.dumps(model))
    assert_array_equal(restored.predict_proba(table.X), proba)
    again = clone(model).fit(table.X, table.y, sample_weight=table.weight)
    assert_array_equal(again.predict_proba(table.X), proba)
    restored.set_params(base_score=0.3, eval_metric="focal_loss", focal_gamma=0.0)
    assert_array_equal(restored.predict_proba(table.X), proba)


# scikit-learn


def test_grid_search_and_cross_validation(table):
    model = focal_xgb(n_estimators=4)
    grid = {"focal_gamma": [0.0, 2.0], "focal_alpha": [None, "balanced", ALPHA]}
    for scoring in ("roc_auc", "average_precision", "accuracy"):
        search = GridSearchCV(model, grid, scoring=scoring, cv=KFold(3), error_score="raise")
        search.fit(table.X, table.y)
        best = clone(model).set_params(**search.best_params_)
        scores = cross_val_score(best, table.X, table.y, scoring=scoring, cv=KFold(3))
        assert scores.mean() == pytest.approx(search.best_score_)


@pytest.mark.parametrize("library", BOTH)
def test_scikit_learns_wrappers(table, library):
    single = BOTH[library](focal_alpha="balanced", n_estimators=5)
    wrapped = MultiOutputClassifier(single).fit(table.X, table.y)
    proba = np.column_stack([column[:, 1] for column in wrapped.predict_proba(table.X)])
    for j in range(3):
        alone = clone(single).fit(table.X, table.y[:, j])
        assert_array_equal(proba[:, j], alone.predict_proba(table.X)[:, 1])
        assert_array_equal(wrapped.predict(table.X)[:, j], alone.predict(table.X))
    chain = ClassifierChain(single, order=[2, 0, 1]).fit(table.X, table.y)
    assert chain.predict_proba(table.X).shape == chain.predict(table.X).shape == (len(table.y), 3)
    assert_array_equal(chain.predict_proba(table.X)[:, 2], proba[:, 2])


# Labels in other containers

CONTAINERS = {
    "bool": lambda y: y.astype(bool),
    "float": lambda y: y.astype(np.float32),
    "lists": lambda y: y.tolist(),
    "objects": lambda y: y.astype(object),
    "frame": lambda y: pd.DataFrame(y, columns=["a", "b", "c"]),
    "nullable frame": lambda y: pd.DataFrame(y).astype("Int64"),
    "mixed frame": lambda y: pd.DataFrame({"a": y[:, 0], "b": y[:, 1] == 1, "c": y[:, 2] * 1.0}),
    "sparse": csr_matrix,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_of_labels(table, container):
    y = CONTAINERS[container](table.y)
    model = focal_xgb(n_estimators=3).fit(table.X, y, eval_set=[(table.X, y)], verbose=False)
    plain = focal_xgb(n_estimators=3).fit(table.X, table.y)
    assert_array_equal(model.predict_proba(table.X), plain.predict_proba(table.X))
    assert_array_equal(model.predict(table.X), plain.predict(table.X))


def test_two_labels_and_one(table):
    two = focal_xgb().fit(table.X, table.y[:, :2])
    assert two.predict_proba(table.X).shape == (len(table.y), 2)
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        one = focal_xgb().fit(table.X, table.y[:, :1])
    assert_array_equal(one.predict(table.X), focal_xgb().fit(table.X, table.y[:, 0]).predict(table.X))


# Weights: k is k copies


@strategies
def test_weights_are_copies_in_a_small_table(strategy):
    """To the last bit, as the library's sums of so few gradients are exact."""
    data = make_labels(7, 150)
    copies = np.random.default_rng(0).integers(1, 4, 150)
    many = np.repeat(np.arange(150), copies)
    model = focal_xgb(focal_alpha="balanced", multi_strategy=strategy)
    one = clone(model).fit(data.X, data.y, sample_weight=copies)
    other = clone(model).fit(data.X[many], data.y[many])
    assert_array_equal(one.predict_proba(data.X), other.predict_proba(data.X))
    assert_array_equal(one.intercept_, other.intercept_)


# Warnings and errors


def test_a_model_without_a_split(table):
    """The least weight is compared with the Hessians of one label, the most there is at the start."""
    rates = rates_of(table)
    total = (rates * (1 - rates)).max() * len(table.y)
    message = (
        rf"grew no split in any tree.* Lower min_child_weight: .* together have {total:.3g} at the start"
    )
    with pytest.warns(UserWarning, match=message):
        focal_xgb(focal_gamma=0.0, min_child_weight=0.51 * total).fit(table.X, table.y)
    with pytest.warns(UserWarning, match=r"^FocalXGBClassifier grew no split in any tree"):
        focal_xgb(multi_strategy="multi_output_tree", min_child_weight=1e4).fit(table.X, table.y)


def with_entry(y, value, column=1, row=7):
    changed = y.astype(np.asarray(value).dtype if isinstance(value, float) else y.dtype)
    changed[row, column] = value
    return changed


@pytest.mark.parametrize("value", [2, -1, 0.5])
def test_entries_must_be_zero_and_one(table, validation, value):
    wrong = with_entry(table.y, value)
    with pytest.raises(ValueError, match=rf"^column 1 of y must hold only 0 and 1, got {value} at row 7\.$"):
        focal_xgb().fit(table.X, wrong)
    message = rf"^column 1 of the labels of eval_set\[0\] must hold only 0 and 1, got {value} at row 7\.$"
    with pytest.raises(ValueError, match=message):
        focal_xgb().fit(table.X, table.y, eval_set=[(validation.X, with_entry(validation.y, value))])


@pytest.mark.parametrize(
    "y", [np.array([["a", "b"]] * 600), np.array([[0, "b"]] * 600, dtype=object)], ids=str
)
def test_entries_must_be_numbers(table, y):
    column = 0 if y.dtype.kind == "U" else 1
    with pytest.raises(
        TypeError, match=rf"^column {column} of y must hold the numbers 0 and 1, got dtype <U1\.$"
    ):
        focal_xgb().fit(table.X, y)


def test_missing_nullable_entries(table):
    y = pd.DataFrame(table.y).astype("Int64")
    y.iloc[3, 2] = pd.NA
    with pytest.raises(ValueError, match=r"^y must hold a label in every row, got <NA> at row 3\.$"):
        focal_xgb().fit(table.X, y)
    missing = with_entry(table.y, np.nan)
    with pytest.raises(ValueError, match=r"^y must hold a label in every row, got nan at row 7\.$"):
        focal_xgb().fit(table.X, missing)


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_of_one_class_only(table, value):
    y = table.y.copy()
    y[:, 2] = value
    """A fold can lack the positives of a label: it is fitted, as in XGBoost, and predicted to be certain."""
    weight = (table.y[:, 2] == value).astype(float)
    for model in (
        focal_xgb().fit(table.X, y),
        focal_xgb().fit(table.X, table.y, sample_weight=weight),
    ):
        assert np.abs(model.predict_proba(table.X)[:, 2] - value).max() < 1e-3


@pytest.mark.parametrize("shape", [(600, 2), (600, 4), (600,)], ids=str)
def test_evaluation_sets_have_the_same_labels(table, shape):
    message = re.escape(f"eval_set[0] must have shape (n_samples, 3), got shape {shape}.")
    with pytest.raises(ValueError, match=message):
        focal_xgb().fit(table.X, table.y, eval_set=[(table.X, np.zeros(shape, dtype=int))])


def test_lengths(table):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        focal_xgb().fit(table.X, table.y[:-1])


@pytest.mark.parametrize("alpha", [[0.25, 0.5], np.array([0.2, 0.3, 0.4, 0.5])], ids=str)
def test_alpha_of_the_wrong_length(table, alpha):
    message = rf"^focal_alpha must be one α for all labels or a list of one for each .* got {len(alpha)}\.$"
    with pytest.raises(ValueError, match=message):
        focal_xgb(focal_alpha=alpha).fit(table.X, table.y)


def test_metrics_of_one_label_are_refused(table):
    fit = {"eval_set": [(table.X, table.y)], "verbose": False}
    with pytest.raises(ValueError, match=r"^eval_metric must be a callable or among error, .*, got 'auc'\.$"):
        focal_xgb(eval_metric="auc").fit(table.X, table.y, **fit)


def test_lightgbm_says_which_wrapper_to_use(table):
    message = (
        r"MultiOutputClassifier\(FocalLGBMClassifier\(\)\) or ClassifierChain\(FocalLGBMClassifier\(\)\)\.$"
    )
    for y in (table.y, pd.DataFrame(table.y), csr_matrix(table.y)):
        with pytest.raises(ValueError, match=message):
            focal_lgb().fit(table.X, y)
