"""A new loss is one file: poly-1 focal loss, which the package ships, and a third of this file's."""

import subprocess
import sys
from dataclasses import dataclass

import matplotlib
import mpmath
import numpy as np
import pytest
from estimators import focal_xgb
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit

from focal_gbm import (
    BinaryFocalLoss,
    ClassCounts,
    FocalLGBMMetric,
    FocalLGBMObjective,
    FocalLinkDisplay,
    FocalLossDisplay,
    FocalSearchCV,
    FocalXGBMetric,
    FocalXGBObjective,
    MulticlassFocalLoss,
    MultilabelFocalLoss,
    Poly1Focal,
)
from focal_gbm.losses import Focal, MarginLoss
from focal_gbm.losses.base import loss_from_dict

matplotlib.use("agg")


@dataclass(frozen=True)
class GeneralisedCrossEntropy(MarginLoss, name="test-generalised-cross-entropy"):
    """(1 - p^κ) / κ: Zhang and Sabuncu 2018, arXiv:1805.07836, from the log to the absolute error."""

    power: float = 0.5

    def value(self, m):
        return -np.expm1(-self.power * m.minus_log_p) / self.power

    def derivatives(self, m):
        g = np.exp(-self.power * m.minus_log_p) * m.q
        return g, g * (m.p - self.power * m.q)

    def link_term(self, m):
        return (self.power - 1.0) * m.minus_log_p


GCE = GeneralisedCrossEntropy

#: The losses as their papers write them, of the probability p of the true class.
PAPERS = {
    Poly1Focal: lambda loss, p: (
        -((1 - p) ** loss.gamma) * mpmath.log(p) + loss.epsilon * (1 - p) ** (loss.gamma + 1)
    ),
    GCE: lambda loss, p: (1 - p**loss.power) / loss.power,
    Focal: lambda loss, p: -((1 - p) ** loss.gamma) * mpmath.log(p),
}
LOSSES = [
    Poly1Focal(2.0, 1.0), Poly1Focal(2.0, -0.9), Poly1Focal(0.0, 3.0), Poly1Focal(0.7, 0.5),
    Poly1Focal(5.0, 20.0), GCE(0.5), GCE(0.1), Focal(2.0),
]  # fmt: skip


def by_paper(loss, m, n):
    """The n-th derivative of the loss in the margin m."""
    with mpmath.workdps(120):
        phi = PAPERS[type(loss)]
        return mpmath.diff(lambda x: phi(loss, 1 / (1 + mpmath.exp(-x))), mpmath.mpf(float(m)), n)


def slope_in_p(loss, p):
    with mpmath.workdps(120):
        return mpmath.diff(lambda x: PAPERS[type(loss)](loss, x), p)


