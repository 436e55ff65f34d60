"""Metrics of evaluation sets are those of `predict_proba`, and training stops where they say."""

import functools
import warnings

import lightgbm
import numpy as np
import pytest
import xgboost
from numpy.testing import assert_allclose, assert_array_equal
from problems import HAS_EVAL_X, OWN, Problem, Rows, booster, fit, log, n_best, ours, own, rows, staged
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    roc_auc_score,
)

weights = pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
ROUNDS = {"n_estimators": 60, "learning_rate": 0.5}


def columns(problem, y):
    """Labels as the columns that probabilities have."""
    return y if problem.kind == "labels" else (y[:, None] == np.arange(3 if problem.kind == "many" else 2)).astype(int)


@weights
def test_the_default_metric_is_the_log_loss_of_every_round(problem, weighted):
    model = fit(problem.ours(focal_alpha="balanced"), problem.train, problem.train, problem.valid, weighted=weighted)
    for i, data in enumerate((problem.train, problem.valid)):
        ((name, values),) = log(model, i).items()
        assert name == {"xgboost": {"many": "mlogloss"}, "lightgbm": {"many": "multi_logloss"}}[problem.library].get(
            problem.kind, "logloss" if problem.library == "xgboost" else "binary_logloss"
        )
        for k in (1, 4, 10):
            p = staged(model, data.X, k).astype(np.float64)
            p = p if problem.kind == "labels" else p / p.sum(axis=1, keepdims=True)  # float32's do not sum to 1
            w = data.weight if weighted else None
            if problem.kind == "labels":
                expected = np.mean([log_loss(data.y[:, j], p[:, j], sample_weight=w) for j in range(3)])
            else:
                expected = log_loss(data.y, p, sample_weight=w)
            assert values[k - 1] == pytest.approx(
                expected, rel=2e-6 if problem.library == "xgboost" or weighted else 1e-10
            )


SCORES = {
    "binary_logloss": lambda y, p, w: log_loss(y, p, sample_weight=w),
    "binary_error": lambda y, p, w: 1 - accuracy_score(y, p > 0.5, sample_weight=w),
    "l1": lambda y, p, w: mean_absolute_error(y, p, sample_weight=w),
    "l2": lambda y, p, w: mean_squared_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: mean_squared_error(y, p, sample_weight=w) ** 0.5,
    "auc": lambda y, p, w: roc_auc_score(y, p, sample_weight=w),
    "average_precision": lambda y, p, w: average_precision_score(y, p, sample_weight=w),
}
SCORES |= {
    "cross_entropy": SCORES["binary_logloss"], "kullback_leibler": SCORES["binary_logloss"],
    "mape": SCORES["l1"],
}  # fmt: skip


@weights
def test_every_metric_of_lightgbm_for_two_classes(table, validation, weighted):
    model = fit(ours("lightgbm", focal_alpha=0.7, metric=[*SCORES]), table, validation, weighted=weighted)
    p = model.predict_proba(validation.X)[:, 1]
    assert set(log(model)) == set(SCORES)
    for name, score in SCORES.items():
        expected = score(validation.y, p, validation.weight if weighted else None)
        assert log(model)[name][-1] == pytest.approx(expected, rel=1e-6), name


@weights
def test_every_metric_of_lightgbm_for_many_classes(weighted):
    train, valid = rows("many"), rows("many", 1, 200)
    model = fit(ours("lightgbm", metric=["multi_logloss", "multi_error", "auc_mu"]), train, valid, weighted=weighted)
    p, w = model.predict_proba(valid.X), valid.weight if weighted else None
    assert log(model)["multi_logloss"][-1] == pytest.approx(log_loss(valid.y, p, sample_weight=w), rel=1e-6)
    wrong = 1 - accuracy_score(valid.y, p.argmax(axis=1), sample_weight=w)
    assert log(model)["multi_error"][-1] == pytest.approx(wrong)
    assert 0.6 < log(model)["auc_mu"][-1] < 1


