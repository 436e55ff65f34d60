"""A stand-in for CuPy: device arrays are NumPy's, and kernels are compiled by the machine's C compiler.

It has what the package uses, with CuPy's refusals: a device array does not become one of the CPU by itself,
and an argument of a kernel has the parameter's own type, which CUDA does not check.
"""

import ctypes
import re
import shutil
import subprocess
import tempfile
import types
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path

import numpy as np
from needs import missing

COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)

#: NumPy's types of the kernels' parameters, by C's.
TYPES = {
    "float": np.float32,
    "int": np.int32,
    "long long": np.int64,
    "unsigned char": np.uint8,
}


class DeviceArray:
    """An array that pretends to be on a CUDA device."""

    __module__ = "cupy"

    def __init__(self, cpu, device=0):
        self.cpu = cpu
        self.device = Device(device)

    shape = property(lambda self: self.cpu.shape)
    dtype = property(lambda self: self.cpu.dtype)
    size = property(lambda self: self.cpu.size)
    ndim = property(lambda self: self.cpu.ndim)
    __len__ = lambda self: len(self.cpu)  # noqa: E731

    nbytes = property(lambda self: self.cpu.nbytes)
    data = property(lambda self: Pointer(self.cpu.ctypes.data))

    @property
    def __cuda_array_interface__(self):
        return {**self.cpu.__array_interface__, "version": 3}  # for a stream XGBoost would need a device

    def __getitem__(self, index):
        return DeviceArray(self.cpu[index], self.device.id)

    def __setitem__(self, index, value):
        if not isinstance(value, DeviceArray):
            raise TypeError(f"Unsupported type {type(value)}")
        self.cpu[index] = value.cpu

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def get(self):
        return self.cpu.copy()

    def set(self, array):
        if type(array) is not np.ndarray:
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if (array.dtype, array.shape) != (self.dtype, self.shape):
            raise TypeError(f"{array.dtype} of shape {array.shape} set to {self.dtype} of shape {self.shape}")
        self.cpu[...] = array

    def fill(self, value):
        self.cpu.fill(value)

    def sum(self, axis=None, dtype=None):
        return DeviceArray(self.cpu.sum(axis=axis, dtype=dtype))

    def max(self):
        return self.cpu.max()


class Kernel:
    """`cupy.RawKernel`: here the grid is a loop in the kernel."""

    def __init__(self, code, name, options=(), flags=()):
        self._name = name
        self._made_from = code, options, flags
        parameters = re.search(rf"KERNEL {name}\((.*?)\)", code, re.DOTALL)[1].split(",")
        self._parameters = [re.fullmatch(r"\s*(?:const )?([\w ]+?) (\*?)\w+", text).groups() for text in parameters]

    def compile(self):
        self._function = getattr(library(*self._made_from), self._name)
        self._function.restype = None

    def __call__(self, grid, block, arguments):
        assert len(arguments) == len(self._parameters)
        values = []
        for argument, (kind, is_pointer) in zip(arguments, self._parameters, strict=True):
            assert argument.dtype == TYPES[kind], f"{argument.dtype} for {kind}"
            assert isinstance(argument, DeviceArray) == bool(is_pointer)
            if is_pointer:
                assert argument.device.id == Device.stack[-1], "an array of another device"
                assert argument.cpu.flags.c_contiguous
                values.append(ctypes.c_void_p(argument.cpu.ctypes.data))
                continue
            values.append(np.ctypeslib.as_ctypes_type(argument.dtype)(argument.item()))
            if kind == "long long":
                assert argument <= grid[0] * block[0] < argument + block[0], "a thread each, and no more blocks"
        self._function(*values)


