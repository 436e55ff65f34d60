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

from focal_gbm import ClassCounts, FocalLGBMClassifier, FocalXGBClassifier

da = pytest.importorskip("dask.array", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
distributed = pytest.importorskip(
    "distributed", reason="Dask is not installed: pip install 'focal-gbm[dask]'"
)

from lightgbm import DaskLGBMClassifier  # noqa: E402
from xgboost.dask import DaskXGBClassifier  # noqa: E402

from focal_gbm import DaskFocalLGBMClassifier, DaskFocalXGBClassifier  # noqa: E402

pytestmark = [
    pytest.mark.dask,
    # LightGBM's Dask engine warns of the default of its own parameter (its classes, here beside ours)
    pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored:UserWarning"),
]

N_ROWS = 6000
XGB = {"n_estimators": 8, "max_depth": 3}
LGB = {"n_estimators": 8, "num_leaves": 7, "verbose": -1}


def small_cluster():
    return distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    )


@pytest.fixture(scope="module")
def client():
    with small_cluster() as cluster, distributed.Client(cluster) as client:
        yield client


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


def orders(y):
    """Return (order of the rows, ends of the chunks) by name."""
    random = np.random.default_rng(7).permutation(len(y))
    by_class = np.argsort(y, kind="stable")
    return {
        "random": (random, None),
        "sorted": (by_class, None),
        # the first class on one worker, all others on the other
        "one class a worker": (by_class, int((y == 0).sum())),
    }


PARTITIONS = ("random", "sorted", "one class a worker")


def spread(client, how, X, *columns, y):
    """Return X and columns as collections in the workers' memory, and the order of their rows."""
    order, cut = orders(y)[how]
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


def proba(model, X):
    result = model.predict_proba(X)
    return result.compute() if hasattr(result, "compute") else result


LIBRARIES = {
    "xgboost": (DaskFocalXGBClassifier, FocalXGBClassifier, DaskXGBClassifier, XGB),
    "lightgbm": (DaskFocalLGBMClassifier, FocalLGBMClassifier, DaskLGBMClassifier, LGB),
}


@pytest.fixture(params=LIBRARIES)
def classes(request):
    return LIBRARIES[request.param]


# The model does not depend on where the rows are


@pytest.mark.parametrize("how", PARTITIONS)
def test_equals_one_machine(client, classes, how):
    distributed_class, local_class, _, params = classes
    X, y, weight = make_rows()
    order, (dX, dy, dw) = spread(client, how, X, y, weight, y=y)
    params = {**params, "focal_alpha": "balanced"}
    many = distributed_class(**params).fit(dX, dy, sample_weight=dw)
    one = local_class(**params, n_jobs=1).fit(X[order], y[order], sample_weight=weight[order])
    np.testing.assert_allclose(many._focal_state.loss.alpha, one._focal_state.loss.alpha, rtol=1e-12)
    np.testing.assert_allclose(proba(many, dX), proba(one, X[order]), atol=1e-5)
    assert np.ptp(proba(one, X)) > 0.5


@pytest.mark.parametrize("how", PARTITIONS)
def test_gamma_zero_is_the_librarys_own(client, classes, how):
    distributed_class, _, library_class, params = classes
    X, y, _ = make_rows()
    if library_class is DaskLGBMClassifier and how == "one class a worker":
        pytest.skip("LightGBM's own classifier cannot: its worker knows one class only")
    _, (dX, dy) = spread(client, how, X, y, y=y)
    focal = distributed_class(**params, focal_gamma=0.0).fit(dX, dy)
    plain = library_class(**params).fit(dX, dy)
    own = proba(plain, dX)
    np.testing.assert_allclose(proba(focal, dX), own, atol=1e-5)