MARGINS = np.concatenate([np.linspace(-30.0, 30.0, 25), [-0.1, 0.01, 1e-8]])


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 5e-6)])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_loss_and_derivatives_agree_with_mpmath(loss, dtype, rtol):
    # as far as the results are normal numbers
    limit = (80.0 if dtype == np.float32 else 300.0) / (1.0 + getattr(loss, "gamma", 0.0))
    z = MARGINS[np.abs(MARGINS) <= limit].astype(dtype)
    expected = np.array([[float(by_paper(loss, m, n)) for n in range(3)] for m in z])
    for y, sign in ((1, 1), (0, -1)):
        binary = BinaryFocalLoss(margin_loss=loss)
        labels = np.full(len(z), y)
        gradient, hessian = binary.gradient_hessian(labels, sign * z)
        assert_allclose(binary.loss(labels, sign * z), expected[:, 0], rtol=rtol, atol=0)
        assert_allclose(gradient, sign * expected[:, 1], rtol=rtol, atol=0)
        # a sum of terms of either sign: relative to their sizes, of which the gradient's is at least a share
        gamma = getattr(loss, "gamma", 0.0)
        size = np.abs(expected[:, 2]) + (1 + gamma) * np.abs(expected[:, 1])
        assert (np.abs(hessian - expected[:, 2]) <= rtol * size).all()


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.3, 2.0)])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_link_and_start_agree_with_mpmath(loss, weights):
    link = BinaryFocalLoss(alpha=weights, margin_loss=loss).link
    for z in MARGINS:
        with mpmath.workdps(120):
            p = 1 / (1 + mpmath.exp(-mpmath.mpf(float(z))))
            odds = weights[0] * slope_in_p(loss, 1 - p) / (weights[1] * slope_in_p(loss, p))
            expected = float(mpmath.log(odds))
        size = 3 + (1 + getattr(loss, "gamma", 0.0)) * abs(z) + abs(expected)
        assert abs(float(link.posterior_logit(z)) - expected) <= 1e-14 * size
    for rate in (1e-6, 0.03, 0.5, 0.9):
        counts = np.array([1 - rate, rate])
        start = BinaryFocalLoss(alpha=weights, margin_loss=loss).start(counts)
        assert link.inverse(start) == pytest.approx(rate, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("n_classes", [3, 6])
def test_many_classes(loss, n_classes):
    rng = np.random.default_rng(0)
    many = MulticlassFocalLoss(n_classes, alpha=rng.uniform(0.3, 3, n_classes), margin_loss=loss)
    eta = rng.dirichlet(np.ones(n_classes), 5)
    z = many.link.link(eta)
    assert_allclose(many.link.inverse(z), eta, rtol=1e-11)
    # at the link the expected gradient vanishes
    parts = [eta[:, [t]] * many.gradient(np.full(5, t), z) for t in range(n_classes)]
    assert (np.abs(sum(parts)) <= 1e-12 * sum(np.abs(part) for part in parts)).all()
    # two of many classes, the others far below, are two classes
    y, score = rng.integers(0, 2, 20), rng.normal(0, 3, 20)
    wide = np.full((20, n_classes), -700.0)
    wide[:, 0], wide[:, 1] = 0.0, score
    plain, two = MulticlassFocalLoss(n_classes, margin_loss=loss), BinaryFocalLoss(margin_loss=loss)
    assert_allclose(plain.gradient(y, wide)[:, 1], two.gradient(y, score), rtol=1e-12, atol=1e-300)


scores = arrays(np.float64, 8, elements=st.floats(-1e4, 1e4))


@given(scores, st.sampled_from(LOSSES), st.sampled_from([np.float32, np.float64]))
def test_never_nan_and_majorising(z, loss, dtype):
    z, y = z.astype(dtype), np.arange(8) % 2
    binary = BinaryFocalLoss(margin_loss=loss)
    exact, floored, majorizing = (
        binary.gradient_hessian(y, z, hessian=name)[1] for name in ("exact", "floored", "majorizing")
    )
    for result in (binary.loss(y, z), binary.gradient(y, z), exact, floored, majorizing):
        assert np.isfinite(result).all()
    assert (floored >= 0).all()
    assert (majorizing >= 0).all()
    assert (majorizing >= exact * (1 - 1e-5)).all()
    assert not np.isnan(binary.link.probabilities(z)).any()


def test_epsilon_of_zero_is_focal_loss_and_both_zero_the_log_loss():
    y, z = np.arange(20) % 2, np.linspace(-5, 5, 20)
    poly, focal = BinaryFocalLoss(margin_loss=Poly1Focal(2.0, 0.0)), BinaryFocalLoss(2.0)
    for a, b in zip(poly.gradient_hessian(y, z), focal.gradient_hessian(y, z), strict=True):
        assert_allclose(a, b, rtol=1e-15)
    assert_array_equal(BinaryFocalLoss(margin_loss=Poly1Focal(0.0, 0.0)).link.posterior_logit(z), z)
    assert BinaryFocalLoss(margin_loss=Poly1Focal(0.0, 0.0)).margin_losses[0].floor == 0.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((2.0, -1.0), ValueError, r"^epsilon must be a finite number > -1 .*, got -1\.0\.$"),
        ((2.0, np.nan), ValueError, r"^epsilon must be a finite number > -1 .*, got nan\.$"),
        ((2.0, np.inf), ValueError, r"got inf\.$"),
        ((2.0, "1"), TypeError, r"^epsilon must be a real number > -1, got '1' \(str\)\.$"),
        ((2.0, True), TypeError, r"^epsilon must be a real number > -1, got True \(bool\)\.$"),
        ((-1.0, 1.0), ValueError, r"^gamma must be a finite number >= 0"),
    ],
)
def test_parameters_of_poly1(arguments, error, message):
    with pytest.raises(error, match=message):
        Poly1Focal(*arguments)