@cache
def library(code, options, flags):
    """Return the kernels as functions of a shared library."""
    if COMPILER is None:
        missing("compiler", "no C compiler to make functions of the CUDA kernels with")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "kernel.c"), Path(folder, "kernel.so")
        source.write_text(code)
        warnings = ("-Wall", "-Wextra", "-Werror")
        made = (COMPILER, "-O2", "-std=c99", *warnings, "-shared", "-fPIC", *flags, *options)
        subprocess.run([*made, str(source), "-o", str(target), "-lm"], check=True)
        return ctypes.CDLL(str(target))


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class Pointer:
    """`cupy.cuda.MemoryPointer`: here to main memory."""

    def __init__(self, address):
        self.address = address

    def copy_from_device(self, source, n_bytes):
        ctypes.memmove(self.address, source.address, n_bytes)


class Device:
    """`cupy.cuda.Device`: a number, and which of them is the current one."""

    stack = (0,)

    def __init__(self, ordinal=None):
        self.id = Device.stack[-1] if ordinal is None else ordinal

    def __enter__(self):
        Device.stack += (self.id,)

    def __exit__(self, *error):
        Device.stack = Device.stack[:-1]


class XGBoostsFunctions:
    """XGBoost's C functions, of which the one for rows on a device takes them from main memory."""

    def __init__(self, library):
        self._library = library
        self.asked_on = None  #: the device that was the current one

    def __getattr__(self, name):
        self.asked_on = Device.stack[-1]
        return getattr(self._library, name.replace("FromCudaArray", "FromDense"))


def let_xgboost_take_stand_ins(monkeypatch):
    """Let XGBoost make matrices of these arrays without a device, and predict for them; return the arrays."""
    import xgboost

    from focal_gbm.xgboost import gpu, prediction

    taken = []

    def on_cpu(make):
        def matrix(data, *arguments, **options):
            if isinstance(data, DeviceArray):
                taken.append(data)
                data = data.cpu
            return make(data, *arguments, **options)

        return matrix

    for name in ("DMatrix", "QuantileDMatrix"):
        for module in (xgboost, xgboost.sklearn):
            monkeypatch.setattr(module, name, on_cpu(getattr(module, name)))
    boost = xgboost.Booster.boost

    def boost_on_cpu(self, dtrain, **options):
        on_cpu = {k: v.cpu if isinstance(v, DeviceArray) else v for k, v in options.items()}
        return boost(self, dtrain, **on_cpu)

    monkeypatch.setattr(xgboost.Booster, "boost", boost_on_cpu)
    configuration = xgboost.Booster.save_config  # XGBoost falls back to the CPU, and says so
    monkeypatch.setattr(
        xgboost.Booster,
        "save_config",
        lambda self: configuration(self).replace('"device":"cpu"', '"device":"cuda:0"'),
    )
    functions = XGBoostsFunctions(prediction.c_api())
    monkeypatch.setattr(gpu, "c_api", lambda: functions)
    return taken


def make_cupy(n_devices=1, flags=(), free=1 << 30):
    """Return a module to be found under the name of CuPy; without devices it fails as CuPy does."""

    def device_count():
        if not n_devices:
            raise CUDARuntimeError("cudaErrorInsufficientDriver")
        return n_devices

    def allocate(make, *arguments):
        assert Device.stack[-1] < n_devices
        arguments = [array.cpu if isinstance(array, DeviceArray) else array for array in arguments]
        return DeviceArray(make(*arguments), Device.stack[-1])

    cupy = types.ModuleType("cupy")
    cupy.RawKernel = partial(Kernel, flags=flags)
    cupy.asarray = partial(allocate, np.array)
    cupy.empty = partial(allocate, np.empty)
    cupy.zeros = partial(allocate, np.zeros)
    runtime = types.SimpleNamespace(
        getDeviceCount=device_count,
        CUDARuntimeError=CUDARuntimeError,
        runtimeGetVersion=lambda: 12090,
        memGetInfo=lambda: (free, free),
    )
    cupy.cuda = types.SimpleNamespace(
        Device=Device,
        runtime=runtime,
        using_allocator=nullcontext,
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        UnownedMemory=lambda address, n_bytes, owner: address,
        MemoryPointer=lambda memory, offset: Pointer(memory + offset),
    )
    return cupy
