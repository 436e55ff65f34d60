"""The Dask estimators on two worker processes: the model does not depend on where the rows are."""

import asyncio
import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier
from focal_gbm.xgboost import FocalBoosting

da = pytest.importorskip("dask.array", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
distributed = pytest.importorskip("distributed", reason="Dask is not installed")

from lightgbm import DaskLGBMClassifier  # noqa: E402
from xgboost import dask as dask_xgboost  # noqa: E402

from focal_gbm import DaskFocalLGBMClassifier, DaskFocalXGBClassifier  # noqa: E402

pytestmark = [
    pytest.mark.dask,
    # LightGBM's Dask engine warns of its own parameters, and Dask of pandas' texts
    pytest.mark.filterwarnings("ignore:(Parameter n|Dask currently has limited support):UserWarning"),
]

N_ROWS = 6000
XGB = {"n_estimators": 8, "max_depth": 3}
LGB = {"n_estimators": 8, "num_leaves": 7, "verbose": -1}
LIBRARIES = {
    "xgboost": (DaskFocalXGBClassifier, FocalXGBClassifier, dask_xgboost.DaskXGBClassifier, XGB),
    "lightgbm": (DaskFocalLGBMClassifier, FocalLGBMClassifier, DaskLGBMClassifier, LGB),
}
PARTITIONS = ("random", "sorted", "one class per worker")


def small_cluster(n_workers):
    return distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1")


@pytest.fixture(scope="module")
def client():
    with small_cluster(2) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=LIBRARIES)
def classes(request):
    return LIBRARIES[request.param]


