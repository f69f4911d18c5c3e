"""nn.sample: one CTA a sequence, one launch, the logits read from cache a few times.

    temperature 0    the first largest logit
    otherwise        scaled = logit / temperature; keep the top_k largest, of these the smallest set that holds top_p of the
                     probability (equal values at the edge all stay); then the largest scaled + Gumbel noise

Both limits are thresholds on the value: the largest t with measure(scaled >= t) >= target, where the measure counts, or sums
probabilities. Floats are ordered as integers, so t is found two bits at a time in 16 passes. Noise is counter-based on (seed,
position, token), as `random_bits` in dialects/nn/values.py: a draw is the same alone and in a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import f32, i32
from xdsl.ir import SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout.ops import KernelOp, SamplingOp, WriteOp
from ...dialects.layout.tv import Tv
from ...dialects.layout.types import ScheduleAttr
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of
from ...dialects.tile.ops import KernelOp as TileKernelOp
from ..targets import Target
from .base import Abi, Parameter, checked_parameters
from .builder import TileBuilder
from .elementwise import ALL_RULES, vector_for
from .evaluate import Axis, Evaluator
from .rules import batch_part
from .scalar import Scalar, ScalarBuilder

PARAMETERS = (Parameter("warps", "warps of a CTA", (4, 8, 16, 32), 32),)
LOWEST = -3.0e38
LARGE_INT = 2**31 - 1


def _i32(value: int) -> int:
    """The signed number with the same 32 bits."""
    return value - (1 << 32) if value >= 1 << 31 else value


def ordered_bits(s: ScalarBuilder, x: SSAValue) -> SSAValue:
    """An integer that orders as the float does."""
    bits = s.bitcast(x, i32)
    return s.select(s.cmp("lt", bits, 0), s.xor(bits, 0x7FFFFFFF), bits)


def noise(s: ScalarBuilder, index: SSAValue, position: SSAValue, seed: SSAValue) -> SSAValue:
    """Gumbel noise of a token."""
    word = index
    for key in (position, seed):
        word = s.add(s.xor(word, key), _i32(0x9E3779B9))
        word = s.mul(s.xor(word, s.shr(word, 16)), _i32(0x85EBCA6B))
        word = s.mul(s.xor(word, s.shr(word, 13)), _i32(0xC2B2AE35))
        word = s.xor(word, s.shr(word, 16))
    uniform = s.mul(s.add(s.cast(s.shr(word, 8), f32), 0.5), 2.0**-24)
    return s.neg(s.log(s.neg(s.log(uniform))))


@dataclass
class _Draw:
    """The code of one draw."""

    ev: Evaluator
    logits: SSAValue
    row: SSAValue
    width: int
    columns: int

    @property
    def b(self) -> TileBuilder:
        return self.ev.b

    @property
    def one(self) -> Tv:
        return self.ev.tv.project_to((1, 1))

    def over(self, inits: list[SSAValue], body: Callable[..., list[SSAValue]]) -> list[SSAValue]:
        """`body(axis, logits, *carried)` for each piece of the row; logits beyond the end are LOWEST."""
        exact = self.width % self.columns == 0

        def step(start: SSAValue, *carried: SSAValue) -> list[SSAValue]:
            with self.ev.scope():
                axis = Axis(1, start, self.width, exact)
                x = self.ev.wide(self.ev.value(self.logits, [self.row, axis]))
                index = self.index(start)
                if not exact:
                    x = self.ev.map(lambda s, x, i: s.select(s.cmp("lt", i, self.width), x, LOWEST), x, index)
                return body(x, index, *carried)

        return list(self.b.for_(0, self.width, self.columns, inits, step))

    def index(self, start: SSAValue) -> SSAValue:
        return self.b.map(lambda s, i: s.add(i, start), self.b.iota(self.ev.tv, 1))

    def best(self, score: Callable[[SSAValue, SSAValue], SSAValue]) -> SSAValue:
        """The first token with the largest score, [1, 1]."""
        tv = self.ev.tv

        def keep(x: SSAValue, index: SSAValue, top: SSAValue, at: SSAValue) -> list[SSAValue]:
            value = score(x, index)

            def code(s: ScalarBuilder, v: SSAValue, i: SSAValue, m: SSAValue, j: SSAValue) -> list[Scalar]:
                better = s.cmp("gt", v, m)
                return [s.select(better, v, m), s.select(better, i, j)]

            return list(self.b.map(code, value, index, top, at, tv=tv))

        top, at = self.over([self.b.full(LOWEST, tv), self.b.full(LARGE_INT, tv, i32)], keep)
        most = self.b.reduce(top, 1, "max")
        first = self.b.map(lambda s, v, m, j: s.select(s.cmp("eq", v, m), j, LARGE_INT), top, most, at)
        token = self.b.reduce(first, 1, "min")
        return self.b.map(lambda s, j: s.select(s.cmp("eq", j, LARGE_INT), 0, j), token)

    def threshold(
        self, target: SSAValue, weight: Callable[[ScalarBuilder, SSAValue], Scalar], scaled: Callable[..., SSAValue]
    ) -> SSAValue:
        """The largest t, as ordered bits [1, 1], with the weights of all x >= t summing to `target` or more."""
        b, tv = self.b, self.ev.tv

        def digit(step: SSAValue, found: SSAValue) -> list[SSAValue]:
            shift = b.sub(30, b.mul(step, 2))
            tries = [
                b.map(lambda s, u, n=n: s.xor(s.add(u, s.shl(s.const(n, i32), b.i32(shift))), _i32(1 << 31)), found)
                for n in (1, 2, 3)
            ]

            def add(x: SSAValue, index: SSAValue, *sums: SSAValue) -> list[SSAValue]:
                def code(s: ScalarBuilder, x: SSAValue, *rest: SSAValue) -> list[Scalar]:
                    value = scaled(s, x)
                    w, bits = weight(s, value), ordered_bits(s, value)
                    return [s.add(a, s.select(s.cmp("ge", bits, t), w, 0.0)) for a, t in zip(rest[:3], rest[3:], strict=True)]

                return list(b.map(code, x, *sums, *tries, tv=tv))

            sums = [b.reduce(v, 1, "add") for v in self.over([b.full(0.0, tv)] * 3, add)]

            def choose(s: ScalarBuilder, u: SSAValue, *rest: SSAValue) -> Scalar:
                *measures, goal = rest
                for measure in measures:
                    u = s.add(u, s.select(s.cmp("ge", measure, goal), s.shl(s.const(1, i32), b.i32(shift)), 0))
                return u

            return [b.map(choose, found, *sums, target)]

        (found,) = b.for_(0, 16, 1, [b.full(0, self.one, i32)], digit)
        return b.map(lambda s, u: s.xor(u, _i32(1 << 31)), found)


class Sampling:
    """`#layout.schedule<"sampling", {warps = 32}>`"""

    name = "sampling"
    family = "sample"

    def accepts(self, kernel: KernelOp) -> str | None:
        samples = [op for op in kernel.block.ops if isinstance(op, nn.SampleOp)]
        if len(samples) != 1:
            return f"{len(samples)} nn.sample in one kernel"
        if dims_of(samples[0].logits)[1].constant is None:
            return "a vocabulary of dynamic size"
        if any(isinstance(op, WriteOp) and op.value is not samples[0].result for op in kernel.block.ops):
            return "something else is written with the tokens"
        return None

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        return [ScheduleAttr.of(self.name, warps=warps) for warps in (32, 16)]

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        warps = checked_parameters(schedule, PARAMETERS, kernel)["warps"]
        return Abi((str(dims_of(_sample(kernel).logits)[0]), "1", "1"), warps)

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        op = _sample(kernel)
        abi = self.abi(kernel, schedule)
        b = TileBuilder.kernel(kernel.sym_name.data, kernel, warps=abi.warps, grid=abi.grid, schedule=schedule)
        width = dims_of(op.logits)[1].constant
        assert width is not None
        vec = vector_for(width)
        columns = abi.warps * 32 * vec
        ev = Evaluator(b, kernel, Tv.blocked((1, columns), vec, (1, 0), abi.warps), ALL_RULES)
        with b.at(op.location):
            row = b.task()[0]
            token = _token(_Draw(ev, op.logits, row, width, columns), op)
            for write in kernel.block.ops:
                if isinstance(write, WriteOp):
                    b.store_scalar(b.extract(token), ev.argument(write.buffer), row)
        return b.finish()


def _sample(kernel: KernelOp) -> nn.SampleOp:
    return next(op for op in kernel.block.ops if isinstance(op, nn.SampleOp))


def _token(draw: _Draw, op: nn.SampleOp) -> SSAValue:
    b, ev = draw.b, draw.ev
    parameters = op.params.owner
    if not isinstance(parameters, SamplingOp):
        raise LlmcError(
            "LLMC0506",
            "the parameters of nn.sample are no layout.sampling",
            op,
            fix="make them with layout.sampling in the kernel",
        )

    def parameter(name: str) -> SSAValue:
        return b.load_scalar(ev.argument(getattr(parameters, name)), draw.row)

    temperature = parameter("temperature")

    def greedy() -> SSAValue:
        with ev.scope():
            return draw.best(lambda x, index: x)

    def random() -> SSAValue:
        with ev.scope():
            return _random(draw, op, temperature, parameter)

    return b.if_(b.scalar.cmp("le", temperature, 0.0), greedy, random)[0]


def _random(draw: _Draw, op: nn.SampleOp, temperature: SSAValue, parameter: Callable[[str], SSAValue]) -> SSAValue:
    b, ev, tv = draw.b, draw.ev, draw.ev.tv
    top_k, top_p, seed = parameter("top_k"), parameter("top_p"), parameter("seed")
    position = batch_part(ev, op.batch, "kv_len", draw.row)

    def scaled(s: ScalarBuilder, x: SSAValue) -> SSAValue:
        return s.select(s.cmp("le", x, LOWEST), x, s.div(x, temperature))

    nothing = b.full(_i32(1 << 31), draw.one, i32)

    def by_count() -> SSAValue:
        goal = b.splat(b.scalar.cast(top_k, f32), draw.one)
        return draw.threshold(goal, lambda s, x: s.const(1.0), scaled)

    limited = b.scalar.and_(b.cmp("gt", top_k, 0), b.cmp("lt", top_k, draw.width))
    (edge,) = b.if_(limited, by_count, lambda: nothing)

    def by_mass() -> SSAValue:
        def largest(x: SSAValue, index: SSAValue, top: SSAValue) -> list[SSAValue]:
            return [b.map(lambda s, x, m: s.max(m, scaled(s, x)), x, top, tv=tv)]

        (top,) = draw.over([b.full(LOWEST, tv)], largest)
        top_scalar = b.extract(b.reduce(top, 1, "max"))
        edge_scalar = b.extract(edge)

        def weight(s: ScalarBuilder, x: SSAValue) -> Scalar:
            return s.select(s.cmp("ge", ordered_bits(s, x), edge_scalar), s.exp(s.sub(x, top_scalar)), 0.0)

        def add(x: SSAValue, index: SSAValue, total: SSAValue) -> list[SSAValue]:
            return [b.map(lambda s, x, t: s.add(t, weight(s, scaled(s, x))), x, total, tv=tv)]

        (sums,) = draw.over([b.full(0.0, tv)], add)
        goal = b.map(lambda s, t: s.mul(t, top_p), b.reduce(sums, 1, "add"))
        mass = draw.threshold(goal, weight, scaled)
        return b.map(lambda s, e, m: s.max(e, m), edge, mass)

    (edge,) = b.if_(b.scalar.cmp("lt", top_p, 1.0), by_mass, lambda: edge)
    lowest = b.extract(edge)

    def score(x: SSAValue, index: SSAValue) -> SSAValue:
        def code(s: ScalarBuilder, x: SSAValue, i: SSAValue) -> Scalar:
            value = scaled(s, x)
            kept = s.cmp("ge", ordered_bits(s, value), lowest)
            return s.select(kept, s.add(value, noise(s, i, position, seed)), LOWEST)

        return b.map(code, x, index, tv=tv)

    return draw.best(score)


SCHEDULE = Sampling()
