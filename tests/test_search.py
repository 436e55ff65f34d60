"""FocalSearchCV: every candidate is the estimator that one would fit by hand, the rest is GridSearchCV."""

import pickle
from unittest.mock import patch

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
import xgboost
from estimators import focal_lgb, focal_xgb, make_table
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import get_scorer, log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import focal_gbm
from focal_gbm import FocalSearchCV
from focal_gbm.search.stopping import Stopping
from focal_gbm.training.plan import Rows
from focal_gbm.xgboost.training import EvaluationSets, matrices

#: GridSearchCV gives scorers the weights from scikit-learn 1.7 on.
WEIGHTS_ARE_SCORED = hasattr(GridSearchCV, "_check_scorers_accept_sample_weight")

GRID = {"focal_gamma": [0.0, 2.0], "focal_alpha": [None, "balanced"]}


def labels_of(table, kind):
    return table.y if kind == "binary" else table.y + (table.X[:, 3] > 0.5)


def fit_by_hand(model, fit, stop, early_stopping_rounds):
    """Fit the estimator on one part, stop on another: what a user would write. Parts are (X, y, weight)."""
    if isinstance(model, xgboost.XGBClassifier):
        model.set_params(early_stopping_rounds=early_stopping_rounds)
        return model.fit(
            *fit[:2],
            sample_weight=fit[2],
            eval_set=[stop[:2]],
            sample_weight_eval_set=None if stop[2] is None else [stop[2]],
            verbose=False,
        )
    return model.fit(
        *fit[:2],
        sample_weight=fit[2],
        eval_X=stop[0],
        eval_y=stop[1],
        eval_sample_weight=None if stop[2] is None else [stop[2]],
        callbacks=[lightgbm.early_stopping(early_stopping_rounds, verbose=False)],
    )


def rounds_of(model):
    return model.best_iteration + 1 if isinstance(model, xgboost.XGBClassifier) else model.best_iteration_


class Watched(FocalSearchCV):
    """Remembers which rows were set aside in each fold."""

    def fit(self, X, y=None, **params):
        self.parts = parts = []

        class Recording(Stopping):
            def set_aside(self, *args):
                parts.append(super().set_aside(*args))
                return parts[-1]

        with patch("focal_gbm.search.search.Stopping", Recording):
            return super().fit(X, y, **params)


