"""Linear layers of many tokens on Hopper: wgmma with both operands from shared memory, which one warp keeps filled.

    task: m rows of the weight's image × n tokens; the CTAs of a cluster take neighbouring token tiles of the same rows
    stage: 64 of k: the weight's blocks by bulk copies, a part of them by each CTA of the cluster and for all of them, and x[n, 64] by a
           tensor map
    roles: two warpgroups multiply, 128 rows each (m = 256) or turns of eight tokens (m = 128); a warp copies, tasks ahead of them

A row tile is 2 KB of a stage, and a row slot h in it eight rows of wgmma's 64-byte swizzle: an instruction takes one slot of eight tiles.
CTAs stay and take tasks in turn. A CTA whose tokens lie beyond the last one still copies its part of the weights for its peer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from xdsl.dialects.builtin import bf16
from xdsl.ir import SSAValue

from ...dialects.layout.mem import MemLayout
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tensor_map import TensorMap
from ...dialects.layout.tv import Tv
from ...dialects.layout.types import BufferType, ScheduleAttr
from ...dialects.nn.types import elem_of
from ...dialects.tile.wgmma import SPAN
from .base import Abi, Parameter, bad_parameter, checked_parameters
from .body import LinearBody, analyse_linear, row_granule
from .builder import Index
from .gemm import SCHEDULE as PLAIN
from .gemm import grouped
from .gemm_wgmma import Place, store_product
from .images import DEPTH, ROWS, SWIZZLE, weight_image
from .linear import LinearFrame, begin_kernel

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

GROUPS = 2
CONSUMERS = 4 * GROUPS
TILE_BYTES = 2 * ROWS * SPAN
PARAMETERS = (
    Parameter("m", "rows of the weight a task", (128, 256), 256),
    Parameter("n", "tokens a task", range(16, 257, 16), 128),
    Parameter("stages", "stages of shared memory", range(2, 13), 4),
    Parameter("cluster", "CTAs that share weights", (1, 2), 1),
    Parameter("group", "token tiles of a cluster that run side by side", range(1, 65), 8),
    Parameter("ctas", "CTAs that stay and take tasks in turn", range(1, 4097), 132),
    Parameter(
        "piece", "tokens that the epilogue takes at a time, in sixteens: fewer need fewer registers", range(16, 257, 16), 16
    ),
)


class GemmTma:
    """See the module docstring."""

    name = "gemm_tma"
    family = "linear"

    def accepts(self, kernel: KernelOp) -> str | None:
        reason = PLAIN.accepts(kernel)
        if reason is not None:
            return reason
        body = analyse_linear(kernel)
        if elem_of(body.linear.weight) != elem_of(body.linear.x):
            return "weights are not of the tokens' type: wgmma takes both from shared memory as they are"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        """Offered by hand only, until it is measured to win: not in `base.FAMILIES`."""
        if not target.has("wgmma"):
            return []
        body, ctas = analyse_linear(kernel), target.sm_count // 2 * 2
        forms = [dict(m=256, n=128, stages=4), dict(m=128, n=256, stages=4), dict(m=128, n=128, stages=6)]
        tried = [ScheduleAttr.of(self.name, cluster=2, ctas=ctas, **form) for form in forms]
        return [s for s in tried if _problem(body, checked_parameters(s, PARAMETERS), target) is None]

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = _parameters(kernel, schedule)
        clusters = f"ceildiv({body.tokens}, {p['n'] * p['cluster']}) * {body.n // p['m']}"
        grid = f"min({clusters} * {p['cluster']}, {p['ctas']})"
        image = weight_image(body.n, body.k, elem_of(body.linear.weight), body.pair)
        heads = len(cast(BufferType, body.x.type).dims) - 2
        tokens = TensorMap(body.x.index, (p["n"], *(1,) * heads, SPAN), 128)
        return Abi((grid, "1", "1"), CONSUMERS + 1, {body.weight.index: image}, maps=(tokens,))

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        if not target.has("wgmma"):
            raise bad_parameter(kernel, f"{target.name} has no wgmma", "the schedule gemm, or --target sm_90a")
        body, p = _parameters(kernel, schedule, target)
        frame = begin_kernel(body, self.abi(kernel, schedule), schedule, 1, p["cluster"])
        work = _Work(frame, p)
        frame.b.roles((CONSUMERS, work.consume), (1, work.produce))
        return frame.finish()


def _problem(body: LinearBody, p: dict[str, int], target: Target | None = None) -> tuple[str, str] | None:
    granule, rows = row_granule(body), p["m"] // 2 if body.pair else p["m"]
    if granule % rows and (body.widths - {0, body.n} or body.pair):
        return f"m = {p['m']} rows a task cut ranges of {granule} columns", "a smaller m"
    if body.n % p["m"] or body.k % SPAN:
        return f"tasks of {p['m']} rows, {SPAN} deep, do not tile N = {body.n}, K = {body.k}", "the schedule gemm_wgmma"
    dims = cast(BufferType, body.x.type).dims
    if len(dims) not in (2, 3) or int(dims[-1]) % SPAN:
        return f"tokens of {list(dims)} have no boxes of {SPAN} columns", "the schedule gemm_wgmma"
    if p["m"] * p["n"] > 128 * 32 * CONSUMERS:
        return f"the accumulators of {p['m']} × {p['n']} do not fit the registers of {GROUPS} warpgroups", "fewer tokens a task"
    if p["ctas"] % p["cluster"]:
        return f"{p['ctas']} CTAs are no clusters of {p['cluster']}", "an even number of CTAs"
    shared = 2 * SPAN * p["stages"] * (p["m"] + p["n"])
    if target is not None and shared > target.smem_per_block - 1024:
        return f"{p['stages']} stages are {shared} bytes of shared memory", "fewer stages"
    return None


def _parameters(kernel: KernelOp, schedule: ScheduleAttr, target: Target | None = None) -> tuple[LinearBody, dict[str, int]]:
    body = analyse_linear(kernel)
    p = checked_parameters(schedule, PARAMETERS, kernel)
    problem = _problem(body, p, target)
    if problem is not None:
        raise bad_parameter(kernel, *problem)
    return body, p


def accumulator(m: int, n: int, pair: int, tokens_first: bool) -> Tv:
    """The product [m, n] or [n, m], rows in the order of the image: a warp has two row tiles of eight, one slot of each an instruction."""
    slot, lane, tile = (m // 2, 1, 8) if pair else (1, 2, 16)
    turns = m == ROWS * 8

    def at(row: int, column: int) -> tuple[int, int]:
        return (column, row) if tokens_first else (row, column)

    columns = (n // 16, at(0, 16)) if turns else (n // 8, at(0, 8))
    reg = [(2, at(0, 1)), (2, at(tile, 0)), columns, (2, at(slot, 0))]
    warp = ((4, at(2 * tile, 0)), (GROUPS, at(0, 8) if turns else at(8 * tile, 0)))
    return Tv((n, m) if tokens_first else (m, n), tuple(d for d in reg if d[0] > 1), ((4, at(0, 2)), (8, at(lane, 0))), warp)


class _Work:
    """What the roles do. `full`: a stage's copies have come; `empty`: the consumers of all CTAs that it was copied for are through."""

    def __init__(self, frame: LinearFrame, p: dict[str, int]):
        self.b, self.frame, self.p, self.body = frame.b, frame, p, frame.body
        b, body, m, n, cluster = frame.b, frame.body, p["m"], p["n"], p["cluster"]
        image = weight_image(m, SPAN, bf16, m // 2 if body.pair else 0)
        stages = MemLayout((((p["stages"], m * SPAN),), *image.dims), SWIZZLE)
        self.w_smem = b.alloc((p["stages"], m, SPAN), elem_of(body.linear.weight), stages)
        self.x_smem = b.alloc((p["stages"], n, SPAN), bf16, MemLayout.swizzled((p["stages"], n, SPAN), 2))
        self.full, self.empty = b.mbarriers(p["stages"], 1), b.mbarriers(p["stages"], CONSUMERS * cluster)
        self.rank = b.rank() if cluster > 1 else 0
        self.empties = [b.peer(self.empty, rank) for rank in range(cluster)] if cluster > 1 else [self.empty]
        self.steps = body.k // SPAN
        cta, _, _ = b.task()
        self.first, self.clusters = b.div(cta, cluster), p["ctas"] // cluster
        self.token_tiles, self.row_tasks = b.ceildiv(frame.bound, n * cluster), body.n // m
        left = b.sub(b.mul(self.token_tiles, self.row_tasks), self.first)
        self.rounds = b.ceildiv(left, self.clusters)

    def place(self, turn: Index) -> Place:
        """The task that this CTA takes as its `turn`th."""
        b, p = self.b, self.p
        number = b.add(self.first, b.mul(turn, self.clusters))
        tile, row_task = grouped(b, number, self.token_tiles, self.row_tasks, p["group"])
        return b.mul(b.add(b.mul(tile, p["cluster"]), self.rank), p["n"]), row_task

    def slot(self, index: Index) -> tuple[Index, Index]:
        """The stage that a step uses, counted over all tasks, and the parity of its phase."""
        b, stages = self.b, self.p["stages"]
        return b.rem(index, stages), b.rem(b.div(index, stages), 2)

    # the copying warp -------------------------------------------------------------------
    def produce(self) -> None:
        b = self.b

        def task(turn: SSAValue) -> None:
            token, row_task = self.place(turn)
            base = b.mul(turn, self.steps)

            def step(step: SSAValue) -> None:
                self.copy(token, row_task, step, b.add(base, step))

            b.for_(0, self.steps, 1, [], step)

        b.for_(0, self.rounds, 1, [], task)

    def copy(self, token: Index, row_task: Index, step: SSAValue, index: Index) -> None:
        """Fill a stage once it is free."""
        b, p, cluster = self.b, self.p, self.p["cluster"]
        slot, parity = self.slot(index)
        b.mbarrier_wait(self.empty, slot, b.sub(1, parity))
        b.mbarrier_expect(self.full, slot, 2 * SPAN * (p["m"] + p["n"]))
        tiles, weights = p["m"] // ROWS // cluster, b.stage(self.w_smem, slot)
        shape = (cluster, p["m"] * SPAN // cluster)
        parts = b.view(weights, shape, elem_of(self.body.linear.weight), MemLayout(MemLayout.row_major(shape).dims, SWIZZLE))
        part, first = b.stage(parts, self.rank), b.mul(b.add(b.mul(row_task, cluster), self.rank), tiles)
        for tile in range(tiles):
            at = [b.add(first, tile), b.mul(step, SPAN // DEPTH), 0]
            mask = (1 << cluster) - 1 if cluster > 1 else None
            b.bulk_copy(self.frame.weight, at, part, self.full, slot, TILE_BYTES, at=tile * TILE_BYTES, multicast=mask)
        b.tma_copy(self.frame.maps[0], self.columns(token, step), b.stage(self.x_smem, slot), self.full, slot)

    def columns(self, token: Index, step: SSAValue) -> list[Index]:
        """Where the tokens of a step begin in x, which may have heads."""
        b, dims, k = self.b, cast(BufferType, self.body.x.type).dims, self.b.mul(step, SPAN)
        return [token, k] if len(dims) == 2 else [token, b.div(k, int(dims[2])), b.rem(k, int(dims[2]))]

    # the multiplying warps --------------------------------------------------------------
    def consume(self) -> None:
        b, m, n, pair = self.b, self.p["m"], self.p["n"], self.body.pair

        def task(turn: SSAValue) -> None:
            base = b.mul(turn, self.steps)

            def step(step: SSAValue, flying: SSAValue) -> list[SSAValue]:
                index = b.add(base, step)
                flying = b.wgmma_wait(self.multiply(index, flying), 1)
                # a task's first step has none before it: peeled, it would have ptxas wait for it in front of the loop
                b.if_(b.cmp("gt", step, 0), lambda: self.release(b.sub(index, 1)))
                return [flying]

            zero = b.wgmma_begin(b.full(0.0, accumulator(m, n, pair, tokens_first=False)))
            (product,) = b.for_(0, self.steps, 1, [zero], step)
            done = b.wgmma_wait(product)
            self.release(b.add(base, self.steps - 1))
            flat = b.relabel(done, accumulator(m, n, pair, tokens_first=True))
            store_product(self.frame, flat, self.p["piece"], self.place(turn))

        b.for_(0, self.rounds, 1, [], task)

    def multiply(self, index: Index, flying: SSAValue) -> SSAValue:
        """Start the product of a stage once its copies have come."""
        b = self.b
        slot, parity = self.slot(index)
        b.mbarrier_wait(self.full, slot, parity)
        return b.wgmma(b.stage(self.w_smem, slot), b.stage(self.x_smem, slot), flying)

    def release(self, index: Index) -> None:
        slot, _ = self.slot(index)
        for empty in self.empties:
            self.b.mbarrier_arrive(empty, slot)


SCHEDULE = GemmTma()

__all__ = ["SCHEDULE", "GemmTma"]
