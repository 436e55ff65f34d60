"""γ=0 is the library's own model to the last split: on tables where splits tie, with its own start."""

import json

import lightgbm
import numpy as np
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb
from numpy.testing import assert_allclose
from sklearn.datasets import make_classification
from sklearn.model_selection import KFold, cross_val_score

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

ROUNDS = {"n_estimators": 20, "n_jobs": 1}

#: One softmax whose sum is in float32 ties otherwise than XGBoost's, summed in float64.
SUMMED_IN_FLOAT32 = 18


def make_tied(seed):
    """Many splits part the same few rows; half of the tables hold integers, half have weights."""
    rng = np.random.default_rng(seed)
    n_samples, n_classes = (300, 1000, 2000)[seed % 3], 3 + seed % 4
    X, y = make_classification(n_samples, 12, n_informative=8, n_classes=n_classes, random_state=seed)
    weights = None, None, rng.integers(1, 4, n_samples), rng.uniform(0.1, 3, n_samples)
    return np.round(2 * X) if seed % 2 else X, y, weights[seed % 4]


def base_score(model):
    config = json.loads(model.get_booster().save_config())
    return np.array(json.loads(config["learner"]["learner_model_param"]["base_score"]))


def tables(fail=()):
    reason = "the kernel sums the exponentials in float32, XGBoost in float64"
    marks = {seed: [pytest.mark.xfail(reason=reason, strict=False)] for seed in fail}
    return [pytest.param(seed, marks=marks.get(seed, ())) for seed in range(24)]