@pytest.mark.parametrize("alpha", ["balanced", "effective", {"a": 3.0, "b": 1.0}])
def test_class_weights_are_those_of_all_rows(client, classes, alpha):
    distributed_class, local_class, _, params = classes
    X, y, _ = make_rows()
    labels = np.array(["a", "b"])[y]
    alphas = []
    for how in PARTITIONS:
        _, (dX, dy) = spread(client, how, X, labels, y=y)
        model = distributed_class(**{**params, "n_estimators": 1}, focal_alpha=alpha).fit(dX, dy)
        alphas.append(model._focal_state.loss.alpha)
        assert model.classes_.tolist() == ["a", "b"]
    one = local_class(**{**params, "n_estimators": 1}, n_jobs=1, focal_alpha=alpha).fit(X, labels)
    assert alphas == [one._focal_state.loss.alpha] * 3


@pytest.mark.parametrize("how", ["random", "one class a worker"])
def test_many_classes(client, classes, how):
    distributed_class, local_class, _, params = classes
    X, y, weight = make_rows(n_classes=3)
    labels = np.array(["low", "mid", "high"])[y]
    order, (dX, dy, dw) = spread(client, how, X, labels, weight, y=y)
    many = distributed_class(**params, focal_alpha="balanced").fit(dX, dy, sample_weight=dw)
    one = local_class(**params, focal_alpha="balanced", n_jobs=1)
    one.fit(X[order], labels[order], sample_weight=weight[order])
    p = proba(many, dX)
    np.testing.assert_allclose(p, proba(one, X[order]), atol=2e-5)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (many.predict(dX).compute() == one.predict(X[order])).mean() > 0.999
    assert many.score(dX, dy, dw) == pytest.approx(
        one.score(X[order], labels[order], weight[order]), abs=1e-3
    )


# What comes out is an estimator as on one machine


def test_predictions_are_lazy_and_those_of_the_local_estimator(client, classes):
    distributed_class, local_class, _, params = classes
    X, y, _ = make_rows()
    labels = np.array(["no", "yes"])[y]
    dX, dy = da.from_array(X, chunks=(1500, -1)), da.from_array(labels, chunks=1500)
    model = distributed_class(**params).fit(dX, dy)
    local = model.to_local()
    assert type(local) is local_class
    for name in ("predict", "predict_proba", "decision_function"):
        lazy = getattr(model, name)(dX)
        assert isinstance(lazy, da.Array)
        expected = getattr(local, name)(X)
        assert lazy.shape == expected.shape
        assert lazy.dtype == expected.dtype
        np.testing.assert_array_equal(lazy.compute(), expected)
    assert model.score(dX, dy) == local.score(X, labels)
    score = distributed_class(**params, probability="score").fit(dX, dy)
    np.testing.assert_allclose(
        score.predict_proba(dX)[:, 1].compute(), expit(model.decision_function(dX).compute()), rtol=1e-5
    )