ALIASES = {
    "two": "binary_logloss logloss binary cross_entropy xentropy kullback_leibler kldiv binary_error error "
    "l1 "
    "mean_absolute_error mae regression_l1 l2 mean_squared_error mse regression_l2 regression rmse "
    "root_mean_squared_error l2_root mape mean_absolute_percentage_error auc average_precision "
    "multi_logloss multi_error",
    "many": "multi_logloss multiclass softmax multi_error auc_mu error logloss binary_logloss binary_error",
}


@pytest.mark.parametrize(("kind", "alias"), [(kind, name) for kind in ALIASES for name in ALIASES[kind].split()])
def test_names_are_those_that_lightgbm_reports(kind, alias):
    train, valid = rows(kind), rows(kind, 1, 200)
    plain = fit(own("lightgbm", n_estimators=1, metric="None"), train, valid, eval_metric=alias)
    model = fit(ours("lightgbm", n_estimators=1, metric="None"), train, valid, eval_metric=alias)
    assert [*log(model)] == [*log(plain)]
    # and beside the default, which both report first or last alike
    plain = fit(own("lightgbm", n_estimators=1), train, valid, eval_metric=alias)
    model = fit(ours("lightgbm", n_estimators=1), train, valid, eval_metric=alias)
    assert set(log(model)) == set(log(plain))


@pytest.mark.parametrize("metric", ["fair", "huber", "poisson", "quantile", "tweedie", "ndcg", "map", "no such"])
def test_metrics_of_other_problems_are_refused_by_name(table, validation, metric):
    message = rf"eval_metric and metric must be callables or among .*binary_logloss.*, got '{metric}'"
    with pytest.raises(ValueError, match=message):
        fit(ours("lightgbm", metric=metric), table, validation)
    with pytest.raises(ValueError, match=message):
        fit(ours("lightgbm"), table, validation, eval_metric=["auc", metric])


def test_no_metric_of_lightgbm(table, validation):
    for none in ("None", "", "na", "custom"):
        model = fit(ours("lightgbm", metric=none), table, validation)
        assert model.evals_result_ == {}


@weights
def test_metrics_of_xgboost_are_its_own(table, validation, weighted):
    names = ["logloss", "error", "error@0.3", "rmse", "mae", "auc", "aucpr"]
    model = fit(ours("xgboost", eval_metric=names, focal_alpha=0.7), table, validation, weighted=weighted)
    p, w = model.predict_proba(validation.X)[:, 1].astype(np.float64), validation.weight if weighted else None
    assert [*log(model)] == names
    for name, expected in {
        "logloss": SCORES["binary_logloss"](validation.y, p, w),
        "error": SCORES["binary_error"](validation.y, p, w),
        "error@0.3": 1 - accuracy_score(validation.y, p > 0.3, sample_weight=w),
        "rmse": SCORES["rmse"](validation.y, p, w), "mae": SCORES["l1"](validation.y, p, w),
        "auc": SCORES["auc"](validation.y, p, w),
    }.items():  # fmt: skip
        assert log(model)[name][-1] == pytest.approx(expected, rel=1e-5), name


# Callables


def test_callables_see_probabilities(problem):
    seen = []

    def mean(y_true, y_pred, *more):
        seen.append((y_true.copy(), y_pred.copy()))
        return ("mean", float(y_pred.mean()), False) if problem.library == "lightgbm" else float(y_pred.mean())

    if problem.library == "xgboost":
        model = fit(problem.ours(eval_metric=mean), problem.train, problem.valid)
        if problem.kind != "two":
            assert seen[-1][1].shape == (200, 3)
    else:
        model = fit(problem.ours(), problem.train, problem.valid, eval_metric=lambda y, p: mean(y, p))
    p = model.predict_proba(problem.valid.X)
    p = p[:, 1] if problem.kind == "two" else p
    assert_allclose(seen[-1][1], p, rtol=0, atol=problem.close * 2)
    assert_allclose(seen[-1][0], problem.valid.y)
    assert log(model)["mean"][-1] == pytest.approx(p.mean(), rel=1e-5)


