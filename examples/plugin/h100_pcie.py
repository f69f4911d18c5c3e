"""A plugin for llmc: a GPU of a known architecture, and a schedule that puts element-wise kernels on small CTAs."""

from __future__ import annotations

from dataclasses import replace

from llmc.codegen.schedules.pointwise import Pointwise
from llmc.codegen.targets import Target, find_target
from llmc.dialects.layout.ops import KernelOp
from llmc.dialects.layout.types import ScheduleAttr

# 114 SMs and HBM2e at 2.0 TB/s (NVIDIA H100 data sheet); everything else is as on an H200.
H100_PCIE = replace(
    find_target("sm_90a"), name="h100_pcie", device="H100 PCIe", sm_count=114, dram_bytes_per_s=2.0e12, dram_bytes=80 << 30
)


class SmallPointwise(Pointwise):
    """`#layout.schedule<"small_pointwise", {threads = 64}>`: as `pointwise`, with 64 threads where nothing else is said."""

    name = "small_pointwise"

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        return [ScheduleAttr.of(self.name, threads=64)]


SCHEDULE = SmallPointwise()