def make_rows(n_classes=2, seed=0):
    """Rows, labels as texts and weights; so few values that every worker finds the same bins."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 32, size=(N_ROWS, 5)).astype(np.float64)
    z = (X - 15.5) / 9.0
    if n_classes == 2:
        y = (rng.random(N_ROWS) < expit(2 * z[:, 0] - z[:, 1] * z[:, 2] - 2.5)).astype(int)
    else:
        slopes, shifts = np.array([1.0, 1.5, 2.0]), np.array([1.5, 0.0, -1.0])
        y = (slopes * z[:, :3] + shifts + rng.gumbel(size=(N_ROWS, 3))).argmax(axis=1)
    return X, np.array(["low", "mid", "top"])[y], rng.uniform(0.2, 3.0, N_ROWS)


def spread(client, how, X, y, weight):
    """Return the three as collections in the workers' memory, and in the order of their rows there."""
    order = np.random.default_rng(7).permutation(N_ROWS) if how == "random" else np.argsort(y, kind="stable")
    arrays = [array[order] for array in (X, y, weight)]
    n_low = int((y == "low").sum())
    chunks = (n_low, N_ROWS - n_low) if how == "one class per worker" else (N_ROWS // 4,) * 4
    workers = sorted(client.scheduler_info()["workers"])
    placed = []
    for rows in chunked(chunks, *arrays):
        blocks = [rows.blocks[i] for i in range(len(chunks))]
        parts = [client.persist(b, workers=[workers[2 * i // len(chunks)]]) for i, b in enumerate(blocks)]
        distributed.wait(parts)
        placed.append(da.concatenate(parts))
    return placed, arrays


def chunked(n_rows, *arrays):
    return [da.from_array(array, chunks=(n_rows, *[-1] * (array.ndim - 1))) for array in arrays]


def proba(model, X):
    result = model.predict_proba(X)
    return result.compute() if hasattr(result, "compute") else result


# The model does not depend on where the rows are


@pytest.mark.parametrize("alpha", [None, "balanced"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("how", PARTITIONS)
def test_equals_one_machine(client, classes, how, n_classes, alpha):
    distributed_class, local_class, _, params = classes
    (dX, dy, dw), (X, y, weight) = spread(client, how, *make_rows(n_classes))
    many = distributed_class(**params, focal_alpha=alpha).fit(dX, dy, sample_weight=dw)
    one = local_class(**params, focal_alpha=alpha, n_jobs=1).fit(X, y, sample_weight=weight)
    p = proba(many, dX)
    np.testing.assert_allclose(p, proba(one, X), atol=2e-5)
    assert np.ptp(p) > 0.5
    assert many.classes_.tolist() == one.classes_.tolist()
    predicted = many.predict(dX).compute()
    assert (predicted == one.predict(X)).mean() > 0.999
    assert (predicted != many.classes_[p.argmax(axis=1)]).any() == (alpha is not None)  # α moves the decision
    assert many.score(dX, dy, dw) == pytest.approx(one.score(X, y, weight), abs=1e-3)


@pytest.mark.parametrize("how", PARTITIONS)
def test_gamma_zero_is_the_librarys_own(client, classes, how):
    distributed_class, local_class, library_class, params = classes
    (dX, dy, _), (X, y, _) = spread(client, how, *make_rows())
    focal = distributed_class(**params, focal_gamma=0.0).fit(dX, dy)
    if library_class is DaskLGBMClassifier and how == "one class per worker":
        # LightGBM's own numbers the labels of each worker anew: both would be class 0
        own = proba(local_class(**params, focal_gamma=0.0, n_jobs=1).fit(X, y), X)
    else:
        own = proba(library_class(**params).fit(dX, (dy == "mid").astype(int)), dX)
    np.testing.assert_allclose(proba(focal, dX), own, atol=1e-6)


@pytest.mark.parametrize("how", PARTITIONS)
def test_the_callback_in_xgboosts_own_training(client, how):
    (dX, dy, _), (X, y, _) = spread(client, how, *make_rows())
    one = FocalXGBClassifier(**XGB, focal_gamma=2.0, focal_alpha="balanced", n_jobs=1).fit(X, y)
    codes = (dy == "mid").astype(int)
    callbacks = [FocalBoosting(gamma=2.0, alpha="balanced")]
    plain = dask_xgboost.DaskXGBClassifier(**XGB, callbacks=callbacks).fit(dX, codes)
    np.testing.assert_allclose(proba(plain, dX), proba(one, X), atol=1e-5)
    params = {"objective": "binary:logistic", "max_depth": 3}
    data = dask_xgboost.DaskDMatrix(client, dX, codes)
    booster = dask_xgboost.train(client, params, data, 8, callbacks=callbacks)["booster"]
    np.testing.assert_allclose(booster.predict(xgboost.DMatrix(X)), proba(one, X)[:, 1], atol=1e-5)


@pytest.mark.parametrize("n_partitions", [2, 4])
def test_an_empty_partition(client, classes, n_partitions):
    distributed_class, _, _, params = classes
    X, y, _ = make_rows()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(label=y, row=np.arange(N_ROWS))
    table = dd.from_pandas(frame, npartitions=n_partitions)
    table, kept = (one[one["row"] >= N_ROWS // n_partitions] for one in (table, frame))
    features, labels = table[list("abcde")], table["label"]
    model = distributed_class(**params, focal_alpha="balanced")
    model.fit(features, labels)
    local = model.to_local()
    expected = local.predict(kept[list("abcde")])
    assert np.asarray(model.predict(features).compute()).tolist() == expected.tolist()
    np.testing.assert_array_equal(proba(model, features), proba(local, kept[list("abcde")]))
    assert model.score(features, labels) == pytest.approx((expected == kept["label"]).mean())


def test_empty_chunks_of_arrays(client):
    """Of a worker without rows LightGBM's others would wait forever."""
    X, y, weight = make_rows()
    is_kept = np.arange(N_ROWS) >= N_ROWS // 2
    dX, dy, dw = [one[chunked(N_ROWS // 4, is_kept)[0]] for one in chunked(N_ROWS // 4, X, y, weight)]
    dX.compute_chunk_sizes()
    assert dX.chunks[0][:2] == (0, 0)
    many = DaskFocalLGBMClassifier(**LGB).fit(dX, dy, sample_weight=dw)
    one = FocalLGBMClassifier(**LGB, n_jobs=1).fit(X[is_kept], y[is_kept], sample_weight=weight[is_kept])
    # each worker finds the bins of some columns, by its own rows
    difference = np.abs(many.to_local().predict_proba(X) - one.predict_proba(X))
    assert difference.mean() < 1e-3


# What comes out is an estimator as on one machine


def test_predictions_are_lazy_and_those_of_the_local_estimator(client, classes, tmp_path):
    distributed_class, local_class, library_class, params = classes
    X, y, _ = make_rows()
    dX, dy = chunked(3000, X, y)
    model = distributed_class(**params, focal_alpha=0.75).fit(dX, dy)
    local = model.to_local()
    assert isinstance(model, library_class)
    assert type(local) is local_class
    copy = pickle.loads(pickle.dumps(model))
    for name in ("predict", "predict_proba", "decision_function"):
        lazy, expected = getattr(model, name)(dX), getattr(local, name)(X)
        assert isinstance(lazy, da.Array)
        assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(lazy.compute(), expected)
        np.testing.assert_array_equal(getattr(copy, name)(dX).compute(), expected)
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
    dX, dy = chunked(3000, X, y)
    name = "xgb_model" if distributed_class is DaskFocalXGBClassifier else "init_model"
    half = distributed_class(**{**params, "n_estimators": 4}).fit(dX, dy)
    rest = clone(half).fit(dX, dy, **{name: half})
    whole = local_class(**params, n_jobs=1).fit(X, y)
    np.testing.assert_allclose(proba(rest, dX), proba(whole, X), atol=1e-5)


def test_client_and_parameters_are_the_librarys(client):
    xgb = DaskFocalXGBClassifier(focal_gamma=2.0, n_estimators=3, coll_cfg=None)
    lgb = DaskFocalLGBMClassifier(focal_gamma=2.0, n_estimators=3, time_out=5, verbose=-1)
    for model, own in ((xgb, {"coll_cfg": None}), (lgb, {"client": None, "time_out": 5})):
        assert {"focal_gamma": 2.0, "n_estimators": 3, **own}.items() <= model.get_params().items()
        assert repr(clone(model)) == repr(model)
    dX, dy = chunked(3000, *make_rows()[:2])
    xgb.client = client
    assert xgb.fit(dX, dy).client is client
    assert lgb.set_params(client=client).fit(dX, dy).client_ is lgb.get_params()["client"] is client


def test_asynchronous_client(client):
    X, y, _ = make_rows()
    dX, dy = chunked(3000, X, y)

    async def fit():
        async with distributed.Client(client.scheduler.address, asynchronous=True) as own:
            model = DaskFocalXGBClassifier(**XGB, focal_alpha="balanced")
            model.client = own
            await model.fit(dX, dy)
            probability, predicted = await model.predict_proba(dX), await model.predict(dX)
            return model, *await own.gather(own.compute([probability, predicted])), await model.score(dX, dy)

    model, probability, predicted, score = asyncio.run(fit())
    np.testing.assert_array_equal(probability, model.to_local().predict_proba(X))
    np.testing.assert_array_equal(predicted, model.to_local().predict(X))
    assert score == pytest.approx((predicted == y).mean(), rel=1e-12)


@pytest.mark.parametrize("stops", [False, True])
def test_evaluation_and_early_stopping_are_xgboosts(client, stops):
    """Metrics are of all rows of the set, also where a worker has none of them, and rows have weights."""
    (dX, dy, dw), (X, y, weight) = spread(client, "sorted", *make_rows())
    V, v, u = (array[:1000] for array in make_rows(seed=1))
    params = {**XGB, "eval_metric": ["error", "logloss"]}
    if stops:
        params.update(n_estimators=200, learning_rate=0.5, early_stopping_rounds=3)
    evaluation = {"eval_set": [(X, y), (V, v)], "sample_weight_eval_set": [weight, u], "verbose": False}
    one = FocalXGBClassifier(**params, n_jobs=1).fit(X, y, sample_weight=weight, **evaluation)
    for n_rows in (1000, 100):
        dV, dv, du = chunked(n_rows, V, v, u)
        evaluation = {"eval_set": [(dX, dy), (dV, dv)], "sample_weight_eval_set": [dw, du], "verbose": False}
        model = DaskFocalXGBClassifier(**params).fit(dX, dy, sample_weight=dw, **evaluation)
        for name, expected in one.evals_result().items():
            for metric, values in expected.items():
                np.testing.assert_allclose(model.evals_result()[name][metric], values, rtol=1e-4)
        np.testing.assert_allclose(proba(model, dV), proba(one, V), atol=1e-4)
        if stops:
            assert model.best_iteration == one.best_iteration < 190
            assert model.get_booster().num_boosted_rounds() == model.best_iteration + 1


# What cannot be honoured is refused, and says why


def test_what_lightgbms_workers_would_do_by_their_own_rows_is_refused(client):
    dX, dy = chunked(3000, *make_rows()[:2])
    message = r"early_stopping_round.* must not be given: LightGBM's Dask engine has no"
    with pytest.raises(ValueError, match=message):
        DaskFocalLGBMClassifier(**LGB, early_stopping_round=5).fit(dX, dy, eval_set=[(dX, dy)])
    with pytest.raises(ValueError, match=message):
        DaskFocalLGBMClassifier(**LGB).fit(dX, dy, callbacks=[lightgbm.early_stopping(5, verbose=False)])
    with pytest.raises(ValueError, match=r"eval_class_weight must be None, got \['balanced'\]"):
        DaskFocalLGBMClassifier(**LGB).fit(dX, dy, eval_set=[(dX, dy)], eval_class_weight=["balanced"])


def test_errors(client, classes):
    distributed_class, _, _, params = classes
    X, y, weight = make_rows()
    both, one_missing = np.c_[y, y] == "low", np.where(np.arange(N_ROWS) == 3100, None, y)
    dX, dy, dw, both, missing = chunked(3000, X, y, weight, both, one_missing)
    for error, message, labels, weights in (
        (TypeError, "^y must be a Dask array, data frame or series, got ndarray", y, dw),
        (ValueError, "^y must have as many partitions as its rows, got 3 and 2", *chunked(2000, y), dw),
        (ValueError, r"^y, partition [01], must have shape \(n_samples,\), got", both, dw),
        (ValueError, "^y, partition 1, must hold a label in every row, got None at row 100", missing, dw),
        (ValueError, "^sample_weight must have at least one positive weight", dy, 0 * dw),
        (ValueError, "^sample_weight must be >= 0, got the negative weight", dy, -dw),
        (ValueError, r"^sample_weight must have shape \(3000,\), got", dy, *chunked(3000, weight[:-1])),
    ):
        with pytest.raises(error, match=message):
            distributed_class(**params).fit(dX, labels, sample_weight=weights)
    for labels, message in (
        (da.full_like(dy, "other", dtype="U5"), r"must hold only labels seen in y, .*, got \['other'\]"),
        (missing, "partition 1, must hold a label in every row, got None at row 100"),
    ):
        with pytest.raises(ValueError, match=rf"^the labels of eval_set\[0\],? {message}"):
            distributed_class(**params).fit(dX, dy, eval_set=[(dX, labels)])
    with pytest.raises(ValueError, match="focal_gamma must be"):
        distributed_class(**params, focal_gamma=-1.0).fit(dX, dy)
    with pytest.raises(NotFittedError):
        distributed_class(**params).predict(dX)


def test_a_class_and_a_worker_without_weight(client, classes):
    distributed_class, _, _, params = classes
    (dX, dy, _), _ = spread(client, "one class per worker", *make_rows())
    model = distributed_class(**params).fit(dX, dy, sample_weight=(dy == "mid").astype(float))
    assert model.classes_.tolist() == ["low", "mid"]
    assert proba(model, dX)[:, 0].max() < 1e-5


class Marking(xgboost.callback.TrainingCallback):
    """Touch a file after each round, in either library."""

    def __init__(self, path):
        self.path = path

    def __call__(self, *_):
        self.path.touch()
        return False

    after_iteration = __call__


def test_a_killed_worker_ends_the_fit(classes, tmp_path):
    """In an error and soon, as with the library's own loss; never in a model."""
    distributed_class, _, _, params = classes
    marking = {"callbacks": [Marking(tmp_path / "training")]}
    in_fit = marking if distributed_class is DaskFocalLGBMClassifier else {}
    model = distributed_class(**{**params, "n_estimators": 100_000}, **({} if in_fit else marking))
    with ThreadPoolExecutor(1) as pool, small_cluster(2) as cluster, distributed.Client(cluster) as client:
        fitted = pool.submit(model.fit, *chunked(3000, *make_rows()[:2]), **in_fit)
        limit = time.monotonic() + 60
        while not (tmp_path / "training").exists():
            assert time.monotonic() < limit, fitted
            time.sleep(0.1)
        os.kill([*client.run(os.getpid).values()][1], signal.SIGKILL)
        error = fitted.exception(timeout=60)
    assert isinstance(error, (xgboost.core.XGBoostError, lightgbm.basic.LightGBMError, ValueError))
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