def host_params(make):
    """Sampling of rows and columns, so that a candidate that shifted the draws of the next would be seen."""
    params = {"subsample": 0.7, "colsample_bytree": 0.6, "n_estimators": 20}
    return params if make is focal_xgb else {**params, "subsample_freq": 1}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_candidates_are_the_estimators_fitted_by_hand(make, table, kind, weighted):
    y = labels_of(table, kind)
    weight = table.weight if weighted else None
    grid = [{**GRID, "learning_rate": [0.02, 0.3]}, {"focal_gamma": [0.0, 1.0], "max_bin": [7]}]
    models = []

    def keep(model, X, y, sample_weight=None):
        models.append(model)
        return -log_loss(y, model.predict_proba(X), sample_weight=sample_weight)

    base = make(**host_params(make))
    cv = StratifiedKFold(2, shuffle=True, random_state=0)
    search = Watched(base, grid, scoring=keep, cv=cv, early_stopping_rounds=3, random_state=0)
    search.fit(table.X, y, sample_weight=weight)

    candidates = search.cv_results_["params"]
    order = [i for same_bins in search._by_binning(candidates) for i in same_bins]
    stopped_early = set()
    for fold, (_, test) in enumerate(cv.split(table.X, y)):
        fit, stop, test = (
            (table.X[rows], y[rows], None if weight is None else weight[rows])
            for rows in (*search.parts[fold], test)
        )
        for i, params in enumerate(candidates):
            model = fit_by_hand(clone(base).set_params(**params), fit, stop, 3)
            found = models[fold * len(candidates) + order.index(i)]
            assert {name: found.get_params()[name] for name in params} == params
            assert_array_equal(found.decision_function(table.X), model.decision_function(table.X))
            assert_array_equal(found.predict_proba(table.X), model.predict_proba(table.X))
            assert_array_equal(found.predict(table.X), model.predict(table.X))
            assert_array_equal(found.feature_importances_, model.feature_importances_)
            assert search.cv_results_[f"split{fold}_n_rounds"][i] == rounds_of(model) == rounds_of(found)
            score = keep(model, *test) if WEIGHTS_ARE_SCORED else keep(model, *test[:2])
            assert search.cv_results_[f"split{fold}_test_score"][i] == score
            stopped_early.add(rounds_of(model) < 17)
    assert stopped_early == {True, False}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_without_early_stopping_it_is_grid_search(make, table, weighted):
    fit = {"sample_weight": table.weight} if weighted else {}
    common = {"scoring": ["neg_log_loss", "roc_auc"], "refit": "roc_auc", "cv": 3}
    model = make(n_estimators=7)
    ours = FocalSearchCV(model, GRID, early_stopping_rounds=None, **common).fit(table.X, table.y, **fit)
    theirs = GridSearchCV(model, GRID, **common).fit(table.X, table.y, **fit)
    for name, values in theirs.cv_results_.items():
        if name == "params":
            assert ours.cv_results_[name] == values
        elif "time" not in name:
            assert ours.cv_results_[name].dtype == values.dtype
            assert_array_equal(ours.cv_results_[name], values, err_msg=name)
    assert set(ours.cv_results_) - set(theirs.cv_results_) == {
        "split0_n_rounds", "split1_n_rounds", "split2_n_rounds", "mean_n_rounds",
    }  # fmt: skip
    assert (ours.cv_results_["mean_n_rounds"] == 7).all()
    for name in ("best_params_", "best_score_", "best_index_", "n_splits_", "n_features_in_", "multimetric_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for method in ("predict", "predict_proba", "decision_function"):
        assert_array_equal(getattr(ours, method)(table.X), getattr(theirs, method)(table.X))
    assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.score(table.X, table.y) == theirs.score(table.X, table.y)
    assert repr(ours.scorer_) == repr(theirs.scorer_)


class Counted:
    """A class of a library whose objects are counted."""

    def __init__(self, kind):
        self.kind, self.n = kind, 0

    def __call__(self, *args, **kwargs):
        self.n += 1
        return self.kind(*args, **kwargs)


@pytest.mark.parametrize(
    ("grid", "binnings"),
    [
        ({"focal_gamma": [0.0, 1.0, 2.0], "focal_alpha": [None, "balanced"], "learning_rate": [0.1, 0.3]}, 1),
        ({"focal_gamma": [0.0, 1.0], "max_bin": [15, 31, 63]}, 3),
        ([{"focal_gamma": [0.0, 1.0]}, {"focal_gamma": [2.0], "max_bin": [15]}], 2),
    ],
)
def test_each_fold_is_binned_once(make, table, grid, binnings):
    module, name = (xgboost, "QuantileDMatrix") if make is focal_xgb else (lightgbm, "Dataset")
    counted = Counted(getattr(module, name))
    with patch.object(module, name, counted):
        FocalSearchCV(make(n_estimators=3), grid, cv=3, early_stopping_rounds=2, refit=False).fit(
            table.X, table.y
        )
    sets = 2 if make is focal_xgb else 1  # LightGBM makes the second of the first
    assert counted.n == 3 * sets * binnings


def test_parameters_that_share_bins_are_not_read_where_xgboost_bins(table):
    """`_free_of_binning` by what `matrices` really reads."""
    read = set()

    class Watching(focal_gbm.FocalXGBClassifier):
        watch = False

        def __getattribute__(self, name):
            if type(self).watch:
                read.add(name)
            return super().__getattribute__(name)

    model = Watching(eval_metric=None)
    plan, target = model._plan_fit(table.X, table.y, None)
    Watching.watch = True
    sets = EvaluationSets([(table.X[:50], table.y[:50])])
    matrices(model, plan, target, Rows(table.X, table.y, None), evaluation=sets)
    Watching.watch = False
    assert {"max_bin", "missing", "tree_method", "device", "booster"} < read
    assert not read & model._free_of_binning
    assert model._free_of_binning < set(model.get_params())


def test_parameters_that_share_bins_are_not_those_of_a_dataset():
    """`_free_of_binning` by LightGBM's own list."""
    free = focal_lgb()._free_of_binning
    assert lightgbm.Dataset(np.zeros((1, 1)), params=dict.fromkeys(free, 1)).get_params() == {}
    known = lightgbm.Dataset(np.zeros((1, 1)), params={"max_bin": 7, "feature_pre_filter": True}).get_params()
    assert set(known) == {"max_bin", "feature_pre_filter"}
    # these change a Dataset without being in the list
    assert not free & {"random_state", "min_child_samples"}


def test_parameters_of_training_alone_on_shared_bins(table):
    """Each on bins that were made for a candidate with another value, against a data set of its own."""
    parts = (table.X[:400], table.y[:400], None), (table.X[400:], table.y[400:], None)
    values = {
        "boosting_type": "dart", "class_weight": "balanced", "colsample_bytree": 0.5, "extra_trees": True,
        "is_unbalance": True, "max_delta_step": 0.3, "max_depth": 2, "min_child_weight": 5.0,
        "min_split_gain": 0.5, "num_leaves": 3, "path_smooth": 5.0, "reg_alpha": 1.0, "reg_lambda": 9.0,
        "scale_pos_weight": 3.0, "subsample": 0.5,
    }  # fmt: skip
    rows = [Rows(*part) for part in parts]
    base = focal_lgb(subsample_freq=1, n_estimators=20)
    binned, _ = base._fit_shared(*rows, 5)
    plain = base.decision_function(table.X)
    for name, value in values.items():
        shared = clone(base).set_params(**{name: value})
        shared._fit_shared(*rows, 5, binned)
        alone = clone(base).set_params(**{name: value})
        if value == "dart":
            alone.fit(*parts[0])
        else:
            fit_by_hand(alone, *parts, 5)
        assert_array_equal(shared.decision_function(table.X), alone.decision_function(table.X), err_msg=name)
        assert np.abs(shared.decision_function(table.X) - plain).max() > 1e-3, name


def test_the_scored_part_stops_nothing(make, table):
    """Other labels in the test part change its score and nothing else."""
    n = len(table.y)
    cv = [(np.arange(n // 2), np.arange(n // 2, n))]
    flipped = np.where(np.arange(n) < n // 2, table.y, 1 - table.y)
    common = {"cv": cv, "scoring": "neg_log_loss", "refit": False, "random_state": 0}
    one, other = (
        FocalSearchCV(make(n_estimators=60), GRID, early_stopping_rounds=3, **common).fit(table.X, y)
        for y in (table.y, flipped)
    )
    assert_array_equal(one.cv_results_["split0_n_rounds"], other.cv_results_["split0_n_rounds"])
    assert (one.cv_results_["mean_test_score"] > other.cv_results_["mean_test_score"]).all()


def test_rows_set_aside_are_a_share_of_each_class(make):
    table = make_table(5, n_samples=600)
    y = np.array(["common", "rare", "rarest"])[np.where(np.arange(600) < 500, 0, 1)]
    y[[7, 11, 13, 17]] = "rarest"
    search = Watched(make(), {"focal_gamma": [1.0]}, cv=2, validation_fraction=0.2, random_state=0)
    search.fit(table.X, y)
    for (fit, stop), (train, _) in zip(search.parts, StratifiedKFold(2).split(table.X, y), strict=True):
        assert_array_equal(np.sort(np.concatenate([fit, stop])), train)
        counts = {label: (np.sum(y[fit] == label), np.sum(y[stop] == label)) for label in np.unique(y)}
        assert counts == {"common": (198, 50), "rare": (40, 10), "rarest": (1, 1)}
    again = Watched(make(), {"focal_gamma": [1.0]}, cv=2, validation_fraction=0.2, random_state=0)
    again.fit(table.X, y)
    assert [part.tolist() for pair in again.parts for part in pair] == [
        part.tolist() for pair in search.parts for part in pair
    ]


def test_the_latest_rows_are_set_aside_where_time_orders_the_splits(make, table):
    n, cv = len(table.y), TimeSeriesSplit(3)
    grid = {"focal_gamma": [1.0]}
    for options in ({}, {"validation_rows": "latest"}):
        search = Watched(make(), grid, cv=cv, validation_fraction=0.2, random_state=0, **options)
        search.fit(table.X, table.y)
        for (fit, stop), (train, _) in zip(search.parts, cv.split(table.X), strict=True):
            assert_array_equal(np.concatenate([fit, stop]), train)
            assert len(stop) == round(0.2 * len(train))
    drawn = Watched(make(), grid, cv=cv, validation_rows="random", random_state=0).fit(table.X, table.y)
    assert all(stop.min() < fit.max() for fit, stop in drawn.parts)
    mixed = Watched(make(), grid, cv=3, random_state=0).fit(table.X, table.y)
    assert all(stop.min() < fit.max() for fit, stop in mixed.parts)
    groups = np.arange(n) // 7
    cv = [(np.arange(n // 2), np.arange(n // 2, n))]
    search = Watched(make(), grid, cv=cv, random_state=0).fit(table.X, table.y, groups=groups)
    ((fit, stop),) = search.parts
    assert groups[fit].max() < groups[stop].min()


def test_latest_rows_must_leave_every_class(make, table):
    y = np.sort(table.y)
    search = FocalSearchCV(
        make(), {"focal_gamma": [1.0]}, validation_rows="latest", validation_fraction=0.5, cv=2
    )
    with pytest.raises(ValueError, match=r"^y must hold rows of every class before the latest 0\.5 of the "):
        search.fit(table.X, y)


def test_groups_stay_together(make, table):
    groups = np.arange(len(table.y)) // 10
    search = Watched(make(), {"focal_gamma": [1.0]}, cv=GroupKFold(3), random_state=0)
    search.fit(table.X, table.y, groups=groups)
    for (fit, stop), (_, test) in zip(
        search.parts, GroupKFold(3).split(table.X, table.y, groups), strict=True
    ):
        parts = [set(groups[rows]) for rows in (fit, stop, test)]
        assert sum(len(part) for part in parts) == 50 == len(set.union(*parts))
        assert len(parts[1]) == 3  # a tenth of 33 or 34 groups
    # class 1 is one group of three: with two of them aside it is never alone with another
    by_class = np.where(table.y, 0, 1 + np.arange(len(table.y)) % 2)
    for fraction in (0.6, 0.9):
        search = FocalSearchCV(
            make(), cv=[(np.arange(400), np.arange(400, 500))], validation_fraction=fraction
        )
        with pytest.raises(
            ValueError, match=r"^groups must leave rows of every class to train on when valid"
        ):
            search.fit(table.X, table.y, groups=by_class)


def test_the_last_fit_takes_the_rounds_of_the_folds(make, table):
    model = make(n_estimators=80, learning_rate=0.3)
    search = FocalSearchCV(
        model, GRID, scoring="neg_log_loss", cv=3, early_stopping_rounds=4, random_state=1
    ).fit(table.X, table.y, sample_weight=table.weight)
    folds = [search.cv_results_[f"split{i}_n_rounds"] for i in range(3)]
    assert_array_equal(search.cv_results_["mean_n_rounds"], np.mean(folds, axis=0))
    assert search.best_n_rounds_ == np.median(folds, axis=0)[search.best_index_] < 80
    assert search.best_estimator_.n_estimators == search.best_n_rounds_
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    by_hand = clone(model).set_params(**search.best_params_, n_estimators=search.best_n_rounds_)
    by_hand.fit(table.X, table.y, sample_weight=table.weight)
    assert_array_equal(search.predict_proba(table.X), by_hand.predict_proba(table.X))
    assert search.refit_time_ > 0


def test_an_alias_of_the_rounds_of_lightgbm(table):
    search = FocalSearchCV(focal_lgb(num_iterations=60), GRID, cv=3, early_stopping_rounds=3, random_state=0)
    search.fit(table.X, table.y)
    assert search.best_estimator_.booster_.num_trees() == search.best_n_rounds_ < 60


def test_the_host_is_in_the_default_grid(make, table):
    search = FocalSearchCV(make(n_estimators=2), cv=2, early_stopping_rounds=1, refit=False)
    search.fit(table.X, table.y)
    assert {"focal_gamma": 0.0, "focal_alpha": None} in search.cv_results_["params"]
    assert len(search.cv_results_["params"]) == 10
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "predict_proba")


def balance(cv_results):
    """Choose by two metrics, as a user may."""
    return int(np.argmax(cv_results["mean_test_ap"] + cv_results["mean_test_brier"]))


def test_several_metrics(make, table):
    scoring = {"ap": "average_precision", "brier": "neg_brier_score"}
    search = FocalSearchCV(make(), GRID, scoring=scoring, refit=balance, cv=2).fit(table.X, table.y)
    assert search.best_index_ == balance(search.cv_results_)
    assert not hasattr(search, "best_score_")
    assert set(search.scorer_) == set(scoring)

    def both(model, X, y):
        return {name: get_scorer(scorer)(model, X, y) for name, scorer in scoring.items()}

    same = FocalSearchCV(make(), GRID, scoring=both, refit="brier", cv=2, early_stopping_rounds=None)
    same.fit(table.X, table.y)
    assert same.multimetric_
    assert same.score(table.X, table.y) == get_scorer("neg_brier_score")(same, table.X, table.y)
    for scoring_ in (scoring, both):
        with pytest.raises(ValueError, match=r"^For multi-metric scoring, the parameter refit must be set"):
            FocalSearchCV(make(), GRID, scoring=scoring_, cv=2).fit(table.X, table.y)


def test_tables_and_labels_of_any_kind(make, table):
    frame = pd.DataFrame(table.X, columns=list("abcde"))
    frame["kind"] = pd.Categorical(np.array(["u", "v", "w"])[np.arange(len(frame)) % 3])
    y = pd.Series(np.array(["no", "yes"])[table.y], index=frame.index[::-1])
    model = make(enable_categorical=True) if make is focal_xgb else make()
    search = FocalSearchCV(model, GRID, cv=2, random_state=0).fit(frame, y)
    assert_array_equal(search.classes_, ["no", "yes"])
    assert_array_equal(search.feature_names_in_, frame.columns)
    assert set(search.predict(frame)) <= {"no", "yes"}

    dense = FocalSearchCV(make(), GRID, cv=2, random_state=0).fit(table.X, table.y)
    for X in (csr_matrix(table.X), table.X.tolist()):
        other = FocalSearchCV(make(), GRID, cv=2, random_state=0).fit(X, table.y.tolist())
        assert_array_equal(other.cv_results_["mean_test_score"], dense.cv_results_["mean_test_score"])


def test_many_labels(table):
    Y = np.column_stack([table.y, table.X[:, 3] > 0.5]).astype(int)
    search = FocalSearchCV(focal_xgb(), {"focal_gamma": [0.0, 2.0]}, cv=2, random_state=0).fit(table.X, Y)
    assert search.predict_proba(table.X).shape == Y.shape
    assert search.score(table.X, Y) > 0.5


def test_estimators_metric_stops(make, table):
    """Where the estimator names a metric, that one stops the candidates."""
    metric = {"eval_metric": "aucpr"} if make is focal_xgb else {"metric": "average_precision"}
    common = {"scoring": "neg_log_loss", "cv": 2, "early_stopping_rounds": 3, "random_state": 0}
    model = make(n_estimators=60)
    by_loss = FocalSearchCV(model, GRID, **common).fit(table.X, table.y)
    by_metric = FocalSearchCV(model.set_params(**metric), GRID, **common).fit(table.X, table.y)
    assert (by_loss.cv_results_["mean_n_rounds"] != by_metric.cv_results_["mean_n_rounds"]).any()


def test_clone_pickle_and_nesting(make, table):
    search = FocalSearchCV(make(), GRID, scoring="roc_auc", cv=2, random_state=0)
    assert clone(search).get_params(deep=False).keys() == search.get_params(deep=False).keys()
    search.set_params(estimator__n_estimators=4)
    assert search.estimator.n_estimators == 4
    search.fit(table.X, table.y)
    restored = pickle.loads(pickle.dumps(search))
    assert_array_equal(restored.predict_proba(table.X), search.predict_proba(table.X))
    pipeline = make_pipeline(
        StandardScaler(), FocalSearchCV(make(n_estimators=4), GRID, cv=2, random_state=0)
    )
    assert cross_val_score(pipeline, table.X, table.y, cv=2, scoring="roc_auc").min() > 0.6


def test_metadata_routing(make, table):
    """Weights go where they are requested, as in GridSearchCV."""
    with sklearn.config_context(enable_metadata_routing=True):
        model = make(n_estimators=4).set_fit_request(sample_weight=True)
        scores = []
        for weighted in (True, False):
            scorer = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba")
            scorer.set_score_request(sample_weight=weighted)
            pair = [
                kind(model, GRID, scoring=scorer, cv=2, **more).fit(
                    table.X, table.y, sample_weight=table.weight
                )
                for kind, more in ((FocalSearchCV, {"early_stopping_rounds": None}), (GridSearchCV, {}))
            ]
            assert_array_equal(*(search.cv_results_["mean_test_score"] for search in pair))
            scores.append(pair[0].best_score_)
        assert scores[0] != scores[1]


# A recipe of the documentation: scikit-learn's own search works as well


def test_recipe_of_grid_search(make, table):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), make()),
        {f"focal{kind}classifier__{name}": values for kind in _kind(make) for name, values in GRID.items()},
        scoring="neg_log_loss",
        cv=3,
    )
    search.fit(table.X, table.y)
    assert len(search.best_params_) == 2
    assert search.best_score_ > -log_loss(table.y, np.full(len(table.y), table.y.mean()))


def _kind(make):
    return ["xgb" if make is focal_xgb else "lgbm"]


# What fails


def test_a_candidate_that_fails(make, table):
    y = labels_of(table, "multiclass")
    grid = {"focal_alpha": [0.25, None, "balanced"]}
    search = FocalSearchCV(make(), grid, cv=2, random_state=0)
    message = r"^2 fits failed out of a total of 6\. (?s:.*)single number"
    with (
        pytest.warns(FitFailedWarning, match=message) as w,
        pytest.warns(UserWarning, match="test scores are non-finite"),
    ):
        search.fit(table.X, y)
    assert w[0].filename == __file__
    assert_array_equal(np.isnan(search.cv_results_["mean_test_score"]), [True, False, False])
    assert_array_equal(np.isnan(search.cv_results_["split1_n_rounds"]), [True, False, False])
    assert search.cv_results_["rank_test_score"][0] == 3
    assert search.best_params_["focal_alpha"] != 0.25

    scoring = ["accuracy", "neg_log_loss"]
    several = FocalSearchCV(make(), grid, cv=2, scoring=scoring, refit="accuracy", error_score=-99.0)
    with pytest.warns(FitFailedWarning):
        several.fit(table.X, y)
    assert several.cv_results_["mean_test_neg_log_loss"][0] == -99.0
    with pytest.raises(ValueError, match=r"single number only for two classes"):
        FocalSearchCV(make(), grid, cv=2, error_score="raise").fit(table.X, y)
    with pytest.raises(
        ValueError, match=r"^All the 2 fits failed\.(?s:.*)single number only for two classes"
    ):
        FocalSearchCV(make(), {"focal_alpha": [0.25]}, cv=2).fit(table.X, y)
    with pytest.raises(ValueError, match=r"^All the 2 fits failed\.(?s:.*)no parameter focal_gama"):
        FocalSearchCV(make(), {"focal_gama": [0.25]}, cv=2).fit(table.X, y)
    with (
        pytest.warns(FitFailedWarning),
        pytest.raises(
            ValueError, match=r"^error_score must rank failures last, got 99\.0, which makes .*0\.25"
        ),
    ):
        FocalSearchCV(make(), grid, cv=2, error_score=99.0).fit(table.X, y)


def test_one_of_several_scorers_that_fails(make, table):
    def broken(model, X, y):
        raise RuntimeError("no score today")

    scoring = {"accuracy": "accuracy", "broken": broken}
    search = FocalSearchCV(make(), GRID, cv=2, scoring=scoring, refit="accuracy", error_score=-1.0)
    with pytest.warns(FitFailedWarning, match=r"(?s)^8 fits failed out of a total of 8\..*no score today"):
        search.fit(table.X, table.y)
    assert (search.cv_results_["mean_test_broken"] == -1.0).all()
    assert (search.cv_results_["mean_test_accuracy"] > 0.5).all()


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"validation_fraction": 0.0},
            ValueError,
            r"^validation_fraction must lie in the open interval \(0, 1",
        ),
        ({"validation_fraction": 1}, ValueError, r"^validation_fraction must .*, got 1\."),
        ({"validation_fraction": "0.1"}, ValueError, r"^validation_fraction must .*, got '0\.1'\."),
        ({"early_stopping_rounds": 0}, ValueError, r"^early_stopping_rounds must be None or an integer >= 1"),
        ({"early_stopping_rounds": 2.5}, ValueError, r"^early_stopping_rounds must .*, got 2\.5\."),
        ({"early_stopping_rounds": True}, ValueError, r"^early_stopping_rounds must .*, got True\."),
        ({"scoring": "best"}, ValueError, r"'scoring' parameter of \w+ must be"),
        ({"cv": []}, ValueError, r"^cv must yield one split or more, got none"),
        ({"param_grid": {"focal_alpha": "balanced"}}, TypeError, r"'focal_alpha' needs to be a list"),
        ({"param_grid": [3]}, TypeError, r"is not a dict"),
        (
            {"param_grid": {"early_stopping_rounds": [3]}},
            ValueError,
            r"^early_stopping_rounds must be left to",
        ),
    ],
)
def test_parameters_that_are_refused(make, table, params, error, message):
    with pytest.raises(error, match=message):
        FocalSearchCV(make(), **{"cv": 2, **params}).fit(table.X, table.y)


