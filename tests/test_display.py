"""The picture of loss, gradient and weight: what is computed, what is drawn, errors."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_expit

from focal_gbm import FocalLossDisplay, Poly1Focal

matplotlib = pytest.importorskip("matplotlib", reason="the extra plot is not installed")
matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def test_the_log_loss_is_the_log_loss():
    display = FocalLossDisplay.from_gammas([0])
    f = display.log_odds
    assert_allclose(display.loss[0], -log_expit(f), rtol=1e-12)
    assert_allclose(display.gradient[0], -expit(-f), rtol=1e-12)
    assert_allclose(display.weight[0], 1.0, rtol=1e-12)


@pytest.mark.parametrize("loss", [0.5, 1.0, 2.0, 5.0, Poly1Focal(gamma=1.0, epsilon=1.0)], ids=repr)
def test_gradient_and_weight_are_those_of_the_loss(loss):
    display = FocalLossDisplay.from_gammas([loss])
    f = display.log_odds
    inner = slice(5, -5)  # differences of the second order, on the display's own grid
    assert_allclose(np.gradient(display.loss[0], f)[inner], display.gradient[0][inner], rtol=1e-2, atol=1e-4)
    assert_allclose(display.gradient[0], -display.weight[0] * expit(-f), rtol=1e-6)


def test_the_weights_of_focal_loss():
    gamma, log_2 = np.array([0.5, 1.0, 2.0]), np.log(2.0)
    display = FocalLossDisplay.from_gammas(gamma)
    # at η = 1/2 the published score is 0; the slope of the log-odds there is 1 + γ + 2 γ r'(0) / (1 + γ r(0))
    slope = 1 + gamma + 2 * gamma * (0.5 - log_2) / (1 + gamma * log_2)
    expected = (1 + gamma) * 2**-gamma * (1 + gamma * log_2) / slope
    assert_allclose(display.weight[:, len(display.log_odds) // 2], expected, rtol=1e-9)
    assert_allclose(display.weight[:, [0, -1]], 1.0, atol=0.25)  # it goes to 1 where a row is certain


def test_what_is_drawn():
    display = FocalLossDisplay.from_gammas([0, 2, Poly1Focal(gamma=1.0, epsilon=1.0)], linewidth=3)
    assert len(display.axes_) == 3
    assert len(display.lines_) == 9
    assert_array_equal(display.lines_[4].get_ydata(), display.gradient[1])
    assert {line.get_linewidth() for line in display.lines_} == {3}
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert texts[:2] == ["γ = 0 (log loss)", "γ = 2"]
    _, axes = plt.subplots(3)
    assert display.plot(axes) is display
    assert list(display.axes_) == list(axes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gammas": []}, r"gammas must hold one number >= 0 or more, got \[\]"),
        ({"gammas": 2.0}, r"gammas must hold one number >= 0 or more, got 2\.0"),
        ({"gammas": [1, -1]}, r"gammas\[1\] must be a finite number"),
        ({"ax": [None]}, r"ax must hold 3 Axes, for loss, gradient and weight, got 1"),
    ],
)
def test_errors_name_the_argument(arguments, message):
    with pytest.raises(ValueError, match=message):
        FocalLossDisplay.from_gammas(**arguments)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"^Pictures need matplotlib: pip install 'focal-gbm\[plot\]'\.$"):
        FocalLossDisplay.from_gammas()
