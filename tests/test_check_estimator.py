"""scikit-learn's own checks, every one of them: none is expected to fail.

The plain libraries fail some of them; where the failure lies in the library, the subclass puts it right.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from focal_gbm import FocalLGBMClassifier, FocalXGBClassifier


# They say so when they convert a sparse format that they do not read; the checks are about the result.
@pytest.mark.filterwarnings("ignore:Unknown data type:UserWarning")
@pytest.mark.filterwarnings("ignore:Converting data to scipy sparse matrix:UserWarning")
# Rightly: some checks have fewer rows than two leaves of min_child_samples=20 need.
@pytest.mark.filterwarnings("ignore:FocalLGBMClassifier grew no split:UserWarning")
@parametrize_with_checks([FocalXGBClassifier(), FocalLGBMClassifier()])
def test_sklearn_compatible(estimator, check):
    with threadpool_limits(limits=1, user_api="openmp"):  # many times as quick on twenty rows
        check(estimator)
