"""Linear layers of many tokens on Hopper: wgmma with both operands from shared memory, which one thread keeps filled.

    task: m rows of the weight's image × n tokens
    stage: 64 of k: the weight's blocks by bulk copies and x[n, 64] by a tensor map
    cluster: its CTAs have neighbouring tasks in common rows (m ≥ n) or common tokens (m < n), and what they have in common is copied in
             parts by each of them and for all of them
    roles: two warpgroups multiply, m / 2 rows each; a thread copies, tasks ahead of them. Where the pairs of rows (rope) of both would
           cut heads, each warpgroup is a role of its own, with a head of its own

The thread stands in a warpgroup of its own, because registers are handed over by warpgroups.

A block of the image is two patterns of eight rows of wgmma's 64-byte swizzle, so that blocks one after another are an operand. CTAs stay
and take tasks in turn. A CTA whose tokens lie beyond the last one still copies its part of the weights for its peer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from xdsl.dialects.builtin import bf16
from xdsl.ir import SSAValue

from ...dialects.layout.mem import MemLayout
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tensor_map import TensorMap
from ...dialects.layout.types import BufferType, ScheduleAttr
from ...dialects.nn.types import elem_of
from ...dialects.tile.wgmma import SPAN
from .base import Abi, Parameter, bad_parameter, checked_parameters
from .body import LinearBody, analyse_linear, row_granule
from .builder import Index
from .gemm import SCHEDULE as PLAIN
from .gemm import grouped
from .gemm_wgmma import Place, product_rows, store_product
from .images import BLOCK, DEPTH, ROWS, SWIZZLE, blocks_layout, weight_image
from .linear import LinearFrame, begin_kernel

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

GROUPS = 2
CONSUMERS, PRODUCERS = 4 * GROUPS, 4
REGISTERS = (224, 56)
"""A thread of the two roles: 64 Ki in all, in eights."""
BLOCKS = SPAN // DEPTH
FORMS = (
    (256, 128, 4, 50.0),
    (128, 256, 4, 47.5),
    (128, 192, 5, 36.5),
    (128, 160, 5, 31.5),
    (128, 128, 6, 26.0),
    (128, 64, 8, 19.5),
)
"""What `candidates` offers: m, n, stages, and the microseconds of a task of K = 4096 on an H200 that is full of them
(tests/perf/results/gemm_tma_h200.json)."""
LONG = 4096
"""Tokens that a prompt is taken to have where nothing bounds it."""
PARAMETERS = (
    Parameter("m", "rows of the weight a task", (128, 256), 256),
    Parameter("n", "tokens a task", range(16, 257, 16), 128),
    Parameter("stages", "stages of shared memory", range(2, 13), 4),
    Parameter("cluster", "CTAs that share weights or tokens", (1, 2), 1),
    Parameter("group", "token tiles (of a cluster) that run side by side", range(1, 65), 8),
    Parameter("runs", "the epilogue goes through shared memory, for eight rows in a row a thread", (0, 1), 1),
    Parameter("ctas", "CTAs that stay and take tasks in turn", range(1, 4097), 132),
    Parameter(
        "piece", "tokens that the epilogue takes at a time, in sixteens: fewer need fewer registers", range(16, 257, 16), 32
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
        """For more than 64 tokens on targets with wgmma: the forms by what a token takes in their rounds of CTAs (see FORMS), in
        the mean over the most tokens of the regime, half and a quarter of them."""
        if not target.has("wgmma"):
            return []
        body = analyse_linear(kernel)
        tokens = body.tokens
        low, high = (tokens, tokens) if isinstance(tokens, int) else kernel.range_of(tokens) or (1, LONG)
        high = max(low, min(high, LONG))
        if high <= 64:
            return []
        cost: dict[ScheduleAttr, float] = {}
        for m, n, stages, us in FORMS:
            if m == 256 and _apart(body, m):
                continue  # never the fastest (tests/perf/results/gemm_heads_h100.json)
            schedule = ScheduleAttr.of(self.name, m=m, n=n, stages=stages, ctas=target.sm_count)
            if _problem(body, checked_parameters(schedule, PARAMETERS), target) is None:
                counts = {max(low, high >> shift) for shift in range(3)}
                rounds = {t: -(-(-(-t // n) * (body.n // m)) // target.sm_count) for t in counts}
                cost[schedule] = sum(us * rounds[t] / t for t in counts)
        return sorted(cost, key=cost.__getitem__)

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = _parameters(kernel, schedule)
        columns, rows = _shares(p)
        clusters = f"ceildiv({body.tokens}, {p['n'] * columns}) * {body.n // (p['m'] * rows)}"
        grid = f"min({clusters} * {p['cluster']}, {p['ctas']})"
        image = weight_image(body.n, body.k, elem_of(body.linear.weight), body.pair)
        heads = len(cast(BufferType, body.x.type).dims) - 2
        tokens = TensorMap(body.x.index, (p["n"] // rows, *(1,) * heads, SPAN), 128)
        return Abi((grid, "1", "1"), CONSUMERS + PRODUCERS, {body.weight.index: image}, maps=(tokens,))

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        if not target.has("wgmma"):
            raise bad_parameter(kernel, f"{target.name} has no wgmma", "the schedule gemm, or --target sm_90a")
        body, p = _parameters(kernel, schedule, target)
        features = ("wgmma", "setmaxnreg") if target.has("setmaxnreg") else ("wgmma",)
        frame = begin_kernel(body, self.abi(kernel, schedule), schedule, 1, p["cluster"], features)
        b, work = frame.b, _Work(frame, p)

        def produce() -> None:
            b.if_(b.elect(), work.produce)

        many, few = REGISTERS
        roles = [(CONSUMERS // len(work.consumers), share.consume) for share in work.consumers]
        b.roles(*roles, (PRODUCERS, produce), regs=(*(many for _ in roles), few))
        return frame.finish()


def _shares(p: dict[str, int]) -> tuple[int, int]:
    """Token tiles and row tasks of a cluster: one of them is 1, the operand of that side is shared."""
    return (p["cluster"], 1) if p["m"] >= p["n"] else (1, p["cluster"])


def _apart(body: LinearBody, m: int) -> bool:
    """Whether each warpgroup takes its rows by itself: where those of both together would cut a range of paired rows."""
    return bool(body.pair) and row_granule(body) % (m // 2) != 0


def _problem(body: LinearBody, p: dict[str, int], target: Target | None = None) -> tuple[str, str] | None:
    roles = GROUPS if _apart(body, p["m"]) else 1
    granule, rows = row_granule(body), (p["m"] // 2 if body.pair else p["m"]) // roles
    if granule % rows and (body.widths - {0, body.n} or body.pair):
        return f"m = {p['m']} rows a task cut ranges of {granule} columns", "a smaller m"
    rows_of_piece, rows = rows, p["m"] * _shares(p)[1]
    if body.n % rows or body.k % SPAN:
        return f"tasks of {rows} rows, {SPAN} deep, do not tile N = {body.n}, K = {body.k}", "the schedule gemm_wgmma"
    dims = cast(BufferType, body.x.type).dims
    if len(dims) not in (2, 3) or int(dims[-1]) % SPAN:
        return f"tokens of {list(dims)} have no boxes of {SPAN} columns", "the schedule gemm_wgmma"
    if p["m"] * p["n"] > 192 * 32 * CONSUMERS:
        return f"the accumulators of {p['m']} × {p['n']} do not fit the registers of {GROUPS} warpgroups", "fewer tokens a task"
    if p["ctas"] % p["cluster"]:
        return f"{p['ctas']} CTAs are no clusters of {p['cluster']}", "an even number of CTAs"
    shared = 2 * SPAN * p["stages"] * (p["m"] + p["n"])
    if p["runs"]:
        shared += 4 * p["piece"] * (rows_of_piece + 4) * roles
    if target is not None and shared > target.smem_per_block - 1024:
        return f"{p['stages']} stages and the epilogue are {shared} bytes of shared memory", "fewer stages or a smaller piece"
    return None


def _parameters(kernel: KernelOp, schedule: ScheduleAttr, target: Target | None = None) -> tuple[LinearBody, dict[str, int]]:
    body = analyse_linear(kernel)
    p = checked_parameters(schedule, PARAMETERS, kernel)
    problem = _problem(body, p, target)
    if problem is not None:
        raise bad_parameter(kernel, *problem)
    return body, p


class _Work:
    """What the roles do. `full`: a stage's copies have come; `empty`: the consumers of all CTAs that it was copied for are through."""

    def __init__(self, frame: LinearFrame, p: dict[str, int]):
        self.b, self.frame, self.p, self.body = frame.b, frame, p, frame.body
        b, body, m, n, cluster = frame.b, frame.body, p["m"], p["n"], p["cluster"]
        rows, block = weight_image(m, DEPTH, bf16, m // 2 if body.pair else 0).dims
        stages = MemLayout((((p["stages"], m * SPAN),), rows, (*block, (BLOCKS, m * DEPTH))), SWIZZLE)
        self.w_smem = b.alloc((p["stages"], m, SPAN), elem_of(body.linear.weight), stages)
        self.x_smem = b.alloc((p["stages"], n, SPAN), bf16, MemLayout.swizzled((p["stages"], n, SPAN), 2))
        self.full, self.empty = b.mbarriers(p["stages"], 1), b.mbarriers(p["stages"], CONSUMERS * cluster)
        self.rank = b.rank() if cluster > 1 else 0
        self.empties = [b.peer(self.empty, rank) for rank in range(cluster)] if cluster > 1 else [self.empty]
        self.steps = body.k // SPAN
        cta, _, _ = b.task()
        self.first, self.clusters = b.div(cta, cluster), p["ctas"] // cluster
        self.columns, self.rows = _shares(p)
        self.token_tiles, self.row_tasks = b.ceildiv(frame.bound, n * self.columns), body.n // (m * self.rows)
        left = b.sub(b.mul(self.token_tiles, self.row_tasks), self.first)
        self.rounds = b.ceildiv(left, self.clusters)
        apart = _apart(body, m)
        self.consumers = [_Consumer(self, m // GROUPS, group) for group in range(GROUPS)] if apart else [_Consumer(self, m)]

    def place(self, turn: Index) -> Place:
        """The task that this CTA takes as its `turn`th."""
        b, p = self.b, self.p
        number = b.add(self.first, b.mul(turn, self.clusters))
        tile, row_task = grouped(b, number, self.token_tiles, self.row_tasks, p["group"])
        if self.columns > 1:
            tile = b.add(b.mul(tile, self.columns), self.rank)
        if self.rows > 1:
            row_task = b.add(b.mul(row_task, self.rows), self.rank)
        return b.mul(tile, p["n"]), row_task

    def slot(self, index: Index) -> tuple[Index, Index]:
        """The stage that a step uses, counted over all tasks, and the parity of its phase."""
        b, stages = self.b, self.p["stages"]
        return b.rem(index, stages), b.rem(b.div(index, stages), 2)

    # the copying thread -----------------------------------------------------------------
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
        b, p = self.b, self.p
        slot, parity = self.slot(index)
        b.mbarrier_wait(self.empty, slot, b.sub(1, parity))
        b.mbarrier_expect(self.full, slot, 2 * SPAN * (p["m"] + p["n"]))
        self.copy_weights(row_task, step, slot)
        self.copy_tokens(token, step, slot)

    def copy_weights(self, row_task: Index, step: SSAValue, slot: Index) -> None:
        b, parts, elem = self.b, self.columns, elem_of(self.body.linear.weight)
        tiles, mask = self.p["m"] // ROWS // parts, (1 << parts) - 1 if parts > 1 else None
        shape = (BLOCKS, parts, tiles * BLOCK)
        whole = b.view(b.stage(self.w_smem, slot), shape, elem, blocks_layout(shape, elem))
        first = b.mul(row_task, tiles * parts)
        if parts > 1:
            first = b.add(first, b.mul(self.rank, tiles))
        for block in range(BLOCKS):
            part = b.stage(b.stage(whole, block), self.rank if parts > 1 else 0)
            for tile in range(tiles):
                at = [b.add(first, tile), b.add(b.mul(step, BLOCKS), block), 0]
                b.bulk_copy(self.frame.weight, at, part, self.full, slot, 2 * BLOCK, at=2 * BLOCK * tile, multicast=mask)

    def copy_tokens(self, token: Index, step: SSAValue, slot: Index) -> None:
        b, parts = self.b, self.rows
        rows, mask = self.p["n"] // parts, (1 << parts) - 1 if parts > 1 else None
        whole = b.view(b.stage(self.x_smem, slot), (parts, rows, SPAN), bf16, MemLayout.swizzled((parts, rows, SPAN), 2))
        if parts > 1:
            token = b.add(token, b.mul(self.rank, rows))
        part = b.stage(whole, self.rank if parts > 1 else 0)
        b.tma_copy(self.frame.maps[0], self.place_of(token, step), part, self.full, slot, multicast=mask)

    def place_of(self, token: Index, step: SSAValue) -> list[Index]:
        """Where the tokens of a step begin in x, which may have heads."""
        b, dims, k = self.b, cast(BufferType, self.body.x.type).dims, self.b.mul(step, SPAN)
        return [token, k] if len(dims) == 2 else [token, b.div(k, int(dims[2])), b.rem(k, int(dims[2]))]

    def release(self, index: Index) -> None:
        slot, _ = self.slot(index)
        for empty in self.empties:
            self.b.mbarrier_arrive(empty, slot)


@dataclass(frozen=True)
class _Consumer:
    """What one role multiplies of every task: `rows` of its m rows, the `number`th part."""

    work: _Work
    rows: int
    number: int = 0

    def consume(self) -> None:
        work, b = self.work, self.work.b
        shape = {**work.p, "m": self.rows, "groups": GROUPS * self.rows // work.p["m"]}

        def task(turn: SSAValue) -> None:
            base = b.mul(turn, work.steps)

            def step(step: SSAValue, flying: SSAValue) -> list[SSAValue]:
                index = b.add(base, step)
                flying = b.wgmma_wait(self.multiply(index, flying), 1)
                # a task's first step has none before it: peeled, it would have ptxas wait for it in front of the loop
                b.if_(b.cmp("gt", step, 0), lambda: work.release(b.sub(index, 1)))
                return [flying]

            zero = b.wgmma_begin(b.full(0.0, product_rows(shape, work.body.pair, tokens_first=False)))
            (product,) = b.for_(0, work.steps, 1, [zero], step)
            done = b.wgmma_wait(product)
            work.release(b.add(base, work.steps - 1))
            flat = b.relabel(done, product_rows(shape, work.body.pair, tokens_first=True))
            store_product(work.frame, flat, work.p["piece"], self.place(turn), bool(work.p["runs"]))

        b.for_(0, work.rounds, 1, [], task)

    def place(self, turn: Index) -> Place:
        """Where a task begins, in rows of this consumer."""
        token, row_task = self.work.place(turn)
        parts = self.work.p["m"] // self.rows
        return token, row_task if parts == 1 else self.work.b.add(self.work.b.mul(row_task, parts), self.number)

    def multiply(self, index: Index, flying: SSAValue) -> SSAValue:
        """Start the product of a stage once its copies have come."""
        work, b = self.work, self.work.b
        slot, parity = work.slot(index)
        b.mbarrier_wait(work.full, slot, parity)
        return b.wgmma(self.weights(slot), b.stage(work.x_smem, slot), flying)

    def weights(self, slot: Index) -> SSAValue:
        """Its rows of a stage."""
        work, b, rows = self.work, self.work.b, self.rows
        stage, m = b.stage(work.w_smem, slot), work.p["m"]
        if rows == m:
            return stage
        tiles, block = weight_image(rows, DEPTH, bf16, rows // 2).dims
        layout = MemLayout((tiles, (*block, (BLOCKS, m * DEPTH))), SWIZZLE)
        return b.view(stage, (rows, SPAN), elem_of(work.body.linear.weight), layout, offset=2 * rows * DEPTH * self.number)


SCHEDULE = GemmTma()

__all__ = ["SCHEDULE", "GemmTma"]
