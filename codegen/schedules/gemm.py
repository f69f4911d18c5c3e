"""Linear layers of many tokens (prefill): mma.sync on tiles that cp.async brings to shared memory, several stages ahead.

    task: m rows of the weight's image × n tokens, in groups of `group` token tiles that share weights in L2
    stage: the weight's blocks as they lie in memory (a lane's operand is 16 bytes in a row) and x[n, k], swizzled so that the
           same permuted k is conflict-free
    warps: warps_m × warps_n, each a block of the tile

The accumulator's rows are in the image's order, so pairs (gate and up, halves of rotary heads) meet in one thread and the epilogue
of `epilogue.py` works on registers.
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
from .base import Abi, Parameter, bad_parameter, checked_parameters
from .body import LinearBody, Unsupported, analyse_linear, row_granule
from .builder import Index, TileBuilder
from .epilogue import Epilogue
from .images import BLOCK, DEPTH, ROWS, blocks_layout, elem_width, lane_digits, operand_digits, weight_image
from .linear import LinearFrame, begin_kernel

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

PARAMETERS = (
    Parameter("m", "rows of the weight a task", range(16, 257, 16), 128),
    Parameter("n", "tokens a task", range(8, 257, 8), 128),
    Parameter("k", "depth of a stage", (32, 64, 128), 64),
    Parameter("stages", "stages of shared memory", range(2, 9), 3),
    Parameter("warps_m", "warps along the rows", (1, 2, 4, 8), 2),
    Parameter("warps_n", "warps along the tokens", (1, 2, 4, 8), 4),
    Parameter("group", "token tiles that run side by side", range(1, 65), 8),
    Parameter("min_ctas", "CTAs a multiprocessor that registers must allow", range(1, 9), 1),
)


class Gemm:
    """See the module docstring."""

    name = "gemm"
    family = "linear"

    def accepts(self, kernel: KernelOp) -> str | None:
        try:
            body = analyse_linear(kernel)
        except Unsupported as problem:
            return str(problem)
        if body.norm is not None:
            return "a norm in front of many tokens is a kernel of its own"
        if not isinstance(elem_of(body.linear.x), BFloat16Type):
            return "tokens are not bf16"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        body = analyse_linear(kernel)
        most = body.tokens if isinstance(body.tokens, int) else (kernel.range_of(body.tokens) or (1, 1 << 30))[1]
        depth = 64 if body.k % 64 == 0 else 32
        large = [
            ScheduleAttr.of("gemm", m=m, n=128, k=depth, stages=3, warps_m=m // 64, warps_n=2, group=8, min_ctas=2)
            for m in (128, 64)
        ]
        small = ScheduleAttr.of("gemm", m=64, n=64, k=depth, stages=4, warps_m=2, warps_n=2, group=8, min_ctas=3)
        tiny = ScheduleAttr.of("gemm", m=32, n=32, k=32, stages=3, warps_m=1, warps_n=1, group=8, min_ctas=4)
        # narrow rotary heads allow tiles of few rows only
        narrow = [
            ScheduleAttr.of("gemm", m=m, n=64, k=depth, stages=4, warps_m=1, warps_n=2, group=8, min_ctas=3) for m in (32, 16)
        ]
        ordered = [*large, small, *narrow, tiny] if most > 512 else [small, *large, *narrow, tiny]
        return [s for s in ordered if self._problem(body, checked_parameters(s, PARAMETERS)) is None]

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = self._parameters(kernel, schedule)
        tasks = f"ceildiv({body.tokens}, {p['n']}) * {-(-body.n // p['m'])}"
        image = weight_image(body.n, body.k, elem_of(body.linear.weight), body.pair)
        return Abi((tasks, "1", "1"), p["warps_m"] * p["warps_n"], {body.weight.index: image})

    def _problem(self, body: LinearBody, p: dict[str, int]) -> tuple[str, str] | None:
        granule, rows = row_granule(body), p["m"] // 2 if body.pair else p["m"]
        if granule % rows and (body.widths - {0, body.n} or body.pair):
            return f"m = {p['m']} rows a task cut ranges of {granule} columns", "a smaller m"
        if p["m"] % (ROWS * p["warps_m"]) or p["n"] % (8 * p["warps_n"]):
            return (
                f"{p['m']} × {p['n']} does not divide among {p['warps_m']} × {p['warps_n']} warps",
                "fewer warps or larger tiles",
            )
        if body.k % p["k"]:
            return f"stages of {p['k']} do not divide K = {body.k}", "k = 32"
        threads = 32 * p["warps_m"] * p["warps_n"]
        if p["n"] * p["k"] % (8 * threads) or p["m"] * p["k"] % (
            (16 if elem_width(elem_of(body.linear.weight)) == 8 else 8) * threads
        ):
            return f"a stage is less than 16 bytes for each of {threads} threads", "fewer warps or a larger k"
        return None

    def _parameters(self, kernel: KernelOp, schedule: ScheduleAttr) -> tuple[LinearBody, dict[str, int]]:
        body = analyse_linear(kernel)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        problem = self._problem(body, p)
        if problem is not None:
            raise bad_parameter(kernel, *problem)
        return body, p

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        body, p = self._parameters(kernel, schedule)
        frame = begin_kernel(body, self.abi(kernel, schedule), schedule, p["min_ctas"])
        b = frame.b
        task, _, _ = b.task()
        token_tile, row_task = grouped(b, task, b.ceildiv(frame.bound, p["n"]), -(-body.n // p["m"]), p["group"])
        token = b.mul(token_tile, p["n"])
        product = _Pipeline(frame, p, token, b.mul(row_task, p["m"] // ROWS)).run()
        flat = b.relabel(product, _rows(p, body.pair, tokens_first=True))
        half = p["m"] // 2
        base = frame.column_base(row_task, half if body.pair else p["m"])
        # a few tokens at a time, so that the epilogue's operands need few registers
        step = next(s for s in (16, 8) if p["n"] % (s * p["warps_n"]) == 0) * p["warps_n"]
        for first in range(0, p["n"], step):
            piece = b.slice(flat, 0, first, step)
            piece = b.relayout(piece, columns_first(frag_of(piece).tv))
            parts = {0: piece} if not body.pair else {i: b.slice(piece, 1, i * half, half) for i in range(2)}
            at = b.add(token, first)
            Epilogue(b, body, frame.buffers, at, base, frame.bound, parts, guard_columns=body.n % p["m"] != 0).run()
        return frame.finish()


def columns_first(tv: Tv) -> Tv:
    """The same tile [tokens, rows] with a thread's neighbouring rows in neighbouring registers, as they lie in memory."""
    return Tv(tv.shape, tuple(sorted(tv.reg, key=lambda d: (d[1][1] == 0, d[1][1]))), tv.lane, tv.warp)


