"""Fits that are interrupted, repeated, run side by side, in forks and in workers."""

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost
from estimators import focal_lgb, focal_xgb
from joblib import Parallel, delayed
from many import make_classes, make_labels
from numpy.testing import assert_array_equal

from focal_gbm import FocalSearchCV


class StopXGB(xgboost.callback.TrainingCallback):
    """Raise after some rounds."""

    def __init__(self, error, after=2):
        self.error, self.after = error, after

    def after_iteration(self, model, epoch, evals_log):
        if epoch == self.after:
            raise self.error
        return False


class StopLGB:
    """Raise after some rounds."""

    def __init__(self, error, after=2):
        self.error, self.after = error, after

    def __call__(self, env):
        if env.iteration == self.after:
            raise self.error


def interrupted_fit(model, X, y, error):
    if isinstance(model, xgboost.XGBClassifier):
        model.set_params(callbacks=[StopXGB(error)])
        try:
            model.fit(X, y)
        finally:
            model.set_params(callbacks=None)
    else:
        model.fit(X, y, callbacks=[StopLGB(error)])


ERRORS = (KeyboardInterrupt(), RuntimeError("from a callback"), MemoryError(), SystemExit(3))


def content(model):
    """What an estimator knows, in a form that can be compared; boosters by identity."""
    simple = (type(None), bool, int, float, str, dict, list, tuple)
    return {
        name: repr(value) if isinstance(value, simple) else id(value) for name, value in vars(model).items()
    }


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
def test_an_interrupted_fit_leaves_the_estimator_as_it_was(make, table, error, fitted):
    model = make(focal_alpha="balanced")
    if make is focal_xgb:
        model.set_params(callbacks=None)
    if fitted:
        model.fit(table.X[:, :3], np.array(["a", "b"])[table.y])
        before = model.predict_proba(table.X[:, :3])
    known, params = content(model), repr(model.get_params())
    classes = make_classes(0)
    for X, y in ((table.X, table.y), (classes.X, classes.y)):
        with pytest.raises(type(error)):
            interrupted_fit(model, X, y, error)
        assert content(model) == known
        assert repr(model.get_params()) == params
        assert model.__sklearn_is_fitted__() is fitted
    if fitted:
        assert_array_equal(model.predict_proba(table.X[:, :3]), before)
    again, fresh = model.fit(table.X, table.y), make(focal_alpha="balanced").fit(table.X, table.y)
    assert_array_equal(again.predict_proba(table.X), fresh.predict_proba(table.X))


def test_an_interrupted_fit_of_many_labels(table):
    labels = make_labels(0)
    model = focal_xgb(callbacks=None).fit(labels.X, labels.y)
    known, before = content(model), model.predict_proba(labels.X)
    with pytest.raises(KeyboardInterrupt):
        interrupted_fit(model, table.X, table.y, KeyboardInterrupt())
    assert content(model) == known
    assert_array_equal(model.predict_proba(labels.X), before)


def fail_on_second(error):
    """A scorer that raises in its second call."""
    calls = []

    def scorer(model, X, y):
        calls.append(1)
        if len(calls) == 2:
            raise error
        return 0.5

    return scorer


@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize("when", ["in the folds", "in the last fit"])
def test_an_interrupted_search_leaves_it_as_it_was(make, table, fitted, when, monkeypatch):
    grid = {"focal_gamma": [0.0, 2.0]}
    search = FocalSearchCV(make(), grid, cv=2, random_state=0)
    if fitted:
        search.fit(table.X, table.y)
        before = search.predict_proba(table.X)
    known = content(search)
    if when == "in the folds":
        monkeypatch.setattr(search, "scoring", fail_on_second(KeyboardInterrupt()))
        known["scoring"] = content(search)["scoring"]
    else:

        def fit(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(type(search.estimator), "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        search.fit(table.X[:300], table.y[:300])
    assert content(search) == known
    assert hasattr(search, "best_params_") is fitted
    if fitted:
        assert_array_equal(search.predict_proba(table.X), before)


# Repeated


@pytest.mark.parametrize("params", [{}, {"subsample": 0.5}], ids=str)
def test_two_fits_of_one_estimator_are_identical(make, table, params):
    if make is focal_lgb and params:
        params = {**params, "subsample_freq": 1}
    model = make(random_state=7, **params)
    first = model.fit(table.X, table.y).predict_proba(table.X)
    model.fit(table.X[:200], table.y[:200])
    assert_array_equal(model.fit(table.X, table.y).predict_proba(table.X), first)


@pytest.mark.parametrize("kind", ["binary", "classes"])
def test_one_thread_and_two_give_the_same_model(make, kind):
    """LightGBM promises it with `deterministic`, XGBoost's hist on a CPU as it is."""
    data = make_classes(3, 4000) if kind == "classes" else None
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 6)) if data is None else data.X
    y = (X[:, 0] + rng.normal(size=4000) > 1).astype(int) if data is None else data.y
    params = {} if make is focal_xgb else {"deterministic": True, "force_row_wise": True}
    one, two = (make(n_jobs=n, random_state=3, **params).fit(X, y).decision_function(X) for n in (1, 2))
    assert_array_equal(one, two)


