"""Calls of the CUDA driver with its errors made readable."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from ...dialects.ir.diagnostics import LlmcError

HINTS = {
    "CUDA_ERROR_ILLEGAL_ADDRESS": "run the same launch on the emulator (llmc run --strict): it names the instruction and the thread",
    "CUDA_ERROR_MISALIGNED_ADDRESS": "run the same launch on the emulator: it names the instruction and the thread",
    "CUDA_ERROR_LAUNCH_FAILED": "run the same launch on the emulator, which checks mbarriers and shared memory",
    "CUDA_ERROR_LAUNCH_TIMEOUT": "the kernel does not end: run it on the emulator, which reports deadlocks",
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "compile for this GPU's target",
    "CUDA_ERROR_INVALID_SOURCE": "compile for this GPU's target",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": "update the driver, or assemble with ptxas (nvidia-cuda-nvcc)",
    "CUDA_ERROR_NO_DEVICE": "no GPU is visible: check CUDA_VISIBLE_DEVICES, or use --device emulator",
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": "allocate, load and copy before the capture begins",
    "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES": "the kernel needs more registers or threads than a CTA may have",
}


@functools.cache
def driver() -> Any:
    """The initialised driver API, or LlmcError when there is none."""
    try:
        cu: Any = importlib.import_module("cuda.bindings.driver")
    except ImportError as error:
        raise LlmcError(
            "LLMC0940",
            "the cuda-python package is missing",
            "import cuda.bindings.driver",
            why=str(error),
            fix="pip install 'cuda-python>=13,<14', or use --device emulator",
        ) from None
    try:
        (status,) = cu.cuInit(0)
    except RuntimeError as error:  # libcuda.so.1 cannot be loaded
        raise LlmcError(
            "LLMC0941",
            "no CUDA driver answers",
            "loading libcuda.so.1",
            why=str(error),
            fix="run on a machine with an NVIDIA driver, or use --device emulator",
        ) from None
    if status != cu.CUresult.CUDA_SUCCESS:
        raise LlmcError(
            "LLMC0941",
            "the CUDA driver finds no usable GPU",
            "cuInit",
            why=status.name,
            fix=HINTS.get(status.name, "check nvidia-smi, or use --device emulator"),
        )
    return cu


def missing() -> str | None:
    """Why there is no GPU here; None when there is one."""
    try:
        cu = driver()
    except LlmcError as error:
        return f"{error.what}: {error.why}" if error.why else error.what
    status, count = cu.cuDeviceGetCount()
    if status != cu.CUresult.CUDA_SUCCESS or count == 0:
        return "the driver reports no GPU"
    return None


def check(result: tuple[Any, ...], doing: str, where: str | None = None) -> Any:
    """The values of a driver call's result, or LlmcError for its status. One value comes bare, none as None."""
    status = result[0]
    if int(status) != 0:
        raise error_of(status, doing, where)
    return result[1] if len(result) == 2 else result[1:] or None


def error_of(status: Any, doing: str, where: str | None = None) -> LlmcError:
    """What a status means."""
    cu = driver()
    name = getattr(status, "name", str(status))
    code, text = cu.cuGetErrorString(status)
    why = text.decode() if int(code) == 0 and isinstance(text, bytes) else ""
    fix = HINTS.get(name)
    if name in ("CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_MISALIGNED_ADDRESS", "CUDA_ERROR_LAUNCH_FAILED"):
        fix = f"{fix}. This process's CUDA context is lost: start again"
    return LlmcError("LLMC0942", f"CUDA fails while {doing}: {name}", where=where, why=why, fix=fix)
