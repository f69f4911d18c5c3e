"""Linear layers of a few tokens (decode): weights stream once from memory straight into tensor cores.

    task (x, y): rows [x·m, …) of the weight's image, tokens [y·n, …)
    warp w of `warps`: every k-block of 32 from block w·unroll on, `unroll` of them in flight, then the next warps·unroll
    end: partial products meet in shared memory, are summed in the order of the warps, and go through the epilogue

`min_ctas` also stops ptxas from aiming at full occupancy: without it, it takes 32 registers and sinks every load to its use.

One of weight and tokens is operand A (16 rows), the other operand B (8 columns), see `tokens_lead`; both have the permuted k of
`images.py`, so that every load is 16 bytes a lane. An rms_norm in front is split: x·γ goes in, Σx² is collected on the way, the epilogue multiplies by 1/rms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsl.dialects.builtin import BFloat16Type, IntegerType, bf16, f32
from xdsl.ir import Attribute, SSAValue

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
from .images import BLOCK, DEPTH, elem_width, lane_digits, operand_digits
from .linear import LinearFrame, begin_kernel, linear_abi, scale_rows
from .regions import widened
from .scalar import ScalarBuilder

if TYPE_CHECKING:
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target

PARAMETERS = (
    Parameter("m", "rows of the weight a task", range(16, 257, 16), 16),
    Parameter("n", "tokens a task, in eights", range(8, 65, 8), 8),
    Parameter("warps", "warps that divide k", range(1, 33), 8),
    Parameter("unroll", "k-blocks of 32 in flight a warp", range(1, 33), 8),
    Parameter("prefetch", "load the next k-blocks before multiplying the last (0 or 1)", (0, 1), 0),
    Parameter("min_ctas", "CTAs a multiprocessor that registers must allow", range(1, 17), 1),
)
MAX_TOKENS = 64


class Skinny:
    """See the module docstring."""

    name = "skinny"
    family = "linear"

    def accepts(self, kernel: KernelOp) -> str | None:
        try:
            body = analyse_linear(kernel)
        except Unsupported as problem:
            return str(problem)
        if not isinstance(elem_of(body.linear.x), BFloat16Type):
            return "tokens are not bf16"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        body = analyse_linear(kernel)
        most = body.tokens if isinstance(body.tokens, int) else (kernel.range_of(body.tokens) or (1, 1 << 30))[1]
        if most > MAX_TOKENS:
            return []
        n = next(size for size in (8, 16, 32, 64) if size >= most)
        blocks = body.k // DEPTH
        granule = row_granule(body) * (2 if body.pair else 1)
        found: list[ScheduleAttr] = []
        for rows, warps, unroll, ctas, prefetch in self._preferred(body, n):
            if granule % rows == 0 and blocks % (warps * unroll) == 0:
                found.append(
                    ScheduleAttr.of("skinny", m=rows, n=n, warps=warps, unroll=unroll, min_ctas=ctas, prefetch=prefetch)
                )
        warps = next(w for w in (8, 4, 7, 6, 5, 3, 2, 1) if blocks % w == 0)
        ctas = 2 if n <= 16 else 1
        wide = n > 16 or body.n >= 32 * 400
        for rows in [rows for rows in (32, 16) if granule % rows == 0] if wide else [16]:
            unroll = best_unroll(blocks // warps, 4 if n <= 32 else 2)
            found.append(ScheduleAttr.of("skinny", m=rows, n=n, warps=warps, unroll=unroll, min_ctas=ctas))
        last = ScheduleAttr.of("skinny", m=16, n=n, warps=warps, unroll=best_unroll(blocks // warps, 2), min_ctas=ctas)
        return list(dict.fromkeys([*found, last]))

    @staticmethod
    def _preferred(body: LinearBody, n: int) -> list[tuple[int, int, int, int, int]]:
        """(m, warps, unroll, min_ctas, prefetch) in the order of what was fastest on an H200 (tests/perf/results/sweep_h200.json):
        weights of many rows want small CTAs, three or four an SM; few rows want the depth divided among more warps."""
        tasks = body.n // 16
        large, middle = tasks >= 1024, tasks >= 320
        if elem_width(elem_of(body.linear.weight)) == 8:
            if n <= 8:
                return [(32, 4, 2, 4, 0)] if large else [(16, 4, 4, 4, 1)] if middle else [(16, 8, 4, 2, 1)]
            return []
        if n <= 8:
            return [(16, 4, 4, 3, 0)] if middle else [(16, 8, 4, 2, 0)]
        if n <= 16:
            return [(32, 4, 4, 4, 0)] if large else [(16, 4, 8, 3, 0)] if middle else [(16, 8, 4, 2, 0)]
        return [(64, 4, 1, 2, 0)] if n == 64 and large else []

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = self._parameters(kernel, schedule)
        return linear_abi(body, p["m"], p["n"], p["warps"])

    def _parameters(self, kernel: KernelOp, schedule: ScheduleAttr) -> tuple[LinearBody, dict[str, int]]:
        body = analyse_linear(kernel)
        p = checked_parameters(schedule, PARAMETERS, kernel)
        granule, rows = row_granule(body), p["m"] // 2 if body.pair else p["m"]
        if granule % rows and (body.widths - {0, body.n} or body.pair):
            raise bad_parameter(kernel, f"m = {p['m']} rows a task cut ranges of {granule} columns", "a smaller m")
        blocks = body.k // DEPTH
        if blocks % p["warps"]:
            raise bad_parameter(kernel, f"{p['warps']} warps do not divide the {blocks} k-blocks", "a divisor of the k-blocks")
        return body, p

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        body, p = self._parameters(kernel, schedule)
        frame = begin_kernel(body, self.abi(kernel, schedule), schedule, p["min_ctas"])
        b, m, n, warps = frame.b, p["m"], p["n"], p["warps"]
        task_x, task_y, _ = b.task()
        token, bound = b.mul(task_y, n), frame.bound
        streams = Streams(b, body, frame.x, frame.weight, frame.gamma, token, bound, b.mul(task_x, m // 16), p)
        product, squares = streams.run()
        partial = b.alloc((warps, n, m), f32, padded((warps, n, m)))
        sums = b.alloc((warps, n), f32) if squares is not None else None
        join_warps(frame, p, product, squares, partial, sums, task_x, token)
        return frame.finish()


def join_warps(
    frame: LinearFrame,
    p: dict[str, int],
    product: SSAValue,
    squares: SSAValue | None,
    partial: SSAValue,
    sums: SSAValue | None,
    task: Index,
    token: Index,
) -> None:
    """Sum the warps' products (and Σx²) through shared memory and run the epilogue on the result, spread over all threads."""
    b, body, m, n, warps = frame.b, frame.body, p["m"], p["n"], p["warps"]
    if not tokens_lead(n, elem_of(body.linear.weight)):
        product = b.relabel(product, accumulator(m, n, warps, body.pair, tokens_first=True))
    b.store(product, partial, [0, 0, 0])
    if squares is not None and sums is not None:
        total = b.reduce(squares, 2, "add")
        b.store(b.relabel(total, drop_to(frag_of(total).tv, (0, 1))), sums, [0, 0])
    b.barrier()
    half = m // 2 if body.pair else m
    out = spread(n, half, warps)
    scale = None
    if sums is not None:
        # the layout of [warps, n] in which each thread finds its own tokens
        by_token = stacked(out.project(1).drop(1), warps)
        scale = b.relabel(b.reduce(b.load(sums, [0, 0], by_token), 0, "add"), out.project(1))
    parts: dict[int, SSAValue] = {}
    for part in range(2 if body.pair else 1):
        loaded = b.load(partial, [0, 0, part * half], stacked(out, warps))
        tile = b.relabel(b.reduce(loaded, 0, "add"), out)
        parts[part] = tile if scale is None else scale_rows(b, body, tile, scale)
    base = frame.column_base(task, half)
    Epilogue(b, body, frame.buffers, token, base, frame.bound, parts, guard_columns=body.n % m != 0).run()


