"""Hand-written PTX on the emulator against numpy. The kernels are real: ptxas takes them too."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from device_kernels import KERNELS, KernelTests, get, load, put, random
from llmc.codegen.ptx.assemble import assemble
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.emulator.device import EmulatorDevice
from tools import needs_ptxas

NAMES = sorted(p.stem for p in KERNELS.glob("*.ptx"))


@pytest.fixture(params=[False, True], ids=["plain", "strict"])
def device(request: pytest.FixtureRequest) -> Iterator[EmulatorDevice]:
    yield EmulatorDevice(strict=request.param, capacity=1 << 28)


class TestKernels(KernelTests):
    """What holds on every device, plain and strict."""


def test_cp_async_data_is_not_there_before_the_wait() -> None:
    device = EmulatorDevice(capacity=1 << 28)
    x = random(1024)
    source, out = put(device, x), device.alloc(x.nbytes)
    device.launch(load(device, "cp_async", ("wait_group 1", "wait_group 2")), (1, 1, 1), [source.ptr, out.ptr, 4096])
    assert not np.array_equal(get(device, out, np.float32), 2 * x)


@pytest.mark.parametrize("seed", range(4))
def test_bulk_ring_gives_the_same_for_every_landing_order(seed: int) -> None:
    KernelTests().test_bulk_ring_sums_what_its_copies_bring(EmulatorDevice(seed=seed, capacity=1 << 28))


def test_consumers_that_do_not_wait_for_bulk_data_run_ahead_of_its_barrier() -> None:
    device = EmulatorDevice(capacity=1 << 28)
    x = random(6, 16, 128)
    source, out = put(device, x), device.alloc(4 * 6 * 128)
    hasty = load(device, "bulk_ring", ("@!%p4 bra WAIT_FULL;", ""))
    with pytest.raises(LlmcError, match="LLMC0923"):
        device.launch(hasty, (6, 1, 1), [source.ptr, out.ptr])


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


@needs_ptxas
@pytest.mark.parametrize("name", NAMES)
def test_ptxas_takes_the_kernel(name: str) -> None:
    text = (KERNELS / f"{name}.ptx").read_text()
    match = re.search(r"\.target (\w+)", text)
    assert match
    assemble(text, match[1])
