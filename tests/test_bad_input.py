"""Bad input: each with an error that names the argument; and models that cannot learn, with a warning."""

import warnings

import numpy as np
import pytest
from estimators import focal_lgb, focal_xgb
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

INF, NAN = float("inf"), float("nan")


def spoiled(array, value, at=7):
    array = np.array(array, dtype=float)
    array[at] = value
    return array


# Arguments of fit, for both

Y = np.arange(500) % 2
WEIGHT = np.ones(500)

FIT = {
    "y is None": ({"y": None}, "requires y to be passed"),
    "NaN in y": ({"y": spoiled(Y, NAN)}, "y must hold a label in every row, got nan at row 7"),
    "inf in y": ({"y": spoiled(Y, INF)}, "Input y contains infinity"),
    "None in y": (
        {"y": np.where(np.arange(500) == 3, None, "a")},
        "y must hold a label in every row, got None",
    ),
    "one class": ({"y": np.repeat("no", 500)}, "y must hold two classes or more, got one class only: .*'no'"),
    "no rows": ({"X": np.empty((0, 3)), "y": []}, "two classes or more, got 0 samples"),
    "continuous y": ({"y": np.linspace(0, 1, 500)}, "Unknown label type: continuous"),
    "y too short": ({"y": Y[:-1]}, r"inconsistent numbers of samples: \[500, 499\]"),
    "float16 in y": ({"y": Y.astype(np.float16)}, "y must hold labels of an exact type, got float16"),
    "scalar y": ({"y": 1}, "y should be a 1d array"),
    "y of three dimensions": ({"y": np.zeros((500, 1, 1))}, "Found array with dim 3"),
    "NaN in weight": (
        {"sample_weight": spoiled(WEIGHT, NAN)},
        "sample_weight must be finite, got nan at row 7",
    ),
    "inf in weight": (
        {"sample_weight": spoiled(WEIGHT, INF)},
        "sample_weight must be finite, got inf at row 7",
    ),
    "negative weight": (
        {"sample_weight": spoiled(WEIGHT, -0.5)},
        "sample_weight must be >= 0, got the negative weight -0.5 at row 7",
    ),
    "all weights zero": ({"sample_weight": 0 * WEIGHT}, "sample_weight must .* all weights zero"),
    "weights too short": (
        {"sample_weight": WEIGHT[:-1]},
        r"sample_weight must have shape \(500,\), got shape \(499,\)",
    ),
    "one weight": ({"sample_weight": 2.0}, r"sample_weight must have shape \(500,\), got shape \(\)"),
    "weights in two columns": (
        {"sample_weight": np.column_stack([WEIGHT, WEIGHT])},
        r"sample_weight must have shape \(500,\)",
    ),
    "weights of words": ({"sample_weight": np.repeat("a", 500)}, "sample_weight must hold real numbers"),
}


@pytest.mark.parametrize("case", FIT)
def test_arguments_of_fit(make, table, case):
    arguments, message = FIT[case]
    with pytest.raises((ValueError, TypeError), match=message):
        make().fit(**{"X": table.X, "y": Y, **arguments})


# Focal parameters

