"""wgmma against numpy: one m64nNk16 chain over K = 64 from shared memory, swizzled and not, and with A in registers."""

from __future__ import annotations

import pytest
from device_kernels import WgmmaTests
from llmc.codegen.ptx.assemble import assemble
from llmc.runtime.emulator.device import EmulatorDevice
from tools import needs_ptxas
from wgmma_kernel import kernel


@pytest.fixture
def device() -> EmulatorDevice:
    return EmulatorDevice("sm_90a", capacity=1 << 26)


class TestWgmma(WgmmaTests):
    """What holds on every device."""


@needs_ptxas
def test_ptxas_takes_the_kernels() -> None:
    for swizzled, from_registers in ((True, False), (False, False), (True, True)):
        assemble(kernel(swizzled, from_registers), "sm_90a")