def test_data_frames_and_empty_partitions(client, classes):
    distributed_class, _, _, params = classes
    X, y, _ = make_rows()
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame = frame.assign(label=np.array(["no", "yes"])[y], row=np.arange(N_ROWS))
    table = dd.from_pandas(frame, npartitions=4)
    table = table[table["row"] >= N_ROWS // 4]  # the first partition is empty
    features, labels = table[list("abcde")], table["label"]
    model = distributed_class(**params).fit(features, labels)
    kept = frame[frame["row"] >= N_ROWS // 4]
    expected = model.to_local().predict(kept[list("abcde")])
    assert np.asarray(model.predict(features).compute()).tolist() == expected.tolist()
    p = model.predict_proba(features).compute()
    np.testing.assert_array_equal(p, model.to_local().predict_proba(kept[list("abcde")]))
    assert model.score(features, labels) == pytest.approx((expected == kept["label"]).mean())


def test_a_saved_model_stands_alone(client, classes, tmp_path):
    distributed_class, local_class, _, params = classes
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    model = distributed_class(**params, focal_alpha=0.75).fit(dX, dy)
    path = str(tmp_path / ("model.ubj" if distributed_class is DaskFocalXGBClassifier else "model.txt"))
    model.save_model(path)
    if distributed_class is DaskFocalXGBClassifier:
        alone = xgboost.Booster(model_file=path).predict(xgboost.DMatrix(X))
    else:
        alone = lightgbm.Booster(model_file=path).predict(X)
    np.testing.assert_allclose(alone, expit(model.decision_function(dX).compute()), rtol=1e-5)

    for kind, rows in ((local_class, X), (distributed_class, dX)):
        loaded = kind()
        loaded.load_model(path)
        assert loaded.focal_alpha == 0.75
        np.testing.assert_array_equal(proba(loaded, rows), proba(model, dX))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(proba(copy, dX), proba(model, dX))


def test_training_goes_on(client, classes):
    distributed_class, local_class, _, params = classes
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    half = distributed_class(**{**params, "n_estimators": 4}).fit(dX, dy)
    name = "xgb_model" if distributed_class is DaskFocalXGBClassifier else "init_model"
    rest = distributed_class(**{**params, "n_estimators": 4}).fit(dX, dy, **{name: half})
    whole = local_class(**params, n_jobs=1).fit(X, y)
    np.testing.assert_allclose(proba(rest, dX), proba(whole, X), atol=1e-5)


def test_client_and_parameters_are_the_librarys(client):
    xgb = DaskFocalXGBClassifier(focal_gamma=1.0, n_estimators=3, coll_cfg=None)
    assert {"focal_gamma": 1.0, "n_estimators": 3, "coll_cfg": None}.items() <= xgb.get_params().items()
    assert isinstance(xgb, DaskXGBClassifier)
    lgb = DaskFocalLGBMClassifier(focal_gamma=1.0, n_estimators=3, client=client, time_out=5)
    assert {"focal_gamma": 1.0, "n_estimators": 3, "time_out": 5}.items() <= lgb.get_params().items()
    assert lgb.get_params()["client"] is client
    assert isinstance(lgb, DaskLGBMClassifier)
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    xgb.client = client
    assert xgb.fit(dX, dy).client is client
    assert lgb.fit(dX, dy).client_ is client
    assert lgb.get_params()["client"] is client


def test_scores_to_start_from(client, classes):
    distributed_class, local_class, _, params = classes
    X, y, _ = make_rows()
    scores = np.random.default_rng(3).normal(size=len(y))
    dX, dy, ds = (da.from_array(a, chunks=(3000, *[-1] * (a.ndim - 1))) for a in (X, y, scores))
    name = "base_margin" if distributed_class is DaskFocalXGBClassifier else "init_score"
    many = distributed_class(**params).fit(dX, dy, **{name: ds})
    one = local_class(**params, n_jobs=1).fit(X, y, **{name: scores})
    np.testing.assert_allclose(proba(many, dX), proba(one, X), atol=1e-5)
    assert np.abs(proba(many, dX) - proba(distributed_class(**params).fit(dX, dy), dX)).max() > 1e-3


def test_asynchronous_client(client):
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)

    async def fit():
        async with distributed.Client(client.scheduler.address, asynchronous=True) as own:
            model = DaskFocalXGBClassifier(**XGB)
            model.client = own
            await model.fit(dX, dy)
            probability = await own.compute(await model.predict_proba(dX))
            return model, probability, await model.score(dX, dy)

    model, probability, score = asyncio.run(fit())
    np.testing.assert_array_equal(probability, model.to_local().predict_proba(X))
    assert score == model.to_local().score(X, y)


def test_clone_keeps_parameters(classes):
    distributed_class, _, _, params = classes
    model = distributed_class(**params, focal_gamma=1.0, focal_alpha="balanced")
    copy = clone(model)
    assert type(copy) is distributed_class
    assert copy.get_params() == model.get_params()


# Evaluation


def test_metrics_are_of_all_rows(client):
    """Also where a worker has no row of the evaluation set, and rows have weights."""
    X, y, weight = make_rows()
    _, (dX, dy, dw) = spread(client, "random", X, y, weight, y=y)
    V, v, u = (array[:1000] for array in make_rows(seed=1))
    one_block = [da.from_array(array, chunks=-1) for array in (V, v, u)]
    uneven = [da.from_array(array, chunks=((100, 900), *[-1] * (array.ndim - 1))) for array in (V, v, u)]

    def weighted_error(y_true, y_pred, sample_weight=None):
        return np.average((y_pred > 0.5) != y_true, weights=sample_weight)

    metrics = ["focal_loss", "logloss", "rmse", "error", weighted_error]
    options = {**XGB, "eval_metric": metrics}
    histories = []
    for dV, dv, du in (one_block, uneven):
        model = DaskFocalXGBClassifier(**options).fit(
            dX, dy, sample_weight=dw, eval_set=[(dX, dy), (dV, dv)], sample_weight_eval_set=[dw, du],
            verbose=False,
        )  # fmt: skip
        histories.append(model.evals_result())
    order, _ = orders(y)["random"]
    rows = X[order], y[order], weight[order]
    one = FocalXGBClassifier(**options, n_jobs=1).fit(
        rows[0], rows[1], sample_weight=rows[2], eval_set=[rows[:2], (V, v)],
        sample_weight_eval_set=[rows[2], u], verbose=False,
    )  # fmt: skip
    for history in histories:
        assert list(history) == ["validation_0", "validation_1"]
        for name, expected in one.evals_result().items():
            assert list(history[name]) == [*metrics[:4], "weighted_error"]
            for metric in history[name]:
                np.testing.assert_allclose(history[name][metric], expected[metric], rtol=1e-4)


def test_early_stopping_where_the_library_has_it(client):
    X, y, _ = make_rows()
    _, (dX, dy) = spread(client, "sorted", X, y, y=y)
    V, v, _ = make_rows(seed=1)
    dV, dv = da.from_array(V, chunks=(1000, -1)), da.from_array(v, chunks=1000)
    params = {**XGB, "n_estimators": 200, "learning_rate": 0.5, "early_stopping_rounds": 3}
    model = DaskFocalXGBClassifier(**params).fit(dX, dy, eval_set=[(dV, dv)], verbose=False)
    order, _ = orders(y)["sorted"]
    one = FocalXGBClassifier(**params, n_jobs=1).fit(X[order], y[order], eval_set=[(V, v)], verbose=False)
    assert model.best_iteration == one.best_iteration < 190
    assert model.best_score == pytest.approx(one.best_score, rel=1e-4)
    np.testing.assert_allclose(proba(model, dV), proba(one, V), atol=1e-4)


def test_early_stopping_is_refused_where_the_library_has_none(client):
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    message = r"early_stopping_round.* must not be given: LightGBM's Dask engine has no"
    with pytest.raises(ValueError, match=message):
        DaskFocalLGBMClassifier(**LGB, early_stopping_round=5).fit(dX, dy, eval_set=[(dX, dy)])
    with pytest.raises(ValueError, match=message):
        DaskFocalLGBMClassifier(**LGB).fit(
            dX, dy, eval_set=[(dX, dy)], callbacks=[lightgbm.early_stopping(5, verbose=False)]
        )


def test_evaluation_sets_of_lightgbm_start_where_training_does(client):
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(6000, -1)), da.from_array(y, chunks=6000)  # one worker
    V, v, u = make_rows(seed=1)
    dV, dv, du = (da.from_array(array, chunks=(6000, *[-1] * (array.ndim - 1))) for array in (V, v, u))
    names = {"eval_names": ["train", "valid"], "eval_metric": ["focal_loss", "auc"]}
    model = DaskFocalLGBMClassifier(**LGB).fit(
        dX, dy, eval_set=[(dX, dy), (dV, dv)], eval_sample_weight=[da.ones_like(dy), du], **names
    )
    one = FocalLGBMClassifier(**LGB, n_jobs=1).fit(
        X, y, eval_X=(X.copy(), V), eval_y=(y, v), eval_sample_weight=[np.ones_like(y), u], **names
    )
    for name, expected in one.evals_result_.items():
        for metric, values in expected.items():
            np.testing.assert_allclose(model.evals_result_[name][metric], values, rtol=1e-9)


