"""The kernels compile for a CUDA device: by NVRTC, as CuPy does it, or by nvcc. Neither needs a GPU."""

import ctypes
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from needs import missing

from focal_gbm.kernels.cuda import DEFINITIONS, SOURCE

KERNELS = {"focal_sigmoid": 11, "focal_softmax": 12}  # and their numbers of parameters


def nvrtc_library():
    """The first libnvrtc of NVIDIA's packages or of the system, or None."""
    found = importlib.util.find_spec("nvidia")
    for folder in (found and found.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            if "alt" not in path.name:
                return ctypes.CDLL(str(path))
    for name in ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def ptx_by_nvrtc(nvrtc):
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = [b"--gpu-architecture=compute_80", b"-std=c++14", *(text.encode() for text in DEFINITIONS)]
    source = SOURCE.read_bytes()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernel.cu", 0, None, None) == 0
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx.value.decode(), log.value.decode()


def check(ptx):
    entries = dict(re.findall(r"\.entry (\w+)\((.*?)\)", ptx, re.DOTALL))
    assert {name: text.count(".param") for name, text in entries.items()} == KERNELS
    assert ".f64" not in ptx  # not a constant without its f: double precision is many times as slow


def test_nvrtc_compiles_the_kernels():
    nvrtc = nvrtc_library()
    if nvrtc is None:
        missing("nvrtc", "no libnvrtc: pip install nvidia-cuda-nvrtc-cu12")
    ptx, log = ptx_by_nvrtc(nvrtc)
    check(ptx)
    assert "warning" not in log


def test_nvcc_compiles_the_kernels(tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc")
    target = tmp_path / "kernel.ptx"
    options = ["-ptx", "-arch=compute_80", "-Werror", "all-warnings"]
    subprocess.run([nvcc, *options, *DEFINITIONS, str(SOURCE), "-o", str(target)], check=True)
    check(target.read_text())
