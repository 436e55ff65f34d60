"""Dask: every mix of frames, series and arrays, for rows, labels, weights and scores, is the local model."""

from itertools import product

import numpy as np
import pytest

from focal_gbm import FocalLGBMClassifier

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'focal-gbm[dask]'")

from test_dask import LIBRARIES, chunked, dd, distributed, make_rows, pd, proba, pytestmark, small_cluster

__all__ = ["pytestmark"]
TABLES, COLUMNS = ("frame", "array"), ("series", "array")
MIXES = [*product(TABLES, COLUMNS, ("series", "array", "frame", "column")), ("frame", "frame", "array")]


@pytest.fixture(scope="module")
def one_worker():
    """One worker, on which LightGBM's metrics are of all rows."""
    with small_cluster(1) as cluster, distributed.Client(cluster):
        yield


def collection(values, kind, index=None):
    """Return values as an array, or as a series or a frame, in two partitions."""
    if kind in ("array", "column"):
        return chunked(200, values[:, None] if kind == "column" else values)[0]
    in_memory = pd.DataFrame if values.ndim == 2 or kind == "frame" else pd.Series
    options = {"columns": [*"abcde"]} if values.ndim == 2 else {}
    return dd.from_pandas(in_memory(values, index=index, **options), npartitions=2)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kinds", MIXES, ids="-".join)
def test_mixes_of_rows_labels_and_weights(one_worker, library, kinds):
    distributed_class, local_class, _, params = LIBRARIES[library]
    X, y, weight = (array[:400] for array in make_rows())
    local = local_class(**params).fit(X, y, sample_weight=weight)
    dX, dy, dw = (collection(v, k) for v, k in zip((X, y, weight), kinds, strict=True))
    model = distributed_class(**params).fit(dX, dy, sample_weight=dw)
    np.testing.assert_allclose(proba(model, dX), proba(local, X), atol=1e-6)
    np.testing.assert_array_equal(model.predict(dX).compute(), local.predict(X))
    assert model.score(dX, dy, dw) == pytest.approx(local.score(X, y, weight), rel=1e-9)


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kinds", [*product(TABLES, COLUMNS, COLUMNS)], ids="-".join)
def test_mixes_of_evaluation_sets_and_scores(one_worker, library, kinds):
    """The scores of an evaluation set may have an index of their own."""
    distributed_class, local_class, _, params = LIBRARIES[library]
    own, of_set, weight_of_set = ("base_margin", "base_margin_eval_set", "sample_weight_eval_set")
    if local_class is FocalLGBMClassifier:
        own, of_set, weight_of_set = ("init_score", "eval_init_score", "eval_sample_weight")
    X, y, weight = (array[:400] for array in make_rows())
    V, v, score = X[::-1].copy(), y[::-1].copy(), np.random.default_rng(0).normal(size=400)
    scores = {own: score, of_set: [score], weight_of_set: [weight]}
    local = local_class(**params).fit(X, y, eval_set=[(V, v)], **scores)
    dX, dV = (collection(one, kinds[0]) for one in (X, V))
    dy, dv = (collection(one, kinds[1]) for one in (y, v))
    scores = {own: collection(score, kinds[2]), weight_of_set: [collection(weight, kinds[2])]}
    scores[of_set] = [collection(score, kinds[2], np.arange(1000, 1400))]
    model = distributed_class(**params).fit(dX, dy, eval_set=[(dV, dv)], **scores)
    logs = [m.evals_result_ if hasattr(m, "evals_result_") else m.evals_result() for m in (model, local)]
    (ours,), (expected,) = (log.values() for log in logs)
    assert [*ours] == [*expected]
    for metric in ours:
        np.testing.assert_allclose(ours[metric], expected[metric], rtol=1e-6)
    np.testing.assert_allclose(proba(model, dX), proba(local, X), atol=1e-6)
