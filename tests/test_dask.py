"""The Dask estimators on two worker processes: the model does not depend on where the rows are."""

import asyncio
import os
import pickle
import signal
import threading
import time

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier
from focal_gbm.xgboost import FocalBoosting

da = pytest.importorskip("dask.array", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
distributed = pytest.importorskip(
    "distributed", reason="Dask is not installed: pip install 'focal-gbm[dask]'"
)

from lightgbm import DaskLGBMClassifier  # noqa: E402
from xgboost.dask import DaskDMatrix, DaskXGBClassifier  # noqa: E402
from xgboost.dask import train as dask_train  # noqa: E402

from focal_gbm import DaskFocalLGBMClassifier, DaskFocalXGBClassifier  # noqa: E402

pytestmark = [
    pytest.mark.dask,
    # LightGBM's Dask engine warns of its own parameters, and Dask of pandas' texts
    pytest.mark.filterwarnings("ignore:Parameter n_.* will be ignored:UserWarning"),
    pytest.mark.filterwarnings("ignore:Parameter num_threads will be ignored:UserWarning"),
    pytest.mark.filterwarnings("ignore:Dask currently has limited support:UserWarning"),
]

N_ROWS = 6000
XGB = {"n_estimators": 8, "max_depth": 3}
LGB = {"n_estimators": 8, "num_leaves": 7, "verbose": -1}
LIBRARIES = {
    "xgboost": (DaskFocalXGBClassifier, FocalXGBClassifier, DaskXGBClassifier, XGB),
    "lightgbm": (DaskFocalLGBMClassifier, FocalLGBMClassifier, DaskLGBMClassifier, LGB),
}
PARTITIONS = ("random", "sorted", "one class per worker")


def small_cluster():
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    )


@pytest.fixture(scope="module")
def client():
    with small_cluster() as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=LIBRARIES)
def classes(request):
    return LIBRARIES[request.param]