@pytest.mark.parametrize("seed", tables(fail=[SUMMED_IN_FLOAT32]))
def test_xgboost_with_many_classes(seed):
    X, y, weight = make_tied(seed)
    library = xgboost.XGBClassifier(**ROUNDS).fit(X, y, sample_weight=weight)
    ours = FocalXGBClassifier(focal_gamma=0, **ROUNDS).fit(X, y, sample_weight=weight)
    if weight is None or weight.dtype.kind == "i":
        assert (base_score(ours) == base_score(library)).all()
    # XGBoost sums weights in float32
    assert_allclose(base_score(ours), base_score(library), rtol=1e-6, atol=1e-6)
    assert_allclose(ours.predict_proba(X), library.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("seed", tables())
def test_xgboost_with_two_classes(seed):
    X, y, weight = make_tied(seed)
    y = y < 1 + seed % 2
    library = xgboost.XGBClassifier(**ROUNDS).fit(X, y, sample_weight=weight)
    ours = FocalXGBClassifier(focal_gamma=0, **ROUNDS).fit(X, y, sample_weight=weight)
    assert (base_score(ours) == base_score(library)).all()
    assert_allclose(ours.predict_proba(X), library.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("seed", range(0, 24, 3))
@pytest.mark.parametrize("n_classes", [2, None])
def test_lightgbm(seed, n_classes):
    """Weights are float32 in the library, before its start is computed."""
    X, y, weight = make_tied(seed)
    y = y if n_classes is None else y < 1 + seed % 2
    params = {**ROUNDS, "verbose": -1}
    library = lightgbm.LGBMClassifier(**params).fit(X, y, sample_weight=weight)
    ours = FocalLGBMClassifier(focal_gamma=0, **params).fit(X, y, sample_weight=weight)
    assert_allclose(ours.predict_proba(X), library.predict_proba(X), atol=1e-12, rtol=0)


# α's common factor


@pytest.fixture(scope="module")
def rare():
    return make_classification(2000, 6, n_informative=4, n_redundant=0, weights=[0.95], random_state=0)


def assert_same_models(make, X, y, alphas, **params):
    expected = make(focal_alpha=alphas[0], **params).fit(X, y).predict_proba(X)
    for alpha in alphas[1:]:
        model = make(focal_alpha=alpha, **params).fit(X, y)
        # XGBoost's minimum Hessian, penalties and gains, all of which a factor would move
        assert_allclose(model.predict_proba(X), expected, atol=1e-6, err_msg=str(alpha))


STRICT = {
    "xgboost": {"min_child_weight": 3, "reg_lambda": 2.0, "gamma": 0.5, "reg_alpha": 0.1},
    "lightgbm": {"min_child_weight": 3, "reg_lambda": 2.0, "min_split_gain": 0.5},
}
MAKERS = {"xgboost": focal_xgb, "lightgbm": focal_lgb}


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("library", MAKERS)
def test_a_common_factor_of_alpha(rare, library, gamma):
    X, y = rare
    alphas = [None, 0.5, {0: 1, 1: 1}, {0: 100, 1: 100}, [0.01, 0.01], [49.0, 49.0]]
    assert_same_models(MAKERS[library], X, y, alphas, focal_gamma=gamma, **STRICT[library])
    unequal = [{0: 1.0, 1: 5.0}, {0: 100.0, 1: 500.0}, 5 / 6, [1e-3, 5e-3]]
    assert_same_models(MAKERS[library], X, y, unequal, focal_gamma=gamma, **STRICT[library])


@pytest.mark.parametrize("library", MAKERS)
def test_a_common_factor_with_many_classes(library):
    X, y, _ = make_tied(5)
    assert_same_models(MAKERS[library], X, y, [None, [7.0] * 4], **STRICT[library])
    assert_same_models(MAKERS[library], X, y, [[1, 2, 3, 4], [10, 20, 30, 40]], **STRICT[library])


def test_a_common_factor_with_many_labels(rare):
    X, y = rare
    Y = np.column_stack([y, X[:, 0] > 0])
    assert_same_models(focal_xgb, X, Y, [None, 0.5, [0.5, None], {0: 9, 1: 9}], **STRICT["xgboost"])


def test_balanced_has_weights_of_mean_one(rare):
    X, y = rare
    by_name = focal_xgb(focal_alpha="balanced", **STRICT["xgboost"]).fit(X, y).predict_proba(X)
    weights = len(y) / (2 * np.bincount(y))
    assert np.average(weights, weights=np.bincount(y)) == pytest.approx(1)
    ours = focal_xgb(focal_alpha=weights, **STRICT["xgboost"]).fit(X, y)
    assert_allclose(by_name, ours.predict_proba(X), atol=1e-6)


# A class whose rows have no weight


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("library", MAKERS)
def test_a_class_without_weight(library, n_classes):
    X, y, _ = make_tied(4)
    y = np.minimum(y, n_classes - 1)
    weight = (y < n_classes - 1).astype(float)
    params = {"n_estimators": 3, "max_depth": 2, "n_jobs": 1}
    if library == "lightgbm":
        params["verbose"] = -1
    own, ours = (
        (xgboost.XGBClassifier, FocalXGBClassifier)
        if library == "xgboost"
        else (lightgbm.LGBMClassifier, FocalLGBMClassifier)
    )
    expected = own(**params).fit(X, y, sample_weight=weight).predict_proba(X)
    model = ours(focal_gamma=0, **params).fit(X, y, sample_weight=weight)
    assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    focal = ours(**params).fit(X, y, sample_weight=weight).predict_proba(X)
    assert np.isfinite(focal).all()
    assert focal[:, -1].max() < 1e-4


def test_a_label_without_positives():
    X, y, _ = make_tied(3)
    Y = np.column_stack([y > 1, np.zeros(len(y), dtype=bool)]).astype(int)
    Y[0, 1] = 1
    scores = [
        cross_val_score(make(n_estimators=3, n_jobs=1, **more), X, Y, cv=KFold(3), scoring="f1_micro")
        for make, more in ((xgboost.XGBClassifier, {}), (FocalXGBClassifier, {"focal_gamma": 0}))
    ]
    assert_allclose(scores[1], scores[0])
    assert np.isfinite(FocalXGBClassifier(n_estimators=3).fit(X[1:], Y[1:]).predict_proba(X)).all()


# LightGBM's booster


def test_refit_of_the_log_loss_is_the_librarys(rare):
    X, y = rare
    params = {**ROUNDS, "verbose": -1}
    own = lightgbm.LGBMClassifier(**params).fit(X, y).booster_
    ours = FocalLGBMClassifier(focal_gamma=0, **params).fit(X, y).booster_
    for decay in (0.9, 0.5, 0.0):
        expected = own.refit(X, y, decay_rate=decay).predict(X)
        assert_allclose(ours.refit(X, y, decay_rate=decay).predict(X), expected, atol=1e-9)


@pytest.mark.parametrize(
    "params", [{"focal_gamma": 2.0}, {"focal_gamma": 0.0, "focal_alpha": "balanced"}], ids=str
)
def test_refit_of_another_loss_is_an_error(rare, params, tmp_path):
    X, y = rare
    model = focal_lgb(**params).fit(X, y)
    model.save_model(tmp_path / "model.txt")
    for booster in (model.booster_, FocalLGBMClassifier().load_model(tmp_path / "model.txt").booster_):
        with pytest.raises(ValueError, match=r"^refit must not be called on a model of a focal loss"):
            booster.refit(X, y)
        assert type(booster.__copy__()) is type(booster)


def test_parameters_of_the_booster_keep_their_names(rare):
    X, y = rare
    own = lightgbm.LGBMClassifier(eta=0.2, verbose=-1).fit(X, y).booster_.params
    ours = FocalLGBMClassifier(eta=0.2, verbose=-1).fit(X, y).booster_.params
    for name in own.keys() - {"metric"}:
        assert ours[name] == own[name], name


# Objectives and metrics


def test_names_of_the_same_objective():
    X, y, _ = make_tied(4)
    expected = focal_xgb().fit(X, y).predict_proba(X)
    for name in ("binary:logistic", "reg:logistic", "multi:softprob", "multi:softmax", None):
        assert_allclose(focal_xgb(objective=name).fit(X, y).predict_proba(X), expected)
    expected = focal_lgb().fit(X, y).predict_proba(X)
    for name in ("multiclass", "softmax", None):
        assert_allclose(focal_lgb(objective=name).fit(X, y).predict_proba(X), expected)
    for make, name in ((focal_xgb, "multi:softmax"), (focal_lgb, "multiclass"), (focal_lgb, "softmax")):
        with pytest.raises(ValueError, match=r"^objective must be left alone"):
            make(objective=name).fit(X, y > 0)
    with pytest.raises(ValueError, match=r"^objective must be left alone"):
        focal_lgb(objective="binary").fit(X, y)


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_aucpr_of_many_classes(seed, weighted):
    X, y, _ = make_tied(seed)
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y)) if weighted else None
    logs = [
        make(n_estimators=4, n_jobs=1, eval_metric=["aucpr", "auc"], **more)
        .fit(X, y, sample_weight=weight, eval_set=[(X, y)], sample_weight_eval_set=[weight], verbose=False)
        .evals_result()["validation_0"]
        for make, more in ((xgboost.XGBClassifier, {}), (FocalXGBClassifier, {"focal_gamma": 0}))
    ]
    for name in ("aucpr", "auc"):
        assert_allclose(logs[1][name], logs[0][name], rtol=1e-9)


