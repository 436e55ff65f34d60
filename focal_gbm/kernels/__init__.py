"""What computes gradients, given labels once a fit and raw predictions once a round: C, CUDA or NumPy.

Kernels know losses and arrays, no library and no estimator. A loss becomes tables (`tables.py`), which C
(`kernel.c`) and CUDA (`kernel.cu`) look up. All agree to the rounding of float32.
"""

from focal_gbm.kernels.cpu import kernel_of
from focal_gbm.kernels.threads import Threads

__all__ = ["Threads", "kernel_of"]
