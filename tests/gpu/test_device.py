"""The CUDA device on a real GPU, with the emulator's test kernels and the emulator as the reference."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.cuda.device import CudaDevice, gpu_missing
from llmc.runtime.device import Allocation, Device, Function, KernelImage, open_device
from wgmma_kernel import CTAS, data, kernel, product

KERNELS = Path(__file__).parent.parent / "runtime" / "emulator"
REASON = gpu_missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")


@pytest.fixture(scope="module")
def device() -> CudaDevice:
    return CudaDevice(0)


def load(device: Device, name: str) -> Function:
    text = (KERNELS / f"{name}.ptx").read_text()
    threads = re.search(r"\.reqntid (\d+)", text)
    target = re.search(r"\.target (\w+)", text)
    assert threads and target
    if target[1] == "sm_90" and not device.target.startswith("sm_90"):
        pytest.skip("the kernel needs sm_90")
    cubin = assemble(text, device.target).cubin
    return device.load(KernelImage(name, text, cubin=cubin, threads=int(threads[1])))


def put(device: Device, array: np.ndarray[Any, Any]) -> Allocation:
    allocation = device.alloc(array.nbytes)
    device.upload(allocation, array)
    return allocation


def get(device: Device, allocation: Allocation, dtype: Any) -> np.ndarray[Any, Any]:
    return device.download(allocation, allocation.nbytes).view(dtype)


def random(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_auto_opens_the_gpu() -> None:
    assert open_device("auto").target.startswith("sm_")


def test_copies_of_all_sizes_come_back(device: CudaDevice) -> None:
    for nbytes in (1, 1 << 16, (64 << 20) + 12345):
        data = np.random.default_rng(nbytes).integers(0, 256, nbytes, dtype=np.uint8)
        allocation = put(device, data)
        assert (device.download(allocation, nbytes) == data).all()
        allocation.free()


def test_a_file_range_arrives(device: CudaDevice, tmp_path: Path) -> None:
    data = np.random.default_rng(3).integers(0, 256, (70 << 20) + 7, dtype=np.uint8)
    path = tmp_path / "weights.bin"
    path.write_bytes(data.tobytes())
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        allocation = device.alloc(len(data))
        device.upload_file_range(allocation, mapped, 1000, len(data) - 1000, offset=24)
        assert (device.download(allocation, len(data) - 1000, offset=24) == data[1000:]).all()
    allocation.free()


def test_saxpy_and_its_graph(device: CudaDevice) -> None:
    x = random(1000)
    a, b = put(device, x), put(device, np.zeros(1000, np.float32))
    function = load(device, "saxpy")
    with device.capture() as graph:
        device.launch(function, (8, 1, 1), [a.ptr, b.ptr, 1.0, 1000])
        device.launch(function, (8, 1, 1), [a.ptr, b.ptr, 2.0, 1000])
    assert not get(device, b, np.float32).any()
    graph.replay()
    graph.replay()
    np.testing.assert_allclose(get(device, b, np.float32), 6 * x, rtol=1e-5)


def test_block_reduction(device: CudaDevice) -> None:
    x = random(100, 256)
    source, out = put(device, x), device.alloc(400)
    device.launch(load(device, "block_reduce"), (100, 1, 1), [source.ptr, out.ptr])
    np.testing.assert_allclose(get(device, out, np.float32), x.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_cp_async_pipeline(device: CudaDevice) -> None:
    x = random(3 * 1024)
    n = 3 * 4096 - 36
    source, out = put(device, x), device.alloc(x.nbytes)
    device.launch(load(device, "cp_async"), (3, 1, 1), [source.ptr, out.ptr, n])
    expected = 2 * x
    expected[n // 4 :] = 0
    np.testing.assert_array_equal(get(device, out, np.float32), expected)


def test_bulk_ring(device: CudaDevice) -> None:
    x = random(6, 16, 128)
    source, out = put(device, x), device.alloc(4 * 6 * 128)
    device.launch(load(device, "bulk_ring"), (6, 1, 1), [source.ptr, out.ptr])
    np.testing.assert_allclose(get(device, out, np.float32).reshape(6, 128), x.sum(axis=1), rtol=1e-4, atol=1e-5)


def test_mma(device: CudaDevice) -> None:
    a, b = random(40, 16, 64).astype(ml_dtypes.bfloat16), random(40, 8, 64).astype(ml_dtypes.bfloat16)
    pa, pb, pc = put(device, a), put(device, b), device.alloc(40 * 16 * 8 * 4)
    device.launch(load(device, "mma_gemm"), (40, 1, 1), [pa.ptr, pb.ptr, pc.ptr])
    expected = a.astype(np.float32) @ b.astype(np.float32).transpose(0, 2, 1)
    np.testing.assert_allclose(get(device, pc, np.float32).reshape(40, 16, 8), expected, rtol=1e-3, atol=1e-3)


def test_atomics(device: CudaDevice) -> None:
    keys = np.random.default_rng(1).integers(0, 16, 64 * 50).astype(np.uint32)
    k, counts, ticket, total = (
        put(device, keys),
        put(device, np.zeros(16, np.uint32)),
        put(device, np.zeros(1, np.uint32)),
        device.alloc(4),
    )
    device.launch(load(device, "atomics"), (50, 1, 1), [k.ptr, counts.ptr, ticket.ptr, total.ptr])
    assert get(device, counts, np.uint32).tolist() == np.bincount(keys, minlength=16).tolist()
    assert get(device, total, np.uint32).tolist() == [64 * 50]


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


@pytest.mark.parametrize(("swizzled", "from_registers"), [(True, False), (False, False), (True, True)])
def test_wgmma_means_what_the_emulator_says(device: CudaDevice, swizzled: bool, from_registers: bool) -> None:
    if device.target != "sm_90a":
        pytest.skip("wgmma needs sm_90a")
    images, wanted = data(swizzled)
    source, out = put(device, images), device.alloc(wanted.nbytes)
    text = kernel(swizzled, from_registers)
    function = device.load(KernelImage("k", text, cubin=assemble(text, "sm_90a").cubin, threads=128))
    device.launch(function, (CTAS, 1, 1), [source.ptr, out.ptr])
    np.testing.assert_allclose(product(get(device, out, np.float32)), wanted, rtol=1e-3, atol=1e-3)