def fit_and_predict(make, X, y, gamma):
    return make(focal_gamma=gamma).fit(X, y).predict_proba(X)


def test_fits_in_threads(make, table):
    """Side by side, of different γ, on tables of one size: no fit sees another's labels or buffers."""
    tasks = [(gamma, flip) for gamma in (0.0, 1.0, 2.0, 3.5) for flip in (0, 1)] * 3
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda task: fit_and_predict(make, table.X, table.y ^ task[1], task[0]), tasks))
    for (gamma, flip), p in zip(tasks, found, strict=True):
        assert_array_equal(p, fit_and_predict(make, table.X, table.y ^ flip, gamma))


def test_one_model_predicts_in_threads(make, table):
    model = make().fit(table.X, table.y)
    expected = model.predict_proba(table.X)
    with ThreadPoolExecutor(4) as pool:
        for p in pool.map(lambda _: model.predict_proba(table.X), range(16)):
            assert_array_equal(p, expected)


def test_fits_in_processes(make, table):
    gammas = (0.0, 2.0, 5.0)
    found = Parallel(n_jobs=2)(delayed(fit_and_predict)(make, table.X, table.y, gamma) for gamma in gammas)
    for gamma, p in zip(gammas, found, strict=True):
        assert_array_equal(p, fit_and_predict(make, table.X, table.y, gamma))


def test_a_fitted_model_goes_through_a_pickle_to_a_worker(make, table):
    model = make(focal_alpha="balanced").fit(table.X, table.y)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(table.X), model.predict_proba(table.X))
    (found,) = Parallel(n_jobs=2)([delayed(model.predict_proba)(table.X)])
    assert_array_equal(found, model.predict_proba(table.X))


def fit_in_fork(make, X, y, model, queue):
    queue.put((fit_and_predict(make, X, y, 2.0), model.predict_proba(X)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_after_a_fit_fits_and_predicts(make, table):
    """With one thread: the GNU OpenMP runtime, in any program, hangs in a fork after a parallel region."""
    model = make().fit(table.X, table.y)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=fit_in_fork, args=(make, table.X, table.y, model, queue))
    process.start()
    fitted, predicted = queue.get(timeout=60)
    process.join(60)
    assert process.exitcode == 0
    assert_array_equal(fitted, fit_and_predict(make, table.X, table.y, 2.0))
    assert_array_equal(predicted, model.predict_proba(table.X))


# Memory, in a process of its own: the growth of another test would count

MANY_FITS = """
import gc, sys
sys.path.insert(0, sys.argv[1])
from estimators import BOTH, make_table
def resident():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 / 2**20
make, table = BOTH[sys.argv[2]], make_table(0, 4000)
sizes = []
for i in range(300):
    make(n_estimators=4).fit(table.X, table.y)
    if i in (99, 299):
        sizes.append(resident())
print(sizes[1] - sizes[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_300_fits_do_not_grow(library):
    command = [sys.executable, "-c", MANY_FITS, str(Path(__file__).parent), library]
    grown = float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=170).stdout)
    # Labels, gradients and Hessians of one fit are 0.1 MB: 200 fits that kept them would show 20 MB.
    assert grown < 6


def test_a_fitted_model_holds_no_training_rows(make, table):
    X = np.repeat(table.X, 40, axis=0)
    model = make(n_estimators=2).fit(X, np.repeat(table.y, 40))
    assert len(pickle.dumps(model)) < 60_000
    gc.collect()
    held = [value for value in vars(model).values() if isinstance(value, np.ndarray)]
    assert all(value.size < 100 for value in held)
    assert not isinstance(getattr(model, "_Booster", None), lightgbm.Dataset)
