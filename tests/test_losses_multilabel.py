from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from focal_gbm import BinaryFocalLoss, MultilabelFocalLoss

TWO = MultilabelFocalLoss((BinaryFocalLoss(),) * 2)


def test_parameters_are_kept_as_plain_numbers():
    of_list = MultilabelFocalLoss([BinaryFocalLoss()] * 2)
    assert hash(of_list) == hash(TWO)
    assert repr(of_list) == repr(TWO)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        TWO.columns = ()


def test_scale_of_many_labels_needs_counts_of_each():
    with pytest.raises(ValueError, match="zip"):
        TWO.log_loss_scale(np.full((1, 2), 0.5))


@pytest.mark.parametrize("columns", [(BinaryFocalLoss(), 2.0), ()])
def test_columns_must_be_losses(columns):
    with pytest.raises(TypeError, match=r"^columns must hold one BinaryFocalLoss a label, got \("):
        MultilabelFocalLoss(columns)


@pytest.mark.parametrize("y", [np.zeros(2), np.zeros((2, 3))])
def test_labels_have_a_column_each(y):
    with pytest.raises(ValueError, match=r"^y_true must have shape \(n_samples, 2\), got shape"):
        TWO.check_labels(y)


def test_hessian_errors():
    with pytest.raises(ValueError, match=r"^hessian must be one of .*, got 'fisher'\.$"):
        TWO.gradient_hessian([[0, 1]], [[0.0, 0.0]], hessian="fisher")
