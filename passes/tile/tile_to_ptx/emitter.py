"""Emits PTX ops: folds constants, shares equal pure ops, hoists pure ops out of loops.

A *scope* is a stretch of straight control flow: the kernel body, a loop body or a branch. Its builder always points
at the scope's open block. A block that jumps into an inner scope stays open until the inner scope is complete, so a
pure op inside a loop whose operands are all defined outside is emitted in front of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Block, SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.ptx.build import PtxBuilder

Scalar = SSAValue | int | float
"""A lowered scalar: a register, or a constant known while lowering."""

Predicate = tuple[SSAValue, bool]
"""(predicate register, negated)."""

INSTRUCTION_LIMIT = 20_000
MASK32 = 0xFFFFFFFF


def signed32(value: int) -> int:
    """The two's complement reading of the low 32 bits.

    >>> signed32(0xFFFFFFFF)
    -1
    """
    value &= MASK32
    return value - (1 << 32) if value & 0x80000000 else value


def log2_exact(value: int) -> int | None:
    """The exponent if `value` is a power of two."""
    return value.bit_length() - 1 if value > 0 and value & (value - 1) == 0 else None


def _memo_key(operand: Any) -> Any:
    """Tells 1 from 1.0 and 0.0 from -0.0."""
    return (float, operand.hex()) if isinstance(operand, float) else operand


def _values(operands: Sequence[Any]) -> Iterator[Any]:
    """Operands with vectors opened."""
    for operand in operands:
        if isinstance(operand, tuple | list):
            yield from operand
        else:
            yield operand


@dataclass
class Scope:
    """One stretch of control flow. `hoists`: its invariant ops may move to the parent (loop bodies)."""

    builder: PtxBuilder
    depth: int
    hoists: bool
    memo: dict[Any, Any] = field(default_factory=dict[Any, Any])


class Emitter:
    """Builds the blocks of one PTX kernel."""

    def __init__(self, new_builder: Callable[[Block], PtxBuilder], entry: Block):
        self._new_builder = new_builder
        self.scopes = [Scope(new_builder(entry), 0, False)]
        self._depth: dict[SSAValue, int] = {}
        self.count = 0
        self.location: LocationAttr | None = None
        self.source = ""

    # -- scopes -------------------------------------------------------------------------------------------------
    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    @property
    def block(self) -> Block:
        return self.scope.builder.block

    def push(self, block: Block, hoists: bool) -> Scope:
        """Open a scope whose first block is `block`; its block arguments belong to it."""
        scope = Scope(self._new_builder(block), len(self.scopes), hoists)
        self.scopes.append(scope)
        self.own(block.args)
        return scope

    def pop(self) -> Scope:
        return self.scopes.pop()

    def own(self, values: Sequence[SSAValue]) -> None:
        for value in values:
            self._depth[value] = len(self.scopes) - 1

    def continue_in(self, block: Block) -> None:
        """The current scope goes on in `block`, which its previous block dominates."""
        self.scope.builder = self._new_builder(block)
        self.own(block.args)

    def depth(self, value: Any) -> int:
        return self._depth.get(value, 0) if isinstance(value, SSAValue) else 0

    # -- emission -----------------------------------------------------------------------------------------------
    def _emit(self, scope: Scope, opcode: str, operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.count += 1
        if self.count > INSTRUCTION_LIMIT:
            raise LlmcError(
                "LLMC0601",
                f"the kernel unrolls to more than {INSTRUCTION_LIMIT} PTX instructions (at {self.source})",
                self.location,
                why="register tiles are unrolled element by element; this schedule's tiles are too large",
                fix="choose a schedule with smaller tiles per thread or more warps",
            )
        if self.location is not None:
            scope.builder.location = self.location
        result = scope.builder.emit(opcode, *operands, **options)
        depth = scope.depth
        if isinstance(result, SSAValue):
            self._depth[result] = depth
        elif result is not None:
            for value in result:
                if value is not None:
                    self._depth[value] = depth
        return result

    def do(self, opcode: str, *operands: Any, pred: Predicate | None = None, **options: Any) -> Any:
        """Emit an op with effects, here."""
        if pred is not None:
            options["pred"] = pred
        return self._emit(self.scope, opcode, operands, options)

    def op(self, opcode: str, *operands: Any, results: int = 0) -> Any:
        """Emit a pure op in the outermost loop it is invariant in, or return the equal one emitted before."""
        key = (opcode, results, *(_memo_key(o) for o in operands))
        for scope in reversed(self.scopes):
            found = scope.memo.get(key)
            if found is not None:
                return found
        needed = max((self.depth(o) for o in _values(operands)), default=0)
        index = len(self.scopes) - 1
        while index > needed and self.scopes[index].hoists:
            index -= 1
        scope = self.scopes[index]
        result = self._emit(scope, opcode, operands, {"results": results} if results else {})
        scope.memo[key] = result
        return result

    def op_results(self, opcode: str, operands: tuple[Any, ...], results: int) -> Any:
        """`op` for an instruction whose number of results the table leaves open (`mov` from a packed register)."""
        return self.op(opcode, *operands, results=results)

    def entry_op(self, opcode: str, *operands: Any) -> Any:
        """A pure op of thread indices or parameters, emitted in the kernel's outermost scope."""
        key = (opcode, 0, *(_memo_key(o) for o in operands))
        outer = self.scopes[0]
        if key not in outer.memo:
            outer.memo[key] = self._emit(outer, opcode, operands, {})
        return outer.memo[key]

    # -- 32-bit integers ----------------------------------------------------------------------------------------
    def reg(self, value: Scalar, opcode: str = "mov.b32") -> SSAValue:
        """`value` in a register."""
        return value if isinstance(value, SSAValue) else self.op(opcode, value)

    def add(self, a: Scalar, b: Scalar) -> Scalar:
        if isinstance(a, int) and isinstance(b, int):
            return signed32(a + b)
        if isinstance(a, int):
            a, b = b, a
        if b == 0 and isinstance(b, int):
            return a
        return self.op("add.s32", a, b)

    def sub(self, a: Scalar, b: Scalar) -> Scalar:
        if isinstance(b, int):
            return self.add(a, signed32(-b))
        return self.op("sub.s32", self.reg(a), b)

    def mul(self, a: Scalar, b: Scalar) -> Scalar:
        if isinstance(a, int) and isinstance(b, int):
            return signed32(a * b)
        if isinstance(a, int):
            a, b = b, a
        if isinstance(b, int):
            if b == 0:
                return 0
            if b == 1:
                return a
            shift = log2_exact(b)
            if shift is not None:
                return self.op("shl.b32", a, shift)
        return self.op("mul.lo.s32", a, b)

    def mad(self, a: Scalar, b: Scalar, c: Scalar) -> Scalar:
        """a * b + c."""
        if isinstance(a, int):
            a, b = b, a
        if isinstance(a, int) or (isinstance(b, int) and (b == 0 or b == 1)):
            return self.add(self.mul(a, b), c)
        if isinstance(c, int) and c == 0:
            return self.mul(a, b)
        if isinstance(b, int) and log2_exact(b) is not None and self.depth(c) > self.depth(a):
            return self.add(self.mul(a, b), c)
        return self.op("mad.lo.s32", a, b, c)

    def shr(self, a: Scalar, amount: int) -> Scalar:
        if amount == 0:
            return a
        if isinstance(a, int):
            return (a & MASK32) >> amount
        return self.op("shr.u32", a, amount)

    def and_(self, a: Scalar, b: Scalar) -> Scalar:
        if isinstance(a, int) and isinstance(b, int):
            return signed32(a & b)
        if isinstance(a, int):
            a, b = b, a
        return self.op("and.b32", a, b)

    def xor(self, a: Scalar, b: Scalar) -> Scalar:
        if isinstance(a, int) and isinstance(b, int):
            return signed32(a ^ b)
        if isinstance(a, int):
            a, b = b, a
        if isinstance(b, int) and b == 0:
            return a
        return self.op("xor.b32", a, b)

    def div(self, a: Scalar, divisor: int) -> Scalar:
        """a // divisor for a ≥ 0."""
        if divisor == 1:
            return a
        if isinstance(a, int):
            return a // divisor
        shift = log2_exact(divisor)
        return self.shr(a, shift) if shift is not None else self.op("div.u32", a, divisor)

    def rem(self, a: Scalar, divisor: int) -> Scalar:
        """a % divisor for a ≥ 0."""
        if divisor == 1:
            return 0
        if isinstance(a, int):
            return a % divisor
        if log2_exact(divisor) is not None:
            return self.and_(a, divisor - 1)
        return self.op("rem.u32", a, divisor)

    # -- 64-bit addresses ---------------------------------------------------------------------------------------
    def mad_wide(self, a: Scalar, factor: int, base: SSAValue | int) -> SSAValue | int:
        """a * factor + base in 64 bits, for 0 ≤ a < 2^31."""
        if isinstance(a, int):
            return self.add64(base, a * factor)
        if factor == 0:
            return base
        if factor >= 1 << 31 or isinstance(base, int):
            wide = self.op("cvt.u64.u32", a)
            return self.add64(self.op("mul.lo.s64", wide, factor) if factor != 1 else wide, base)
        return self.op("mad.wide.s32", a, factor, base)

    def add64(self, a: SSAValue | int, b: SSAValue | int) -> SSAValue | int:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if isinstance(a, int):
            a, b = b, a
        if isinstance(b, int) and b == 0:
            return a
        return self.op("add.s64", a, b)

    # -- predicates ---------------------------------------------------------------------------------------------
    def compare(self, relation: str, a: Scalar, b: Scalar) -> SSAValue | bool:
        """`setp.<relation>`; folds when both sides are constants (relations of s32)."""
        if isinstance(a, int) and isinstance(b, int) and relation.endswith("s32"):
            word = relation.split(".", maxsplit=1)[0]
            table = {"lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b, "eq": a == b, "ne": a != b}
            return table[word]
        if isinstance(a, int):
            flipped = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
            word, _, kind = relation.partition(".")
            return self.compare(f"{flipped.get(word, word)}.{kind}", b, a)
        return self.op(f"setp.{relation}", a, b)

    def both(self, a: SSAValue | bool | None, b: SSAValue | bool | None) -> SSAValue | bool | None:
        """Conjunction of two conditions; None and True are "always"."""
        if a is None or a is True:
            return b
        if b is None or b is True:
            return a
        if a is False or b is False:
            return False
        return a if a is b else self.op("and.pred", a, b)
