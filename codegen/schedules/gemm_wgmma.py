"""Linear layers of many tokens on Hopper: wgmma with the weight from registers and the tokens from shared memory.

    task: m rows of the weight's image × n tokens, in groups of `group` token tiles that share weights in L2
    weight: the image is in fragment order, so every lane loads its operands straight from global memory, one step ahead
    tokens: x[n, k] by 4-byte asynchronous copies, `stages` deep; a pair of k goes to the slot where the image's registers want it
    warps: `groups` warpgroups, each m / groups rows (64 an instruction) and all n tokens

The accumulator's registers are those of mma.sync, so the epilogue of `epilogue.py` works on them as in `gemm.py`.
"""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import IntegerType, bf16
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
from .images import BLOCK, DEPTH, ROWS, elem_width, lane_digits, operand_digits, weight_image
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
    Parameter("grain", "depth of a load of weights and of the instructions in flight, with overlap; else k", (32, 64), 64),
    Parameter("ahead", "grains by which weights are loaded ahead (more than 1 with overlap only)", (1, 3, 5, 7), 1),
    Parameter(
        "prefetch",
        "steps by which L2 is asked for weights ahead, by one of the CTAs that share them; 0: not",
        range(0, 65, 2),
        0,
    ),
    Parameter("group", "token tiles that run side by side", range(1, 65), 8),
    Parameter(
        "ctas",
        "CTAs that stay and take tasks in turn, the next one's first copies flying during an epilogue; 0: one a task",
        range(0, 4097),
        0,
    ),
    Parameter("piece", "tokens that the epilogue takes at a time, in eights: fewer need fewer registers", range(8, 257, 8), 16),
    Parameter("min_ctas", "CTAs a multiprocessor that registers must allow", range(1, 5), 1),
)


Place = tuple[Index, Index]
"""(first token, row task) of a task."""


