"""The CUDA device on a real GPU: the tests it shares with the emulator, and those of its own."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from device_kernels import KernelTests, WgmmaTests, get, put
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.cuda.device import CudaDevice, gpu_missing
from llmc.runtime.devices import open_device

REASON = gpu_missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")


@pytest.fixture(scope="module")
def device() -> CudaDevice:
    return CudaDevice(0)


class TestKernels(KernelTests):
    tolerance = 1e-3


class TestWgmma(WgmmaTests):
    tolerance = 1e-3


def test_auto_opens_the_gpu() -> None:
    assert open_device("auto").target.startswith("sm_")


def test_copies_of_all_sizes_come_back(device: CudaDevice) -> None:
    for nbytes in (1, 1 << 16, (64 << 20) + 12345):
        data = np.random.default_rng(nbytes).integers(0, 256, nbytes, dtype=np.uint8)
        allocation = put(device, data)
        assert (device.download(allocation, nbytes) == data).all()
        allocation.free()


def test_out_of_memory_says_how_much_is_free(device: CudaDevice) -> None:
    with pytest.raises(LlmcError, match="out of memory") as error:
        device.alloc(1 << 44)
    assert "GiB are free" in error.value.render()
    put(device, np.ones(4, np.float32)).free()


def test_copies_inside_a_capture_are_refused_and_the_device_survives(device: CudaDevice) -> None:
    allocation = put(device, np.ones(4, np.float32))
    with pytest.raises(LlmcError, match="inside a capture"), device.capture():
        device.download(allocation, 16)
    assert get(device, allocation, np.float32).tolist() == [1.0] * 4


def test_dropped_memory_is_given_back_when_it_is_needed() -> None:
    """What a model of a notebook held that was bound to another; even when the collector has not seen it yet."""
    gc.disable()
    try:
        for _ in range(3):
            device = CudaDevice(0)
            held: list[object] = [device.alloc(int(0.6 * device.memory()[1]))]
            held.append(held)
            del held
    finally:
        gc.enable()
        gc.collect()
    device.alloc(1).free()
