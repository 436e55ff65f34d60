"""As many threads as the library itself uses: rules, and the libraries' own count beside them."""

import ctypes.util
import os
import shutil
import subprocess
import sys

import lightgbm
import numpy as np
import pytest
import xgboost
from needs import missing

import focal_gbm
from focal_gbm import FocalLGBMObjective, FocalXGBObjective
from focal_gbm.kernels import Threads, cpu, kernel_of, threads
from focal_gbm.losses import BinaryFocalLoss

PATHS = {
    "xgboost": os.path.join(os.path.dirname(xgboost.__file__), "lib", "libxgboost.so"),
    "lightgbm": os.path.join(os.path.dirname(lightgbm.__file__), "lib", "lib_lightgbm.so"),
}

#: Processors, OMP_NUM_THREADS, OMP_THREAD_LIMIT, CPUs of a quota, the parameter, and the threads of XGBoost.
RULES = [
    (64, 64, 2**31 - 1, 64, None, 64),
    (64, 64, 2**31 - 1, 2, None, 2),  # a container
    (64, 64, 2**31 - 1, 2, 8, 2),
    (64, 64, 2**31 - 1, 64, 8, 8),
    (64, 64, 2**31 - 1, 64, 0, 64),
    (64, 64, 2**31 - 1, 64, -1, 64),
    (64, 64, 2**31 - 1, 64, 99, 64),
    (64, 4, 2**31 - 1, 64, None, 4),
    (64, 4, 2**31 - 1, 64, 8, 4),
    (64, 64, 3, 64, None, 3),
    (64, 64, 2**31 - 1, 1, None, 1),
]


class Runtime:
    """An OpenMP runtime of any size."""

    def __init__(self, limits, of_lightgbm=None):
        self.limits = [lambda limit=limit: limit for limit in limits]
        self.of_lightgbm = of_lightgbm


@pytest.mark.parametrize(("processors", "omp", "limit", "quota", "n_jobs", "expected"), RULES)
def test_rules_of_xgboost(processors, omp, limit, quota, n_jobs, expected, monkeypatch):
    monkeypatch.setattr(threads, "_runtime_of", lambda path: Runtime((processors, omp, limit)))
    monkeypatch.setattr("joblib.cpu_count", lambda: quota)
    threads._n_cpus.cache_clear()
    try:
        assert Threads("libxgboost.so", n_jobs).n_threads == expected
    finally:
        threads._n_cpus.cache_clear()


def test_lightgbm_is_asked(monkeypatch):
    monkeypatch.setattr(threads, "_runtime_of", lambda path: Runtime((64, 64, 64), lambda: 7))
    assert Threads("lib_lightgbm.so").n_threads == 7
    assert Threads("lib_lightgbm.so", 0).n_threads == 7
    assert Threads("lib_lightgbm.so", -1).n_threads == 7
    assert Threads("lib_lightgbm.so", 3).n_threads == 3


@pytest.mark.parametrize("name", ["num_threads", "num_thread", "nthread", "nthreads", "n_jobs"])
@pytest.mark.parametrize("value", [1, 2, "2"])
def test_lightgbm_answers_whatever_the_alias(name, value):
    seen = []

    class Objective:
        def __call__(self, raw_prediction, data):
            seen.append(Threads(PATHS["lightgbm"]).n_threads)
            return raw_prediction, np.ones_like(raw_prediction)

        def __deepcopy__(self, memo):
            return self

    X = np.random.default_rng(0).normal(size=(200, 2))
    data = lightgbm.Dataset(X, X[:, 0] > 0, params={"verbose": -1})
    lightgbm.train({"objective": Objective(), "verbose": -1, name: value}, data, 1)
    assert seen == [int(value)]


def test_lightgbm_s_estimator_uses_physical_cores(monkeypatch):
    seen = []

    def objective(y_true, raw_prediction):
        seen.append(Threads(PATHS["lightgbm"]).n_threads)
        return raw_prediction, np.ones_like(raw_prediction)

    monkeypatch.setattr("joblib.cpu_count", lambda only_physical_cores=False: 3 if only_physical_cores else 8)
    for n_jobs, expected in ((None, 3), (-2, 7), (2, 2)):
        X = np.random.default_rng(0).normal(size=(200, 2))
        model = lightgbm.LGBMClassifier(n_estimators=1, objective=objective, n_jobs=n_jobs, verbose=-1)
        model.fit(X, X[:, 0] > 0)
        assert seen.pop() == expected


