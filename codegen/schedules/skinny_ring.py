"""Linear layers of a few tokens on Hopper: one warp streams the weight's image through a ring by bulk copies, eight others multiply.

    `ctas` CTAs stay on the machine and take row tiles in turn; the producer runs ahead over tiles while the consumers do an epilogue
    stage: m / 16 pieces of warps·unroll k-blocks, each piece contiguous in the image
    consumers: as in `skinny.py`, with operand A from shared memory

Nothing is in registers while it flies, so the bytes in flight are the ring's whole size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsl.dialects.builtin import f32
from xdsl.ir import SSAValue

from ...dialects.layout.ops import KernelOp
from ...dialects.layout.types import ScheduleAttr
from ...dialects.nn.types import elem_of
from .base import Abi, Parameter, bad_parameter, checked_parameters
from .body import LinearBody, analyse_linear, row_granule
from .builder import Index
from .images import BLOCK, DEPTH, blocks_layout, elem_width
from .linear import LinearFrame, begin_kernel, linear_abi
from .skinny import MAX_TOKENS, Streams, image_share, join_warps, padded
from .skinny import SCHEDULE as PLAIN

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

PARAMETERS = (
    Parameter("m", "rows of the weight a tile", (16, 32, 64), 16),
    Parameter("n", "tokens a task, in eights", range(8, 65, 8), 8),
    Parameter("warps", "consumer warps, which divide k", (1, 2, 4, 8), 8),
    Parameter("unroll", "k-blocks of 32 a warp and stage", range(1, 9), 2),
    Parameter("stages", "stages of the ring", range(2, 33), 8),
    Parameter("ctas", "CTAs that share the row tiles", range(1, 4097), 132),
)


class SkinnyRing:
    """See the module docstring."""

    name = "skinny_ring"
    family = "linear"

    def accepts(self, kernel: KernelOp) -> str | None:
        return PLAIN.accepts(kernel)

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        """Offered by hand only, until it is measured to win: not in `base.FAMILIES`."""
        if not target.has("bulk"):
            return []
        body = analyse_linear(kernel)
        most = body.tokens if isinstance(body.tokens, int) else (kernel.range_of(body.tokens) or (1, 1 << 30))[1]
        if most > MAX_TOKENS or body.n % 16:
            return []
        n = next(size for size in (8, 16, 32, 64) if size >= most)
        blocks = body.k // DEPTH
        warps = next(w for w in (8, 4, 2, 1) if blocks % w == 0)
        unroll = next(u for u in (2, 1) if blocks // warps % u == 0)
        stage = warps * unroll * BLOCK * (elem_width(elem_of(body.linear.weight)) or 16) // 8
        stages = max(2, min(32, 160 * 1024 // stage))
        return [ScheduleAttr.of(self.name, m=16, n=n, warps=warps, unroll=unroll, stages=stages, ctas=target.sm_count)]

    def _parameters(self, kernel: KernelOp, schedule: ScheduleAttr) -> tuple[LinearBody, dict[str, int]]:
        body = analyse_linear(kernel)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        granule, rows = row_granule(body), p["m"] // 2 if body.pair else p["m"]
        if granule % rows and (body.widths - {0, body.n} or body.pair):
            raise bad_parameter(kernel, f"m = {p['m']} rows a tile cut ranges of {granule} columns", "a smaller m")
        if body.n % p["m"]:
            raise bad_parameter(kernel, f"tiles of {p['m']} rows do not divide N = {body.n}", "m = 16, or the schedule skinny")
        if body.k // DEPTH % (p["warps"] * p["unroll"]):
            what = f"{p['warps']} warps of {p['unroll']} k-blocks do not divide the {body.k // DEPTH} there are"
            raise bad_parameter(kernel, what, "a smaller unroll or fewer warps")
        return body, p

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = self._parameters(kernel, schedule)
        plain = linear_abi(body, p["m"], p["n"], p["warps"] + 1)
        ctas = min(p["ctas"], body.n // p["m"])
        return Abi((str(ctas), *plain.grid[1:]), plain.warps, plain.operand_layouts)

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        body, p = self._parameters(kernel, schedule)
        abi = self.abi(kernel, schedule)
        frame = begin_kernel(body, abi, schedule, 1)
        b, warps, depth = frame.b, p["warps"], p["unroll"]
        task, task_y, _ = b.task()
        ctas, tiles = int(abi.grid[0]), body.n // p["m"]
        rounds = b.ceildiv(b.sub(tiles, task), ctas)
        pieces, steps = p["m"] // 16, body.k // DEPTH // (warps * depth)
        elem = elem_of(body.linear.weight)
        stage = (pieces, warps * depth, BLOCK)
        ring = b.ring(p["stages"], stage, elem, blocks_layout(stage, elem), consumers=warps, copies=pieces)
        partial = b.alloc((warps, p["n"], p["m"]), f32, padded((warps, p["n"], p["m"])))
        sums = b.alloc((warps, p["n"]), f32) if body.norm is not None else None
        nbytes = warps * depth * BLOCK * (elem_width(elem) or 16) // 8

        def produce() -> None:
            def tile(r: SSAValue) -> None:
                first = b.mul(b.add(task, b.mul(r, ctas)), pieces)

                def step(s: SSAValue) -> None:
                    index = b.add(b.mul(r, steps), s)
                    b.ring_acquire(ring, index)
                    for piece in range(pieces):
                        at = [b.add(first, piece), b.mul(s, warps * depth), 0]
                        b.bulk_load(frame.weight, at, ring, index, nbytes, at=piece * nbytes)

                b.for_(0, steps, 1, [], step)

            b.for_(0, rounds, 1, [], tile)

        def consume() -> None:
            token = b.mul(task_y, p["n"])

            def tile(r: SSAValue) -> None:
                self._tile(frame, p, ring, partial, sums, b.add(task, b.mul(r, ctas)), b.mul(r, steps), steps, token)
                b.barrier()

            b.for_(0, rounds, 1, [], tile)

        b.roles((1, produce), (warps, consume))
        return frame.finish()

    def _tile(
        self,
        frame: LinearFrame,
        p: dict[str, int],
        ring: SSAValue,
        partial: SSAValue,
        sums: SSAValue | None,
        tile: Index,
        counter: Index,
        steps: int,
        token: Index,
    ) -> None:
        b, body, warps, depth = frame.b, frame.body, p["warps"], p["unroll"]
        streams = Streams(b, body, frame.x, frame.weight, frame.gamma, token, frame.bound, 0, p)
        share = image_share(p["m"], depth, warps, streams.elem)

        def step(s: SSAValue, *values: SSAValue) -> list[SSAValue]:
            # the next step's tokens fly while this step waits for its weights
            following = b.mul(b.min(b.add(s, 1), steps - 1), warps * depth)
            ahead = streams.tokens(following, depth)
            index = b.add(counter, s)
            w = b.load(b.ring_wait(ring, index), [0, 0, 0], share)
            b.ring_release(ring, index)
            return [*streams.multiply([w, *values[count:]], depth, list(values[:count])), *ahead]

        carried = streams.zero()
        count = len(carried)
        results = b.for_(0, steps, 1, [*carried, *streams.tokens(0, depth)], step)
        join_warps(frame, p, results[0], results[1] if sums is not None else None, partial, sums, tile, token)


SCHEDULE = SkinnyRing()

__all__ = ["SCHEDULE", "SkinnyRing"]
