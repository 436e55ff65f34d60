from focal_gbm.kernels.threads import Threads
def kernel_of(loss, labels, weight, *, scale=1.0, hessian_factor=1.0, start=None, order="C", threads=Threads()):
    import numpy as np
    from focal_gbm.kernels.cpu import cpu_kernel
    from focal_gbm.kernels.task import Task
    old = loss.old
    k = cpu_kernel(Task(old, old.hessian_of(None), scale, hessian_factor, labels, weight), threads)
    out = [np.empty(old.raw_shape(len(labels)), np.float32, order=order) for _ in range(2)]
    def run(raw):
        raw = np.asarray(raw)
        if start is not None: raw = np.asfortranarray(raw + start) if order=="F" else raw+start
        k(raw, out); return out
    return run