def test_another_loss_leaves_gamma_alone():
    with pytest.raises(
        ValueError, match=r"^gamma is that of the focal loss: beside margin_loss=.*, got 1\.0\.$"
    ):
        BinaryFocalLoss(1.0, margin_loss=GCE())
    with pytest.raises(TypeError, match=r"^margin_loss must be None or a MarginLoss, got 'poly1' \(str\)\.$"):
        BinaryFocalLoss(margin_loss="poly1")


# Names and files


def test_a_name_stands_for_one_class():
    with pytest.raises(ValueError, match=r"^name must be new, got 'focal', which is that of Focal\.$"):

        class Another(MarginLoss, name="focal"):
            pass


def test_a_subclass_is_not_saved_as_its_base(make, table):
    class Steeper(Focal):
        pass

    model = make(n_estimators=2, margin_loss=Steeper(2.0)).fit(table.X, table.y)
    with pytest.raises(
        TypeError, match=r"registered name to be saved, got Steeper: define it as class Steeper"
    ):
        model.save_model("nowhere.json")


@pytest.mark.parametrize(
    "loss",
    [
        BinaryFocalLoss(2.0, 0.3), BinaryFocalLoss((0.5, 2.0)),
        BinaryFocalLoss(alpha=(1, 2), margin_loss=GCE(0.3)),
        MulticlassFocalLoss(3, margin_loss=Poly1Focal(1.0, 2.0)),
        MultilabelFocalLoss((BinaryFocalLoss(margin_loss=GCE()), BinaryFocalLoss(1.0))),
    ],
)  # fmt: skip
def test_to_a_file_and_back(loss):
    import json

    assert loss_from_dict(json.loads(json.dumps(loss.to_dict()))) == loss


def test_a_file_with_a_loss_that_nobody_defined(make, table, tmp_path):
    path = tmp_path / "model.json"
    make(n_estimators=2, margin_loss=GCE()).fit(table.X, table.y).save_model(path)
    name = type(make()).__name__
    code = f"import sys, focal_gbm\nfocal_gbm.{name}().load_model(sys.argv[1])"
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert run.returncode
    assert "the loss 'test-generalised-cross-entropy' is not known, only focal, poly1-focal" in run.stderr
    restored = make()
    restored.load_model(path)
    assert restored.margin_loss == GCE()


# Everything that takes a loss takes these


@pytest.mark.parametrize("loss", [Poly1Focal(1.0, 2.0), GCE(0.4)], ids=repr)
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_estimators(make, table, loss, kind, tmp_path):
    y = table.y if kind == "binary" else np.digitize(table.probability, [0.1, 0.4])
    model = make(margin_loss=loss, n_estimators=30).fit(table.X, y, sample_weight=table.weight)
    p = model.predict_proba(table.X)
    rates = np.bincount(y, table.weight) / table.weight.sum()
    assert_allclose(np.average(p, axis=0, weights=table.weight), rates, atol=0.05)
    path = tmp_path / "model.json"
    model.save_model(path)
    restored = make()
    restored.load_model(path)
    assert restored.margin_loss == loss
    assert_array_equal(restored.predict_proba(table.X), p)
    # a later fit is of the same loss
    assert_array_equal(
        restored.set_params(n_estimators=30)
        .fit(table.X, y, sample_weight=table.weight)
        .predict_proba(table.X),
        p,
    )


def test_many_labels(table):
    y = np.column_stack([table.y, table.X[:, 1] > 1])
    model = focal_xgb(margin_loss=GCE(), n_estimators=20).fit(table.X, y)
    assert_allclose(model.predict_proba(table.X).mean(axis=0), y.mean(axis=0), atol=0.05)


