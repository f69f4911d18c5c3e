"""wgmma against numpy: one m64nNk16 chain over K = 64 from shared memory, swizzled and not, and with A in registers."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.device import KernelImage
from llmc.runtime.emulator.device import EmulatorDevice
from wgmma_kernel import CTAS, data, kernel, product


@pytest.mark.parametrize(("swizzled", "from_registers"), [(True, False), (False, False), (True, True)])
def test_a_chain_of_wgmma_multiplies(swizzled: bool, from_registers: bool) -> None:
    images, wanted = data(swizzled)
    device = EmulatorDevice("sm_90a", capacity=1 << 26)
    source, out = device.alloc(images.nbytes), device.alloc(wanted.nbytes)
    device.upload(source, images)
    function = device.load(KernelImage("k", kernel(swizzled, from_registers), threads=128))
    device.launch(function, (CTAS, 1, 1), [source.ptr, out.ptr])
    got = product(device.download(out, out.nbytes).view(np.float32))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_ptxas_takes_the_kernels() -> None:
    assemble = pytest.importorskip("llmc.codegen.ptx.assemble").assemble
    try:
        for swizzled, from_registers in ((True, False), (False, False), (True, True)):
            assemble(kernel(swizzled, from_registers), "sm_90a")
    except LlmcError as error:
        if "find" in error.render():
            pytest.skip("no ptxas here")
        raise