@pytest.mark.parametrize("n", range(6))
def test_callables_of_any_number_of_arguments(table, validation, n):
    """The library's message where it is wrong."""
    metrics = [
        lambda: ("m", 0.0, False), lambda y: ("m", 0.0, False), lambda y, p: ("m", p.max(), False),
        lambda y, p, w: ("m", p.max(), False), lambda y, p, w, g: ("m", p.max(), False),
        lambda y, p, w, g, x: ("m", 0.0, False),
    ]  # fmt: skip
    results = []
    for make in (own, functools.partial(ours, focal_gamma=0.0), ours):
        try:
            results.append(list(log(fit(make("lightgbm"), table, validation, eval_metric=metrics[n]))))
        except TypeError as error:
            results.append(str(error))
    assert results[0] == results[1] == results[2]
    assert isinstance(results[0], str) == (n not in (2, 3, 4))


@pytest.mark.parametrize("metric", [brier_score_loss, log_loss, roc_auc_score])
def test_metrics_of_scikit_learn_in_xgboost(table, validation, metric):
    model = fit(ours("xgboost", eval_metric=metric), table, validation)
    expected = metric(validation.y, model.predict_proba(validation.X)[:, 1])
    assert log(model)[metric.__name__][-1] == pytest.approx(expected, rel=1e-5)


# Early stopping


def test_stopping_is_where_the_metric_is_best(problem):
    model = fit(problem.ours(**ROUNDS, n_jobs=1), problem.train, problem.valid, stop=5)
    (values,) = log(model).values()
    best = n_best(model)
    assert 1 < best < 40
    assert len(values) == best + 5
    assert np.argmin(values) == best - 1
    shorter = fit(problem.ours(**{**ROUNDS, "n_estimators": best}), problem.train)
    assert_allclose(
        model.predict_proba(problem.valid.X),
        shorter.predict_proba(problem.valid.X),
        rtol=0,
        atol=problem.close,
    )
    # the booster ends there
    n_trees = {"many": 3, "labels": 3, "two": 1}[problem.kind]
    n_rounds = (
        booster(model).num_boosted_rounds() if problem.library == "xgboost" else booster(model).num_trees() / n_trees
    )
    assert n_rounds == best
    if problem.library == "xgboost":
        assert model.best_score == pytest.approx(min(values))
        assert model.get_booster().best_iteration == model.best_iteration


@pytest.mark.parametrize("save_best", [False, True])
@pytest.mark.parametrize("kind", ["two", "many", "labels"])
def test_an_early_stopping_callback_of_the_user(kind, save_best):
    problem = Problem("xgboost", kind)
    callback = xgboost.callback.EarlyStopping(rounds=5, save_best=save_best)
    model = fit(problem.ours(**ROUNDS, callbacks=[callback]), problem.train, problem.valid)
    reference = fit(problem.ours(**ROUNDS), problem.train, problem.valid, stop=5)
    assert model.best_iteration == reference.best_iteration
    assert model.get_booster().num_boosted_rounds() == model.best_iteration + 1
    assert_allclose(model.predict_proba(problem.valid.X), reference.predict_proba(problem.valid.X), rtol=0, atol=1e-6)
    assert model.callbacks == [callback]


def test_a_linear_booster_that_stopped_keeps_its_rounds(table, validation):
    """They change the same coefficients: XGBoost cannot leave the last ones out."""
    linear = {"booster": "gblinear", "max_depth": None, "updater": "coord_descent", "learning_rate": 1.0}
    model = fit(ours("xgboost", n_estimators=60, **linear), table, validation, stop=2)
    n_rounds = model.get_booster().num_boosted_rounds()
    assert model.best_iteration + 1 < n_rounds < 60
    again = fit(ours("xgboost", n_estimators=n_rounds, **linear), table)
    assert_array_equal(model.predict_proba(validation.X), again.predict_proba(validation.X))


def test_stopping_callbacks_with_options(table, validation):
    grows = xgboost.callback.EarlyStopping(rounds=5, metric_name="auc", data_name="validation_0", maximize=True)
    model = fit(ours("xgboost", **ROUNDS, eval_metric=["auc", "logloss"], callbacks=[grows]), table, validation, table)
    assert model.best_iteration == np.argmax(log(model, 0)["auc"])
    with pytest.raises(ValueError, match="Must have at least 1 validation dataset for early stopping"):
        fit(ours("xgboost", early_stopping_rounds=5), table)