# What cannot be honoured is refused, and says why


def test_errors(client, classes):
    distributed_class, _, _, params = classes
    X, y, weight = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    model = distributed_class(**params)
    with pytest.raises(TypeError, match=r"^y must be a Dask array, data frame or series, got ndarray"):
        model.fit(dX, y)
    with pytest.raises(ValueError, match=r"^y must have as many partitions as its rows, got 3 and 2"):
        model.fit(dX, da.from_array(y, chunks=2000))
    with pytest.raises(ValueError, match=r"^y must hold two classes or more, got one class only"):
        model.fit(dX, da.zeros_like(dy))
    with pytest.raises(ValueError, match=r"sample_weight must be >= 0, got the negative weight"):
        model.fit(dX, dy, sample_weight=-da.ones_like(dy))
    with pytest.raises(ValueError, match=r"^sample_weight must have at least one positive weight"):
        model.fit(dX, dy, sample_weight=da.zeros_like(dy))
    with pytest.raises(ValueError, match=r"y, partition [0-9], must have shape \(n_samples,\), got shape"):
        model.fit(dX, da.stack([dy, dy], axis=1).rechunk((3000, -1)))
    with pytest.raises(ValueError, match=r"^sample_weight must have shape \(3000,\), got shape \(2999,\)"):
        model.fit(dX, dy, sample_weight=da.from_array(weight[:5999], chunks=(3000,)))


