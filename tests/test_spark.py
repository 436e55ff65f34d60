"""FocalBoosting in XGBoost's Spark estimator, for real: the recipe of the guide, on a local Spark."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import xgboost
from scipy.special import expit

from focal_gbm import FocalXGBClassifier
from focal_gbm.xgboost import FocalBoosting

pyspark_sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed: pip install pyspark")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java 17, and there is no java on the PATH", allow_module_level=True)

pytestmark = [
    pytest.mark.spark,
    # of Spark's and pandas' making, between versions of each other
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def spark(monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # the workers' Python is the driver's
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    options = {"spark.ui.enabled": "false", "spark.task.maxFailures": "1"}
    with pyspark_sql.SparkSession.builder.master("local[2]").config(map=options).getOrCreate() as session:
        yield session


def test_the_spark_estimator_trains_the_single_machine_model(spark, tmp_path):
    from xgboost.spark import SparkXGBClassifier

    rng = np.random.default_rng(0)
    X = rng.integers(-9, 10, size=(4000, 3)) / 6.0  # few values, so that both workers find the same bins
    y = (rng.random(4000) < expit(2 * X[:, 0] - X[:, 1] * X[:, 2] - 2.5)).astype(int)
    names = ["a", "b", "c"]
    frame = spark.createDataFrame(pd.DataFrame(X, columns=names).assign(label=y)).repartition(4)
    params = {"n_estimators": 10, "max_depth": 3}
    columns = {"features_col": names, "label_col": "label"}
    boosting = FocalBoosting(gamma=2.0, alpha="balanced")
    model = SparkXGBClassifier(**columns, **params, num_workers=2, callbacks=[boosting]).fit(frame)
    one = FocalXGBClassifier(focal_gamma=2.0, focal_alpha="balanced", **params).fit(X, y)

    scored = model.transform(frame).select(*names, "probability").toPandas()
    probability = np.array([row[1] for row in scored["probability"]])
    np.testing.assert_allclose(probability, one.predict_proba(scored[names].to_numpy())[:, 1], atol=1e-5)

    path = str(tmp_path / "model.ubj")
    model.get_booster().save_model(path)
    alone = xgboost.Booster(model_file=path).predict(xgboost.DMatrix(X, feature_names=names))
    np.testing.assert_allclose(alone, one.predict_proba(X)[:, 1], atol=1e-5)
    model.write().overwrite().save(str(tmp_path / "spark-model"))
