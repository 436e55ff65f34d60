import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError

import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.metrics import log_loss

from focal_gbm import (
    BinaryFocalLoss,
    FocalLGBMMetric,
    FocalLGBMObjective,
    FocalXGBMetric,
    FocalXGBObjective,
    focal_loss,
)

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
ROUNDS = 6
XGB = {"max_depth": 2, "learning_rate": 0.3, "nthread": 1, "disable_default_eval_metric": True}
LGB = {"num_leaves": 4, "learning_rate": 0.3, "num_threads": 1, "verbosity": -1, "metric": "None"}


def naive_focal_loss(y, p, gamma, class_weights=(1.0, 1.0), weight=None):
    """Lin et al. 2017, equation 5, row by row."""
    total = norm = 0.0
    for i, (label, probability) in enumerate(zip(y, p, strict=True)):
        p_t = probability if label == 1 else 1 - probability
        w = 1.0 if weight is None else weight[i]
        total += w * class_weights[label] * -((1 - p_t) ** gamma) * np.log(p_t)
        norm += w
    return total / norm


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, 200), rng.uniform(0.001, 0.999, 200), rng.uniform(0.1, 3.0, 200)


@pytest.fixture(scope="module")
def tables():
    """Training and validation rows, with weights."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 3))
    y = (X[:, 0] + rng.normal(size=900) > 1.0).astype(np.int64)
    weight = rng.uniform(0.2, 5.0, 900).astype(np.float32)
    return (X[:600], y[:600], weight[:600]), (X[600:], y[600:], weight[600:])


# focal_loss, for people


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("weighted", [False, True])
def test_against_the_naive_formula(sample, gamma, weighted):
    y, p, weight = sample
    weight = weight if weighted else None
    expected = naive_focal_loss(y, p, gamma, weight=weight)
    assert focal_loss(y, p, gamma=gamma, sample_weight=weight) == pytest.approx(expected, rel=1e-12, abs=0)
    two_columns = np.column_stack([1 - p, p])
    result = focal_loss(y, two_columns, gamma=gamma, sample_weight=weight)
    assert result == pytest.approx(expected, rel=1e-12, abs=0)
    assert isinstance(result, float)
    for alpha, pair in ((0.25, (0.75, 0.25)), ((2.0, 0.5), (2.0, 0.5)), ({0: 2.0, 1: 0.5}, (2.0, 0.5))):
        expected = naive_focal_loss(y, p, gamma, pair, weight)
        result = focal_loss(y, p, gamma=gamma, alpha=alpha, sample_weight=weight)
        assert result == pytest.approx(expected, rel=1e-12, abs=0)
    assert focal_loss(y, p) == pytest.approx(naive_focal_loss(y, p, 2.0), rel=1e-12, abs=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gamma_zero_is_scikit_learns_log_loss(sample, dtype):
    y, p, weight = sample
    p = p.astype(dtype)
    rel = 1e-13 if dtype == np.float64 else 1e-6
    assert focal_loss(y, p, gamma=0.0) == pytest.approx(log_loss(y, p), rel=rel, abs=0)
    result = focal_loss(y, np.column_stack([1 - p, p]), gamma=0.0, sample_weight=weight)
    assert result == pytest.approx(log_loss(y, p, sample_weight=weight), rel=rel, abs=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_certain_predictions_are_clipped_as_scikit_learn_does(dtype):
    y, p = [0, 1, 1, 0], np.array([0.0, 1.0, 0.0, 1.0], dtype=dtype)
    assert focal_loss(y, p, gamma=0.0) == pytest.approx(log_loss(y, p), rel=1e-6)
    assert np.isfinite(focal_loss(y, p, gamma=2.0))
    assert focal_loss([0, 1], p[:2], gamma=2.0) < 1e-15


def test_labels_of_any_type(sample):
    y, p, weight = sample
    expected = focal_loss(y, p, alpha=(1.0, 3.0), sample_weight=weight)
    for names in (
        np.array(["ham", "spam"]),
        np.array([-1, 1]),
        np.array([False, True]),
        np.array([3.5, 7.25]),
    ):
        alpha = {names[0].item(): 1.0, names[1].item(): 3.0}
        for labels in (names[y], names[y].tolist(), names[y][:, None][:, 0]):
            assert focal_loss(labels, p, alpha=alpha, sample_weight=weight) == expected
            assert focal_loss(labels, p, alpha=[1, 3], sample_weight=weight.tolist()) == expected
    objects = np.array(["ham", "spam"], dtype=object)[y]
    assert focal_loss(objects, p.tolist(), alpha=(1.0, 3.0), sample_weight=weight) == expected


def test_labels_say_what_is_absent():
    expected = naive_focal_loss([1, 1], [0.4, 0.9], 2.0)
    assert focal_loss(["spam", "spam"], [0.4, 0.9], labels=["ham", "spam"]) == pytest.approx(expected)
    assert focal_loss(["spam", "spam"], [0.4, 0.9], labels=["spam", "ham"]) == pytest.approx(
        expected
    )  # sorted
    expected = naive_focal_loss([0, 0], [0.4, 0.9], 2.0)
    assert focal_loss(["spam", "spam"], [0.4, 0.9], labels=["spam", "zoo"]) == pytest.approx(expected)


def test_integer_probabilities():
    assert focal_loss([0, 1], [0, 1], gamma=0.0) == pytest.approx(log_loss([0, 1], [0, 1]))


def test_weight_k_equals_k_copies(sample):
    y, p, _ = sample
    k = np.arange(len(y)) % 4
    one = focal_loss(y, p, alpha=0.25, sample_weight=k)
    assert one == pytest.approx(focal_loss(np.repeat(y, k), np.repeat(p, k), alpha=0.25), rel=1e-13)


def test_float32_is_summed_in_float64():
    y, p = np.zeros(2_000_001, dtype=int), np.full(2_000_001, 0.9, dtype=np.float32)
    y[0] = 1
    value = focal_loss(y, p, gamma=0.0)
    assert value == pytest.approx(-np.log1p(-float(np.float32(0.9))), rel=1e-6)


@pytest.mark.parametrize(
    ("y", "p", "options", "error", "message"),
    [
        ([0, 1], [0.1, 1.1], {}, ValueError, r"^y_proba must lie in \[0, 1\]\.$"),
        ([0, 1], [-0.1, 0.5], {}, ValueError, r"^y_proba must lie in \[0, 1\]\.$"),
        ([0, 1], [0.1, np.nan], {}, ValueError, r"^y_proba must lie in \[0, 1\]\.$"),
        ([0, 1], [[0.1, 0.8], [0.5, 0.5]], {}, ValueError, r"^y_proba must have rows that sum to 1\.$"),
        ([0, 1], [[1.2, -0.2], [0.5, 0.5]], {}, ValueError, r"^y_proba must lie in \[0, 1\]\.$"),
        ([0, 1], [[0.1], [0.2]], {}, ValueError, r"^y_proba must have shape .*, got \(2, 1\)\.$"),
        ([0, 1], np.full((2, 3), 1 / 3), {}, ValueError, r"shape|labels|classes"),
        ([0, 1], 0.5, {}, ValueError, r"^y_proba must have shape .*, got \(\)\.$"),
        ([0, 1], ["a", "b"], {}, TypeError, r"^y_proba must be float32 or float64, got <U1\.$"),
        ([0, 1], np.full(2, 0.5, np.float16), {}, TypeError, r"^y_proba must be .*, got float16\.$"),
        ([0, 1], [0.1, 0.2, 0.3], {}, ValueError, r"inconsistent numbers of samples"),
        ([0, 1], [0.1, 0.2], {"sample_weight": [1.0]}, ValueError, r"inconsistent numbers of samples"),
        ([0, 1], [0.1, 0.2], {"sample_weight": [1.0, -1.0]}, ValueError, r"^sample_weight must be >= 0, got"),
        (
            [0, 1],
            [0.1, 0.2],
            {"sample_weight": [0.0, 0.0]},
            ValueError,
            r"^sample_weight must have at least one",
        ),
        ([[0, 1]], [0.1, 0.2], {}, ValueError, r"1d array"),
        ([1, 1], [0.1, 0.2], {}, ValueError, r"^y_true must hold .*, got \[1\]; give .* in labels"),
        ([1, 2, 3], [0.1, 0.2, 0.3], {}, ValueError, r"\[1, 2, 3\]"),
        ([0, 1], [0.1, 0.2], {"labels": [0]}, ValueError, r"got \[0\]"),
        (
            [0, 5],
            [0.1, 0.2],
            {"labels": [0, 1]},
            ValueError,
            r"^y_true must hold only the labels \[0, 1\], got .*5",
        ),
        ([0, 1], [0.1, 0.2], {"gamma": -1.0}, ValueError, r"^gamma must be a finite number >= 0"),
        ([0, 1], [0.1, 0.2], {"gamma": "2"}, TypeError, r"^gamma must be a real number"),
        (
            [0, 1],
            [0.1, 0.2],
            {"alpha": 1.5},
            ValueError,
            r"^alpha must lie in the open interval \(0, 1\), got 1\.5",
        ),
        ([0, 1], [0.1, 0.2], {"alpha": "balanced"}, TypeError, r"^alpha must hold 2 positive numbers"),
        (
            [0, 1],
            [0.1, 0.2],
            {"alpha": {0: 1.0}},
            ValueError,
            r"^alpha must have one weight .* none for \[1\]",
        ),
        ([0, 1], [0.1, 0.2], {"alpha": {0: 1, 1: 1, 2: 1}}, ValueError, r"some for the unknown \[2\]\.$"),
        ([0, 1], [0.1, 0.2], {"alpha": (1.0, 0.0)}, ValueError, r"^alpha must be finite and > 0"),
    ],
)
def test_focal_loss_errors(y, p, options, error, message):
    with pytest.raises(error, match=message):
        focal_loss(y, p, **options)


# The metrics of the libraries

METRICS = {"xgboost": FocalXGBMetric, "lightgbm": FocalLGBMMetric}


@pytest.fixture(name="Metric", params=METRICS.values(), ids=METRICS.keys())
def each_library(request):
    return request.param


# deprecated in LightGBM 4.7, the only way in 4.6
eval_set_is_fine = pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")

LOSS = BinaryFocalLoss(2.0, 0.25)
XGB_DIGITS = 6e-7  # XGBoost passes the value of a callable metric on as a text of six decimals


def expected_value(raw, y, weight):
    return focal_loss(y, expit(np.asarray(raw, np.float64)), gamma=2.0, alpha=0.25, sample_weight=weight)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("prediction", ["raw", "probability"])
def test_xgboost_train(tables, weighted, prediction):
    (X, y, w), (X_valid, y_valid, w_valid) = tables
    train = xgboost.DMatrix(X, y, weight=w if weighted else None)
    valid = xgboost.DMatrix(X_valid, y_valid, weight=w_valid if weighted else None)
    history = {}
    booster = xgboost.train(
        {**XGB, "objective": "binary:logistic"},
        train,
        num_boost_round=ROUNDS,
        obj=FocalXGBObjective(LOSS) if prediction == "raw" else None,
        custom_metric=FocalXGBMetric(LOSS, prediction),
        evals=[(train, "train"), (valid, "valid")],
        evals_result=history,
        verbose_eval=False,
    )
    for name, data, labels, weight in (("train", train, y, w), ("valid", valid, y_valid, w_valid)):
        recorded = history[name]["focal_loss"]
        assert len(recorded) == ROUNDS
        for i in (0, ROUNDS - 1):
            raw = booster.predict(data, output_margin=True, iteration_range=(0, i + 1))
            expected = expected_value(raw, labels, weight if weighted else None)
            assert recorded[i] == pytest.approx(expected, rel=1e-6, abs=XGB_DIGITS)
    if prediction == "raw":  # the loss that was trained
        assert recorded[-1] < recorded[0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("prediction", ["raw", "probability"])
def test_xgb_classifier(tables, weighted, prediction):
    (X, y, w), (X_valid, y_valid, w_valid) = tables
    model = xgboost.XGBClassifier(
        n_estimators=ROUNDS,
        max_depth=2,
        n_jobs=1,
        objective=FocalXGBObjective(LOSS) if prediction == "raw" else "binary:logistic",
        eval_metric=FocalXGBMetric(LOSS, prediction),
        disable_default_eval_metric=True,
    )
    options = {"sample_weight": w, "sample_weight_eval_set": [w_valid]} if weighted else {}
    model.fit(X, y, eval_set=[(X_valid, y_valid)], verbose=False, **options)
    recorded = model.evals_result()["validation_0"]["focal_loss"]
    assert len(recorded) == ROUNDS
    for i in (0, ROUNDS - 1):
        raw = model.predict(X_valid, output_margin=True, iteration_range=(0, i + 1))
        expected = expected_value(raw, y_valid, w_valid if weighted else None)
        assert recorded[i] == pytest.approx(expected, rel=1e-6, abs=XGB_DIGITS)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("prediction", ["raw", "probability"])
def test_lightgbm_train(tables, weighted, prediction):
    (X, y, w), (X_valid, y_valid, w_valid) = tables
    train = lightgbm.Dataset(X, y, weight=w if weighted else None)
    valid = lightgbm.Dataset(X_valid, y_valid, weight=w_valid if weighted else None, reference=train)
    history = {}
    booster = lightgbm.train(
        {**LGB, "objective": FocalLGBMObjective(LOSS) if prediction == "raw" else "binary"},
        train,
        num_boost_round=ROUNDS,
        feval=FocalLGBMMetric(LOSS, prediction),
        valid_sets=[train, valid],
        valid_names=["train", "valid"],
        callbacks=[lightgbm.record_evaluation(history)],
    )
    for name, data, labels, weight in (("train", X, y, w), ("valid", X_valid, y_valid, w_valid)):
        recorded = history[name]["focal_loss"]
        assert len(recorded) == ROUNDS
        for i in (0, ROUNDS - 1):
            raw = booster.predict(data, raw_score=True, num_iteration=i + 1)
            expected = expected_value(raw, labels, weight if weighted else None)
            assert recorded[i] == pytest.approx(expected, rel=1e-9)
    if prediction == "raw":  # the loss that was trained
        assert recorded[-1] < recorded[0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("prediction", ["raw", "probability"])
@eval_set_is_fine
def test_lgbm_classifier(tables, weighted, prediction):
    (X, y, w), (X_valid, y_valid, w_valid) = tables
    model = lightgbm.LGBMClassifier(
        n_estimators=ROUNDS,
        num_leaves=4,
        n_jobs=1,
        verbosity=-1,
        metric="None",
        objective=FocalLGBMObjective(LOSS) if prediction == "raw" else "binary",
    )
    options = {"sample_weight": w, "eval_sample_weight": [w_valid]} if weighted else {}
    model.fit(X, y, eval_set=[(X_valid, y_valid)], eval_metric=FocalLGBMMetric(LOSS, prediction), **options)
    recorded = model.evals_result_["valid_0"]["focal_loss"]
    assert len(recorded) == ROUNDS
    for i in (0, ROUNDS - 1):
        raw = model.booster_.predict(X_valid, raw_score=True, num_iteration=i + 1)
        expected = expected_value(raw, y_valid, w_valid if weighted else None)
        assert recorded[i] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("entry", ["train", "class"])
@eval_set_is_fine
def test_early_stopping(tables, library, entry):
    (X, y, _), (X_valid, y_valid, _) = tables
    rounds, patience = 400, 10
    if library == "xgboost":
        objective, metric = FocalXGBObjective(LOSS), FocalXGBMetric(LOSS)
        if entry == "train":
            history = {}
            model = xgboost.train(
                {**XGB, "objective": "binary:logistic", "max_depth": 5},
                xgboost.DMatrix(X, y),
                num_boost_round=rounds,
                obj=objective,
                custom_metric=metric,
                evals=[(xgboost.DMatrix(X_valid, y_valid), "valid")],
                evals_result=history,
                early_stopping_rounds=patience,
                verbose_eval=False,
            )
            values, best = history["valid"]["focal_loss"], model.best_iteration
        else:
            model = xgboost.XGBClassifier(
                n_estimators=rounds,
                max_depth=5,
                n_jobs=1,
                objective=objective,
                eval_metric=metric,
                early_stopping_rounds=patience,
            )
            model.fit(X, y, eval_set=[(X_valid, y_valid)], verbose=False)
            values, best = model.evals_result()["validation_0"]["focal_loss"], model.best_iteration
    else:
        objective, metric = FocalLGBMObjective(LOSS), FocalLGBMMetric(LOSS)
        stop = lightgbm.early_stopping(patience, verbose=False)
        if entry == "train":
            history = {}
            train = lightgbm.Dataset(X, y)
            model = lightgbm.train(
                {**LGB, "objective": objective, "num_leaves": 31},
                train,
                num_boost_round=rounds,
                feval=metric,
                valid_sets=[lightgbm.Dataset(X_valid, y_valid, reference=train)],
                callbacks=[stop, lightgbm.record_evaluation(history)],
            )
            values, best = history["valid_0"]["focal_loss"], model.best_iteration - 1
        else:
            model = lightgbm.LGBMClassifier(
                n_estimators=rounds, n_jobs=1, verbosity=-1, metric="None", objective=objective
            )
            model.fit(X, y, eval_set=[(X_valid, y_valid)], eval_metric=metric, callbacks=[stop])
            values, best = model.evals_result_["valid_0"]["focal_loss"], model.best_iteration_ - 1
    assert best == np.argmin(values)
    assert 0 < best < len(values) - 1
    assert len(values) < rounds


def test_values_by_hand(sample):
    y, p, weight = sample
    raw = np.log(p / (1 - p))
    for prediction, value in (("raw", raw), ("probability", p)):
        of_xgb, of_lgb = FocalXGBMetric(LOSS, prediction), FocalLGBMMetric(LOSS, prediction)
        expected = expected_value(raw, y, None)
        assert of_xgb(y, value) == pytest.approx(expected, rel=1e-12)
        assert of_lgb(y, value, None) == ("focal_loss", pytest.approx(expected, rel=1e-12), False)
        assert of_lgb(y, value) == of_lgb(y, value, None)
        expected = expected_value(raw, y, weight)
        assert of_xgb(y, value, sample_weight=weight) == pytest.approx(expected, rel=1e-12)
        assert of_lgb(y, value, weight) == ("focal_loss", pytest.approx(expected, rel=1e-12), False)
        for metric in (of_xgb, of_lgb):
            assert metric.value(y, value, weight) == pytest.approx(expected, rel=1e-12)
            assert metric.__name__ == "focal_loss"


def test_parameters_are_what_lightgbm_counts():
    assert len(inspect.signature(FocalLGBMMetric()).parameters) == 3  # it then hands over the weights


def test_probabilities_of_0_and_1_beside_a_native_objective(Metric):
    metric = Metric(BinaryFocalLoss(2.0), "probability")
    for dtype in (np.float32, np.float64):
        assert np.isfinite(metric.value(np.array([0, 1]), np.array([1.0, 0.0], dtype=dtype)))


def test_raw_predictions_are_not_clipped(Metric):
    # σ(-800) is 0 in float64, the loss is not that of a clipped probability
    assert Metric(BinaryFocalLoss(2.0)).value(np.array([1, 1]), np.array([-800.0, -1000.0])) == 900.0


def test_metric_pickle_copy_equality(Metric):
    metric = Metric(BinaryFocalLoss(1.5, 0.25), "probability")
    y, p = np.array([0, 1]), np.array([0.2, 0.7])
    for twin in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        assert twin == metric
        assert hash(twin) == hash(metric)
        assert twin(y, p) == metric(y, p)
        assert twin(y, p, None) == metric(y, p, None)
    assert metric != Metric(BinaryFocalLoss(1.5, 0.25))
    assert Metric() == Metric(BinaryFocalLoss(2.0), "raw")
    with pytest.raises(FrozenInstanceError):
        metric.prediction = "raw"


def test_the_libraries_classes_pickle_with_it(tables):
    (X, y, _), valid = tables
    model = xgboost.XGBClassifier(
        n_estimators=2, n_jobs=1, objective=FocalXGBObjective(LOSS), eval_metric=FocalXGBMetric(LOSS)
    )
    model.fit(X, y, eval_set=[valid[:2]], verbose=False)
    twin = pickle.loads(pickle.dumps(model))
    assert twin.eval_metric == model.eval_metric
    assert_array_equal(twin.predict(X, output_margin=True), model.predict(X, output_margin=True))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((2.0,), TypeError, r"^loss must be a .+, got 2\.0 \(float\)\.$"),
        (
            (BinaryFocalLoss(), "margin"),
            ValueError,
            r"^prediction must be one of 'raw', 'probability', got 'margin'",
        ),
    ],
)
def test_metric_construction_errors(Metric, arguments, error, message):
    with pytest.raises(error, match=message):
        Metric(*arguments)


def test_metric_call_errors(Metric, tables):
    y = np.array([0, 1])
    message = r'^y_pred must lie in \[0, 1\] with prediction="probability"; .* use prediction="raw"\.$'
    for wrong in ([-1.0, 0.5], [0.5, 1.5], [np.nan, 0.5]):
        with pytest.raises(ValueError, match=message):
            Metric(prediction="probability")(y, np.array(wrong))
    with pytest.raises(ValueError, match=r"^y_true must hold only 0 and 1, got 3 at row 0\.$"):
        Metric()(y + 3, np.zeros(2))
    with pytest.raises(ValueError, match=r"must have shape \(2,\), got \(3,\)\.$"):
        Metric()(y, np.zeros(3))
    with pytest.raises(ValueError, match=r"^sample_weight must be >= 0"):
        Metric()(y, np.zeros(2), [-1.0, 1.0])


def test_probability_beside_a_custom_objective_says_so(tables):
    (X, y, _), (X_valid, y_valid, _) = tables
    train = lightgbm.Dataset(X, y)
    with pytest.raises(ValueError, match=r'use prediction="raw"\.$'):
        lightgbm.train(
            {**LGB, "objective": FocalLGBMObjective(LOSS)},
            train,
            num_boost_round=2,
            feval=FocalLGBMMetric(LOSS, "probability"),
            valid_sets=[lightgbm.Dataset(X_valid, y_valid, reference=train)],
        )
    with pytest.raises(ValueError, match=r'use prediction="raw"\.$'):
        xgboost.train(
            {**XGB, "objective": "binary:logistic"},
            xgboost.DMatrix(X, y),
            num_boost_round=2,
            obj=FocalXGBObjective(LOSS),
            custom_metric=FocalXGBMetric(LOSS, "probability"),
            evals=[(xgboost.DMatrix(X_valid, y_valid), "valid")],
            verbose_eval=False,
        )


def test_float32_and_float64_predictions_agree(Metric, sample):
    y, p, weight = sample
    raw = np.log(p / (1 - p))
    for gamma in GAMMAS:
        metric = Metric(BinaryFocalLoss(gamma)).value
        narrow = metric(y, raw.astype(np.float32), sample_weight=weight.astype(np.float32))
        assert_allclose(narrow, metric(y, raw, sample_weight=weight), rtol=1e-6)
