"""Class counts in chunks: the same α, start, scale and model as from all labels at once."""

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb, make_table
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from focal_gbm import (
    BinaryFocalLoss,
    ClassCounts,
    FocalLGBMObjective,
    FocalXGBMetric,
    FocalXGBObjective,
    MulticlassFocalLoss,
)

LABELS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=0, max_size=30)


@given(st.lists(LABELS, max_size=5))
def test_counts_of_chunks_are_those_of_the_whole(chunks):
    whole = [label for chunk in chunks for label in chunk]
    counts = ClassCounts.of_chunks(chunks)
    labels, expected = np.unique(whole, return_counts=True) if whole else ([], [])
    assert counts.classes.tolist() == list(labels)
    assert counts.counts.tolist() == list(expected)
    assert counts.n_samples == len(whole)
    backwards = ClassCounts.of_chunks(chunks[::-1])
    assert backwards.counts.tolist() == counts.counts.tolist()


def test_a_weight_of_k_is_k_rows():
    labels, copies = np.array([3, 1, 3, 2]), np.array([2, 0, 1, 4])
    weighted = ClassCounts.of(labels[:2], copies[:2]) + ClassCounts.of(labels[2:], copies[2:])
    assert weighted.classes.tolist() == [1, 2, 3]
    assert weighted.counts.tolist() == [0, 4, 3]
    # a chunk without any weight
    assert (ClassCounts.of([5], [0.0]) + weighted).counts.tolist() == [0, 4, 3, 0]


@pytest.mark.parametrize(
    "alpha", [None, "balanced", "effective", ("effective", 0.9), {"a": 1, "b": 2, "c": 3}]
)
@pytest.mark.parametrize(
    ("make", "Objective"),
    [(focal_xgb, FocalXGBObjective), (focal_lgb, FocalLGBMObjective)],
    ids=["xgboost", "lightgbm"],
)
def test_loss_and_scale_are_the_estimators(make, Objective, alpha):
    table = make_table(0)
    labels = np.array(["a", "b", "c"])[table.y + (table.X[:, 3] > 1)]
    counts = ClassCounts.of_chunks(
        (labels[i : i + 99], table.weight[i : i + 99]) for i in range(0, len(labels), 99)
    )
    model = make(focal_gamma=1.5, focal_alpha=alpha)
    plan, target = model._plan_fit(table.X, labels, table.weight)
    objective = counts.objective(Objective, 1.5, alpha)
    assert type(objective) is type(plan.objective) is Objective
    # the estimators count weights as the library keeps them, in float32
    assert_allclose(objective.loss.class_weights, plan.state.loss.class_weights, rtol=1e-6)
    assert objective.loss.gamma == plan.state.loss.gamma
    assert_allclose(objective.scale, plan.objective.scale, rtol=1e-6)
    start = counts.start(objective.loss)
    assert_allclose(np.diff(start), np.diff(plan.start), rtol=1e-6, atol=1e-7)
    expected = objective.loss.fit_intercept_only(counts.encode(labels), table.weight)
    assert_allclose(start, expected, rtol=1e-6, atol=1e-7)
    assert_array_equal(counts.encode(labels), target.codes)


def test_the_native_functions_train_the_estimators_model():
    table = make_table(0, n_samples=3000)
    counts = ClassCounts.of_chunks(np.array_split(table.y, 7))
    objective = counts.objective(FocalXGBObjective, gamma=2.0, alpha="balanced")
    data = xgboost.DMatrix(table.X, counts.encode(table.y))
    params = {
        "objective": "binary:logistic", "base_score": counts.base_score(objective.loss), "max_depth": 3,
        "disable_default_eval_metric": 1, "tree_method": "hist", "nthread": 1,
    }  # fmt: skip
    history = {}
    booster = xgboost.train(
        params, data, 10, obj=objective, custom_metric=FocalXGBMetric(objective.loss),
        evals=[(data, "train")], evals_result=history, verbose_eval=False,
    )  # fmt: skip
    model = focal_xgb(focal_alpha="balanced").fit(table.X, table.y, eval_set=[(table.X, table.y)], verbose=0)
    raw = booster.predict(data, output_margin=True)
    assert_allclose(objective.loss.link.inverse(raw), model.predict_proba(table.X)[:, 1], atol=1e-6)
    own = model.evals_result()["validation_0"]["focal_loss"]
    assert_allclose(history["train"]["focal_loss"], own, atol=2e-6)  # the library keeps six decimals

    objective = counts.objective(FocalLGBMObjective, gamma=2.0, alpha="balanced")
    start = counts.start(objective.loss)
    data = lightgbm.Dataset(table.X, counts.encode(table.y), init_score=np.full(len(table.y), start))
    params = {"objective": objective, "num_leaves": 7, "num_threads": 1, "verbose": -1}
    booster = lightgbm.train(params, data, 10)
    model = focal_lgb(focal_alpha="balanced").fit(table.X, table.y)
    probability = objective.loss.link.inverse(booster.predict(table.X) + start)
    assert_allclose(probability, model.predict_proba(table.X)[:, 1], rtol=1e-12)