def test_metrics_of_lightgbm(rare):
    X, y = rare
    metrics = ["auc", None, "kullback_leibler", "mape", "l1"]
    logs = [
        make(verbose=-1, n_estimators=5, **more)
        .fit(X, y, eval_X=X, eval_y=y, eval_metric=metrics)
        .evals_result_
        for make, more in ((lightgbm.LGBMClassifier, {}), (FocalLGBMClassifier, {"focal_gamma": 0}))
    ]
    for name in ("auc", "kullback_leibler", "mape"):
        assert_allclose(logs[1]["valid_0"][name], logs[0]["valid_0"][name], rtol=1e-9)


@pytest.mark.parametrize("metric", ["r2", "fair", "huber", "poisson", "quantile", "tweedie"])
def test_metrics_of_numbers_are_refused(rare, metric):
    X, y = rare
    with pytest.raises(ValueError, match="It is a metric of real numbers, not of classes"):
        focal_lgb().fit(X, y, eval_X=X, eval_y=y, eval_metric=metric)


@pytest.mark.parametrize("metric", ["rmsle", "mphe", "mape", "quantile"])
def test_metrics_of_numbers_are_refused_with_xgboost(rare, metric):
    X, y = rare
    with pytest.raises(ValueError, match="It is a metric of real numbers, not of classes"):
        focal_xgb(eval_metric=metric).fit(X, y, eval_set=[(X, y)])


# Text, as LightGBM reads it


@pytest.mark.parametrize(
    "params",
    [
        {"is_unbalance": "false"}, {"min_data_in_leaf": "2000"}, {"sigmoid": "1.0"},
        {"pos_bagging_fraction": "1.0"},
        {"boost_from_average": "false"}, {"scale_pos_weight": "1.0"}, {"min_child_weight": "5"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:FocalLGBMClassifier grew no split")
def test_text_of_lightgbm(rare, params):
    X, y = rare
    params = {**ROUNDS, **params, "verbose": -1}
    expected = lightgbm.LGBMClassifier(**params).fit(X, y).predict_proba(X)
    ours = FocalLGBMClassifier(focal_gamma=0, **params).fit(X, y)
    assert_allclose(ours.predict_proba(X), expected, atol=1e-9)


def test_num_class_as_text():
    X, y, _ = make_tied(0)
    focal_lgb(num_class="3").fit(X, y)
