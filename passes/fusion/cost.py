"""What fusing saves and costs, in microseconds: a model of three numbers, meant to rank choices, not to predict times.

A launch costs `launch_us` (queueing, tail, and the wait of dependents). A tensor passed between kernels is written and read
once, through the target's L2 when it fits there, else through its memory. A prologue is computed again by each of the SMs that read
its input.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...codegen.targets import Target

IN_L2 = 0.8
"""The share of L2 that a tensor may take and still be there for its reader."""


@dataclass(frozen=True)
class Costs:
    target: Target
    launch_us: float = 2.0

    def pass_over(self, nbytes: float) -> float:
        """Microseconds to write and read `nbytes` between two kernels."""
        fits = nbytes < IN_L2 * self.target.l2_bytes
        return 2 * nbytes / (self.target.l2_bytes_per_s if fits else self.target.dram_bytes_per_s) * 1e6

    def epilogue_saves(self, nbytes: float) -> float:
        """What taking the next op into the kernel saves: a launch, and the tensor between them."""
        return self.launch_us + self.pass_over(nbytes)

    def prologue_saves(self, rows: float, width: float, blocks: float) -> float:
        """What taking a norm of rows x width (2-byte elements) into a linear saves: a launch and one pass, less one more reading of x by
        each block. Negative: it costs."""
        nbytes = 2 * rows * width
        again = min(blocks, self.target.sm_count) * nbytes / self.target.l2_bytes_per_s * 1e6
        return self.epilogue_saves(nbytes) - again


def expected_tokens(low: int, high: int) -> float:
    """A regime's typical number of tokens: the geometric mean of its bounds, since buckets double."""
    return (max(low, 1) * max(high, 1)) ** 0.5