def grouped(b: TileBuilder, task: Index, token_tiles: Index, rows: int, group: int) -> tuple[Index, Index]:
    """(token tile, row task) of a task: groups of `group` token tiles, in them token tiles fastest."""
    if group == 1:
        return b.div(task, rows), b.rem(task, rows)
    which, inside = b.div(task, group * rows), b.rem(task, group * rows)
    first = b.mul(which, group)
    size = b.min(b.sub(token_tiles, first), group)
    return b.add(first, b.rem(inside, size)), b.div(inside, size)


def _rows(p: dict[str, int], pair: int, tokens_first: bool) -> Tv:
    """The accumulator [m, n] or [n, m], rows in the order of the image; warps take turns with eights of tokens, so that a range of
    tokens is a subset of every warp's registers."""
    m, n, wm, wn = p["m"], p["n"], p["warps_m"], p["warps_n"]
    slot, group, tile = (m // 2, 1, 8) if pair else (1, 2, 16)
    tiles, columns = m // ROWS // wm, n // wn

    def at(row: int, column: int) -> tuple[int, int]:
        return (column, row) if tokens_first else (row, column)

    reg = [(2, at(0, 1)), (2, at(slot, 0)), (columns // 8, at(0, 8 * wn)), (tiles, at(tile, 0))]
    warp = [(wm, at(tile * tiles, 0)), (wn, at(0, 8))]
    return Tv((n, m) if tokens_first else (m, n), _kept(reg), ((4, at(0, 2)), (8, at(group, 0))), _kept(warp))


def _kept(digits: list[tuple[int, tuple[int, ...]]]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple(d for d in digits if d[0] > 1)


class _Pipeline:
    """The loop over k."""

    def __init__(self, frame: LinearFrame, p: dict[str, int], token: Index, row_tile: Index):
        self.b, self.frame, self.p, self.token, self.row_tile = frame.b, frame, p, token, row_tile
        self.body = frame.body
        b, m, n, k, stages = frame.b, p["m"], p["n"], p["k"], p["stages"]
        elem = elem_of(self.body.linear.weight)
        self.narrow = isinstance(elem, IntegerType)
        self.w_shape = (m // ROWS, k // DEPTH, BLOCK)
        blocks = (stages, *self.w_shape)
        self.w_smem = b.alloc(blocks, elem, blocks_layout(blocks, elem))
        plain = MemLayout.row_major((stages, n, k))
        # eight lanes read two rows' first or second 64 bytes: put odd rows' halves the other way round
        self.x_smem = b.alloc((stages, n, k), bf16, MemLayout(plain.dims, (1, 5, 1)) if k >= 64 else plain)

    def copy(self, step: Index, slot: Index) -> None:
        b, p, warps = self.b, self.p, self.p["warps_m"] * self.p["warps_n"]
        w_tv = Tv.blocked(self.w_shape, 16 if self.narrow else 8, (2, 1, 0), warps)
        x_tv = Tv.blocked((p["n"], p["k"]), 8, (1, 0), warps)
        guard = self.body.n % p["m"] != 0
        blocks = b.mul(step, p["k"] // DEPTH)
        w_stage, x_stage = b.stage(self.w_smem, slot), b.stage(self.x_smem, slot)
        b.cp_async(self.frame.weight, [self.row_tile, blocks, 0], w_stage, [0, 0, 0], w_tv, checked=[guard, False, False])
        b.cp_async(
            self.frame.x,
            [self.token, b.mul(step, p["k"])],
            x_stage,
            [0, 0],
            x_tv,
            checked=[True, False],
            bounds=[self.frame.bound],
        )

    def operands(self, slot: Index, block: int) -> tuple[SSAValue, SSAValue]:
        """The operands of one k-block of a stage."""
        b, p, pair = self.b, self.p, self.body.pair
        m, n, wm, wn = p["m"], p["n"], p["warps_m"], p["warps_n"]
        tiles, columns = m // ROWS // wm, n // wn
        elem = elem_of(self.body.linear.weight)
        inner, lane = lane_digits(elem)
        raw = Tv(
            (m // ROWS, 1, BLOCK),
            _kept([*((size, (0, 0, step)) for size, step in inner), (tiles, (1, 0, 0))]),
            ((32, (0, 0, lane)),),
            _kept([(wm, (tiles, 0, 0)), (wn, (0, 0, 0))]),
        )
        slot_step, group, tile = (m // 2, 1, 8) if pair else (1, 2, 16)
        a_reg = [*operand_digits(elem, slot_step), (tiles, (tile, 0))]
        a_tv = Tv((m, DEPTH), _kept(a_reg), ((4, (0, 8)), (8, (group, 0))), _kept([(wm, (tile * tiles, 0)), (wn, (0, 0))]))
        b_reg = [(8, (0, 1)), (columns // 8, (8 * wn, 0))]
        b_tv = Tv((n, DEPTH), _kept(b_reg), ((4, (0, 8)), (8, (1, 0))), _kept([(wm, (0, 0)), (wn, (8, 0))]))
        x = b.load(b.stage(self.x_smem, slot), [0, block * DEPTH], b_tv)
        w = b.relabel(b.load(b.stage(self.w_smem, slot), [0, block, 0], raw), a_tv)
        return (b.unpack(w, bf16) if self.narrow else w), x

    def run(self) -> SSAValue:
        b, p, stages = self.b, self.p, self.p["stages"]
        steps = self.body.k // p["k"]
        for s in range(stages - 1):
            if s < steps:
                self.copy(s, s)
            b.cp_async_commit()

        def body(i: SSAValue, acc: SSAValue) -> list[SSAValue]:
            b.cp_async_wait(stages - 2)
            b.barrier()
            ahead = b.add(i, stages - 1)
            b.if_(b.cmp("lt", ahead, steps), lambda: self.copy(ahead, b.rem(ahead, stages)))
            b.cp_async_commit()
            slot = b.rem(i, stages)
            for block in range(p["k"] // DEPTH):
                w, x = self.operands(slot, block)
                acc = b.mma(w, x, acc)
            return [acc]

        zero = b.full(0.0, _rows(p, self.body.pair, tokens_first=False))
        (result,) = b.for_(0, steps, 1, [zero], body)
        b.cp_async_wait(0)
        return result


SCHEDULE = Gemm()

__all__ = ["SCHEDULE", "Gemm", "grouped"]