def test_a_class_without_weight_is_almost_impossible(client, classes):
    distributed_class, _, _, params = classes  # as without Dask, and for the library's own loss
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    model = distributed_class(**params).fit(dX, dy, sample_weight=dy)
    assert model.classes_.tolist() == [0, 1]
    assert model.predict_proba(dX).compute()[:, 0].max() < 1e-5


def test_a_label_that_was_not_trained_on(client, classes):
    distributed_class, _, _, params = classes
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    with pytest.raises(ValueError, match=r"must hold only labels seen in y, \[0, 1\], got 7"):
        distributed_class(**params).fit(dX, dy, eval_set=[(dX, da.full_like(dy, 7))])


def test_a_model_without_a_split_says_so(client, classes):
    distributed_class, _, _, params = classes
    X, y, _ = make_rows()
    dX, dy = da.from_array(X, chunks=(3000, -1)), da.from_array(y, chunks=3000)
    with pytest.warns(UserWarning, match="grew no split in any tree.*Lower min_child_weight"):
        distributed_class(**params, min_child_weight=1e9).fit(dX, dy)


def test_a_killed_worker_ends_the_fit(classes, tmp_path):
    """In an error and soon, as with the library's own loss; never in a model."""
    distributed_class, _, _, params = classes
    X, y, _ = make_rows()
    marker = tmp_path / "training"

    class AfterRound(xgboost.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            marker.touch()
            return False

    def after_round(env):
        marker.touch()

    params = {**params, "n_estimators": 100_000}
    fit_params = {}
    if distributed_class is DaskFocalXGBClassifier:
        params["callbacks"] = [AfterRound()]
    else:
        fit_params["callbacks"] = [after_round]
    model = distributed_class(**params)
    outcome = []
    with small_cluster() as cluster, distributed.Client(cluster) as client:
        dX, dy = da.from_array(X, chunks=(1500, -1)), da.from_array(y, chunks=1500)

        def fit():
            try:
                outcome.append(model.fit(dX, dy, **fit_params))
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=fit, daemon=True)
        thread.start()
        for _ in range(600):
            if marker.exists():
                break
            time.sleep(0.1)
        assert marker.exists(), outcome
        os.kill([*client.run(os.getpid).values()][1], signal.SIGKILL)
        thread.join(60)
    assert isinstance(outcome[0], (xgboost.core.XGBoostError, lightgbm.basic.LightGBMError, ValueError))
    assert not hasattr(model, "_focal_state")


def test_counts_of_blocks_add_up(client):
    from focal_gbm.training.collections import DaskRows

    _, y, weight = make_rows(n_classes=3)
    whole = ClassCounts.of(y, weight)
    labels, weights = (da.from_array(array, chunks=999) for array in (y, weight))
    spread_out = DaskRows(labels, labels, weights).counts().compute()
    assert spread_out.classes.tolist() == whole.classes.tolist()
    assert spread_out.n_samples == whole.n_samples == N_ROWS
    np.testing.assert_allclose(spread_out.counts, whole.counts, rtol=1e-13)
