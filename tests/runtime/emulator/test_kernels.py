"""Hand-written PTX on the emulator against numpy. The kernels are real: ptxas takes them too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.device import Allocation, Function, KernelImage
from llmc.runtime.emulator.device import EmulatorDevice

HERE = Path(__file__).parent
KERNELS = sorted(p.stem for p in HERE.glob("*.ptx"))


@pytest.fixture(params=[False, True], ids=["plain", "strict"])
def device(request: pytest.FixtureRequest) -> Iterator[EmulatorDevice]:
    yield EmulatorDevice(strict=request.param, capacity=1 << 28)


def load(device: EmulatorDevice, name: str, edit: tuple[str, str] | None = None) -> Function:
    text = (HERE / f"{name}.ptx").read_text()
    if edit:
        assert edit[0] in text
        text = text.replace(*edit)
    match = re.search(r"\.reqntid (\d+)", text)
    assert match
    return device.load(KernelImage(name, text, threads=int(match[1])))


def put(device: EmulatorDevice, array: np.ndarray[Any, Any]) -> Allocation:
    allocation = device.alloc(array.nbytes)
    device.upload(allocation, array)
    return allocation


def get(device: EmulatorDevice, allocation: Allocation, dtype: Any) -> np.ndarray[Any, Any]:
    return device.download(allocation, allocation.nbytes).view(dtype)


def random(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("n", [1, 100, 128, 1000])
def test_saxpy_stops_at_its_bound(device: EmulatorDevice, n: int) -> None:
    x, y = random(n), random(n)[::-1].copy()
    a, b = put(device, x), put(device, y)
    device.launch(load(device, "saxpy"), (-(-n // 128), 1, 1), [a.ptr, b.ptr, 2.5, n])
    np.testing.assert_allclose(get(device, b, np.float32), 2.5 * x + y, rtol=1e-5, atol=1e-6)


def test_threads_loop_their_own_number_of_times(device: EmulatorDevice) -> None:
    out = device.alloc(4 * 192)
    device.launch(load(device, "collatz"), (3, 1, 1), [out.ptr])

    def steps(n: int) -> int:
        count = 0
        while n != 1:
            n, count = (n // 2 if n % 2 == 0 else 3 * n + 1), count + 1
        return count

    assert get(device, out, np.uint32).tolist() == [steps(i + 1) for i in range(192)]


def test_block_reduction_by_shuffles_and_a_barrier(device: EmulatorDevice) -> None:
    x = random(100, 256)
    source, out = put(device, x), device.alloc(400)
    device.launch(load(device, "block_reduce"), (100, 1, 1), [source.ptr, out.ptr])
    np.testing.assert_allclose(get(device, out, np.float32), x.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_cp_async_pipeline_zero_fills_past_the_end(device: EmulatorDevice) -> None:
    x = random(3 * 1024)
    n = 3 * 4096 - 36
    source, out = put(device, x), device.alloc(x.nbytes)
    device.launch(load(device, "cp_async"), (3, 1, 1), [source.ptr, out.ptr, n])
    expected = 2 * x
    expected[n // 4 :] = 0
    np.testing.assert_array_equal(get(device, out, np.float32), expected)


def test_cp_async_data_is_not_there_before_the_wait() -> None:
    device = EmulatorDevice(capacity=1 << 28)
    x = random(1024)
    source, out = put(device, x), device.alloc(x.nbytes)
    device.launch(load(device, "cp_async", ("wait_group 1", "wait_group 2")), (1, 1, 1), [source.ptr, out.ptr, 4096])
    assert not np.array_equal(get(device, out, np.float32), 2 * x)


@pytest.mark.parametrize("seed", range(4))
def test_bulk_ring_gives_the_same_for_every_landing_order(seed: int) -> None:
    device = EmulatorDevice(seed=seed, capacity=1 << 28)
    x = random(6, 16, 128)
    source, out = put(device, x), device.alloc(4 * 6 * 128)
    device.launch(load(device, "bulk_ring"), (6, 1, 1), [source.ptr, out.ptr])
    np.testing.assert_allclose(get(device, out, np.float32).reshape(6, 128), x.sum(axis=1), rtol=1e-4, atol=1e-5)


def test_bulk_data_is_not_there_before_its_barrier() -> None:
    device = EmulatorDevice(capacity=1 << 28)
    x = random(6, 16, 128)
    source, out = put(device, x), device.alloc(4 * 6 * 128)
    hasty = load(device, "bulk_ring", ("@!%p4 bra WAIT_FULL;", ""))
    try:
        device.launch(hasty, (6, 1, 1), [source.ptr, out.ptr])
    except LlmcError:
        return
    assert not np.allclose(get(device, out, np.float32).reshape(6, 128), x.sum(axis=1), atol=1e-3)


def test_ldmatrix_and_mma_multiply(device: EmulatorDevice) -> None:
    a, b = random(40, 16, 64).astype(ml_dtypes.bfloat16), random(40, 8, 64).astype(ml_dtypes.bfloat16)
    pa, pb, pc = put(device, a), put(device, b), device.alloc(40 * 16 * 8 * 4)
    device.launch(load(device, "mma_gemm"), (40, 1, 1), [pa.ptr, pb.ptr, pc.ptr])
    expected = a.astype(np.float32) @ b.astype(np.float32).transpose(0, 2, 1)
    np.testing.assert_allclose(get(device, pc, np.float32).reshape(40, 16, 8), expected, rtol=1e-4, atol=1e-4)


def test_atomics_count_and_one_cta_is_last(device: EmulatorDevice) -> None:
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


def test_a_cta_may_wait_for_all_others(device: EmulatorDevice) -> None:
    counter, out = put(device, np.zeros(1, np.uint32)), device.alloc(4)
    device.launch(load(device, "grid_wait"), (3000, 1, 1), [counter.ptr, out.ptr])
    assert get(device, out, np.uint32).tolist() == [2999]


def test_a_graph_replays_its_launches(device: EmulatorDevice) -> None:
    x, y = put(device, np.ones(8, np.float32)), put(device, np.zeros(8, np.float32))
    function = load(device, "saxpy")
    with device.capture() as graph:
        device.launch(function, (1, 1, 1), [x.ptr, y.ptr, 1.0, 8])
        device.launch(function, (1, 1, 1), [x.ptr, y.ptr, 10.0, 8])
    assert get(device, y, np.float32)[0] == 0
    graph.replay()
    graph.replay()
    assert get(device, y, np.float32).tolist() == [22.0] * 8


# -- what is refused -------------------------------------------------------------------------------------------------------------------


def test_out_of_bounds_names_line_thread_and_cta(device: EmulatorDevice) -> None:
    x, y = put(device, random(128)), put(device, random(200))
    with pytest.raises(LlmcError, match=r"(?s)72 bytes|thread 0 of CTA 1.*ld\.global\.f32 %f2, \[%rd4\]") as error:
        device.launch(load(device, "saxpy"), (2, 1, 1), [x.ptr, y.ptr, 1.0, 200])
    text = error.value.render()
    assert "thread 0 of CTA 1" in text and "kernel saxpy" in text and "PTX line" in text


def test_freed_and_misaligned_accesses_are_errors(device: EmulatorDevice) -> None:
    x, y = put(device, random(128)), put(device, random(128))
    with pytest.raises(LlmcError, match="misaligned"):
        device.launch(load(device, "saxpy"), (1, 1, 1), [x.ptr + 2, y.ptr, 1.0, 64])
    x.free()
    with pytest.raises(LlmcError, match=r"outside every allocation|below every allocation|in no allocation"):
        device.launch(load(device, "saxpy"), (1, 1, 1), [x.ptr, y.ptr, 1.0, 64])
    with pytest.raises(LlmcError, match="freed"):
        device.download(x, 4)


def test_undefined_memory_is_an_error_when_strict() -> None:
    device = EmulatorDevice(strict=True, capacity=1 << 28)
    x, y = device.alloc(512), put(device, random(128))
    with pytest.raises(LlmcError, match="nobody has written"):
        device.launch(load(device, "saxpy"), (1, 1, 1), [x.ptr, y.ptr, 1.0, 128])


def test_a_missing_barrier_is_a_race_when_strict() -> None:
    device = EmulatorDevice(strict=True, capacity=1 << 28)
    x, out = put(device, random(2, 256)), device.alloc(8)
    with pytest.raises(LlmcError, match=r"race: reads shared memory that warp \d has written|nobody has written"):
        device.launch(load(device, "block_reduce", ("bar.sync 0;", "")), (2, 1, 1), [x.ptr, out.ptr])


def test_a_deadlock_names_who_waits_where(device: EmulatorDevice) -> None:
    with pytest.raises(LlmcError, match="deadlock") as error:
        device.launch(load(device, "deadlock"), (2, 1, 1), [])
    text = error.value.render()
    assert (
        "warp 0 of CTAs 0..1" in text
        and "bar.sync 1, 64;" in text
        and "warp 1 of CTAs 0..1" in text
        and "bar.sync 2, 64;" in text
    )


def test_a_wait_for_bytes_that_never_come_is_a_deadlock(device: EmulatorDevice) -> None:
    x = put(device, random(16, 128))
    out = device.alloc(512)
    with pytest.raises(LlmcError, match="deadlock") as error:
        device.launch(load(device, "bulk_ring", ("_, [%r11], 512;", "_, [%r11], 1024;")), (1, 1, 1), [x.ptr, out.ptr])
    assert "try_wait" in error.value.render()


def test_argument_count_is_checked(device: EmulatorDevice) -> None:
    with pytest.raises(LlmcError, match="takes 4 arguments, 1 are given"):
        device.launch(load(device, "saxpy"), (1, 1, 1), [0])


@pytest.mark.parametrize("name", KERNELS)
def test_ptxas_takes_the_kernel(name: str) -> None:
    assemble = pytest.importorskip("llmc.codegen.ptx.assemble").assemble
    text = (HERE / f"{name}.ptx").read_text()
    match = re.search(r"\.target (\w+)", text)
    assert match
    try:
        assemble(text, match[1])
    except LlmcError as error:
        if "ptxas" in error.what and ("find" in error.render() or "missing" in error.render()):
            pytest.skip("no ptxas here")
        raise
