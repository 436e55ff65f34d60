"""The rounds of `focal_gbm.xgboost.rounds` are those of `xgboost.train`, to the last bit."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from numpy.testing import assert_array_equal
from xgboost.callback import EarlyStopping, LearningRateScheduler, TrainingCallback

from focal_gbm.xgboost import rounds
from focal_gbm.xgboost.margins import Margins, in_place

N_ROUNDS = 50

KINDS = {
    "two classes": {},
    "sampling": {"subsample": 0.5, "colsample_bynode": 0.5, "seed": 3},
    "many classes": {"objective": "multi:softprob", "num_class": 3},
    "vector leaves": {"objective": "multi:softprob", "num_class": 3, "multi_strategy": "multi_output_tree"},
    "many labels": {"labels": 2},
    "forests": {"num_parallel_tree": 3, "subsample": 0.7, "seed": 1},
    "categories": {"categories": True},
    "missing values": {"missing": True},
    "dart": {"booster": "dart", "rate_drop": 0.3, "seed": 5},
    "linear": {"booster": "gblinear", "updater": "coord_descent"},
    "exact": {"tree_method": "exact"},
}


def squares(labels):
    """An objective that is no loss of ours: half the squared error of σ(z) or softmax(z)."""

    def objective(z, data=None):
        p = np.exp(z) / (1 + np.exp(z))
        gradient = ((p - labels) * p * (1 - p)).astype(np.float32)
        return gradient, np.full_like(gradient, 0.25)

    return objective


def rows(kind, seed=0, n=400, with_table=False):
    rng = np.random.default_rng(seed)
    params = {"max_depth": 3, "nthread": 1, **KINDS[kind]}
    X = pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd"))
    if params.pop("categories", False):
        X["e"] = pd.Categorical(rng.choice(list("xyz"), n))
    if params.get("booster") == "gblinear":
        del params["max_depth"]  # of which it would warn
    if params.pop("missing", False):
        X = X.mask(rng.random(X.shape) < 0.2)
    n_labels = params.pop("labels", 1)
    y = (rng.random((n, n_labels)) < 0.3).astype(np.float32)
    if "num_class" in params:
        labels = rng.integers(0, 3, n)
        y = np.eye(3, dtype=np.float32)[labels]
        data = xgboost.DMatrix(X, labels, enable_categorical=True)
    else:
        params["objective"] = "binary:logistic"
        y = y[:, 0] if n_labels == 1 else y
        data = xgboost.DMatrix(X, y, enable_categorical=True)
    return (params, data, y, X) if with_table else (params, data, y)


def train(*arguments, **options):
    return rounds.train(*arguments, margins=Margins(), **options)


def raw(booster):
    return bytes(booster.save_raw("json"))


@pytest.mark.filterwarnings("ignore:.*`booster=(gblinear|dart)` is deprecated:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_fifty_rounds_are_those_of_xgboost(kind):
    params, data, y = rows(kind)
    objective = squares(y)
    expected = xgboost.train(params, data, N_ROUNDS, obj=objective)
    found = train(params, data, N_ROUNDS, obj=objective)
    assert raw(found) == raw(expected)


def metric(z, data):
    return "mean", float(np.mean(z))


class Recorder(TrainingCallback):
    def __init__(self):
        self.calls = []

    def before_training(self, model):
        self.calls.append("before")
        return model

    def after_training(self, model):
        self.calls.append("after")
        return model

    def before_iteration(self, model, epoch, evals_log):
        self.calls.append((epoch, model.num_boosted_rounds()))
        return False

    def after_iteration(self, model, epoch, evals_log):
        self.calls.append({name: {k: [*v] for k, v in log.items()} for name, log in evals_log.items()})
        return epoch == 30


class Mean(TrainingCallback):
    """A metric as ours are: a callback, the first, with the six decimals of XGBoost."""

    def __init__(self, sets):
        super().__init__()
        self.sets = sets

    def after_iteration(self, model, epoch, evals_log):
        for data, name in self.sets:
            value = metric(in_place(model, data), data)[1]
            evals_log[name].setdefault("mean", []).append(float(f"{value:f}"))
        return False


@pytest.mark.parametrize("stopping", [{}, {"early_stopping_rounds": 3}])
def test_callbacks_evaluation_and_verbose_output(stopping, capsys):
    params, data, y = rows("two classes")
    _, other, _ = rows("two classes", seed=1)
    outcomes = []
    evals = [(data, "train"), (other, "other")]
    for train_it, ours in (
        (xgboost.train, {"custom_metric": metric, "callbacks": []}),
        (train, {"callbacks": [Mean(evals)]}),
    ):
        recorder, history = Recorder(), {}
        callbacks = [*ours.pop("callbacks"), recorder, LearningRateScheduler(lambda i: 0.3 / (1 + i))]
        booster = train_it(
            params,
            data,
            N_ROUNDS,
            obj=squares(y),
            evals=evals,
            evals_result=history,
            verbose_eval=5,
            callbacks=callbacks,
            **ours,
            **stopping,
        )
        out = capsys.readouterr().out
        outcomes.append((raw(booster), recorder.calls, history, out, booster.attributes()))
    assert outcomes[0] == outcomes[1]
    assert "train-mean" in outcomes[0][3]


def test_going_on_from_a_model_and_saving_the_best():
    params, data, y = rows("two classes")
    _, other, _ = rows("two classes", seed=1)
    first = xgboost.train(params, data, 5, obj=squares(y))
    outcomes = []
    for train_it in (xgboost.train, train):
        stop = EarlyStopping(rounds=2, save_best=True, data_name="other", metric_name="logloss")
        booster = train_it(
            {**params, "eval_metric": "logloss"}, data, N_ROUNDS, obj=squares(y), evals=[(other, "other")],
            xgb_model=first, callbacks=[stop], verbose_eval=False,
        )  # fmt: skip
        outcomes.append((raw(booster), booster.num_boosted_rounds()))
    assert outcomes[0] == outcomes[1]


def test_a_function_in_the_place_of_xgboosts_is_called(monkeypatch):
    params, data, y = rows("two classes")
    calls = []

    def watch(*arguments, **options):
        calls.append(options["obj"])
        return xgboost.training.train(*arguments, **options)

    expected = raw(train(params, data, 3, obj=squares(y)))
    monkeypatch.setattr(xgboost, "train", watch)
    assert raw(train(params, data, 3, obj=squares(y))) == expected
    assert len(calls) == 1


def test_predictions_are_those_of_the_booster_and_not_to_be_written_to():
    params, data, y = rows("many classes")
    seen = []

    def objective(z, data=None):
        assert not z.flags.writeable
        seen.append(z.copy())
        return squares(y)(z)

    booster = train(params, data, 3, obj=objective)
    assert_array_equal(seen[2], booster.predict(data, output_margin=True, iteration_range=(0, 2)))
    assert seen[0].shape == (400, 3)


def test_an_error_of_xgboost_is_raised_as_its_own():
    params, data, _ = rows("two classes")
    with pytest.raises(xgboost.core.XGBoostError, match="feature"):
        in_place(xgboost.train(params, data, 1), xgboost.DMatrix(np.zeros((2, 9)), [0, 1]))
