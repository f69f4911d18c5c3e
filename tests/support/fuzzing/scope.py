"""Where generators put ops: a block, the values that its ops may use, and how a fresh value of a type comes about.

A generator is a function `(Scope) -> None` that puts at least one op of each class it is registered for:

    @generates(nn.LinearOp)
    def linear(b: Scope) -> None:
        k, n = b.size(), b.size()
        b.put(nn.LinearOp(b.tensor(bf16, [*b.sizes(), k]), b.tensor(bf16, [n, k])))

`place` names the op whose body it goes into: "func.func" (default), "builtin.module", "layout.kernel", "rt.program", "tile.kernel",
"ptx.kernel". The places themselves are in `modules.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st
from llmc.dialects.nn.types import tensor
from xdsl.dialects.builtin import IntegerType, f32
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from .attributes import keys, locations, symbols, values

T = TypeVar("T")
Emit = Callable[["Scope"], None]


@dataclass(frozen=True)
class Generator:
    """Puts ops of the classes `ops` into the body of a `place`."""

    ops: tuple[type[Operation], ...]
    place: str
    emit: Emit


GENERATORS: dict[type[Operation], list[Generator]] = {}
"""Op class → what makes one."""


def generates(*ops: type[Operation], place: str = "func.func") -> Callable[[Emit], Emit]:
    """Registers a generator for op classes."""

    def register(emit: Emit) -> Emit:
        for op in ops:
            GENERATORS.setdefault(op, []).append(Generator(ops, place, emit))
        return emit

    return register


@dataclass
class Top:
    """The module being made: its symbols, and its ops in order."""

    draw: st.DrawFn
    ops: list[Operation] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    plain: bool = False  # no discardable attributes: for text that other tools read

    def symbol(self) -> str:
        """A name that no symbol has yet."""
        stem = self.draw(symbols)
        name, n = stem, 0
        while name in self.names:
            n += 1
            name = f"{stem}_{n}"
        self.names.add(name)
        return name

    def put(self, op: Operation) -> Operation:
        self.decorate(op)
        self.ops.append(op)
        return op

    def decorate(self, op: Operation) -> None:
        """Now and then a location and an attribute that is not the op's own."""
        if self.chance():
            op.location = self.draw(locations)
        if not self.plain and self.chance():
            op.attributes[self.draw(keys)] = self.draw(values)

    def chance(self) -> bool:
        return self.draw(st.integers(0, 3)) == 0


@dataclass
class Scope:
    """A block under construction. `fresh` makes a value of a type where the pool has none (default: an argument)."""

    top: Top
    block: Block
    pool: list[SSAValue] = field(default_factory=list)
    fresh: Callable[[Attribute], SSAValue | None] | None = None
    state: dict[str, Any] = field(default_factory=dict)

    def draw(self, strategy: st.SearchStrategy[T]) -> T:
        return self.top.draw(strategy)

    def pick(self, *choices: T) -> T:
        return self.draw(st.sampled_from(choices))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def put(self, op: Operation) -> Any:
        """Appends an op; its first result where it has one."""
        self.top.decorate(op)
        self.block.add_op(op)
        for result in op.results:
            if self.top.chance():
                result.name_hint = self.draw(st.sampled_from(["x", "kv", "w_1", "h.0"[:1]]))
            self.pool.append(result)
        return op.results[0] if op.results else None

    def value(self, kind: Attribute) -> SSAValue:
        """A value of a type: one that is there, or a fresh one."""
        there = [v for v in self.pool if v.type == kind]
        if there and self.flag():
            return self.draw(st.sampled_from(there))
        return self.new(kind)

    def new(self, kind: Attribute) -> SSAValue:
        """A value of a type that nothing uses yet."""
        made = self.fresh(kind) if self.fresh is not None else None
        if made is None:
            made = self.block.insert_arg(kind, len(self.block.args))
            if self.top.chance():
                made.location = self.draw(locations)
            self.pool.append(made)
        return made

    def inner(self, kinds: Sequence[Attribute], emit: Callable[[Scope], None]) -> Region:
        """A region of one block with arguments of these types, filled by `emit`, which sees the values outside."""
        block = Block(arg_types=kinds)
        scope = Scope(
            self.top, block, [*block.args], lambda kind: next((v for v in self.pool if v.type == kind), None) or self.new(kind)
        )
        emit(scope)
        return Region(block)

    # what nn and its neighbours need ---------------------------------------------------------------------------------

    def size(self) -> int:
        return self.pick(1, 2, 3, 4, 8, 16)

    def dim(self) -> int | str:
        return self.pick(1, 2, 3, 4, 8, "T", "B", "8*T", "B+1", "B*T-2")

    def dims(self, low: int = 0, high: int = 3) -> list[int | str]:
        return [self.dim() for _ in range(self.number(low, high))]

    def tensor(self, elem: Attribute, dims: Sequence[Any]) -> SSAValue:
        return self.value(tensor(elem, dims))


def zero_of(kind: Attribute) -> int | float:
    return 0 if isinstance(kind, IntegerType) else 0.0


__all__ = ["GENERATORS", "Generator", "Scope", "Top", "f32", "generates", "zero_of"]
