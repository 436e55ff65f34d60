"""NVIDIA's compiler at run time, which needs no GPU: to try what CuPy will do."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path


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


def ptx_by_nvrtc(nvrtc, source):
    """Return the PTX of CUDA source and the compiler's log; fail with the log."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = (b"--gpu-architecture=compute_80", b"-std=c++14")
    text = source.encode()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"kernel.cu", 0, None, None) == 0
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx.value.decode(), log.value.decode()
