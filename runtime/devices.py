"""The devices by name."""

from __future__ import annotations

from ..dialects.ir.diagnostics import LlmcError
from .cuda.device import CudaDevice, gpu_missing
from .device import Device
from .emulator.device import EmulatorDevice


def open_device(
    kind: str = "auto", *, ordinal: int = 0, target: str | None = None, strict: bool = False, seed: int = 0
) -> Device:
    """Open `"cuda"`, `"emulator"`, or with `"auto"` CUDA where a GPU answers and the emulator elsewhere.

    `ordinal` chooses the GPU; `target`, `strict` (poison and order checks) and `seed` (order in which asynchronous copies land)
    belong to the emulator.
    """
    if kind == "auto":
        kind = "emulator" if gpu_missing() else "cuda"
    if kind == "cuda":
        return CudaDevice(ordinal)
    if kind == "emulator":
        return EmulatorDevice(target=target or "sm_80", strict=strict, seed=seed)
    raise LlmcError("LLMC0904", f"no device is called {kind!r}", "--device", fix="choose auto, cuda or emulator")
