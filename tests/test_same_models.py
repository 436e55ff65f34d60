"""The estimators train the models that commit 22e287c trained with focal_link="logit", which data/ holds.

Both by NumPy, in float64: the last bits of a kernel's float32 decide between splits of equal gain.
"""

import inspect
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from cases import cases

from focal_gbm.kernels import cpu
from focal_gbm.kernels.cpu import SWITCH
from focal_gbm.xgboost.boosting import STARTS_EACH_CLASS

SAVED = np.load(Path(__file__).parent / "data" / "predictions_22e287c.npz")
CASES = {case[0]: case[1:] for case in cases()}


@pytest.mark.parametrize("name", CASES)
def test_predictions_are_those_of_22e287c(name, monkeypatch):
    if name.startswith("xgb ten") and not STARTS_EACH_CLASS:
        pytest.skip("XGBoost before 3.1 cannot start each class at its own base rate")
    monkeypatch.setenv(SWITCH, "numpy")
    monkeypatch.setattr(cpu, "tables_of", lambda *_: None)
    library, params, fit, X, y, V, stop = CASES[name]
    if library == "xgb":
        from focal_gbm import FocalXGBClassifier

        params = {**params, "early_stopping_rounds": 10} if stop else params
        model = FocalXGBClassifier(**params).fit(X, y, verbose=False, eval_set=stop and [stop], **fit)
        atol = 1e-6
    else:
        from focal_gbm import FocalLGBMClassifier

        stopping = [lightgbm.early_stopping(10, verbose=False)] if stop else None
        has_eval_x = "eval_X" in inspect.signature(lightgbm.LGBMClassifier.fit).parameters  # from 4.7 on
        evaluation = {"eval_set": [stop]} if stop else {}
        if stop and has_eval_x:
            evaluation = {"eval_X": stop[0], "eval_y": stop[1]}
        model = FocalLGBMClassifier(**params, verbose=-1).fit(X, y, callbacks=stopping, **evaluation, **fit)
        atol = 1e-12
    np.testing.assert_allclose(model.predict_proba(V), SAVED[name], rtol=0, atol=atol)