PARAMETERS = {
    "negative gamma": ({"focal_gamma": -0.1}, ValueError, "focal_gamma must be a finite number >= 0"),
    "NaN gamma": ({"focal_gamma": NAN}, ValueError, "focal_gamma must be a finite number >= 0 .*got nan"),
    "infinite gamma": (
        {"focal_gamma": INF},
        ValueError,
        "focal_gamma must be a finite number >= 0 .*got inf",
    ),
    "gamma as text": ({"focal_gamma": "2"}, TypeError, "focal_gamma must be a real number >= 0, got '2'"),
    "gamma as bool": ({"focal_gamma": True}, TypeError, "focal_gamma must be a real number >= 0, got True"),
    "gamma None": ({"focal_gamma": None}, TypeError, "focal_gamma must be a real number >= 0, got None"),
    "alpha 0": ({"focal_alpha": 0}, ValueError, r"focal_alpha must lie in the open interval \(0, 1\), got 0"),
    "alpha 1": ({"focal_alpha": 1.0}, ValueError, r"focal_alpha must lie in the open interval \(0, 1\)"),
    "negative alpha": (
        {"focal_alpha": -0.25},
        ValueError,
        r"focal_alpha must lie in the open interval \(0, 1\)",
    ),
    "NaN alpha": ({"focal_alpha": NAN}, ValueError, r"focal_alpha must lie in the open interval \(0, 1\)"),
    "alpha as bool": ({"focal_alpha": True}, TypeError, "focal_alpha must be None, a float .*got True"),
    "misspelt balanced": (
        {"focal_alpha": "balnced"},
        ValueError,
        "focal_alpha must be None, .*'balanced', .*got 'balnced'",
    ),
    "missing class": (
        {"focal_alpha": {0: 1.0}},
        ValueError,
        r"focal_alpha must have one weight for each .*got none for \[1\]",
    ),
    "unknown class": (
        {"focal_alpha": {0: 1.0, 1: 1.0, 2: 1.0}},
        ValueError,
        r"focal_alpha .* some for the unknown \[2\]",
    ),
    "classes by other names": (
        {"focal_alpha": {"no": 1.0, "yes": 1.0}},
        ValueError,
        "focal_alpha must have one",
    ),
    "three weights": (
        {"focal_alpha": [1.0, 2.0, 3.0]},
        ValueError,
        "focal_alpha must hold 2 positive numbers",
    ),
    "one weight": ({"focal_alpha": [1.0]}, ValueError, "focal_alpha must hold 2 positive numbers"),
    "negative weight": ({"focal_alpha": [1.0, -2.0]}, ValueError, "focal_alpha must be finite and > 0"),
    "zero weight": ({"focal_alpha": {0: 0.0, 1: 1.0}}, ValueError, "focal_alpha must be finite and > 0"),
    "NaN weight": ({"focal_alpha": [1.0, NAN]}, ValueError, "focal_alpha must be finite and > 0"),
    "weights of words": ({"focal_alpha": ["a", "b"]}, TypeError, "focal_alpha must hold 2 positive numbers"),
    "beta 1": ({"focal_alpha": ("effective", 1.0)}, ValueError, r"focal_alpha must have a beta in \[0, 1\)"),
    "misspelt effective": (
        {"focal_alpha": ("efective", 0.9)},
        ValueError,
        "focal_alpha must be None, a float",
    ),
    "misspelt hessian": (
        {"hessian": "flored"},
        ValueError,
        "hessian must be one of 'floored', .*got 'flored'",
    ),
    "hessian of the logit link": (
        {"hessian": "expected"},
        ValueError,
        "hessian must be one of 'floored', .*got 'expected'",
    ),
    "misspelt probability": (
        {"probability": "sigmoid"},
        ValueError,
        "probability must be one of 'posterior', ",
    ),
    "negative scale": (
        {"focal_scale": -1.0},
        ValueError,
        "focal_scale must be 'log-loss' or a number > 0, got -1.0",
    ),
    "NaN scale": (
        {"focal_scale": NAN},
        ValueError,
        "focal_scale must be 'log-loss' or a number > 0, got nan",
    ),
    "misspelt scale": (
        {"focal_scale": "logloss"},
        (TypeError, ValueError),
        "focal_scale must be 'log-loss' or a number",
    ),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_focal_parameters(make, table, case):
    params, error, message = PARAMETERS[case]
    model = make(**params)  # a constructor of scikit-learn never complains
    with pytest.raises(error, match=message):
        model.fit(table.X, table.y)
    # nor is a fitted model changed by a fit that failed
    model = make().fit(table.X, table.y)
    before = model.predict_proba(table.X)
    with pytest.raises(error, match=message):
        model.set_params(**params).fit(table.X, table.y)
    if "probability" not in params:
        assert_array_equal(model.predict_proba(table.X), before)


# Weights of classes, twice


@pytest.mark.parametrize("alpha", [0.25, "balanced", [1.0, 2.0]])
def test_scale_pos_weight_beside_alpha(make, table, alpha):
    with pytest.raises(ValueError, match=r"Only one .* got scale_pos_weight=3.0 and focal_alpha="):
        make(focal_alpha=alpha, scale_pos_weight=3.0).fit(table.X, table.y)
    # 1 is no weight
    make(n_estimators=2, focal_alpha=alpha, scale_pos_weight=1.0).fit(table.X, table.y)


@pytest.mark.parametrize(
    "params",
    [
        {"is_unbalance": True},
        {"unbalance": True},
        {"unbalanced_sets": True},
        {"class_weight": "balanced"},
        {"class_weight": {0: 1, 1: 2}},
    ],
    ids=str,
)
def test_other_class_weights_of_lightgbm_beside_alpha(table, params):
    (name,) = params
    with pytest.raises(ValueError, match=f"Only one .* got {name}=.* and focal_alpha=0.25"):
        focal_lgb(focal_alpha=0.25, **params).fit(table.X, table.y)
    with pytest.raises(ValueError, match=f"Only one .* got .*{name}=.*scale_pos_weight=2"):
        focal_lgb(scale_pos_weight=2.0, **params).fit(table.X, table.y)


def test_class_weights_of_the_libraries_that_are_wrong(make, table):
    for bad in (-1.0, 0.0, NAN):
        with pytest.raises(ValueError, match="scale_pos_weight must be finite and > 0"):
            make(scale_pos_weight=bad).fit(table.X, table.y)
    if make is focal_lgb:
        with pytest.raises(ValueError, match=r"class_weight .* some for the unknown \['yes'\]"):
            make(class_weight={"yes": 2.0}).fit(table.X, table.y)
        with pytest.raises(ValueError, match=r"class_weight must be .* got 'balnced'"):
            make(class_weight="balnced").fit(table.X, table.y)


# Evaluation sets


def fit_with_evaluation(make, table, X, y, weight=None):
    words = np.array(["no", "yes"])[table.y]
    if make is focal_xgb:
        weights = None if weight is None else [weight]
        return make().fit(table.X, words, eval_set=[(X, y)], sample_weight_eval_set=weights, verbose=False)
    weights = None if weight is None else [weight]
    return make().fit(table.X, words, eval_X=X, eval_y=y, eval_sample_weight=weights)


EVALUATION = {
    "unseen label": (
        {"y": np.repeat(["no", "yes", "maybe"], 100)},
        r"evaluation|eval_set.* only labels seen in y, .* got maybe",
    ),
    "other kind of label": ({"y": np.arange(300) % 2}, r"only labels seen in y, \['no', 'yes'\], got 0, 1"),
    "NaN": (
        {"y": spoiled(np.zeros(300), NAN)},
        r"the labels of eval_set\[0\] must hold a label in every row, got nan at row 7",
    ),
    "no label": ({"y": None}, "labels of e.* is None|eval_X and eval_y must be given together"),
    "too short": ({"y": np.repeat("no", 299)}, r"^the labels of eval.* must be as many as .*\[300, 299\]"),
    "weights too short": (
        {"weight": np.ones(299)},
        r"eval_(sample_weight|set)\[0\] must have shape \(300,\), got shape \(299,\)",
    ),
    "negative weight": (
        {"weight": spoiled(np.ones(300), -2.0)},
        r"eval_(sample_weight|set)\[0\] must be >= 0, got the negative",
    ),
    "NaN weight": ({"weight": spoiled(np.ones(300), NAN)}, r"eval_(sample_weight|set)\[0\] must be finite"),
}


@pytest.mark.parametrize("case", EVALUATION)
def test_evaluation_sets(make, table, validation, case):
    arguments, message = EVALUATION[case]
    arguments = {"X": validation.X, "y": np.array(["no", "yes"])[validation.y], **arguments}
    with pytest.raises((ValueError, TypeError), match=message):
        fit_with_evaluation(make, table, **arguments)


def test_number_of_weights_of_evaluation_sets(table, validation):
    with pytest.raises(ValueError, match=r"sample_weight_eval_set must have one entry for each of 1 .*got 2"):
        focal_xgb().fit(
            table.X,
            table.y,
            eval_set=[(validation.X, validation.y)],
            sample_weight_eval_set=[None, None],
        )
    with pytest.raises(ValueError, match=r"base_margin_eval_set must have one entry for each of 1 .*got 0"):
        focal_xgb().fit(table.X, table.y, eval_set=[(validation.X, validation.y)], base_margin_eval_set=[])


def test_forms_of_evaluation_sets_of_lightgbm(table, validation):
    X, y = validation.X, validation.y
    for arguments, message in (
        ({"eval_X": X}, "eval_X and eval_y must be given together"),
        ({"eval_y": y}, "eval_X and eval_y must be given together"),
        ({"eval_X": (X,), "eval_y": y}, "eval_X and eval_y must both be tuples or both be single sets"),
        ({"eval_X": (X, X), "eval_y": (y,)}, "eval_X and eval_y must have the same length, got 2 and 1"),
        ({"eval_X": X, "eval_y": y, "eval_set": [(X, y)]}, "eval_set and eval_X, eval_y must not both"),
    ):
        with pytest.raises(ValueError, match=message):
            focal_lgb().fit(table.X, table.y, **arguments)


# Parameters of the libraries that cannot be honoured


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:hinge", "multi:softmax", len])
def test_objective_of_xgboost(table, objective):
    with pytest.raises(ValueError, match="objective must be left alone: FocalXGBClassifier trains"):
        focal_xgb(objective=objective).fit(table.X, table.y)


@pytest.mark.parametrize("name", ["objective", "objective_type", "app", "application", "loss"])
@pytest.mark.parametrize("objective", ["regression", "cross_entropy", len])
def test_objective_of_lightgbm(table, name, objective):
    with pytest.raises(ValueError, match=f"^{name} must be left alone: FocalLGBMClassifier trains"):
        focal_lgb(**{name: objective}).fit(table.X, table.y)


@pytest.mark.parametrize("name", ["objective_type", "app", "application", "loss"])
def test_an_alias_of_the_objective_beside_the_objective(table, name):
    with pytest.raises(ValueError, match=f"^{name} must be left alone"):
        focal_lgb(objective="binary", **{name: "regression"}).fit(table.X, table.y)


def test_native_objective_may_be_named(table):
    """It is what the model's file says."""
    assert_array_equal(
        focal_xgb(objective="binary:logistic").fit(table.X, table.y).predict_proba(table.X),
        focal_xgb().fit(table.X, table.y).predict_proba(table.X),
    )
    assert_array_equal(
        focal_lgb(objective="binary").fit(table.X, table.y).predict_proba(table.X),
        focal_lgb().fit(table.X, table.y).predict_proba(table.X),
    )


@pytest.mark.parametrize("name", ["boosting_type", "boosting", "boost"])
@pytest.mark.parametrize("value", ["rf", "random_forest"])
def test_random_forests_of_lightgbm(table, name, value):
    with pytest.raises(ValueError, match=f"^{name} must not be '{value}': LightGBM's random forests"):
        focal_lgb(**{name: value, "subsample": 0.5, "subsample_freq": 1}).fit(table.X, table.y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{sign}_{name}", 0.5)
        for sign in ("pos", "neg")
        for name in ("bagging_fraction", "sub_row", "subsample", "bagging")
    ]
    + [("sigmoid", 2.0)],
)
def test_parameters_that_lightgbm_ignores_beside_a_custom_objective(table, name, value):
    with pytest.raises(ValueError, match=f"^{name} must be 1, got {value}"):
        focal_lgb(**{name: value}).fit(table.X, table.y)
    focal_lgb(**{name: 1.0, "n_estimators": 1}).fit(table.X, table.y)


