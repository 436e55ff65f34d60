"""Dask: every mix of frames, series and arrays, for rows, labels, weights and scores, is the local model."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier

da = pytest.importorskip("dask.array", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
dd = pytest.importorskip("dask.dataframe", reason="Dask is not installed: pip install 'focal-gbm[dask]'")
distributed = pytest.importorskip("distributed", reason="Dask is not installed")

from focal_gbm import DaskFocalLGBMClassifier, DaskFocalXGBClassifier  # noqa: E402

pytestmark = [
    pytest.mark.dask,
    pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored:UserWarning"),
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
    if values.ndim == 2:
        return dd.from_pandas(in_memory(values, index=index, columns=[*"abc"]), npartitions=2)
    return dd.from_pandas(in_memory(values, index=index), npartitions=2)


MIXES = [*itertools.product(["frame", "array"], ["series", "array"], ["series", "frame", "array", "column"])]


@pytest.mark.parametrize("library", CLASSES)
@pytest.mark.parametrize("kinds", MIXES, ids="-".join)
def test_rows_labels_and_weights(client, library, kinds):
    distributed_class, local_class, params = CLASSES[library]
    expected = local_class(**params).fit(X, Y, sample_weight=WEIGHT).predict_proba(X)
    dX, dy, weight = (collection(v, k) for v, k in zip((X, Y, WEIGHT), kinds, strict=True))
    model = distributed_class(**params).fit(dX, dy, sample_weight=weight)
    np.testing.assert_allclose(model.predict_proba(dX).compute(), expected, atol=1e-6)


@pytest.mark.parametrize("library", CLASSES)
@pytest.mark.parametrize(
    "kinds", [*itertools.product(["frame", "array"], ["series", "array"], ["series", "array"])], ids="-".join
)
def test_evaluation_sets_and_scores(client, library, kinds):
    """The scores of an evaluation set may have an index of their own."""
    distributed_class, local_class, params = CLASSES[library]
    scores = ("base_margin", "base_margin_eval_set", "sample_weight_eval_set")
    if library == "lightgbm":
        scores = ("init_score", "eval_init_score", "eval_sample_weight")
    rows = slice(None, None, -1)
    local = local_class(**params)
    local.fit(
        X, Y, eval_set=[(X[rows], Y[rows])], **dict(zip(scores, (SCORE, [SCORE], [WEIGHT]), strict=True))
    )
    dX, dy = collection(X, kinds[0]), collection(Y, kinds[1])
    others = collection(X[rows].copy(), kinds[0]), collection(Y[rows].copy(), kinds[1])
    own_index = np.arange(1000, 1000 + N_ROWS)
    score = (
        collection(SCORE, kinds[2]),
        [collection(SCORE, kinds[2], own_index)],
        [collection(WEIGHT, kinds[2])],
    )
    model = distributed_class(**params).fit(
        dX, dy, eval_set=[others], **dict(zip(scores, score, strict=True))
    )
    logs = [m.evals_result() if library == "xgboost" else m.evals_result_ for m in (model, local)]
    (ours,), (expected,) = (log.values() for log in logs)
    np.testing.assert_allclose(ours["focal_loss"], expected["focal_loss"], rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(dX).compute(), local.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("library", CLASSES)
def test_missing_labels_name_the_partition(client, library):
    distributed_class, _, params = CLASSES[library]
    y = Y.astype(float)
    y[300] = np.nan
    dX = collection(X, "array")
    for kind in ("series", "array"):
        with pytest.raises(
            ValueError, match=r"^y, partition 1, must hold a label in every row, got nan at row 100"
        ):
            distributed_class(**params).fit(dX, collection(y, kind))
        with pytest.raises(ValueError, match=r"^the labels of eval_set\[0\], partition 1, must hold a label"):
            distributed_class(**params).fit(dX, collection(Y, kind), eval_set=[(dX, collection(y, kind))])


@pytest.mark.parametrize("library", CLASSES)
def test_to_local_before_fit(client, library):
    distributed_class, _, params = CLASSES[library]
    with pytest.raises(NotFittedError, match=r"^This DaskFocal\w+ instance is not fitted yet\. Call 'fit'"):
        distributed_class(**params).to_local()
