"""Linear layers of many tokens on Hopper: wgmma with the weight from registers and the tokens from shared memory.

    task: m rows of the weight's image × n tokens, in groups of `group` token tiles that share weights in L2
    weight: the image is in fragment order, so every lane loads its operands straight from global memory, one step ahead
    tokens: x[n, k] by 4-byte asynchronous copies, `stages` deep; a pair of k goes to the slot where the image's registers want it
    warps: `groups` warpgroups, each m / groups rows (64 an instruction) and all n tokens

The accumulator's registers are those of mma.sync, so the epilogue of `epilogue.py` works on them as in `gemm.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsl.dialects.builtin import BFloat16Type, IntegerType, bf16
from xdsl.ir import SSAValue

from ...dialects.layout.mem import MemLayout
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tv import Tv
from ...dialects.layout.types import ScheduleAttr
from ...dialects.nn.types import elem_of
from ...dialects.tile.types import frag_of
from ...dialects.tile.wgmma import PATTERN, SPAN
from .base import Abi, Parameter, bad_parameter, checked_parameters
from .body import LinearBody, analyse_linear, row_granule
from .builder import Index
from .epilogue import Epilogue
from .gemm import SCHEDULE as PLAIN
from .gemm import columns_first, grouped
from .images import BLOCK, DEPTH, ROWS, weight_image
from .linear import LinearFrame, begin_kernel

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

PARAMETERS = (
    Parameter("m", "rows of the weight a task", range(64, 513, 64), 128),
    Parameter("n", "tokens a task", range(8, 257, 8), 256),
    Parameter("k", "depth of a stage", (64, 128), 64),
    Parameter("stages", "stages of shared memory", range(2, 17), 4),
    Parameter("groups", "warpgroups, which divide the rows", range(1, 5), 2),
    Parameter("overlap", "one step stays in flight while the next one starts", (0, 1), 0),
    Parameter("group", "token tiles that run side by side", range(1, 65), 8),
    Parameter("min_ctas", "CTAs a multiprocessor that registers must allow", range(1, 5), 1),
)
PIECE = 16
"""Tokens that the epilogue takes at a time, so that its operands need few registers."""


class GemmWgmma:
    """See the module docstring."""

    name = "gemm_wgmma"
    family = "linear"

    def accepts(self, kernel: KernelOp) -> str | None:
        return PLAIN.accepts(kernel)

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        """For more than 64 tokens on targets with wgmma; the largest tile whose rows stay inside the ranges of the body."""
        if not target.has("wgmma"):
            return []
        body = analyse_linear(kernel)
        most = body.tokens if isinstance(body.tokens, int) else (kernel.range_of(body.tokens) or (1, 1 << 30))[1]
        if most <= 64:
            return []
        wide = [(256, 128, 4, 8), (128, 128, 2, 8), (64, 64, 1, 8)]
        overlap = int(body.k // 64 % 2 == 0)
        tried = [
            ScheduleAttr.of(self.name, m=m, n=n, k=64, stages=stages, groups=groups, overlap=overlap)
            for m, n, groups, stages in (wide if most > 512 else wide[1:])
        ]
        return [s for s in tried if self._problem(body, checked_parameters(s, PARAMETERS), target) is None]

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = self._parameters(kernel, schedule)
        tasks = f"ceildiv({body.tokens}, {p['n']}) * {-(-body.n // p['m'])}"
        image = weight_image(body.n, body.k, elem_of(body.linear.weight), body.pair)
        return Abi((tasks, "1", "1"), 4 * p["groups"], {body.weight.index: image})

    def _problem(self, body: LinearBody, p: dict[str, int], target: Target | None = None) -> tuple[str, str] | None:
        granule, rows = row_granule(body), p["m"] // 2 if body.pair else p["m"]
        if granule % rows and (body.widths - {0, body.n} or body.pair):
            return f"m = {p['m']} rows a task cut ranges of {granule} columns", "a smaller m"
        if p["m"] % (64 * p["groups"]):
            return f"{p['m']} rows are no multiple of 64 for each of {p['groups']} warpgroups", "fewer groups or a larger m"
        if body.k % p["k"]:
            return f"stages of {p['k']} do not divide K = {body.k}", "k = 64, or the schedule gemm"
        if p["overlap"] and (p["stages"] < 3 or body.k // p["k"] % 2):
            return f"overlap takes 3 stages or more and an even number of steps of k, not {body.k} / {p['k']}", "overlap = 0"
        if p["m"] // p["groups"] * p["n"] // 128 > (255 if p["groups"] * p["min_ctas"] <= 2 else 512 // p["groups"] // p["min_ctas"]) - 64:
            return f"the accumulators of {p['m']} × {p['n']} do not fit the registers of {p['groups']} warpgroups", "smaller tiles"
        shared = 2 * p["stages"] * p["n"] * p["k"]
        if target is not None and shared * p["min_ctas"] > target.smem_per_block - 8192:
            return f"{p['stages']} stages are {shared} bytes of shared memory", "fewer stages"
        return None

    def _parameters(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target | None = None) -> tuple[LinearBody, dict[str, int]]:
        body = analyse_linear(kernel)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        problem = self._problem(body, p, target)
        if problem is not None:
            raise bad_parameter(kernel, *problem)
        return body, p

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        if not target.has("wgmma"):
            raise bad_parameter(kernel, f"{target.name} has no wgmma", "the schedule gemm, or --target sm_90a")
        body, p = self._parameters(kernel, schedule, target)
        frame = begin_kernel(body, self.abi(kernel, schedule), schedule, p["min_ctas"])
        b = frame.b
        task, _, _ = b.task()
        token_tile, row_task = grouped(b, task, b.ceildiv(frame.bound, p["n"]), -(-body.n // p["m"]), p["group"])
        token = b.mul(token_tile, p["n"])
        product = _Pipeline(frame, p, token, b.mul(row_task, p["m"] // ROWS)).run()
        flat = b.relabel(product, _rows(p, body.pair, tokens_first=True))
        half = p["m"] // 2
        base = frame.column_base(row_task, half if body.pair else p["m"])
        for first in range(0, p["n"], PIECE):
            piece = b.slice(flat, 0, first, min(PIECE, p["n"] - first))
            piece = b.relayout(piece, columns_first(frag_of(piece).tv))
            parts = {0: piece} if not body.pair else {i: b.slice(piece, 1, i * half, half) for i in range(2)}
            at = b.add(token, first)
            Epilogue(b, body, frame.buffers, at, base, frame.bound, parts, guard_columns=body.n % p["m"] != 0).run()
        return frame.finish()


def _kept(digits: list[tuple[int, tuple[int, ...]]]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple(d for d in digits if d[0] > 1)


def _rows(p: dict[str, int], pair: int, tokens_first: bool) -> Tv:
    """The accumulator [m, n] or [n, m], rows in the order of the image: a warp has every fourth row tile of its warpgroup."""
    m, n, groups = p["m"], p["n"], p["groups"]
    tiles = m // 64 // groups
    slot, lane, tile = (m // 2, 1, 8) if pair else (1, 2, 16)

    def at(row: int, column: int) -> tuple[int, int]:
        return (column, row) if tokens_first else (row, column)

    reg = [(2, at(0, 1)), (2, at(slot, 0)), (n // 8, at(0, 8)), (tiles, at(4 * tile, 0))]
    warp = [(4, at(tile, 0)), (groups, at(4 * tile * tiles, 0))]
    return Tv((n, m) if tokens_first else (m, n), _kept(reg), ((4, at(0, 2)), (8, at(lane, 0))), _kept(warp))


class _Pipeline:
    """The loop over k."""

    def __init__(self, frame: LinearFrame, p: dict[str, int], token: Index, row_tile: Index):
        self.b, self.frame, self.p, self.token, self.row_tile = frame.b, frame, p, token, row_tile
        self.body = frame.body
        n, k = p["n"], p["k"]
        self.narrow = isinstance(elem_of(self.body.linear.weight), IntegerType)
        # k = 32 block + 8 c + 4 p + 2 q + e lies where register (p, q) of lane quad c multiplies it: slot 16 p + 8 q + 2 c + e
        slots = ((2, 1), (2, 8), (2, 16), (4, 2), (2, 32), (k // SPAN, n * SPAN))
        dims = (((p["stages"], n * k),), ((n, SPAN),), tuple(d for d in slots if d[0] > 1))
        self.x_smem = frame.b.alloc((p["stages"], n, k), bf16, MemLayout(dims, PATTERN))

    def copy(self, step: Index, slot: Index) -> None:
        """x[token …, k …] of a step: a warp takes the 128 contiguous bytes of a row at once."""
        b, p, warps = self.b, self.p, 4 * self.p["groups"]
        reg = [(2, (0, 1)), (p["k"] // SPAN, (0, SPAN)), (-(-p["n"] // warps), (warps, 0))]
        tv = Tv((-(-p["n"] // warps) * warps, p["k"]), _kept(reg), ((32, (0, 2)),), _kept([(warps, (1, 0))]))
        b.cp_async(
            self.frame.x,
            [self.token, b.mul(step, p["k"])],
            b.stage(self.x_smem, slot),
            [0, 0],
            tv,
            checked=[True, False],
            bounds=[self.frame.bound],
        )

    def weight(self, step: Index) -> SSAValue:
        """The operands of a step as they lie in memory: 16 bytes a lane, row tile and k-block (int8), or twice that."""
        b, p = self.b, self.p
        groups, blocks, tiles = p["groups"], p["k"] // DEPTH, p["m"] // 64 // p["groups"]
        inner = [(16, (0, 0, 1))] if self.narrow else [(8, (0, 0, 1)), (2, (0, 0, 256))]
        raw = Tv(
            (p["m"] // ROWS, blocks, BLOCK),
            _kept([*inner, (blocks, (0, 1, 0)), (tiles, (4, 0, 0))]),
            ((32, (0, 0, 16 if self.narrow else 8)),),
            _kept([(4, (1, 0, 0)), (groups, (4 * tiles, 0, 0))]),
        )
        guard = self.body.n % p["m"] != 0
        at = [self.row_tile, b.mul(step, blocks), 0]
        return b.load(self.frame.weight, at, raw, checked=[guard, False, False], cache="no_allocate")

    def operand(self, raw: SSAValue) -> SSAValue:
        """Loaded weights as operand A."""
        b, p, pair = self.b, self.p, self.body.pair
        m, groups = p["m"], p["groups"]
        tiles = m // 64 // groups
        slot, lane, tile = (m // 2, 1, 8) if pair else (1, 2, 16)
        reg = [(2, (0, 1)), (2, (slot, 0)), (2, (0, 2)), (2, (0, 4)), (p["k"] // DEPTH, (0, DEPTH)), (tiles, (4 * tile, 0))]
        warp = [(4, (tile, 0)), (groups, (4 * tile * tiles, 0))]
        w = b.relabel(raw, Tv((m, p["k"]), _kept(reg), ((4, (0, 8)), (8, (lane, 0))), _kept(warp)))
        return b.unpack(w, bf16) if self.narrow else w

    def run(self) -> SSAValue:
        return self.overlapped() if self.p["overlap"] else self.plain()

    def begin(self, ahead: int) -> None:
        """Copies of the first `ahead` steps, a group each."""
        steps = self.body.k // self.p["k"]
        for s in range(ahead):
            if s < steps:
                self.copy(s, s)
            self.b.cp_async_commit()

    def copy_ahead(self, step: Index, distance: int) -> None:
        b, steps = self.b, self.body.k // self.p["k"]
        ahead = b.add(step, distance)
        b.if_(b.cmp("lt", ahead, steps), lambda: self.copy(ahead, b.rem(ahead, self.p["stages"])))
        b.cp_async_commit()

    def overlapped(self) -> SSAValue:
        """Two steps an iteration, each with its own registers for weights: while a step multiplies, the one before it ends, its
        weights' registers are loaded for the step after, and the stage of the step before that is filled."""
        b, p, stages = self.b, self.p, self.p["stages"]
        steps = self.body.k // p["k"]
        self.begin(stages - 2)

        def body(i: SSAValue, acc: SSAValue, weight: SSAValue) -> list[SSAValue]:
            for half in range(2):
                step = b.add(i, half)
                b.cp_async_wait(stages - 3)
                b.barrier()
                acc = b.wgmma(self.operand(weight), b.stage(self.x_smem, b.rem(step, stages)), acc)
                acc = b.wgmma_wait(acc, 1)
                weight = self.weight(b.min(b.add(step, 1), steps - 1))
                self.copy_ahead(step, stages - 2)
            return [acc, weight]

        zero = b.wgmma_begin(b.full(0.0, _rows(p, self.body.pair, tokens_first=False)))
        product, _ = b.for_(0, steps, 2, [zero, self.weight(0)], body)
        b.cp_async_wait(0)
        return b.wgmma_wait(product)

    def plain(self) -> SSAValue:
        b, p, stages = self.b, self.p, self.p["stages"]
        steps = self.body.k // p["k"]
        self.begin(stages - 1)
        first = self.weight(0)
        def body(i: SSAValue, acc: SSAValue, weight: SSAValue) -> list[SSAValue]:
            operand = self.operand(weight)
            b.cp_async_wait(stages - 2)
            b.barrier()
            flying = b.wgmma(operand, b.stage(self.x_smem, b.rem(i, stages)), acc)
            following = self.weight(b.min(b.add(i, 1), steps - 1))
            self.copy_ahead(i, stages - 1)
            return [b.wgmma_wait(flying), following]

        zero = b.full(0.0, _rows(p, self.body.pair, tokens_first=False))
        product, _ = b.for_(0, steps, 1, [zero, first], body)
        b.cp_async_wait(0)
        return product


SCHEDULE = GemmWgmma()

__all__ = ["SCHEDULE", "GemmWgmma"]