def test_top_k_errors_of_lightgbm(table):
    with pytest.raises(ValueError, match="multi_error_top_k"):
        focal_lgb(multi_error_top_k=2).fit(table.X, table.y)


def test_num_class(table):
    with pytest.raises(ValueError, match="num_class is taken from y, got 3"):
        focal_xgb(num_class=3).fit(table.X, table.y)
    for name in ("num_class", "num_classes"):
        with pytest.raises(ValueError, match=f"{name} is taken from y, got 3"):
            focal_lgb(**{name: 3}).fit(table.X, table.y)


def test_feature_weights_twice(table):
    with pytest.raises(ValueError, match="feature_weights must be given to the constructor or to fit"):
        focal_xgb(feature_weights=np.ones(5)).fit(table.X, table.y, feature_weights=np.ones(5))


def test_many_labels_in_lightgbm(table):
    with pytest.raises(ValueError, match=r"y should be a 1d array .*MultiOutputClassifier"):
        focal_lgb().fit(table.X, np.column_stack([table.y, table.y]))


def test_starts_that_are_not_finite(table, validation):
    for bad in (NAN, INF):
        with pytest.raises(ValueError, match=r"raw prediction is (nan|inf)"):
            focal_xgb().fit(table.X, table.y, base_margin=spoiled(np.zeros(500), bad))
        with pytest.raises(ValueError, match=r"^init_score must be finite"):
            focal_lgb().fit(table.X, table.y, init_score=spoiled(np.zeros(500), bad))
        scores = [spoiled(np.zeros(300), bad)]
        data = {"eval_X": validation.X, "eval_y": validation.y, "eval_init_score": scores}
        with pytest.raises(ValueError, match=r"^eval_init_score\[0\] must be finite"):
            focal_lgb().fit(table.X, table.y, **data)


