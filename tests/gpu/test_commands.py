"""The commands on a GPU: what `llmc run` says when memory is short, and what a memory checker says about `llmc run`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Outcome
from llmc.compiler.driver import llmc
from llmc.runtime.cuda.device import CudaDevice, gpu_missing

REASON = gpu_missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")
CHECKPOINT = Path(__file__).parents[2] / "examples" / "storyteller" / "checkpoint"
SANITIZER = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/cuda/bin"]))
LEFT = 32 << 20
PROMPT = " ".join(["Once there was a fox who lived in the forest, and he was afraid of the dark."] * 5)
"""More than 64 tokens, so that the kernels of long prompts run too."""


@pytest.fixture
def nearly_full() -> Iterator[CudaDevice]:
    """A GPU of which `LEFT` bytes are free."""
    device = CudaDevice(0)
    taken = []
    try:
        while (free := device.memory()[0]) > 2 * LEFT:
            taken.append(device.alloc(free - LEFT))
        yield device
    finally:
        for allocation in taken:
            allocation.free()


def test_run_without_memory_says_how_much_is_missing(
    nearly_full: CudaDevice, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code = llmc.main(
        ["run", str(CHECKPOINT), "--device", "cuda", "--prompt", "Once", "--max-sequences", "64", "--dump", str(out)]
    )
    found = capsys.readouterr()
    Outcome(code, found.out, found.err).refused("LLMC0945", "out of memory", "GiB are free", "--max-context")
    assert not out.exists()


@pytest.mark.skipif(SANITIZER is None, reason="no compute-sanitizer on the path")
@pytest.mark.parametrize("scheme", ["none", "int8"])
def test_memcheck_finds_nothing_in_a_run(scheme: str) -> None:
    """Prefill, captured decoding and sampling of the trained model, every access of every kernel checked."""
    assert SANITIZER is not None
    command = [
        SANITIZER, "--tool", "memcheck", "--error-exitcode", "7", sys.executable, "-m", "llmc.compiler.driver.llmc", "run",
        str(CHECKPOINT), "--device", "cuda", "--quant", scheme, "--prompt", PROMPT, "--max-tokens", "12",
        "--temperature", "0.8", "--top-k", "20", "--seed", "3",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if "Device not supported" in done.stdout + done.stderr:
        pytest.skip("compute-sanitizer can't watch this GPU: device not supported")
    assert "ERROR SUMMARY: 0 errors" in done.stdout + done.stderr, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0