OF_THREE = {"nthread": 3, "verbosity": 0}
FITS = {
    "xgboost": lambda X, y: focal_gbm.xgboost.train(OF_THREE, xgboost.DMatrix(X, y), 1, gamma=2.0),
    "lightgbm": lambda X, y: focal_gbm.lightgbm.train(OF_THREE, lightgbm.Dataset(X, y), 1, gamma=2.0),
    "xgboost objective": lambda X, y: xgboost.train(
        OF_THREE, xgboost.DMatrix(X, y), 1, obj=FocalXGBObjective(BinaryFocalLoss(2.0), n_jobs=3)
    ),
    "lightgbm objective": lambda X, y: lightgbm.train(
        {"objective": FocalLGBMObjective(BinaryFocalLoss(2.0), n_jobs=3)}, lightgbm.Dataset(X, y), 1
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_runs_on_the_threads_that_its_library_was_asked_for(name, monkeypatch):
    if cpu.library() is None:
        missing("kernel", "installed without a C compiler")
    seen = []
    monkeypatch.setattr(cpu, "_FEW", 0)
    monkeypatch.setattr(Threads, "n_threads", property(lambda self: seen.append((self.library, self.n_jobs)) or 1))
    X = np.random.default_rng(0).normal(size=(200, 2))
    FITS[name](X, X[:, 0] > 0)
    assert [(os.path.realpath(path), n_jobs) for path, n_jobs in seen] == [(PATHS[name.split()[0]], 3)]


#: Prints how many threads XGBoost uses, counted by the system, and how many we would.
COUNT = """
import os, sys
import numpy as np, xgboost
from focal_gbm.kernels import Threads
n_jobs = int(sys.argv[1])
before = len(os.listdir("/proc/self/task"))
X = np.random.default_rng(0).normal(size=(100_000, 3)).astype(np.float32)
xgboost.train({"nthread": n_jobs}, xgboost.DMatrix(X, X[:, 0] > 0, nthread=n_jobs), 1)
used = len(os.listdir("/proc/self/task")) - before + 1
path = os.path.join(os.path.dirname(xgboost.__file__), "lib", "libxgboost.so")
print(used, Threads(path, n_jobs).n_threads)
"""

#: In a mount namespace of its own, a file that says: one CPU.
QUOTA = """
mount -t tmpfs none /sys/fs/cgroup && echo '100000 100000' > /sys/fs/cgroup/cpu.max && exec "$@"
"""


def count(n_jobs, *before, **environment):
    environment = {**os.environ, "OMP_NUM_THREADS": "", "OMP_THREAD_LIMIT": "", **environment}
    environment = {name: value for name, value in environment.items() if value}
    command = [*before, sys.executable, "-c", COUNT, str(n_jobs)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return [int(number) for number in result.stdout.split()]


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are not listed here")


@needs_proc
@pytest.mark.parametrize("n_jobs", [0, 1, 5])
def test_xgboost_uses_as_many(n_jobs):
    used, ours = count(n_jobs)
    assert used == ours


@needs_proc
def test_omp_num_threads_is_heard():
    assert count(0, OMP_NUM_THREADS="1") == [1, 1]


@needs_proc
@pytest.mark.parametrize("n_jobs", [0, 2])
def test_the_quota_of_a_container_is_heard(n_jobs):
    unshare = shutil.which("unshare")
    here = [unshare, "-m", "sh", "-c", QUOTA, "sh"]
    if unshare is None or subprocess.run([*here, "true"], capture_output=True).returncode:
        pytest.skip("no namespace of its own can be made here, to pretend a quota in")
    assert count(n_jobs, *here) == [1, 1]


@pytest.mark.parametrize("path", [ctypes.util.find_library("m"), "/no/such/library.so", None])
def test_without_an_entry_that_we_know_it_is_the_calling_thread(path):
    assert Threads(path, 4).n_threads == 1
    assert Threads(path, 4).runtime is None


def test_few_rows_wake_no_threads(monkeypatch):
    monkeypatch.setattr(Threads, "n_threads", property(lambda self: pytest.fail("asked")))
    loss = BinaryFocalLoss(2.0)
    kernel_of(loss, np.ones(1000, bool), None, threads=Threads(PATHS["xgboost"], 2))(np.zeros(1000))


def test_threads_are_not_more_than_the_library_has_started(monkeypatch):
    if not os.path.isdir("/proc/self/task"):
        missing("proc", "the system does not list threads")
    loss = BinaryFocalLoss(2.0)
    X = np.random.default_rng(0).normal(size=(50_000, 2)).astype(np.float32)
    data = xgboost.DMatrix(X, X[:, 0] > 0)
    xgboost.train({}, data, 1)
    kernel = kernel_of(loss, X[:, 0] > 0, None, threads=Threads(PATHS["xgboost"]))
    before = os.listdir("/proc/self/task")
    for _ in range(3):
        kernel(X[:, 0])
    assert os.listdir("/proc/self/task") == before
