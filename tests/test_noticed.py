"""Behaviour that a mutant of the code could change with no other test noticing (benchmarks/mutation.py)."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from estimators import focal_lgb
from numpy.testing import assert_allclose, assert_array_equal

from focal_gbm import (
    BinaryFocalLoss,
    FocalObjective,
    FocalXGBClassifier,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
)
from focal_gbm._arrays import BLOCK_SIZE
from focal_gbm.losses.links import BinaryFocalLink, MulticlassFocalLink
from focal_gbm.training.objective import loss_scale_of_host


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
@pytest.mark.parametrize("loss", [BinaryFocalLoss, lambda gamma: MulticlassFocalLoss(2, gamma)])
def test_scale_multiplies_gradient_and_hessian(loss, gamma, scale):
    loss = loss(gamma)
    y, z = np.array([0, 1, 1]), np.array([0.3, -1.0, 2.0])
    z = z if isinstance(loss, BinaryFocalLoss) else np.stack([-z, z], axis=1)
    for scaled, one in zip(FocalObjective(loss, scale=scale)(y, z), FocalObjective(loss)(y, z), strict=True):
        assert_allclose(scaled, scale * one, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, -0.5, np.inf, np.nan, (1.0, 0.0), (1.0, np.inf), (-1.0, 1.0)])
def test_scale_errors(scale):
    with pytest.raises(ValueError, match=r"^scale must be finite and > 0, got"):
        FocalObjective(scale=scale)


def test_n_jobs_error():
    with pytest.raises(TypeError, match=r"^n_jobs must be None or an integer, got 1\.5\.$"):
        FocalObjective(n_jobs=1.5)


def test_scale_of_many_labels_needs_shares_of_each():
    with pytest.raises(ValueError, match="zip"):
        loss_scale_of_host(MultilabelFocalLoss((BinaryFocalLoss(),) * 2), np.full((1, 2), 0.5))


@pytest.mark.parametrize("host", ["xgboost", "lightgbm"])
def test_hessian_factor_is_of_many_classes_alone(host):
    assert FocalObjective().hessian_factor(host) == 1.0
    three = FocalObjective(MulticlassFocalLoss(3))
    assert three.hessian_factor(host) == {"xgboost": 2.0, "lightgbm": 1.5}[host]


def test_a_small_table_of_xgboost_has_gradients_rounded_to_three_bits_less():
    rng = np.random.default_rng(0)
    z = rng.normal(size=1024).astype(np.float32)
    loss, positive = BinaryFocalLoss(2.0), rng.random(1024) < 0.3
    expected = loss.gradient_hessian(positive, z, hessian="floored")
    rounded = [array.copy() for array in FocalObjective(loss).bind(positive, None, "xgboost")(z)]
    for result, exact in zip(rounded, expected, strict=True):
        assert not (result.view(np.int32) & 7).any()
        assert (np.abs(result - exact) <= 4 * np.spacing(np.abs(exact))).all()
    # one row more than that, and nothing is rounded
    z, positive = np.append(z, z[:1]), np.append(positive, positive[:1])
    gradient, _ = FocalObjective(loss).bind(positive, None, "xgboost")(z)
    assert_array_equal(gradient[:1024], expected[0])


def test_weights_too_large_for_a_small_table_of_xgboost():
    bound = FocalObjective().bind(np.array([False, True]), np.array([1.0, 1e300]), "xgboost")
    with pytest.raises(ValueError, match=r"must return finite numbers, .*at row 1"):
        bound(np.zeros(2, np.float32))


def test_the_row_of_a_label_that_is_not_finite_is_named():
    objective = FocalObjective(MultilabelFocalLoss((BinaryFocalLoss(),) * 2))
    z = np.zeros((4, 2), np.float32)
    z[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"at row 2"):
        objective(np.zeros((4, 2)), z)


def test_equal_labels_and_weights_are_prepared_once():
    objective, z = FocalObjective(), np.zeros(3)
    y, weight = np.array([0.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])
    for w in (None, weight):
        objective(y, z, w)
        kept = objective._last
        assert kept is not None
        objective(y.copy(), z, None if w is None else w.copy())
        assert objective._last is kept


def test_parameters_are_kept_as_plain_numbers():
    pairs = [
        (BinaryFocalLink(2.0, np.array([1.0, 3.0])), BinaryFocalLink(2.0, (1.0, 3.0))),
        (MulticlassFocalLink(2.0, [1, 3]), MulticlassFocalLink(2.0, (1.0, 3.0))),
        (BinaryFocalLoss(2.0, np.float64(0.25)), BinaryFocalLoss(2.0, 0.25)),
        (MulticlassFocalLoss(np.int64(3)), MulticlassFocalLoss(3, 2.0)),
        (MultilabelFocalLoss([BinaryFocalLoss()] * 2), MultilabelFocalLoss((BinaryFocalLoss(),) * 2)),
    ]
    for given, plain in pairs:
        assert hash(given) == hash(plain)
        assert repr(given) == repr(plain)


@pytest.mark.parametrize(("n_classes", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_labels_are_kept_in_the_smallest_type_that_holds_them(n_classes, dtype):
    label = np.arange(n_classes)
    targets = MulticlassFocalLoss(n_classes).prepare(label, None)
    assert targets.label.dtype == dtype
    assert_array_equal(targets.label, label)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_loss_of_more_rows_than_a_block(gamma):
    rng = np.random.default_rng(0)
    n_rows = BLOCK_SIZE + 7
    y, z = rng.integers(0, 2, n_rows), rng.normal(size=n_rows)
    whole = BinaryFocalLoss(gamma).loss(y, z)
    assert_array_equal(whole[:9], BinaryFocalLoss(gamma).loss(y[:9], z[:9]))
    assert_array_equal(whole[-9:], BinaryFocalLoss(gamma).loss(y[-9:], z[-9:]))


@pytest.mark.parametrize("gamma", [2.0, (0.5, 3.0)])
def test_link_of_more_rows_than_a_block(gamma):
    z, link = np.random.default_rng(0).normal(size=BLOCK_SIZE + 7), BinaryFocalLink(gamma)
    for function in (link.posterior_logit, link.inverse, link.probabilities):
        whole = function(z)
        assert_allclose(whole[:9], function(z[:9]), rtol=1e-15)
        assert_allclose(whole[-9:], function(z[-9:]), rtol=1e-15)


def test_a_row_without_weight_has_no_loss_however_wrong_it_is():
    assert_array_equal(BinaryFocalLoss().loss([1, 0], [-np.inf, np.inf], [0.0, 1.0])[0], 0.0)


def test_the_prepared_form_has_no_factor():
    loss, y, z = MulticlassFocalLoss(3), np.array([0, 2]), np.array([[1.0, 0, 0], [0, 2.0, 1.0]])
    gradient, second = np.empty((2, 3)), np.empty((2, 3))
    loss.gradient_hessian_prepared(loss.prepare(y, None), z, "exact", gradient, second)
    assert_array_equal(second, loss.gradient_hessian(y, z)[1])


def test_errors_of_many_labels_and_classes():
    with pytest.raises(TypeError, match=r"^columns must hold one BinaryFocalLoss a label, got"):
        MultilabelFocalLoss((BinaryFocalLoss(), 2.0))
    for y in (np.zeros(2), np.zeros((2, 3))):
        with pytest.raises(ValueError, match=r"^y_true must have shape \(n_samples, 2\), got shape"):
            MultilabelFocalLoss((BinaryFocalLoss(),) * 2).check_labels(y)
    with pytest.raises(FrozenInstanceError):
        MultilabelFocalLoss((BinaryFocalLoss(),)).columns = ()
    with pytest.raises(TypeError, match=r"^columns must hold one BinaryFocalLoss a label, got \(\)\.$"):
        MultilabelFocalLoss(())
    with pytest.raises(ValueError, match=r"^hessian must be one of .*, got 'fisher'\.$"):
        MultilabelFocalLoss((BinaryFocalLoss(),)).gradient_hessian([[0]], [[0.0]], hessian="fisher")
    with pytest.raises(TypeError, match=r"^y_true must hold whole numbers from 0 to 2, got dtype <U1\.$"):
        MulticlassFocalLoss(3).loss(np.array(["a"]), np.zeros((1, 3)))


# Branches of the estimators that no other test took


def test_gblinear_has_no_trees_to_count(table):
    X, y = table[0], table[1]
    model = FocalXGBClassifier(booster="gblinear", n_estimators=3, n_jobs=1).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_top_k_errors_of_lightgbm(table):
    X, y = table[0], table[1]
    with pytest.raises(ValueError, match="multi_error_top_k"):
        focal_lgb(multi_error_top_k=2).fit(X, y)


def test_arguments_of_a_loss_may_be_named():
    y, z, weight = np.array([0, 1]), np.array([0.5, -0.5]), np.array([1.0, 2.0])
    loss = BinaryFocalLoss()
    named = loss.gradient_hessian(y_true=y, raw_prediction=z, sample_weight=weight)
    assert_array_equal(named, loss.gradient_hessian(y, z, weight))