def test_estimators_that_are_refused(table):
    for estimator in (xgboost.XGBClassifier(), make_pipeline(focal_xgb()), focal_gbm.FocalXGBClassifier):
        with pytest.raises(TypeError, match=r"^estimator must be a FocalXGBClassifier or a FocalLGBM.*, got"):
            FocalSearchCV(estimator).fit(table.X, table.y)
    for estimator in (focal_xgb(early_stopping_rounds=5), focal_lgb(n_iter_no_change=5)):
        with pytest.raises(ValueError, match=r"^(early_|n_iter)\w+ must be left to the search, .* got 5 "):
            FocalSearchCV(estimator).fit(table.X, table.y)


def test_data_that_are_refused(make, table):
    search = FocalSearchCV(make(), GRID, cv=2)
    with pytest.raises(ValueError, match=r"^The estimator requires y to be passed, but the target y is None"):
        search.fit(table.X)
    with pytest.raises(
        TypeError, match=r"^fit takes sample_weight and groups beside X and y, got eval_set\."
    ):
        search.fit(table.X, table.y, eval_set=[(table.X, table.y)])
    with pytest.raises(ValueError, match=r"^sample_weight must be finite"):
        search.fit(table.X, table.y, sample_weight=np.full(len(table.y), np.nan))
    with pytest.raises(ValueError, match=r"^y must have two rows or more of a class in the training part of"):
        FocalSearchCV(make(), GRID, cv=KFold(2)).fit(table.X[:4], [0, 1, 0, 1])


