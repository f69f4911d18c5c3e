"""SASS listings of cubins through nvdisasm: to assert that HGMMA, UTMALDG, USETMAXREG, … are really there."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...dialects.ir.diagnostics import LlmcError
from .assemble import find_tool

_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:\{\s*)?(?:@!?U?P[T\d]+\s+)?([A-Z][A-Z0-9_]*)((?:\.[A-Z0-9_]+)*)")


@dataclass(frozen=True)
class Sass:
    """A listing, and how often each opcode stands in it (`counts["HGMMA"]`, without modifiers)."""

    text: str
    counts: Counter[str]

    @property
    def highest_register(self) -> int:
        """The highest general register named; with setmaxnreg the only true measure of use. -1 if none."""
        return max((int(n) for n in re.findall(r"\bR(\d+)\b", self.text)), default=-1)


def sass(cubin: bytes, paths: Iterable[Path | str] | None = None) -> Sass:
    """Raises LlmcError LLMC0843 when nvdisasm is missing or fails."""
    tool = find_tool("nvdisasm", paths)
    if tool is None:
        raise LlmcError(
            "LLMC0843", "nvdisasm was not found", "the search for nvdisasm", fix="pip install 'nvidia-cuda-nvdisasm==13.*'"
        )
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run([str(tool), "-c", file.name], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise LlmcError(
            "LLMC0843",
            "nvdisasm failed",
            "nvdisasm",
            why=done.stderr.strip()[-400:],
            fix="use the nvdisasm of the CUDA that ptxas is from",
        )
    return Sass(done.stdout, Counter(m.group(1) for m in _INSTRUCTION.finditer(done.stdout)))