@pytest.mark.parametrize("last", ["auc", "logloss", "error"])
def test_xgboost_stops_on_the_last_metric(table, validation, last):
    names = [*({"auc", "logloss", "error"} - {last}), last]
    model = fit(ours("xgboost", **ROUNDS, eval_metric=names), table, validation, stop=5)
    assert model.best_iteration == (np.argmax if last == "auc" else np.argmin)(log(model)[last])


def scripted(y_true, y_pred):
    """Best in the fourth round whatever the model."""
    scripted.calls += 1
    return "scripted", abs(scripted.calls - 4.0), False


def assert_in_the_librarys_order(table, validation, metric, asked):
    logs = []
    for make in (ours, own):
        scripted.calls = 0
        model = make("lightgbm", n_estimators=2, **({"metric": metric} if metric else {}))
        logs.append([*log(fit(model, table, validation, eval_metric=asked))])
    assert logs[0] == logs[1]


def test_metrics_are_in_the_librarys_order(table, validation):
    names = ["binary_error", "auc", "l2"]
    for metric in (None, "auc", ["l1", "auc"]):
        for asked in (names, [scripted, *names], [*names[::-1], scripted], scripted, "auc", None):
            if metric is not None or asked is not None:
                assert_in_the_librarys_order(table, validation, metric, asked)


@pytest.mark.parametrize("asked", ["auc", "average_precision", "binary_logloss", "binary_error", "l2"])
def test_first_metric_only_is_the_librarys_first(table, validation, asked):
    scripted.calls = 0
    stop = lightgbm.early_stopping(5, first_metric_only=True, verbose=False)
    model = fit(ours("lightgbm", **ROUNDS), table, validation, eval_metric=[scripted, asked], callbacks=[stop])
    first, *_ = log(model)
    assert first == asked
    chosen = np.argmax if first in ("auc", "average_precision") else np.argmin
    assert model.best_iteration_ == chosen(log(model)[first]) + 1 < len(log(model)[first])


def test_lightgbm_stops_on_whichever_metric_first_is_worse(table, validation):
    model = fit(ours("lightgbm", **ROUNDS), table, validation, stop=5, eval_metric=["auc", "binary_logloss"])
    assert model.best_iteration_ == min(np.argmax(log(model)["auc"]) + 1, np.argmin(log(model)["binary_logloss"]) + 1)


def test_stopping_by_parameter_of_lightgbm(table, validation):
    reference = fit(ours("lightgbm", **ROUNDS), table, validation, stop=5)
    for name in ("early_stopping_round", "early_stopping_rounds", "n_iter_no_change"):
        model = fit(ours("lightgbm", **ROUNDS, **{name: 5}), table, validation)
        assert model.best_iteration_ == reference.best_iteration_
    first = {"early_stopping_round": 5, "first_metric_only": True}
    native = fit(ours("lightgbm", **ROUNDS, **first), table, validation, eval_metric=["error", "auc"])
    assert native.best_iteration_ == np.argmin(log(native)["binary_error"]) + 1


# What evaluation sets may be


def test_labels_of_evaluation_sets_are_the_users(problem):
    if problem.kind == "labels":
        pytest.skip("labels are 0 and 1")
    names = np.array(["c", "a", "b"][: 3 if problem.kind == "many" else 2])
    order = np.argsort(names)
    model = fit(problem.ours(), Rows(problem.train.X, names[order][problem.train.y], None),
                Rows(problem.valid.X, names[order][problem.valid.y], None))  # fmt: skip
    assert log(model) == log(fit(problem.ours(), problem.train, problem.valid))


def test_a_label_that_training_did_not_see(library, table, validation):
    y = validation.y.copy()
    y[3] = 7
    message = r"the labels of eval_set\[0\] must hold only labels seen in y, \[0, 1\], got \[7\]"
    with pytest.raises(ValueError, match=message):
        fit(ours(library), table, Rows(validation.X, y, None))


