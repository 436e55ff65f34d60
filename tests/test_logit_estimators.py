"""The logit link in the estimators, the search, on Dask collections and in pictures."""

import lightgbm
import numpy as np
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb, make_table
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.metrics import log_loss

from focal_gbm import ClassCounts, FocalLGBMObjective, FocalSearchCV, FocalXGBObjective

MAKE = {"xgboost": focal_xgb, "lightgbm": focal_lgb}


@pytest.fixture(scope="module")
def table():
    return make_table(0, n_samples=2000)


@pytest.fixture(params=MAKE)
def make(request):
    return MAKE[request.param]


def test_both_links_are_the_library_s_own_at_gamma_zero(make, table):
    focal, logit = (
        make(focal_gamma=0.0, focal_link=link).fit(table.X, table.y) for link in ("focal", "logit")
    )
    assert_allclose(logit.decision_function(table.X), focal.decision_function(table.X), atol=1e-5)


@pytest.mark.parametrize("hessian", [None, "expected", "floored", "exact"])
def test_every_hessian_trains(make, table, hessian):
    model = make(focal_link="logit", hessian=hessian, n_estimators=30).fit(table.X, table.y)
    base_rate = np.full(len(table.y), table.y.mean())
    assert log_loss(table.y, model.predict_proba(table.X)) < 0.8 * log_loss(table.y, base_rate)
    assert model.predict_proba(table.X)[:, 1].mean() == pytest.approx(table.y.mean(), abs=0.02)


@pytest.mark.parametrize("alpha", [None, 0.9, "balanced"])
def test_alpha_moves_the_decision_and_not_the_probability(make, table, alpha):
    model = make(focal_link="logit", focal_alpha=alpha, n_estimators=30).fit(table.X, table.y)
    weights = model._state().loss.class_weights
    threshold = weights[0] / sum(weights)
    probability = model.predict_proba(table.X)[:, 1]
    assert (model.predict(table.X) == (probability > threshold)).all()
    assert probability.mean() == pytest.approx(table.y.mean(), abs=0.03)


@pytest.mark.parametrize("metric", ["error", "focal_loss", "logloss"])
def test_metrics_are_those_of_the_model(make, table, metric):
    model = make(focal_link="logit", focal_alpha="balanced", n_estimators=5)
    if make is focal_xgb:
        model.set_params(eval_metric=metric).fit(
            table.X, table.y, eval_set=[(table.X, table.y)], verbose=False
        )
    else:
        model.fit(table.X, table.y, eval_set=[(table.X, table.y)], eval_metric=metric)
    (history,) = model.evals_result_.values()
    values = {name.removeprefix("binary_"): of_metric[-1] for name, of_metric in history.items()}
    expected = {
        "error": (model.predict(table.X) != table.y).mean(),
        "logloss": log_loss(table.y, model.predict_proba(table.X)),
        "focal_loss": model._state().loss.loss(table.y, model.decision_function(table.X)).mean(),
    }[metric]
    assert values[metric] == pytest.approx(expected, rel=1e-5)


def test_an_unknown_link_or_hessian_is_named(make, table):
    with pytest.raises(ValueError, match=r"^focal_link must be one of 'focal', 'logit', got 'log-odds'\.$"):
        make(focal_link="log-odds").fit(table.X, table.y)
    with pytest.raises(
        ValueError, match=r"^hessian must be one of 'floored', 'exact', 'expected', got 'majo"
    ):
        make(focal_link="logit", hessian="majorizing").fit(table.X, table.y)
    with pytest.raises(ValueError, match=r"^hessian must be one of 'floored', .*, got 'expected'\.$"):
        make(hessian="expected").fit(table.X, table.y)


def test_saved_and_cloned(make, table, tmp_path):
    model = make(focal_link="logit", n_estimators=5).fit(table.X, table.y)
    model.save_model(tmp_path / "model.json")
    loaded = make()
    loaded.load_model(tmp_path / "model.json")
    assert loaded.focal_link == clone(loaded).focal_link == "logit"
    assert loaded.hessian is None
    assert loaded._state().loss == model._state().loss
    assert_allclose(loaded.predict_proba(table.X), model.predict_proba(table.X), atol=1e-12)


