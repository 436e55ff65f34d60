"""What tests need of the machine: they skip with a reason without it, and fail where CI promised it."""

import os

import pytest

#: Needs that must be met here, by name, as `.ci/run` sets them: a skip would then hide a broken set-up.
PROMISED = os.environ.get("FOCAL_GBM_MUST_HAVE", "").split()


def missing(need, reason):
    """End the running test: skip it, or fail it where the need was promised."""
    if need in PROMISED:
        pytest.fail(f"FOCAL_GBM_MUST_HAVE promises {need!r}, but: {reason}")
    pytest.skip(reason)