def test_the_training_set_as_evaluation_set(problem):
    data = problem.train
    boosters = [
        {},
        {"boosting_type": "dart"} if problem.library == "lightgbm" else {"booster": "dart", "rate_drop": 0.5},
    ]
    for params in boosters:
        alone = fit(problem.ours(**params, random_state=1), data)
        model = fit(problem.ours(**params, random_state=1), data, data)
        assert_allclose(model.predict_proba(data.X), alone.predict_proba(data.X), rtol=0, atol=problem.close)
        last = np.mean([log_loss(data.y[:, j], model.predict_proba(data.X)[:, j]) for j in range(3)]) if (
            problem.kind == "labels") else log_loss(data.y, model.predict_proba(data.X))  # fmt: skip
        (values,) = log(model).values()
        assert values[-1] == pytest.approx(last, rel=1e-5)
        if problem.library == "lightgbm":  # which knows the training set by identity, in this form alone
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)
                sets = [(data.X, data.y)]
                model = problem.ours(**params, random_state=1).fit(data.X, data.y, eval_set=sets)
            assert_allclose(model.predict_proba(data.X), alone.predict_proba(data.X), rtol=0, atol=1e-12)
            assert log(model) == {name: pytest.approx(values) for name in log(model)}


def test_names_weights_and_starts_of_evaluation_sets_of_lightgbm(table, validation):
    start = np.linspace(-1, 1, 200)
    arguments = {
        "eval_names": ["mine"], "eval_sample_weight": [validation.weight], "eval_init_score": [start],
        "init_score": np.zeros(300),
    }  # fmt: skip
    model = fit(ours("lightgbm"), table, validation, **arguments)
    assert [*model.evals_result_] == ["mine"]
    f = model.predict_proba(validation.X, raw_score=True) + start
    losses = np.logaddexp(0, np.where(validation.y, -f, f))
    assert log(model)["binary_logloss"][-1] == pytest.approx(np.average(losses, weights=validation.weight), rel=1e-6)


def test_class_weights_of_evaluation_sets_of_lightgbm(table, validation):
    model = fit(ours("lightgbm"), table, validation, eval_class_weight=[{0: 1.0, 1: 3.0}])
    p = model.predict_proba(validation.X)
    assert log(model)["binary_logloss"][-1] == pytest.approx(
        log_loss(validation.y, p, sample_weight=np.where(validation.y, 3.0, 1.0)), rel=1e-6
    )


def test_margins_of_evaluation_sets_of_xgboost(table, validation):
    margin, other = np.zeros(300), np.linspace(-1, 1, 200)
    model = fit(ours("xgboost"), table, validation, base_margin=margin, base_margin_eval_set=[other])
    p = model.predict_proba(validation.X, base_margin=other)
    assert log(model)["logloss"][-1] == pytest.approx(log_loss(validation.y, p), rel=1e-5)


@pytest.mark.skipif(not HAS_EVAL_X, reason="LightGBM has eval_X from 4.7 on")
def test_forms_of_evaluation_sets_of_lightgbm(table, validation):
    expected = log(fit(ours("lightgbm"), table, validation))
    for arguments in (
        {"eval_X": validation.X, "eval_y": validation.y},
        {"eval_X": (validation.X,), "eval_y": (validation.y,)},
    ):
        assert log(ours("lightgbm").fit(table.X, table.y, **arguments)) == expected
    for sets in ((validation.X, validation.y), [(validation.X, validation.y)]):
        with pytest.warns(FutureWarning, match="'eval_set' is deprecated"):
            model = ours("lightgbm").fit(table.X, table.y, eval_set=sets)
        assert log(model) == expected
    with pytest.raises(ValueError, match="either 'eval_set' or 'eval_X'"), pytest.warns(FutureWarning):
        ours("lightgbm").fit(table.X, table.y, eval_set=sets, eval_X=validation.X, eval_y=validation.y)


def test_results_and_callbacks_of_lightgbm(table, validation):
    results, printed = {}, []
    callbacks = [lightgbm.record_evaluation(results), lambda env: printed.append(env.iteration)]
    model = fit(ours("lightgbm"), table, validation, callbacks=callbacks)
    assert results == model.evals_result_
    assert printed == [*range(10)]
    assert OWN["lightgbm"] is lightgbm.LGBMClassifier