def test_many_labels_of_xgboost(table):
    y = np.column_stack([table.y, table.X[:, 0] > 0])
    model = focal_xgb(focal_link="logit", focal_alpha="balanced").fit(table.X, y)
    alone = model.get_booster().predict(xgboost.DMatrix(table.X))
    assert_allclose(alone, model.predict_proba(table.X), atol=1e-6)
    decided = [
        column.decide(z)
        for column, z in zip(model._state().loss.columns, _columns(model, table), strict=True)
    ]
    assert (model.predict(table.X) == np.column_stack(decided)).all()


def _columns(model, table):
    return model.decision_function(table.X).T


def test_class_counts_give_what_the_estimators_train_with(table):
    counts = ClassCounts.of(table.y)
    objective = counts.objective(FocalXGBObjective, 2.0, focal_link="logit")
    assert objective.hessian == "floored"
    assert counts.base_score(objective.loss) == pytest.approx(table.y.mean())
    params = {
        "objective": "binary:logistic", "base_score": counts.base_score(objective.loss), "max_depth": 3,
        "nthread": 1,
    }  # fmt: skip
    booster = xgboost.train(params, xgboost.QuantileDMatrix(table.X, table.y), 10, obj=objective)
    model = focal_xgb(focal_link="logit", n_estimators=10, max_depth=3, learning_rate=None).fit(
        table.X, table.y
    )
    assert_allclose(booster.predict(xgboost.DMatrix(table.X)), model.predict_proba(table.X)[:, 1], atol=1e-5)

    objective = counts.objective(FocalLGBMObjective, 2.0, focal_link="logit")
    start = np.full(len(table.y), counts.start(objective.loss))
    data = lightgbm.Dataset(table.X, table.y, init_score=start)
    own = lightgbm.train({"objective": objective, "verbose": -1, "num_threads": 1}, data, 10)
    model = focal_lgb(focal_link="logit", n_estimators=10, num_leaves=31).fit(table.X, table.y)
    assert_allclose(own.predict(table.X) + start, model.decision_function(table.X), atol=1e-9)


def test_searched(make, table):
    grid = {"focal_link": ["focal", "logit"], "focal_gamma": [1.0, 2.0]}
    search = FocalSearchCV(make(n_estimators=8), grid, cv=2).fit(table.X, table.y)
    assert len(search.cv_results_["params"]) == 4
    alone = clone(search.estimator).set_params(**search.best_params_)
    assert search.best_estimator_.get_params()["focal_link"] == alone.focal_link


@pytest.mark.dask
@pytest.mark.parametrize("library", MAKE)
def test_on_dask_collections(table, library):
    distributed = pytest.importorskip("distributed")
    da = pytest.importorskip("dask.array")
    from focal_gbm import DaskFocalLGBMClassifier, DaskFocalXGBClassifier

    estimator = DaskFocalXGBClassifier if library == "xgboost" else DaskFocalLGBMClassifier
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.Client(**options) as client:
        X, y = da.from_array(table.X, chunks=(500, -1)), da.from_array(table.y, chunks=500)
        params = {} if library == "xgboost" else {"verbose": -1}
        model = estimator(focal_link="logit", n_estimators=5, **params)
        model.client = client
        model.fit(X, y)
        probability = model.predict_proba(X).compute()
        decided = np.asarray(model.predict(X).compute())
    alone = model.get_booster() if library == "xgboost" else model.booster_
    plain = alone.predict(xgboost.DMatrix(table.X)) if library == "xgboost" else alone.predict(table.X)
    assert_allclose(probability[:, 1], plain, atol=1e-6)
    assert (decided == (plain > 0.5)).all()


def test_the_weight_is_drawn(table):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from focal_gbm import FocalLossDisplay

    display = FocalLossDisplay.from_gammas([0, 2], quantity="weight", max_margin=30.0)
    assert display.ax_.get_xscale() == "logit"
    assert_allclose(display.weight[0], 1.0, rtol=1e-12)
    middle, ends = display.weight[1][300], display.weight[1][[0, -1]]
    assert middle == pytest.approx(0.2229, abs=1e-4)
    assert_allclose(ends, 1 / 3, atol=1e-4)
    assert_allclose(display.lines_[1].get_xdata(), 1 / (1 + np.exp(-display.log_odds[1])), rtol=1e-12)
    matplotlib.pyplot.close("all")
    model = focal_xgb(focal_link="logit").fit(table.X, table.y)
    FocalLossDisplay.from_estimator(model, quantity="hessian")
    matplotlib.pyplot.close("all")
