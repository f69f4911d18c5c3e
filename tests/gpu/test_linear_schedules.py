"""The GEMMs of Hopper on the GPU, epilogue by epilogue: small cases of what the emulator checks too, and the sizes of a layer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from llmc.runtime.cuda.device import CudaDevice, gpu_missing

REASON = gpu_missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")
sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[1] / "codegen" / "schedules")]
from kernel_runs import TARGET
from test_gemm_tma import CASES
from test_linear import check

LEAD: dict[str, tuple[int, dict[str, Any]]] = {
    "sixteen_tokens": (16, {"epilogue": "residual", "N": 512, "K": 1024}),
    "gate_and_up": (13, {"epilogue": "silu_mul", "N": 512, "K": 1024, "norm": True}),
    "rope_and_append": (
        64,
        {"epilogue": "qkv", "N": 512, "K": 1024, "heads": (2, 1, 128), "lengths": [100] * 64, "norm": True},
    ),
}


@pytest.fixture(scope="module")
def device() -> CudaDevice:
    found = CudaDevice(0)
    if found.target != TARGET.name:
        pytest.skip(f"the kernels are for {TARGET.name}, this is {found.target}")
    return found


@pytest.mark.parametrize("cluster", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_gemm_tma_keeps_every_epilogue(case: str, cluster: int, device: CudaDevice) -> None:
    parameters, shape = CASES[case]
    check("gemm_tma", {"cluster": cluster, **parameters}, T=40, device=device, **shape)


@pytest.mark.parametrize("case", LEAD)
def test_tokens_lead_in_skinny(case: str, device: CudaDevice) -> None:
    tokens, shape = LEAD[case]
    parameters = {"m": 32, "n": 16 if tokens <= 16 else 64, "warps": 4, "unroll": 2}
    check("skinny", parameters, T=tokens, device=device, **shape)
