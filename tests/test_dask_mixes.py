"""Dask: every mix of frames, series and arrays, for rows, labels, weights and scores, is the local model."""

import itertools

import numpy as np
import pandas as pd
import pytest

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

da = pytest.importorskip("dask.array", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
distributed = pytest.importorskip("distributed", reason="Dask is not installed")

from focal_gbm import DaskFocalLGBMClassifier, DaskFocalXGBClassifier  # noqa: E402

pytestmark = [
    pytest.mark.dask,
    pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored:UserWarning"),
    pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated"),
]

N_ROWS = 400
RNG = np.random.default_rng(0)
X = RNG.integers(0, 9, size=(N_ROWS, 3)).astype(float)
Y = (X[:, 0] + RNG.normal(size=N_ROWS) > 4).astype(int) + 1
WEIGHT = np.where(Y == 1, 2.0, 0.25)
SCORE = RNG.normal(size=N_ROWS)
CLASSES = {
    "xgboost": (DaskFocalXGBClassifier, FocalXGBClassifier, {"n_estimators": 4}),
    "lightgbm": (DaskFocalLGBMClassifier, FocalLGBMClassifier, {"n_estimators": 4, "verbose": -1}),
}
COLUMNS = ["series", "frame", "array", "column"]
MIXES = [
    *itertools.product(["frame", "array"], ["series", "array"], COLUMNS),
    *itertools.product(["frame", "array"], ["frame", "column"], ["array"]),
]
EVALUATED = [*itertools.product(["frame", "array"], ["series", "array"], ["series", "array"])]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def collection(values, kind, index=None):
    """Return values as an array, or as a series or a frame, in two partitions."""
    if kind == "column":
        return da.from_array(values[:, None], chunks=(N_ROWS // 2, 1))
    if kind == "array":
        return da.from_array(values, chunks=(N_ROWS // 2, *values.shape[1:]))
    in_memory = pd.DataFrame if values.ndim == 2 or kind == "frame" else pd.Series
    options = {"columns": [*"abc"]} if values.ndim == 2 else {}
    return dd.from_pandas(in_memory(values, index=index, **options), npartitions=2)


@pytest.mark.parametrize("library", CLASSES)
@pytest.mark.parametrize("kinds", MIXES, ids="-".join)
def test_rows_labels_and_weights(client, library, kinds):
    distributed_class, local_class, params = CLASSES[library]
    local = local_class(**params).fit(X, Y, sample_weight=WEIGHT)
    dX, dy, weight = (collection(v, k) for v, k in zip((X, Y, WEIGHT), kinds, strict=True))
    model = distributed_class(**params).fit(dX, dy, sample_weight=weight)
    np.testing.assert_allclose(model.predict_proba(dX).compute(), local.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(model.predict(dX).compute(), local.predict(X))
    assert model.score(dX, dy, weight) == pytest.approx(local.score(X, Y, WEIGHT), rel=1e-9)


@pytest.mark.parametrize("library", CLASSES)
@pytest.mark.parametrize("kinds", EVALUATED, ids="-".join)
def test_evaluation_sets_and_scores(client, library, kinds):
    """Labels are texts; the scores of an evaluation set may have an index of their own."""
    distributed_class, local_class, params = CLASSES[library]
    names = ("base_margin", "base_margin_eval_set", "sample_weight_eval_set")
    if library == "lightgbm":
        names = ("init_score", "eval_init_score", "eval_sample_weight")
    labels = np.array(["", "no", "yes"])[Y]
    rows = slice(None, None, -1)
    local = local_class(**params)
    scores = dict(zip(names, (SCORE, [SCORE], [WEIGHT]), strict=True))
    local.fit(X, labels, eval_set=[(X[rows], labels[rows])], **scores)
    others = collection(X[rows].copy(), kinds[0]), collection(labels[rows].copy(), kinds[1])
    scores = {
        names[0]: collection(SCORE, kinds[2]),
        names[1]: [collection(SCORE, kinds[2], np.arange(1000, 1000 + N_ROWS))],
        names[2]: [collection(WEIGHT, kinds[2])],
    }
    dX, dy = collection(X, kinds[0]), collection(labels, kinds[1])
    model = distributed_class(**params).fit(dX, dy, eval_set=[others], **scores)
    logs = [m.evals_result() if library == "xgboost" else m.evals_result_ for m in (model, local)]
    (ours,), (expected,) = (log.values() for log in logs)
    assert list(ours) == list(expected)
    for metric in ours:
        np.testing.assert_allclose(ours[metric], expected[metric], rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(dX).compute(), local.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("library", CLASSES)
def test_missing_labels_name_the_partition(client, library):
    distributed_class, _, params = CLASSES[library]
    y = np.array(["", "no", "yes"], dtype=object)[Y]
    y[300] = None
    dX = collection(X, "array")
    message = r"partition 1, must hold a label in every row, got \S+ at row 100"
    for kind in ("series", "array"):
        with pytest.raises(ValueError, match=f"^y, {message}"):
            distributed_class(**params).fit(dX, collection(y, kind))
        with pytest.raises(ValueError, match=rf"^the labels of eval_set\[0\], {message}"):
            distributed_class(**params).fit(dX, collection(Y, kind), eval_set=[(dX, collection(y, kind))])
