"""Hand-written kernels on a device against numpy: the tests that the emulator's and the GPU's test files share.

A test file has a fixture `device`, and a class of its own derived from `KernelTests` or `WgmmaTests`. The kernels are real: ptxas
takes them, and stands before a launch on CUDA.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from llmc.codegen.ptx.assemble import assemble
from llmc.runtime.device import Allocation, Device, Function, KernelImage
from llmc.runtime.emulator.device import EmulatorDevice
from wgmma_kernel import CTAS, data, kernel, product

KERNELS = Path(__file__).parent.parent / "runtime" / "emulator"


def load_text(device: Device, name: str, text: str) -> Function:
    """The entry `name` of `text`, assembled where the device is no emulator; the test is skipped on a GPU below its target."""
    threads, target = re.search(r"\.reqntid (\d+)", text), re.search(r"\.target (\w+)", text)
    assert threads and target
    cubin = None
    if not isinstance(device, EmulatorDevice):
        if target[1].startswith("sm_90") and not device.target.startswith("sm_90"):
            pytest.skip(f"the kernel needs {target[1]}")
        cubin = assemble(text, device.target).cubin
    return device.load(KernelImage(name, text, cubin=cubin, threads=int(threads[1])))


def load(device: Device, name: str, edit: tuple[str, str] | None = None) -> Function:
    """The kernel of `name`.ptx; `edit` replaces a piece of its text."""
    text = (KERNELS / f"{name}.ptx").read_text()
    if edit:
        assert edit[0] in text
        text = text.replace(*edit)
    return load_text(device, name, text)


def put(device: Device, array: np.ndarray[Any, Any]) -> Allocation:
    allocation = device.alloc(array.nbytes)
    device.upload(allocation, array)
    return allocation


def get(device: Device, allocation: Allocation, dtype: Any) -> np.ndarray[Any, Any]:
    return device.download(allocation, allocation.nbytes).view(dtype)


def random(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


class KernelTests:
    """What every device does with the kernels. `tolerance` is that of matrix products: GPUs sum them in an order of their own."""

    tolerance = 1e-4

    @pytest.mark.parametrize("n", [1, 100, 128, 1000])
    def test_saxpy_stops_at_its_bound(self, device: Device, n: int) -> None:
        x, y = random(n), random(n)[::-1].copy()
        a, b = put(device, x), put(device, y)
        device.launch(load(device, "saxpy"), (-(-n // 128), 1, 1), [a.ptr, b.ptr, 2.5, n])
        np.testing.assert_allclose(get(device, b, np.float32), 2.5 * x + y, rtol=1e-5, atol=1e-6)

    def test_threads_loop_their_own_number_of_times(self, device: Device) -> None:
        out = device.alloc(4 * 192)
        device.launch(load(device, "collatz"), (3, 1, 1), [out.ptr])

        def steps(n: int) -> int:
            count = 0
            while n != 1:
                n, count = (n // 2 if n % 2 == 0 else 3 * n + 1), count + 1
            return count

        np.testing.assert_array_equal(get(device, out, np.uint32), [steps(i + 1) for i in range(192)])

    def test_block_reduction_by_shuffles_and_a_barrier(self, device: Device) -> None:
        x = random(100, 256)
        source, out = put(device, x), device.alloc(400)
        device.launch(load(device, "block_reduce"), (100, 1, 1), [source.ptr, out.ptr])
        np.testing.assert_allclose(get(device, out, np.float32), x.sum(axis=1), rtol=1e-4, atol=1e-4)

    def test_cp_async_pipeline_zero_fills_past_the_end(self, device: Device) -> None:
        x = random(3 * 1024)
        n = 3 * 4096 - 36
        source, out = put(device, x), device.alloc(x.nbytes)
        device.launch(load(device, "cp_async"), (3, 1, 1), [source.ptr, out.ptr, n])
        expected = 2 * x
        expected[n // 4 :] = 0
        np.testing.assert_array_equal(get(device, out, np.float32), expected)

    def test_bulk_ring_sums_what_its_copies_bring(self, device: Device) -> None:
        x = random(6, 16, 128)
        source, out = put(device, x), device.alloc(4 * 6 * 128)
        device.launch(load(device, "bulk_ring"), (6, 1, 1), [source.ptr, out.ptr])
        np.testing.assert_allclose(get(device, out, np.float32).reshape(6, 128), x.sum(axis=1), rtol=1e-4, atol=1e-5)

    def test_ldmatrix_and_mma_multiply(self, device: Device) -> None:
        a, b = random(40, 16, 64).astype(ml_dtypes.bfloat16), random(40, 8, 64).astype(ml_dtypes.bfloat16)
        pa, pb, pc = put(device, a), put(device, b), device.alloc(40 * 16 * 8 * 4)
        device.launch(load(device, "mma_gemm"), (40, 1, 1), [pa.ptr, pb.ptr, pc.ptr])
        expected = a.astype(np.float32) @ b.astype(np.float32).transpose(0, 2, 1)
        got = get(device, pc, np.float32).reshape(40, 16, 8)
        np.testing.assert_allclose(got, expected, rtol=self.tolerance, atol=self.tolerance)

    def test_atomics_count_and_one_cta_is_last(self, device: Device) -> None:
        keys = np.random.default_rng(1).integers(0, 16, 64 * 50).astype(np.uint32)
        k, counts, ticket, total = (
            put(device, keys),
            put(device, np.zeros(16, np.uint32)),
            put(device, np.zeros(1, np.uint32)),
            device.alloc(4),
        )
        device.launch(load(device, "atomics"), (50, 1, 1), [k.ptr, counts.ptr, ticket.ptr, total.ptr])
        np.testing.assert_array_equal(get(device, counts, np.uint32), np.bincount(keys, minlength=16))
        np.testing.assert_array_equal(get(device, total, np.uint32), [64 * 50])

    def test_a_cta_may_wait_for_all_others(self, device: Device) -> None:
        counter, out = put(device, np.zeros(1, np.uint32)), device.alloc(4)
        device.launch(load(device, "grid_wait"), (3000, 1, 1), [counter.ptr, out.ptr])
        np.testing.assert_array_equal(get(device, out, np.uint32), [2999])

    def test_a_graph_replays_its_launches(self, device: Device) -> None:
        x, y = put(device, np.ones(8, np.float32)), put(device, np.zeros(8, np.float32))
        function = load(device, "saxpy")
        with device.capture() as graph:
            device.launch(function, (1, 1, 1), [x.ptr, y.ptr, 1.0, 8])
            device.launch(function, (1, 1, 1), [x.ptr, y.ptr, 10.0, 8])
        np.testing.assert_array_equal(get(device, y, np.float32), [0.0] * 8)
        graph.replay()
        graph.replay()
        np.testing.assert_array_equal(get(device, y, np.float32), [22.0] * 8)


class WgmmaTests:
    """What every device of sm_90a does with a warpgroup's products."""

    tolerance = 1e-4

    @pytest.mark.parametrize(("swizzled", "from_registers"), [(True, False), (False, False), (True, True)])
    def test_a_chain_of_wgmma_multiplies(self, device: Device, swizzled: bool, from_registers: bool) -> None:
        if device.target != "sm_90a":
            pytest.skip("wgmma needs sm_90a")
        images, wanted = data(swizzled)
        source, out = put(device, images), device.alloc(wanted.nbytes)
        function = load_text(device, "k", kernel(swizzled, from_registers))
        device.launch(function, (CTAS, 1, 1), [source.ptr, out.ptr])
        got = product(get(device, out, np.float32))
        np.testing.assert_allclose(got, wanted, rtol=self.tolerance, atol=self.tolerance)