def best_unroll(count: int, most: int) -> int:
    """The unroll ≤ most that leaves the shortest rest of `count`; the larger of equals."""
    return max(range(1, min(most, count) + 1), key=lambda u: (-(count % u) if u > most // 2 else -count, u))


def padded(shape: tuple[int, int, int]) -> MemLayout:
    """Shared memory [warps, n, m] whose rows are 4 words apart in banks."""
    warps, n, m = shape
    pitch = m + 4
    return MemLayout((((warps, n * pitch),), ((n, pitch),), ((m, 1),)))


def spread(n: int, columns: int, warps: int) -> Tv:
    """A tile [n, columns] over all threads, in runs of columns as long as the threads allow."""
    vector = 1
    while vector < 8 and vector * 2 * 32 * warps <= n * columns and columns % (vector * 2) == 0:
        vector *= 2
    return Tv.blocked((n, columns), vector, (1, 0), warps)


def stacked(tv: Tv, count: int) -> Tv:
    """`count` copies of a tile as a new leading dimension, each thread holding its element of all."""
    wide = tv.expand(0)
    step = (1,) + (0,) * tv.rank
    return Tv((count, *tv.shape), (*wide.reg, (count, step)), wide.lane, wide.warp)


def drop_to(tv: Tv, axes: tuple[int, ...]) -> Tv:
    """The layout of a tile without its axes of size 1 other than `axes`."""
    for axis in reversed(range(tv.rank)):
        if axis not in axes:
            tv = tv.drop(axis)
    return tv


def row_steps(m: int, pair: int) -> tuple[int, int, int]:
    """Rows per unit of (slot h, group g, 16-row tile): 2 g + h in a plain tile, g and half the tile for h in a paired one."""
    return (m // 2, 1, 8) if pair else (1, 2, 16)


def image_share(m: int, depth: int, warps: int, elem: Attribute) -> Tv:
    """Blocks [m / 16, warps·depth, 512] of a weight's image: `depth` in a row for each warp, 16 bytes in a row for each lane."""
    inner, lane = lane_digits(elem)
    reg = [*((size, (0, 0, step)) for size, step in inner), (depth, (0, 1, 0)), (m // 16, (1, 0, 0))]
    return Tv(
        (m // 16, warps * depth, BLOCK),
        tuple(d for d in reg if d[0] > 1),
        ((32, (0, 0, lane)),),
        ((warps, (0, depth, 0)),) if warps > 1 else (),
    )


def tokens_lead(n: int, elem: Attribute) -> bool:
    """Whether tokens are operand A of the product and weights operand B.

    A lane's 16 bytes of a 16-bit image are one row's, as operand B has them; operand A has two rows in four registers, which takes
    moves. It takes 16 tokens.
    """
    return elem_width(elem) == 16 and n % 16 == 0


def operand_a(m: int, depth: int, warps: int, pair: int, elem: Attribute) -> Tv:
    """Operand A [warps, m, 32·depth] as the weight's image lies in registers: k-blocks outside the fragment's own digits."""
    slot, group, tile = row_steps(m, pair)
    inner = [(size, (0, *step)) for size, step in operand_digits(elem, slot)]
    reg = [*inner, (depth, (0, 0, DEPTH)), (m // 16, (0, tile, 0))]
    return Tv(
        (warps, m, DEPTH * depth),
        tuple(d for d in reg if d[0] > 1),
        ((4, (0, 0, 8)), (8, (0, group, 0))),
        ((warps, (1, 0, 0)),) if warps > 1 else (),
    )


def operand_of_tokens(n: int, depth: int, warps: int) -> Tv:
    """The tokens [warps, n, 32·depth] as operand A or B: lane (g, c) holds k = 8 c … of token g (and g + 8)."""
    reg = [(8, (0, 0, 1)), (depth, (0, 0, DEPTH)), (n // 8, (0, 8, 0))]
    return Tv(
        (warps, n, DEPTH * depth),
        tuple(d for d in reg if d[0] > 1),
        ((4, (0, 0, 8)), (8, (0, 1, 0))),
        ((warps, (1, 0, 0)),) if warps > 1 else (),
    )


def tokens_accumulator(m: int, n: int, warps: int, pair: int) -> Tv:
    """The product [warps, n, m] of each warp's share of k where tokens lead."""
    slot, group, tile = row_steps(m, pair)
    reg = [(2, (0, 0, group)), (2, (0, 8, 0)), (2, (0, 0, slot)), (n // 16, (0, 16, 0)), (m // 16, (0, 0, tile))]
    return Tv(
        (warps, n, m),
        tuple(d for d in reg if d[0] > 1),
        ((4, (0, 0, 2 * group)), (8, (0, 1, 0))),
        ((warps, (1, 0, 0)),) if warps > 1 else (),
    )


def accumulator(m: int, n: int, warps: int, pair: int, tokens_first: bool = False) -> Tv:
    """The product [warps, m, n] (or [warps, n, m]) of each warp's share of k."""
    slot, group, tile = row_steps(m, pair)
    row, column = ((0, 0, 1), (0, 1, 0)) if tokens_first else ((0, 1, 0), (0, 0, 1))

    def step(vector: tuple[int, ...], amount: int) -> tuple[int, ...]:
        return tuple(v * amount for v in vector)

    reg = [(2, step(column, 1)), (2, step(row, slot)), (n // 8, step(column, 8)), (m // 16, step(row, tile))]
    return Tv(
        (warps, n, m) if tokens_first else (warps, m, n),
        tuple(d for d in reg if d[0] > 1),
        ((4, step(column, 2)), (8, step(row, group))),
        ((warps, (1, 0, 0)),) if warps > 1 else (),
    )


class Streams:
    """The loop over k."""

    def __init__(
        self,
        b: TileBuilder,
        body: LinearBody,
        x: SSAValue,
        weight: SSAValue,
        gamma: SSAValue | None,
        token: Index,
        bound: SSAValue,
        row_tile: Index,
        p: dict[str, int],
    ):
        self.b, self.body, self.x, self.weight, self.gamma = b, body, x, weight, gamma
        self.token, self.bound, self.row_tile = token, bound, row_tile
        self.m, self.n, self.warps, self.unroll = p["m"], p["n"], p["warps"], p["unroll"]
        self.prefetch = bool(p.get("prefetch"))
        self.elem = elem_of(body.linear.weight)
        self.narrow = isinstance(self.elem, IntegerType)
        self.lead = tokens_lead(self.n, self.elem)

    def zero(self) -> list[SSAValue]:
        """The accumulators to begin with: [warps, m, n], or [warps, n, m] where tokens lead; and of Σx² where a norm wants it."""
        form = tokens_accumulator if self.lead else accumulator
        carried = [self.b.full(0.0, form(self.m, self.n, self.warps, self.body.pair))]
        if self.gamma is not None:
            carried.append(self.b.full(0.0, lanes_apart(self.n, 1, self.warps).project(3)))
        return carried

    def load(self, block: Index, depth: int) -> list[SSAValue]:
        """Weights, tokens and norm weights of warps·depth k-blocks from `block` on, as they lie in registers."""
        b = self.b
        guard = self.body.n % self.m != 0
        tv = image_share(self.m, depth, self.warps, self.elem)
        w = b.load(self.weight, [self.row_tile, block, 0], tv, checked=[guard, False, False], cache="no_allocate")
        return [w, *self.tokens(block, depth)]

    def tokens(self, block: Index, depth: int) -> list[SSAValue]:
        """The tokens' share of those k-blocks, and the norm's weights."""
        b, k = self.b, self.b.mul(block, DEPTH)
        x_tv = self._along_k(self.n, depth)
        loaded = [b.load(self.x, [self.token, k], x_tv, checked=[True, False], bounds=[self.bound])]
        if self.gamma is not None:
            loaded.append(b.load(self.gamma, [k], x_tv.project(0).drop(0), cache="nc"))
        return loaded

    def _along_k(self, n: int, depth: int) -> Tv:
        reg = [(8, (0, 1)), (depth, (0, DEPTH)), (n // 8, (8, 0))]
        return Tv(
            (n, self.warps * depth * DEPTH),
            tuple(d for d in reg if d[0] > 1),
            ((4, (0, 8)), (8, (1, 0))),
            ((self.warps, (0, depth * DEPTH)),) if self.warps > 1 else (),
        )

    def multiply(self, loaded: list[SSAValue], depth: int, carried: list[SSAValue]) -> list[SSAValue]:
        """Add the products of loaded blocks to the accumulator, and Σx² to its own."""
        b, n, warps = self.b, self.n, self.warps
        w, x = loaded[:2]
        a = b.relabel(w, operand_a(self.m, depth, warps, self.body.pair, self.elem))
        if self.narrow:
            a = b.unpack(a, bf16)
        results: list[SSAValue] = []
        if self.gamma is not None:
            squares = b.map(lambda s, v: s.mul(widened(s, v), widened(s, v)), b.relabel(x, lanes_apart(n, depth, warps)))
            results.append(b.map(lambda s, u, v: s.add(u, v), carried[1], b.reduce(squares, 3, "add")))
            norm = self.body.norm
            assert norm is not None
            offset = norm.offset.value.data

            def scaled(s: ScalarBuilder, v: SSAValue, g: SSAValue) -> SSAValue:
                weight = widened(s, g)
                if offset:
                    weight = s.add(weight, offset)
                return s.cast(s.mul(widened(s, v), weight), bf16)

            gamma = b.relabel(loaded[2], self._along_k(n, depth).project(0))
            x = b.map(scaled, x, gamma)
        tokens = b.relabel(x, operand_of_tokens(n, depth, warps))
        product = b.mma(tokens, a, carried[0]) if self.lead else b.mma(a, tokens, carried[0])
        return [product, *results]

    def run(self) -> tuple[SSAValue, SSAValue | None]:
        """The accumulator (see `zero`), and Σx² as [warps, n, 4, 1] where a norm wants it."""
        b, warps = self.b, self.warps
        share = self.body.k // DEPTH // warps
        unroll = min(self.unroll, share)
        rounds, rest = divmod(share, unroll)
        carried = self.zero()
        step = warps * unroll
        count = len(carried)
        if self.prefetch and rounds > 1:
            first = self.load(0, unroll)

            def body(i: SSAValue, *values: SSAValue) -> list[SSAValue]:
                ahead = self.load(b.add(i, step), unroll)
                return [*self.multiply(list(values[count:]), unroll, list(values[:count])), *ahead]

            results = list(b.for_(0, (rounds - 1) * step, step, [*carried, *first], body))
            carried = self.multiply(results[count:], unroll, results[:count])
        elif rounds > 1:

            def round_(i: SSAValue, *values: SSAValue) -> list[SSAValue]:
                return self.multiply(self.load(i, unroll), unroll, list(values))

            carried = list(b.for_(0, rounds * step, step, carried, round_))
        else:
            carried = self.multiply(self.load(0, unroll), unroll, carried)
        if rest:
            carried = self.multiply(self.load(rounds * step, rest), rest, carried)
        if self.gamma is None:
            return carried[0], None
        return carried[0], carried[1]


def lanes_apart(n: int, depth: int, warps: int) -> Tv:
    """x as [warps, n, 4 lanes, k of a lane], so that a sum over the last axis stays inside a thread."""
    reg = [(8 * depth, (0, 0, 0, 1)), (n // 8, (0, 8, 0, 0))]
    return Tv(
        (warps, n, 4, 8 * depth),
        tuple(d for d in reg if d[0] > 1),
        ((4, (0, 0, 1, 0)), (8, (0, 1, 0, 0))),
        ((warps, (1, 0, 0, 0)),) if warps > 1 else (),
    )


SCHEDULE = Skinny()

__all__ = ["SCHEDULE", "Skinny"]