class GemmWgmma:
    """See the module docstring."""

    name = "gemm_wgmma"
    family = "linear"

    def accepts(self, kernel: KernelOp) -> str | None:
        return PLAIN.accepts(kernel)

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        """For more than 64 tokens on targets with wgmma, in the order of what was fastest on an H200 for each range of tokens
        (tests/perf/results/gemm_h200.json). Up to 256 tokens a weight of few rows is left to `gemm`, whose small tiles fill
        the card."""
        if not target.has("wgmma"):
            return []
        body = analyse_linear(kernel)
        most = body.tokens if isinstance(body.tokens, int) else (kernel.range_of(body.tokens) or (1, 1 << 30))[1]
        large = body.n >= 16384
        if most <= 64 or (most <= 256 and not large):
            return []
        wide = dict(m=256, n=128, stages=8, groups=4, grain=32, ahead=1 if elem_width(elem_of(body.linear.weight)) == 16 else 3)
        deep = dict(m=128, n=128, stages=8, groups=2, ahead=3, piece=64)
        paired = dict(m=128, n=128, stages=4, groups=2, min_ctas=2)
        order = [wide, deep, paired] if large or most > 512 else [deep, paired] if body.pair == 0 else [paired, deep]
        plain = [dict(m=m, n=n, stages=8, groups=groups) for m, n, groups in ((256, 128, 4), (128, 128, 2), (64, 64, 1))]
        tried = [ScheduleAttr.of(self.name, k=64, overlap=1, **form) for form in (*order, *plain)]
        tried += [ScheduleAttr.of(self.name, k=64, overlap=0, **form) for form in plain]
        return [s for s in tried if self._problem(body, checked_parameters(s, PARAMETERS), target) is None]

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        body, p = self._parameters(kernel, schedule)
        tasks = f"ceildiv({body.tokens}, {p['n']}) * {-(-body.n // p['m'])}"
        image = weight_image(body.n, body.k, elem_of(body.linear.weight), body.pair)
        grid = f"min({tasks}, {p['ctas']})" if p["ctas"] else tasks
        return Abi((grid, "1", "1"), 4 * p["groups"], {body.weight.index: image})

    def _problem(self, body: LinearBody, p: dict[str, int], target: Target | None = None) -> tuple[str, str] | None:
        granule, rows = row_granule(body), p["m"] // 2 if body.pair else p["m"]
        if granule % rows and (body.widths - {0, body.n} or body.pair):
            return f"m = {p['m']} rows a task cut ranges of {granule} columns", "a smaller m"
        if p["m"] % (64 * p["groups"]):
            return f"{p['m']} rows are no multiple of 64 for each of {p['groups']} warpgroups", "fewer groups or a larger m"
        if body.k % p["k"]:
            return f"stages of {p['k']} do not divide K = {body.k}", "k = 64, or the schedule gemm"
        unrolled = _unrolled(p) * p["grain"]
        if p["overlap"] and (p["stages"] < 4 or body.k % unrolled):
            return f"overlap takes 4 stages or more and K in multiples of {unrolled}, not {body.k}", "overlap = 0"
        if p["ahead"] > 1 and not p["overlap"]:
            return "weights are loaded more than one step ahead with overlap only", "ahead = 1"
        if p["prefetch"] and (not p["overlap"] or body.n % p["m"]):
            return "prefetch goes with overlap and rows that are a multiple of m", "prefetch = 0"
        if (
            p["m"] // p["groups"] * p["n"] // 128
            > (255 if p["groups"] * p["min_ctas"] <= 2 else 512 // p["groups"] // p["min_ctas"]) - 64
        ):
            return (
                f"the accumulators of {p['m']} × {p['n']} do not fit the registers of {p['groups']} warpgroups",
                "smaller tiles",
            )
        shared = 2 * p["stages"] * p["n"] * p["k"]
        if target is not None and shared * p["min_ctas"] > target.smem_per_block - 8192:
            return f"{p['stages']} stages are {shared} bytes of shared memory", "fewer stages"
        return None

    def _parameters(
        self, kernel: KernelOp, schedule: ScheduleAttr, target: Target | None = None
    ) -> tuple[LinearBody, dict[str, int]]:
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
        tokens, rows = b.ceildiv(frame.bound, p["n"]), -(-body.n // p["m"])
        pipeline = _Pipeline(frame, p)

        def place(number: Index) -> Place:
            token_tile, row_task = grouped(b, number, tokens, rows, p["group"])
            return b.mul(token_tile, p["n"]), row_task

        first = place(task)
        pipeline.begin(first)
        if not p["ctas"]:
            self._epilogue(frame, p, pipeline.multiply(first, pipeline.weights(first)), first)
            return frame.finish()
        total = b.mul(tokens, rows)

        def take(number: SSAValue, *weights: SSAValue) -> list[SSAValue]:
            here = place(number)
            product = pipeline.multiply(here, list(weights))
            # a CTA's last task prepares it once more, into stages that nobody reads
            following = place(b.min(b.add(number, p["ctas"]), b.sub(total, 1)))
            b.barrier()
            pipeline.begin(following)
            ready = pipeline.weights(following)
            self._epilogue(frame, p, product, here)
            return ready

        b.for_(task, total, p["ctas"], pipeline.weights(first), take)
        b.cp_async_wait(0)
        return frame.finish()

    def _epilogue(self, frame: LinearFrame, p: dict[str, int], product: SSAValue, place: Place) -> None:
        store_product(frame, frame.b.relabel(product, product_rows(p, frame.body.pair, tokens_first=True)), p["piece"], place)


def store_product(frame: LinearFrame, product: SSAValue, size: int, place: Place, runs: bool = False) -> None:
    """The epilogue on a task's product [tokens, rows], rows in the order of the image, `size` tokens at a time.

    `runs`: through shared memory first, so that a thread has eight rows of few tokens instead of few rows of many tokens.
    """
    b, body, (n, m), (token, row_task) = frame.b, frame.body, frag_of(product).shape, place
    half = m // 2
    base = frame.column_base(row_task, half if body.pair else m)
    for first in range(0, n, size):
        piece = b.slice(product, 0, first, min(size, n - first))
        if not runs:
            piece = b.relayout(piece, columns_first(frag_of(piece).tv))
        parts = {0: piece} if not body.pair else {i: b.slice(piece, 1, i * half, half) for i in range(2)}
        if runs:
            parts = {i: b.relayout(p, Tv.blocked(frag_of(p).shape, 8, (1, 0), b.role_warps)) for i, p in parts.items()}
        at = b.add(token, first)
        Epilogue(b, body, frame.buffers, at, base, frame.bound, parts, guard_columns=body.n % m != 0).run()


def _kept(digits: list[tuple[int, tuple[int, ...]]]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple(d for d in digits if d[0] > 1)


def product_rows(p: dict[str, int], pair: int, tokens_first: bool) -> Tv:
    """The accumulator [m, n] or [n, m], rows in the order of the image: a warp has every fourth row tile of its warpgroup."""
    m, n, groups = p["m"], p["n"], p["groups"]
    tiles = m // 64 // groups
    slot, lane, tile = (m // 2, 1, 8) if pair else (1, 2, 16)

    def at(row: int, column: int) -> tuple[int, int]:
        return (column, row) if tokens_first else (row, column)

    reg = [(2, at(0, 1)), (2, at(slot, 0)), (n // 8, at(0, 8)), (tiles, at(4 * tile, 0))]
    warp = [(4, at(tile, 0)), (groups, at(4 * tile * tiles, 0))]
    return Tv((n, m) if tokens_first else (m, n), _kept(reg), ((4, at(0, 2)), (8, at(lane, 0))), _kept(warp))


def _unrolled(p: dict[str, int]) -> int:
    """Grains an iteration: all registers for weights have their turn, whole stages pass (whole pairs of them with prefetch)."""
    return lcm(p["ahead"] + 1, (2 if p["prefetch"] else 1) * p["k"] // p["grain"])


class _Pipeline:
    """The loop over k of a task, and the copies that run ahead of it."""

    def __init__(self, frame: LinearFrame, p: dict[str, int]):
        self.b, self.frame, self.p, self.body = frame.b, frame, p, frame.body
        n, k = p["n"], p["k"]
        self.elem = elem_of(self.body.linear.weight)
        self.narrow = isinstance(self.elem, IntegerType)
        self.steps = self.body.k // k
        self.grain = p["grain"] if p["overlap"] else k
        self.grains = self.body.k // self.grain
        self.ahead = p["stages"] - 1 - p["overlap"]
        # k = 32 block + 8 c + 4 p + 2 q + e lies where register (p, q) of lane quad c multiplies it: slot 16 p + 8 q + 2 c + e
        slots = ((2, 1), (2, 8), (2, 16), (4, 2), (2, 32), (k // SPAN, n * SPAN))
        dims = (((p["stages"], n * k),), ((n, SPAN),), tuple(d for d in slots if d[0] > 1))
        self.x_smem = frame.b.alloc((p["stages"], n, k), bf16, MemLayout(dims, PATTERN))

    def copy(self, place: Place, step: Index) -> None:
        """x[token …, k …] of a step to its stage: a warp takes the 128 contiguous bytes of a row at once."""
        b, p, warps = self.b, self.p, 4 * self.p["groups"]
        reg = [(2, (0, 1)), (p["k"] // SPAN, (0, SPAN)), (-(-p["n"] // warps), (warps, 0))]
        tv = Tv((-(-p["n"] // warps) * warps, p["k"]), _kept(reg), ((32, (0, 2)),), _kept([(warps, (1, 0))]))
        b.cp_async(
            self.frame.x,
            [place[0], b.mul(step, p["k"])],
            b.stage(self.x_smem, b.rem(step, p["stages"])),
            [0, 0],
            tv,
            checked=[True, False],
            bounds=[self.frame.bound],
        )

    def begin(self, place: Place) -> None:
        """The copies of the first steps, a group each."""
        for step in range(self.ahead):
            self.copy_group(place, step)

    def copy_group(self, place: Place, step: Index) -> None:
        if isinstance(step, int):
            if step < self.steps:
                self.copy(place, step)
        else:
            # the branch also keeps ptxas from computing all addresses early, in registers that it does not have
            self.b.if_(self.b.cmp("lt", step, self.steps), lambda: self.copy(place, step))
        self.b.cp_async_commit()

    def weights(self, place: Place) -> list[SSAValue]:
        """The weights of the first grains, as many as are loaded ahead."""
        return [self.weight(place, min(grain, self.grains - 1)) for grain in range(self.p["ahead"])]

    def weight(self, place: Place, number: Index) -> SSAValue:
        """The operands of a grain as they lie in memory: 16 bytes a lane, row tile and k-block (int8), or twice that."""
        b, p = self.b, self.p
        groups, blocks, tiles = p["groups"], self.grain // DEPTH, p["m"] // 64 // p["groups"]
        inner, lane = lane_digits(self.elem)
        raw = Tv(
            (p["m"] // ROWS, blocks, BLOCK),
            _kept([*((size, (0, 0, step)) for size, step in inner), (blocks, (0, 1, 0)), (tiles, (4, 0, 0))]),
            ((32, (0, 0, lane)),),
            _kept([(4, (1, 0, 0)), (groups, (4 * tiles, 0, 0))]),
        )
        guard = self.body.n % p["m"] != 0
        at = [b.mul(place[1], p["m"] // ROWS), b.mul(number, blocks), 0]
        return b.load(self.frame.weight, at, raw, checked=[guard, False, False], cache="no_allocate")

    def operand(self, raw: SSAValue) -> SSAValue:
        """Loaded weights as operand A."""
        b, p, pair = self.b, self.p, self.body.pair
        m, groups = p["m"], p["groups"]
        tiles = m // 64 // groups
        slot, lane, tile = (m // 2, 1, 8) if pair else (1, 2, 16)
        reg = [*operand_digits(self.elem, slot), (self.grain // DEPTH, (0, DEPTH)), (tiles, (4 * tile, 0))]
        warp = [(4, (tile, 0)), (groups, (4 * tile * tiles, 0))]
        w = b.relabel(raw, Tv((m, self.grain), _kept(reg), ((4, (0, 8)), (8, (lane, 0))), _kept(warp)))
        return b.unpack(w, bf16) if self.narrow else w

    def multiply(self, place: Place, weights: list[SSAValue]) -> SSAValue:
        """The product of a task whose first copies have begun and whose first weights are being loaded."""
        return self._overlapped(place, weights) if self.p["overlap"] else self._plain(place, weights[0])

    def _overlapped(self, place: Place, first: list[SSAValue]) -> SSAValue:
        """Each grain in flight has its own registers for weights: while one multiplies, the one before it ends, its weights' registers
        are loaded for a grain to come; with the first of a stage, the stage before the last one is filled again. The wait for the
        next stage's tokens and their fence come early, so that only the barrier stands between two stages."""
        b, ahead = self.b, self.p["ahead"]
        a_stage = self.p["k"] // self.grain
        unrolled = _unrolled(self.p)
        b.cp_async_wait(self.ahead - 1)
        b.async_fence()

        def body(i: SSAValue, acc: SSAValue, *carried: SSAValue) -> list[SSAValue]:
            weights = list(carried)
            stage = self.x_smem
            for part in range(unrolled):
                step, grain = b.add(i, part // a_stage), part % a_stage
                if grain == 0:
                    b.barrier(fenced=True)
                    stage = b.stage(self.x_smem, b.rem(step, self.p["stages"]))
                acc = b.wgmma(self.operand(weights.pop(0)), stage, acc, grain * self.grain)
                if grain == 0:
                    b.cp_async_wait(self.ahead - 2)
                    b.async_fence()
                acc = b.wgmma_wait(acc, 1)
                following = b.add(b.mul(i, a_stage), part + ahead)
                weights.append(self.weight(place, b.min(following, self.grains - 1)))
                if grain == 0:
                    self.copy_group(place, b.add(step, self.ahead))
                if part % (2 * a_stage) == 0:
                    self.fetch_ahead(place, step)
            return [acc, *weights]

        zero = b.wgmma_begin(b.full(0.0, product_rows(self.p, self.body.pair, tokens_first=False)))
        product = b.for_(0, self.steps, unrolled // a_stage, [zero, *first], body)[0]
        b.cp_async_wait(0)
        return b.wgmma_wait(product)

    def _plain(self, place: Place, first: SSAValue) -> SSAValue:
        """A step starts, the next one's weights and a later one's tokens are asked for, the step ends."""
        b = self.b

        def body(i: SSAValue, acc: SSAValue, weight: SSAValue) -> list[SSAValue]:
            flying = b.wgmma(self.operand(weight), self._ready(i), acc)
            following = self.weight(place, b.min(b.add(i, 1), self.steps - 1))
            self.copy_group(place, b.add(i, self.ahead))
            return [b.wgmma_wait(flying), following]

        zero = b.full(0.0, product_rows(self.p, self.body.pair, tokens_first=False))
        product, _ = b.for_(0, self.steps, 1, [zero, first], body)
        b.cp_async_wait(0)
        return product

    def fetch_ahead(self, place: Place, step: Index) -> None:
        """The lines of two steps' weights, a line a lane; the first token tile of a group asks for all of them."""
        b, p, distance = self.b, self.p, self.p["prefetch"]
        if not distance or self.steps <= distance + 1:
            return
        tiles, blocks, lines = p["m"] // 64 // p["groups"], 2 * p["k"] // DEPTH, 4 if self.narrow else 8
        lanes = [(lines, (0, 0, BLOCK // lines)), (min(blocks, 32 // lines), (0, 1, 0))]
        lanes.append((32 // (lanes[0][0] * lanes[1][0]), (0, 0, 0)))
        tv = Tv(
            (p["m"] // ROWS, blocks, BLOCK),
            _kept([(tiles, (4, 0, 0)), (blocks // lanes[1][0], (0, lanes[1][0], 0))]),
            _kept(lanes),
            _kept([(4, (1, 0, 0)), (p["groups"], (4 * tiles, 0, 0))]),
        )
        at = [b.mul(place[1], p["m"] // ROWS), b.mul(b.min(b.add(step, distance), self.steps - 2), p["k"] // DEPTH), 0]
        leads = b.cmp("eq", b.rem(b.div(place[0], p["n"]), p["group"]), 0)
        b.if_(leads, lambda: b.prefetch(self.frame.weight, at, tv))

    def _ready(self, step: Index) -> SSAValue:
        """A step's stage, once all of it is there and seen by all; everyone is through with the step before."""
        b = self.b
        b.cp_async_wait(self.ahead - 1)
        b.barrier()
        return b.stage(self.x_smem, b.rem(step, self.p["stages"]))


SCHEDULE = GemmWgmma()

__all__ = ["SCHEDULE", "GemmWgmma"]
