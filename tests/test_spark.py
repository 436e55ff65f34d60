"""The objective in XGBoost's Spark estimator, for real: the recipe of the guide, on a local Spark."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import xgboost
from estimators import make_table
from scipy.special import expit
from sklearn.metrics import log_loss

from focal_gbm import ClassCounts, FocalXGBClassifier, FocalXGBObjective

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


@pytest.fixture(scope="module")
def spark():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)  # the workers' Python is the driver's
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        builder = pyspark_sql.SparkSession.builder.master("local[2]").appName("focal_gbm tests")
        options = {"spark.ui.enabled": "false", "spark.task.maxFailures": "1"}
        session = builder.config(map=options).getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="module")
def rows(spark):
    """Rows here and in Spark, and the names of the columns."""
    table = make_table(0, n_samples=4000)
    X = np.round(table.X, 1)  # few values, so that both workers find the same bins
    names = [f"f{j}" for j in range(X.shape[1])]
    frame = spark.createDataFrame(pd.DataFrame(X, columns=names).assign(label=table.y)).repartition(4)
    return X, table.y, names, frame


def fit_on_spark(rows, **params):
    """Return the Spark model, and the arguments with which it was trained."""
    from xgboost.spark import SparkXGBClassifier

    _, _, names, frame = rows
    found = frame.groupBy("label").count().collect()  # the one pass over the labels
    counts = ClassCounts.of([row["label"] for row in found], [row["count"] for row in found])
    objective = counts.objective(FocalXGBObjective, gamma=2.0, alpha="balanced", **params)
    base_score = counts.base_score(objective.loss)
    estimator = SparkXGBClassifier(
        features_col=names, label_col="label", num_workers=2, obj=objective, base_score=base_score,
        n_estimators=10, max_depth=3,
    )  # fmt: skip
    return estimator.fit(frame), objective, base_score


def test_the_spark_estimator_trains_the_single_machine_model(rows, tmp_path):
    X, y, names, frame = rows
    model, objective, base_score = fit_on_spark(rows)

    params = {
        "objective": "binary:logistic", "base_score": base_score, "max_depth": 3, "tree_method": "hist",
        "nthread": 1,
    }  # fmt: skip
    one = xgboost.train(params, xgboost.DMatrix(X, y, feature_names=names), 10, obj=objective)
    data = xgboost.DMatrix(X, feature_names=names)
    raw = one.predict(data, output_margin=True)

    # The booster is a plain one, saved by XGBoost itself: Spark's own writer cannot write `obj`.
    path = str(tmp_path / "model.ubj")
    model.get_booster().save_model(path)
    saved = xgboost.Booster(model_file=path).predict(data)
    np.testing.assert_allclose(saved, expit(raw), atol=1e-5)

    scored = model.transform(frame).select(*names, "probability").toPandas()
    again = one.inplace_predict(scored[names], predict_type="margin")
    spark_score = np.array([row[1] for row in scored["probability"]])
    np.testing.assert_allclose(spark_score, expit(again), atol=1e-5)  # σ(z), not the posterior
    posterior = objective.loss.link.inverse(np.log(spark_score / (1 - spark_score)))
    assert posterior.mean() == pytest.approx(y.mean(), abs=0.02)

    with pytest.raises(Exception, match=r"pickle|JSON|serializ"):
        model.write().overwrite().save(str(tmp_path / "spark-model"))


def test_the_logit_link_s_probability_column_is_calibrated(rows):
    X, y, names, frame = rows
    model, objective, _ = fit_on_spark(rows, focal_link="logit")
    scored = model.transform(frame).select("label", *names, "rawPrediction", "probability").toPandas()
    probability = np.array([row[1] for row in scored["probability"]])
    raw = np.array([row[1] for row in scored["rawPrediction"]])
    np.testing.assert_allclose(probability, objective.loss.link.inverse(raw), atol=1e-6)

    # as our own class trains and predicts, of the same counts
    one = FocalXGBClassifier(
        focal_gamma=2.0, focal_alpha="balanced", focal_link="logit", n_estimators=10, max_depth=3
    ).fit(X, y)
    expected = one.predict_proba(scored[names].to_numpy())[:, 1]
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    assert probability.mean() == pytest.approx(y.mean(), abs=0.02)
    assert log_loss(scored["label"], probability) < 1.01 * log_loss(y, one.predict_proba(X))