def test_objective_and_metric_of_both_libraries(table):
    loss = BinaryFocalLoss(margin_loss=GCE())
    z = np.linspace(-2, 2, len(table.y))
    for objective in (FocalXGBObjective, FocalLGBMObjective):
        for found, expected in zip(
            objective(loss, hessian="exact")(table.y, z), loss.gradient_hessian(table.y, z), strict=True
        ):
            assert_allclose(found, expected, rtol=1e-6)
    assert FocalXGBMetric(loss)(table.y, z) == pytest.approx(loss.loss(table.y, z).mean(), rel=1e-12)
    assert FocalLGBMMetric(loss)(table.y, z)[1] == pytest.approx(loss.loss(table.y, z).mean(), rel=1e-12)
    counts = ClassCounts.of(table.y)
    assert counts.objective(FocalXGBObjective, margin_loss=GCE()).loss == loss
    assert counts.start(loss) == pytest.approx(float(loss.link.link(table.y.mean())))


def test_search(make, table):
    grid = {"margin_loss": [None, Poly1Focal(1.0, 1.0), GCE(0.2)]}
    search = FocalSearchCV(
        make(focal_gamma=1.0, n_estimators=20), grid, scoring="neg_log_loss", cv=3, random_state=0
    )
    search.fit(table.X, table.y)
    assert len(set(search.cv_results_["mean_test_score"])) == 3
    assert search.best_params_["margin_loss"] in grid["margin_loss"]


def test_evaluation_during_training(make, table, validation):
    loss = Poly1Focal(2.0, 3.0)
    model = make(margin_loss=loss, n_estimators=5)
    options = {"verbose": False} if make is focal_xgb else {}
    model.fit(table.X, table.y, eval_set=[(validation.X, validation.y)], **options)
    log = next(iter(model.evals_result_.values()))["focal_loss"]
    z = model.decision_function(validation.X).astype(np.float64)
    expected = BinaryFocalLoss(margin_loss=loss).loss(validation.y, z).mean()
    assert log[-1] == pytest.approx(expected, rel=1e-5)


def test_displays(make, table):
    model = make(margin_loss=GCE(0.4), n_estimators=2).fit(table.X, table.y)
    assert FocalLossDisplay.from_estimator(model).labels[1] == "GeneralisedCrossEntropy(power=0.4)"
    assert FocalLinkDisplay.from_estimator(model).labels[1] == "GeneralisedCrossEntropy(power=0.4)"
    display = FocalLossDisplay.from_gammas([0.0, Poly1Focal(2.0, 1.0)])
    assert display.labels == ["γ = 0 (log loss)", "γ = 2, ε = 1"]
    p = expit(display.margin)
    assert_allclose(display.loss[1], -((1 - p) ** 2) * np.log(p) + (1 - p) ** 3, rtol=1e-9, atol=1e-12)
    link = FocalLinkDisplay.from_gammas([GCE(0.4)])
    assert_allclose(
        logit(link.probability[0]), 0.6 * (np.log(link.score) - np.log1p(-link.score)), rtol=1e-9, atol=1e-9
    )


def test_no_gamma_beside_it_in_the_estimators(make, table):
    message = (
        r"^focal_gamma is that of the focal loss: beside margin_loss=.* it must be left alone, got 2\.0\.$"
    )
    with pytest.raises(ValueError, match=message):
        make(focal_gamma=2.0, margin_loss=GCE()).fit(table.X, table.y)


def test_without_cuda_source_numpy_computes_with_one_warning(monkeypatch, table):
    from cupy_stand_in import COMPILER, make_cupy
    from needs import missing

    if COMPILER is None:
        missing("compiler", "no C compiler to make functions of the CUDA kernels with")
    monkeypatch.setitem(sys.modules, "cupy", make_cupy())
    labels = np.arange(3000) % 2
    objective = FocalXGBObjective(BinaryFocalLoss(margin_loss=GCE()))
    with pytest.warns(
        UserWarning, match=r"gradients are computed on the CPU .* has no CUDA source"
    ) as caught:
        bound = objective.bind(labels, None, "cuda")
    assert len(caught) == 1
    assert bound.on_device is None
    gradient, _ = bound(np.zeros(3000, np.float32))
    assert_allclose(gradient, np.where(labels == 1, -1, 1) * 0.5**1.5, rtol=1e-6)
