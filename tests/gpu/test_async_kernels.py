"""Copies, barriers, dependencies and clusters on a GPU of the target that has them."""

from __future__ import annotations

import pytest
from async_kernels import FEATURES, TARGET, on_device
from llmc.runtime.cuda.device import CudaDevice, gpu_missing

REASON = gpu_missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")


@pytest.fixture(scope="module")
def device() -> CudaDevice:
    found = CudaDevice(0)
    if found.target != TARGET:
        pytest.skip(f"the kernels are for {TARGET}, this is {found.target}")
    return found


@pytest.mark.parametrize("name", FEATURES)
def test_the_gpu_agrees(device: CudaDevice, name: str) -> None:
    feature = FEATURES[name]()
    feature.check(on_device(feature, device))