# Prediction


def test_predict_before_fit(make, table):
    for name in ("predict", "predict_proba", "decision_function", "score"):
        arguments = (table.X, table.y) if name == "score" else (table.X,)
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(make(), name)(*arguments)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        make().save_model("never_written")


def test_number_of_features(make, table):
    model = make().fit(table.X, table.y)
    for name in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(ValueError, match=r"[Ff]eature"):
            getattr(model, name)(table.X[:, :4])


# Models that cannot learn


def no_split(model, X, y, **fit):
    with pytest.warns(UserWarning, match="grew no split in any tree") as caught:
        model.fit(X, y, **fit)
    # XGBoost deprecates one of its boosters, and says so, too
    (warning,) = (one for one in caught if "is deprecated" not in str(one.message))
    assert warning.filename == __file__
    assert len(np.unique(model.decision_function(X))) == 1
    return str(warning.message)


def learns(model, X, y, **fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*`booster=gblinear` is deprecated")
        model.fit(X, y, **fit)
    return len(np.unique(model.decision_function(X))) > 1


@pytest.mark.parametrize("weight", [None, np.full(500, 1e-3)], ids=["", "small weights"])
def test_min_child_weight_of_xgboost(table, weight):
    least = 1.0 if weight is not None else 200.0
    model = focal_xgb(min_child_weight=least)
    message = no_split(model, table.X, table.y, sample_weight=weight)
    assert "Lower min_child_weight: two leaves need a Hessian of" in message
    total = float(message.partition("together have ")[2].split()[0])
    assert total < 2 * least
    model.set_params(min_child_weight=total / 10)
    assert learns(model, table.X, table.y, sample_weight=weight)


def test_min_child_weight_of_xgboost_where_no_one_can_be_sure(table):
    message = no_split(focal_xgb(gamma=1e6), table.X, table.y)
    assert "Lower min_child_weight, gamma (the minimum split loss)" in message
    assert learns(focal_xgb(gamma=0), table.X, table.y)


@pytest.mark.parametrize("name", ["min_child_samples", "min_data_in_leaf", "min_data"])
def test_min_child_samples_of_lightgbm(table, name):
    message = no_split(focal_lgb(**{name: 251}), table.X, table.y)
    assert f"Lower {name}: two leaves need 251 rows each, and there are 500" in message
    assert learns(focal_lgb(**{name: 20}), table.X, table.y)


@pytest.mark.parametrize("name", ["min_child_weight", "min_sum_hessian_in_leaf", "min_hessian"])
def test_min_child_weight_of_lightgbm(table, name):
    message = no_split(focal_lgb(**{name: 1000.0}), table.X, table.y)
    assert f"Lower {name}: two leaves need a Hessian of 1000 each" in message
    assert learns(focal_lgb(**{name: 1e-3}), table.X, table.y)


def test_min_split_gain_of_lightgbm(table):
    message = no_split(focal_lgb(min_split_gain=1e6), table.X, table.y)
    assert "min_split_gain" in message
    assert learns(focal_lgb(min_split_gain=0.0), table.X, table.y)


def test_the_defaults_learn_from_few_rare_rows(make):
    """At the libraries' own defaults, with any γ: where the plain library learns, the focal loss does."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3))
    y = X[:, 0] > 2.3
    assert 10 < y.sum() < 40
    for gamma in (0.0, 1.0, 2.0, 5.0):
        assert learns(type(make())(focal_gamma=gamma, n_estimators=5, n_jobs=1), X, y)


@pytest.mark.parametrize("n_rows", [2, 5, 20])
def test_few_rows(make, n_rows):
    X = np.arange(n_rows * 2.0).reshape(n_rows, 2)
    y = np.arange(n_rows) >= n_rows / 2
    model = make()
    message = no_split(model, X, y) if make is focal_lgb or n_rows < 8 else ""
    if make is focal_lgb:
        assert f"two leaves need 20 rows each, and there are {n_rows}" in message
        assert_array_equal(model.predict_proba(X)[:, 1], model.predict_proba(X)[0, 1])
        assert model.predict_proba(X)[0, 1] == pytest.approx(y.mean())
        learned = make(min_child_samples=1, min_data_in_bin=1)
    else:
        learned = make(min_child_weight=0)
    assert learns(learned, X, y)
    assert_array_equal(learned.predict(X), y)


def test_constant_features(make, table):
    message = no_split(make(), np.ones((500, 3)), table.y)
    assert "no feature tells the classes apart" in message
    boosting = {"booster": "dart"} if make is focal_xgb else {"boosting_type": "dart"}
    no_split(make(**boosting), np.ones((500, 3)), table.y)


def test_gblinear_has_no_trees_to_count(table):
    model = focal_xgb(booster="gblinear", max_depth=None, n_estimators=3).fit(table.X, table.y)
    assert np.isfinite(model.predict_proba(table.X)).all()


def test_no_warning_from_linear_boosters(table):
    assert learns(focal_xgb(booster="gblinear", max_depth=None), table.X, table.y)
