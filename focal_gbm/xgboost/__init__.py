"""XGBoost: estimator, objective, training, metrics, model file, Dask; mirrored file by file in `lightgbm/`.

All that is particular to XGBoost is here, and nothing that LightGBM could share. `private.py` alone may touch what
XGBoost does not document.
"""
