"""Rows and predictions on a CUDA device."""

from __future__ import annotations
from typing import Any


class KeptPredictions:
    ...


class OnDevice:
    ...
