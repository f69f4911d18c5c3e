"""What fusing saves and costs, in microseconds: a model of three numbers, meant to rank choices, not to predict times.

A launch costs `launch_us` (queueing, tail, and the wait of dependents). A tensor passed between kernels is written and read
once, through L2 at `l2_gbps` when it fits there, else through memory at `dram_gbps`. A prologue is computed again by each of
the `sms` blocks that read its input.
"""

from __future__ import annotations

from dataclasses import dataclass

L2_BYTES = 40e6


@dataclass(frozen=True)
class Costs:
    launch_us: float = 2.0
    dram_gbps: float = 3500.0
    l2_gbps: float = 5500.0
    sms: int = 132

    def pass_over(self, nbytes: float) -> float:
        """Microseconds to write and read `nbytes` between two kernels."""
        gbps = self.l2_gbps if nbytes < L2_BYTES else self.dram_gbps
        return 2 * nbytes / (gbps * 1e3)

    def epilogue_saves(self, nbytes: float) -> float:
        """What taking the next op into the kernel saves: a launch, and the tensor between them."""
        return self.launch_us + self.pass_over(nbytes)

    def prologue_saves(self, rows: float, width: float, blocks: float) -> float:
        """What taking a norm of rows x width (2-byte elements) into a linear saves: a launch and one pass, less one more reading of x by
        each block. Negative: it costs."""
        nbytes = 2 * rows * width
        again = min(blocks, self.sms) * nbytes / (self.l2_gbps * 1e3)
        return self.epilogue_saves(nbytes) - again


def expected_tokens(low: int, high: int) -> float:
    """A regime's typical number of tokens: the geometric mean of its bounds, since buckets double."""
    return (max(low, 1) * max(high, 1)) ** 0.5
