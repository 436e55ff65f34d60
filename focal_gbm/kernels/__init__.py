"""What computes gradients, given labels once a fit and raw predictions once a round: NumPy, C or CUDA.

A kernel takes a `Task` and is called with raw predictions; all agree to rounding. Kernels know losses and
arrays, no library and no estimator.
"""
