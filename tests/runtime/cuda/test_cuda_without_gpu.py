"""What the CUDA device does where there is no GPU, and what of it needs none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.runtime.cuda.device import block_of, gpu_missing, parameter_types
from llmc.runtime.device import KernelImage
from llmc.runtime.devices import open_device

PTX = """
.version 7.8
.target sm_80
.address_size 64
.visible .entry k(.param .u64 x, .param .f32 a, .param .s32 n)
.reqntid 32, 4, 1
{
	ret;
}
"""


def test_a_missing_gpu_is_explained_and_auto_takes_the_emulator() -> None:
    if gpu_missing() is None:
        pytest.skip("there is a GPU")
    with pytest.raises(LlmcError) as error:
        open_device("cuda")
    assert "emulator" in error.value.render()
    assert open_device("auto").name == "emulator"


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(LlmcError, match="no device is called 'tpu'"):
        open_device("tpu")


def test_parameter_types_and_block_come_from_the_ptx() -> None:
    image = KernelImage("k", PTX, threads=128)
    assert parameter_types(image) == ("u64", "f32", "s32")
    assert block_of(image) == (32, 4, 1)
    assert block_of(KernelImage("k", PTX, threads=64)) == (64, 1, 1)


def test_importing_the_runtime_loads_no_driver() -> None:
    code = "import sys, llmc.runtime.device, llmc.runtime.cuda.device; assert 'cuda.bindings.driver' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