def test_start_and_base_score():
    counts = ClassCounts.of([0] * 90 + [1] * 10)
    loss = counts.loss(gamma=0.0)
    assert counts.start(loss) == pytest.approx(np.log(0.1 / 0.9))
    assert counts.base_score(loss) == pytest.approx(0.1)
    assert counts.loss(2.0, 0.25) == BinaryFocalLoss(2.0, (0.75, 0.25))
    three = ClassCounts.of(["x", "y", "y", "z"])
    loss = three.loss({"x": 1.0, "y": 2.0, "z": 0.0})
    assert loss == MulticlassFocalLoss(3, (1.0, 2.0, 0.0))
    assert three.base_score(loss) == three.start(loss).tolist()
    assert three.objective(FocalXGBObjective, scale=0.5).scale == 0.5
    assert expit(counts.start(counts.loss(2.0))) == pytest.approx(counts.base_score(counts.loss(2.0)))


def test_types_of_chunks():
    frame = pd.DataFrame({"y": pd.array([1, 0, 1], dtype="Int64")})
    assert ClassCounts.of(frame["y"]).classes.dtype == np.int64
    assert ClassCounts.of([True, False]).classes.tolist() == [False, True]
    mixed = ClassCounts.of([0, 1]) + ClassCounts.of([0.0, 2.0])
    assert mixed.classes.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ClassCounts.of(["a"]) + ClassCounts.of([1]), TypeError, "y must hold labels of one kind"),
        (lambda: ClassCounts.of([0.5, 0.2, 0.7]), ValueError, "Unknown label type: continuous"),
        (lambda: ClassCounts.of([0, 1], [1.0, -1.0]), ValueError, "sample_weight must be >= 0"),
        (lambda: ClassCounts.of([0, 1], [1.0, np.nan]), ValueError, "sample_weight must be finite"),
        (lambda: ClassCounts.of([0, 1], [0.0]), ValueError, r"sample_weight must have shape \(2,\)"),
        (lambda: ClassCounts.of([[0, 1], [1, 0]]), ValueError, r"y must have shape \(n_samples,\)"),
        (lambda: ClassCounts.of([1, 1]).loss(), ValueError, "y must hold two classes or more"),
        (lambda: ClassCounts().loss(), ValueError, "y must hold two classes or more, got 0 samples"),
        (
            lambda: ClassCounts.of([0, 1], [1, 0]).loss(),
            ValueError,
            "sample_weight must leave every class some weight, got none for 1",
        ),
        (lambda: ClassCounts.of([0, 1]).encode([0, 2]), ValueError, "y must hold only labels seen in y"),
        (lambda: ClassCounts.of([0, 1]).loss(alpha="even"), ValueError, "alpha must be None, a float"),
        (
            lambda: ClassCounts.of([0, 1]).objective(FocalXGBObjective, scale="own"),
            ValueError,
            "scale must be one of 'log-loss'",
        ),
        (
            lambda: ClassCounts.of([0, 1]).objective(FocalXGBObjective, hessian="no"),
            ValueError,
            "hessian must be one of",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_adding_something_else():
    with pytest.raises(TypeError):
        ClassCounts.of([1]) + 3