def make_rows(n_classes=2, seed=0):
    """Features with so few values that every worker finds the same bins, wherever the rows are."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 32, size=(N_ROWS, 5)).astype(np.float64)
    z = (X - 15.5) / 9.0
    if n_classes == 2:
        y = rng.random(N_ROWS) < expit(2 * z[:, 0] - z[:, 1] * z[:, 2] - 2.5)
    else:
        slopes, shifts = np.array([1.0, 1.5, 2.0]), np.array([1.5, 0.0, -1.0])
        y = (slopes * z[:, :3] + shifts + rng.gumbel(size=(N_ROWS, 3))).argmax(axis=1)
    return X, y.astype(np.int64), rng.uniform(0.2, 3.0, N_ROWS)


def spread(client, how, X, *columns, y):
    """Return the order of the rows, and X and columns as collections in the workers' memory."""
    random = np.random.default_rng(7).permutation(len(y))
    order = random if how == "random" else np.argsort(y, kind="stable")
    cut = int((y == 0).sum()) if how == "one class per worker" else None
    chunks = (cut, len(y) - cut) if cut else (len(y) // 4,) * 4
    workers = sorted(client.scheduler_info()["workers"])
    placed = []
    for array in (X, *columns):
        rows = da.from_array(array[order], chunks=(chunks, *[-1] * (array.ndim - 1)))
        parts = [
            client.persist(part, workers=[workers[min(2 * i // len(chunks), 1)]])
            for i, part in enumerate(rows.blocks[j] for j in range(rows.numblocks[0]))
        ]
        distributed.wait(parts)
        placed.append(da.concatenate(parts))
    return order, placed


def halves(*arrays):
    return [da.from_array(array, chunks=(len(array) // 2, *[-1] * (array.ndim - 1))) for array in arrays]


def proba(model, X):
    result = model.predict_proba(X)
    return result.compute() if hasattr(result, "compute") else result


# The model does not depend on where the rows are


@pytest.mark.parametrize("alpha", [None, "balanced"])
@pytest.mark.parametrize("how", PARTITIONS)
def test_two_classes_equal_one_machine(client, classes, how, alpha):
    distributed_class, local_class, _, params = classes
    X, y, weight = make_rows()
    labels = np.array(["no", "yes"])[y]
    order, (dX, dy, dw) = spread(client, how, X, labels, weight, y=y)
    params = {**params, "focal_alpha": alpha}
    many = distributed_class(**params).fit(dX, dy, sample_weight=dw)
    one = local_class(**params, n_jobs=1).fit(X[order], labels[order], sample_weight=weight[order])
    np.testing.assert_allclose(proba(many, dX), proba(one, X[order]), atol=1e-5)
    assert np.ptp(proba(one, X)) > 0.5
    assert many.classes_.tolist() == ["no", "yes"]
    predicted = many.predict(dX).compute()
    assert (predicted == one.predict(X[order])).mean() > 0.999
    by_probability = many.classes_[(proba(many, dX)[:, 1] > 0.5).astype(int)]
    assert (predicted != by_probability).any() == (alpha is not None)  # α moves the decision


@pytest.mark.parametrize("how", ["random", "one class per worker"])
def test_many_classes_equal_one_machine(client, classes, how):
    distributed_class, local_class, _, params = classes
    X, y, weight = make_rows(n_classes=3)
    labels = np.array(["low", "mid", "high"])[y]
    order, (dX, dy, dw) = spread(client, how, X, labels, weight, y=y)
    alpha = {"low": 1.0, "mid": 2.0, "high": 4.0}
    many = distributed_class(**params, focal_alpha=alpha).fit(dX, dy, sample_weight=dw)
    one = local_class(**params, focal_alpha=alpha, n_jobs=1)
    one.fit(X[order], labels[order], sample_weight=weight[order])
    np.testing.assert_allclose(proba(many, dX), proba(one, X[order]), atol=2e-5)
    assert (many.predict(dX).compute() == one.predict(X[order])).mean() > 0.999
    score = one.score(X[order], labels[order], weight[order])
    assert many.score(dX, dy, dw) == pytest.approx(score, abs=1e-3)


@pytest.mark.parametrize("how", PARTITIONS)
def test_gamma_zero_is_the_librarys_own(client, classes, how):
    distributed_class, local_class, library_class, params = classes
    X, y, _ = make_rows()
    order, (dX, dy) = spread(client, how, X, y, y=y)
    focal = proba(distributed_class(**params, focal_gamma=0.0).fit(dX, dy), dX)
    if library_class is DaskLGBMClassifier and how == "one class per worker":
        # LightGBM's own classifier numbers the labels of each worker anew, and both would be class 0
        own = proba(local_class(**params, focal_gamma=0.0, n_jobs=1).fit(X[order], y[order]), X[order])
    else:
        own = proba(library_class(**params).fit(dX, dy), dX)
    np.testing.assert_allclose(focal, own, atol=1e-6)


@pytest.mark.parametrize("how", PARTITIONS)
def test_the_callback_in_xgboosts_own_training(client, how):
    X, y, _ = make_rows()
    order, (dX, dy) = spread(client, how, X, y, y=y)
    one = FocalXGBClassifier(**XGB, focal_gamma=2.0, focal_alpha="balanced", n_jobs=1).fit(X[order], y[order])
    expected = proba(one, X[order])
    callbacks = [FocalBoosting(gamma=2.0, alpha="balanced")]
    plain = DaskXGBClassifier(**XGB, callbacks=callbacks).fit(dX, dy)
    np.testing.assert_allclose(proba(plain, dX), expected, atol=1e-5)
    params = {"objective": "binary:logistic", "max_depth": 3}
    booster = dask_train(client, params, DaskDMatrix(client, dX, dy), 8, callbacks=callbacks)["booster"]
    np.testing.assert_allclose(booster.predict(xgboost.DMatrix(X[order])), expected[:, 1], atol=1e-5)


def test_empty_partitions_and_a_worker_without_rows(client, classes):
    distributed_class, _, _, params = classes
    X, y, _ = make_rows()
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame = frame.assign(label=np.array(["no", "yes"])[y], row=np.arange(N_ROWS))
    # with two, a worker has none but the empty one, which LightGBM refuses
    for n_partitions in (2, 4) if distributed_class is DaskFocalXGBClassifier else (4,):
        table = dd.from_pandas(frame, npartitions=n_partitions)
        table = table[table["row"] >= N_ROWS // n_partitions]  # the first partition is empty
        features, labels = table[list("abcde")], table["label"]
        model = distributed_class(**params, focal_alpha="balanced").fit(features, labels)
        kept = frame[frame["row"] >= N_ROWS // n_partitions]
        expected = model.to_local().predict(kept[list("abcde")])
        assert np.asarray(model.predict(features).compute()).tolist() == expected.tolist()
        np.testing.assert_array_equal(proba(model, features), proba(model.to_local(), kept[list("abcde")]))
        assert model.score(features, labels) == pytest.approx((expected == kept["label"]).mean())


# What comes out is an estimator as on one machine


def test_predictions_are_lazy_and_those_of_the_local_estimator(client, classes, tmp_path):
    distributed_class, local_class, library_class, params = classes
    X, y, _ = make_rows()
    labels = np.array(["no", "yes"])[y]
    dX, dy = halves(X, labels)
    model = distributed_class(**params, focal_alpha=0.75).fit(dX, dy)
    assert isinstance(model, library_class)
    local = model.to_local()
    assert type(local) is local_class
    for name in ("predict", "predict_proba", "decision_function"):
        lazy = getattr(model, name)(dX)
        assert isinstance(lazy, da.Array)
        expected = getattr(local, name)(X)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(lazy.compute(), expected)
    assert model.score(dX, dy) == pytest.approx(local.score(X, labels), rel=1e-12)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(proba(copy, dX), proba(model, dX))
    np.testing.assert_array_equal(copy.predict(dX).compute(), local.predict(X))

    path = str(tmp_path / "model.ubj")  # a plain model of the library
    if distributed_class is DaskFocalXGBClassifier:
        model.save_model(path)
        alone = xgboost.Booster(model_file=path).predict(xgboost.DMatrix(X))
        loaded = distributed_class()
        loaded.load_model(path)
        np.testing.assert_array_equal(loaded.predict(dX).compute(), local.predict(X))
    else:
        model.booster_.save_model(path)
        alone = lightgbm.Booster(model_file=path).predict(X)
    np.testing.assert_allclose(alone, proba(model, dX)[:, 1], rtol=1e-6)


def test_training_goes_on(client, classes):
    distributed_class, local_class, _, params = classes
    X, y, _ = make_rows()
    dX, dy = halves(X, y)
    half = distributed_class(**{**params, "n_estimators": 4}).fit(dX, dy)
    name = "xgb_model" if distributed_class is DaskFocalXGBClassifier else "init_model"
    rest = distributed_class(**{**params, "n_estimators": 4}).fit(dX, dy, **{name: half})
    whole = local_class(**params, n_jobs=1).fit(X, y)
    np.testing.assert_allclose(proba(rest, dX), proba(whole, X), atol=1e-5)


def test_client_and_parameters_are_the_librarys(client):
    xgb = DaskFocalXGBClassifier(focal_gamma=2.0, n_estimators=3, coll_cfg=None)
    assert {"focal_gamma": 2.0, "n_estimators": 3, "coll_cfg": None}.items() <= xgb.get_params().items()
    lgb = DaskFocalLGBMClassifier(focal_gamma=2.0, n_estimators=3, time_out=5, verbose=-1)
    assert {"focal_gamma": 2.0, "n_estimators": 3, "time_out": 5}.items() <= lgb.get_params().items()
    for model in (xgb, lgb):
        assert type(clone(model)) is type(model)
        assert repr(clone(model).get_params()) == repr(model.get_params())  # missing is nan
    X, y, _ = make_rows()
    dX, dy = halves(X, y)
    xgb.client = client
    lgb.set_params(client=client)
    assert xgb.fit(dX, dy).client is client
    assert lgb.fit(dX, dy).client_ is client
    assert lgb.get_params()["client"] is client


def test_asynchronous_client(client):
    X, y, _ = make_rows()
    labels = np.array(["no", "yes"])[y]
    dX, dy = halves(X, labels)

    async def fit():
        async with distributed.Client(client.scheduler.address, asynchronous=True) as own:
            model = DaskFocalXGBClassifier(**XGB, focal_alpha="balanced")
            model.client = own
            await model.fit(dX, dy)
            probability = await own.compute(await model.predict_proba(dX))
            predicted = await own.compute(await model.predict(dX))
            return model, probability, predicted, await model.score(dX, dy)

    model, probability, predicted, score = asyncio.run(fit())
    np.testing.assert_array_equal(probability, model.to_local().predict_proba(X))
    np.testing.assert_array_equal(predicted, model.to_local().predict(X))
    assert score == pytest.approx(model.to_local().score(X, labels), rel=1e-12)


# Evaluation


@pytest.mark.parametrize("stops", [False, True])
def test_evaluation_and_early_stopping_are_xgboosts(client, stops):
    """Of all rows of the set, also where a worker has none of them, and rows have weights."""
    X, y, weight = make_rows()
    labels = np.array(["no", "yes"])[y]
    order, (dX, dy, dw) = spread(client, "sorted", X, labels, weight, y=y)
    V, v, u = (array[:1000] for array in make_rows(seed=1))
    v = np.array(["no", "yes"])[v]
    params = {**XGB, "eval_metric": ["error", "logloss"]}
    if stops:
        params = {**params, "n_estimators": 200, "learning_rate": 0.5, "early_stopping_rounds": 3}
    one = FocalXGBClassifier(**params, n_jobs=1).fit(
        X[order], labels[order], sample_weight=weight[order], sample_weight_eval_set=[weight[order], u],
        eval_set=[(X[order], labels[order]), (V, v)], verbose=False,
    )  # fmt: skip
    for chunk in (1000, 100):
        dV, dv, du = (da.from_array(one, chunks=(chunk, *[-1] * (one.ndim - 1))) for one in (V, v, u))
        model = DaskFocalXGBClassifier(**params).fit(
            dX, dy, sample_weight=dw, sample_weight_eval_set=[dw, du], eval_set=[(dX, dy), (dV, dv)],
            verbose=False,
        )  # fmt: skip
        for name, expected in one.evals_result().items():
            for metric, values in expected.items():
                np.testing.assert_allclose(model.evals_result()[name][metric], values, rtol=1e-4)
        np.testing.assert_allclose(proba(model, dV), proba(one, V), atol=1e-4)
        if stops:
            assert model.best_iteration == one.best_iteration < 190
            assert model.get_booster().num_boosted_rounds() == model.best_iteration + 1


def test_early_stopping_is_refused_where_the_library_has_none(client):
    dX, dy = halves(*make_rows()[:2])
    message = r"early_stopping_round.* must not be given: LightGBM's Dask engine has no"
    with pytest.raises(ValueError, match=message):
        DaskFocalLGBMClassifier(**LGB, early_stopping_round=5).fit(dX, dy, eval_set=[(dX, dy)])
    with pytest.raises(ValueError, match=message):
        DaskFocalLGBMClassifier(**LGB).fit(dX, dy, callbacks=[lightgbm.early_stopping(5, verbose=False)])
    with pytest.raises(ValueError, match=r"eval_class_weight must be None, got \['balanced'\]"):
        DaskFocalLGBMClassifier(**LGB).fit(dX, dy, eval_set=[(dX, dy)], eval_class_weight=["balanced"])


# What cannot be honoured is refused, and says why


def test_errors(client, classes):
    distributed_class, _, _, params = classes
    X, y, weight = make_rows()
    dX, dy = halves(X, y)
    model = distributed_class(**params)
    with pytest.raises(TypeError, match=r"^y must be a Dask array, data frame or series, got ndarray"):
        model.fit(dX, y)
    with pytest.raises(ValueError, match=r"^y must have as many partitions as its rows, got 3 and 2"):
        model.fit(dX, da.from_array(y, chunks=2000))
    with pytest.raises(ValueError, match=r"y, partition [0-9], must have shape \(n_samples,\), got shape"):
        model.fit(dX, da.stack([dy, dy], axis=1).rechunk((3000, -1)))
    with pytest.raises(ValueError, match=r"^sample_weight must have at least one positive weight"):
        model.fit(dX, dy, sample_weight=da.zeros_like(dy))
    with pytest.raises(ValueError, match=r"must hold only labels seen in y, \[0, 1\], got \[7\]"):
        model.fit(dX, dy, eval_set=[(dX, da.full_like(dy, 7))])
    with pytest.raises(ValueError, match=r"focal_gamma must be"):
        distributed_class(**params, focal_gamma=-1.0).fit(dX, dy)
    with pytest.raises(NotFittedError):
        distributed_class(**params).predict(dX)
    with pytest.raises(ValueError, match=r"sample_weight must be >= 0, got the negative weight"):
        model.fit(dX, dy, sample_weight=-da.ones_like(dy))
    with pytest.raises(ValueError, match=r"^sample_weight must have shape \(3000,\), got shape \(2999,\)"):
        model.fit(dX, dy, sample_weight=da.from_array(weight[:5999], chunks=3000))


def test_a_class_or_a_worker_without_weight(client, classes):
    distributed_class, _, _, params = classes
    X, y, _ = make_rows()
    _, (dX, dy) = spread(client, "one class per worker", X, y, y=y)
    model = distributed_class(**params).fit(dX, dy, sample_weight=dy)
    assert model.classes_.tolist() == [0, 1]
    assert proba(model, dX)[:, 0].max() < 1e-5


class Marking(xgboost.callback.TrainingCallback):
    """Touch a file after a round, in either library."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def after_iteration(self, model, epoch, evals_log):
        self.path.touch()
        return False

    def __call__(self, env):
        self.path.touch()


def test_a_killed_worker_ends_the_fit(classes, tmp_path):
    """In an error and soon, as with the library's own loss; never in a model."""
    distributed_class, _, _, params = classes
    distributed_class = distributed_class(**{**params, "n_estimators": 100_000})
    marking = Marking(tmp_path / "training")
    fit_params = {"callbacks": [marking]}
    model = distributed_class
    if isinstance(model, DaskFocalXGBClassifier):
        model.set_params(**fit_params)
        fit_params = {}
    outcome = []
    with small_cluster() as cluster, distributed.Client(cluster) as client:
        dX, dy = halves(*make_rows()[:2])

        def fit():
            try:
                outcome.append(model.fit(dX, dy, **fit_params))
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=fit, daemon=True)
        thread.start()
        for _ in range(600):
            if marking.path.exists():
                break
            time.sleep(0.1)
        assert marking.path.exists(), outcome
        os.kill([*client.run(os.getpid).values()][1], signal.SIGKILL)
        thread.join(60)
    assert isinstance(outcome[0], (xgboost.core.XGBoostError, lightgbm.basic.LightGBMError, ValueError))
    with pytest.raises(NotFittedError):
        model.predict(dX)