# Progress


def test_progress(make, table, capsys):
    search = FocalSearchCV(make(n_estimators=3), GRID, cv=2, refit=False, random_state=0)
    search.fit(table.X, table.y)
    assert capsys.readouterr() == ("", "")
    with patch("focal_gbm.search.progress.import_module", side_effect=ImportError):
        search.set_params(verbose=1).fit(table.X, table.y)
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 8
    first = f"[1/8] fold 0, focal_alpha=None, focal_gamma=0.0: {search.cv_results_['split0_n_rounds'][0]:.0f}"
    score = search.cv_results_["split0_test_score"][0]
    assert err.splitlines()[0] == f"{first} rounds, score {score:.5g}"


def test_progress_bar(make, table, capsys):
    pytest.importorskip("tqdm")
    search = FocalSearchCV(make(n_estimators=3), GRID, cv=2, refit=False, verbose=1, random_state=0)
    search.fit(table.X, table.y)
    assert "8/8" in capsys.readouterr().err


# XGBoost says so when it converts a sparse format that it does not read; the checks are about the result.
@pytest.mark.filterwarnings("ignore:Unknown data type:UserWarning")
@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning")
@pytest.mark.filterwarnings("ignore:Focal.* grew no split:UserWarning")
@parametrize_with_checks(
    [
        # errors as they are raised: otherwise they come as a warning and a score of NaN
        FocalSearchCV(model, {"focal_gamma": [2.0]}, cv=2, error_score="raise", random_state=0)
        # of an estimator that takes categories the checks make labels that are too rare for two folds
        for model in (focal_xgb(n_estimators=2, enable_categorical=False), focal_lgb(n_estimators=2))
    ]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)
