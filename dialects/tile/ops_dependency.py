"""The order of kernels and tasks: a task awaits what it reads and publishes what it has written, by name.

    tile.await "x"                                                  by stream order: nothing is left to do
    tile.await "x" of %x : !layout.buffer<…>                        what it is about: only after it may %x be touched
    tile.await "x" {by = "grid"}                                    the kernels before this one have ended or published
    tile.await "x" on %n[%i] until %k {by = "counter"} : …          element i of the counters has reached k

A kernel that awaits any buffer is callable as a task: it awaits each that it touches, before all roles, except those that it only
reads and nothing writes (weights), and publishes each after its last store. What data was published by is written where it is awaited: a launch of its own by the stream or, started early, by the
grid; tasks of one persistent kernel by counters in global memory, which somebody sets to zero before the launch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from xdsl.dialects.builtin import LocationAttr, StringAttr, i32
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    ParsePropInAttrDict,
    irdl_op_definition,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    traits_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..layout.types import BufferType

FORMS = ("stream", "grid", "counter")


class _DependencyOp(LocatedOp):
    """What `await` and `publish` share: the name, the form, and the checks of the counter."""

    dep = prop_def(StringAttr)
    by = opt_prop_def(StringAttr)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())

    @property
    def form(self) -> str:
        """ "stream", "grid" or "counter"."""
        return self.by.data if self.by is not None else "stream"

    def check_counter(self, counters: SSAValue | None, index: SSAValue | None) -> None:
        """The operands are those that the form needs."""
        if self.form not in FORMS:
            raise VerifyException(f"by = {self.form!r} is none of {', '.join(FORMS)}")
        if (self.form == "counter") != (counters is not None):
            raise VerifyException(f"by {self.form}: {'counters are' if counters is None else 'no counter is'} needed")
        if (counters is None) != (index is None):
            raise VerifyException("counters and their index come together")
        if counters is not None:
            type_ = counters.type
            assert isinstance(type_, BufferType)
            if type_.element_type != i32 or len(type_.dims) != 1:
                raise VerifyException(f"counters are a buffer of i32 with one dimension, not {type_}")


def _by(counters: SSAValue | None, by: str | None) -> StringAttr | None:
    by = by or ("counter" if counters is not None else "stream")
    return StringAttr(by) if by != "stream" else None


@irdl_op_definition
class AwaitOp(_DependencyOp):
    """Waits until the named dependency is published; all threads then see what was written before.

    By counter: until the (unsigned) element has reached `target`.
    """

    name = "tile.await"

    buffer = opt_operand_def(BufferType)
    counters = opt_operand_def(BufferType)
    index = opt_operand_def(i32)
    target = opt_operand_def(i32)

    assembly_format = (
        "$dep (`of` $buffer^ `:` type($buffer))? (`on` $counters^ `[` $index `]` `until` $target)? attr-dict"
        " (`:` type($counters)^)?"
    )

    def __init__(
        self,
        dep: str,
        counters: SSAValue | None = None,
        index: SSAValue | None = None,
        target: SSAValue | None = None,
        *,
        of: SSAValue | None = None,
        by: str | None = None,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[of, counters, index, target],
            properties={"dep": StringAttr(dep), "by": _by(counters, by)},
            location=location,
        )

    def verify_(self) -> None:
        self.check_counter(self.counters, self.index)
        if (self.counters is None) != (self.target is None):
            raise VerifyException("a counter is awaited until a target")


@irdl_op_definition
class PublishOp(_DependencyOp):
    """Publishes the named dependency when all threads have come here, with everything they have written.

    By grid: kernels that wait for this one may start; they see all of it when it has ended. By counter: one is added.
    Copies by `bulk_store` are published once `tile.bulk_wait` has waited for them.
    """

    name = "tile.publish"

    buffer = opt_operand_def(BufferType)
    counters = opt_operand_def(BufferType)
    index = opt_operand_def(i32)

    assembly_format = (
        "$dep (`of` $buffer^ `:` type($buffer))? (`on` $counters^ `[` $index `]`)? attr-dict (`:` type($counters)^)?"
    )

    def __init__(
        self,
        dep: str,
        counters: SSAValue | None = None,
        index: SSAValue | None = None,
        *,
        of: SSAValue | None = None,
        by: str | None = None,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[of, counters, index], properties={"dep": StringAttr(dep), "by": _by(counters, by)}, location=location
        )

    def verify_(self) -> None:
        self.check_counter(self.counters, self.index)


def check_dependencies(body: Block, touching: Mapping[BlockArgument, Sequence[SSAValue]], stored: Collection[SSAValue]) -> None:
    """Raise where a kernel that awaits a buffer touches one before it awaits it, or stores into one after it is published.

    `touching`: buffer → the arguments through which it is touched (itself, its tensor maps); `stored`: buffers that are written.
    """
    if not any(isinstance(op, AwaitOp) and op.buffer is not None for op in body.ops):
        return
    order: dict[Operation, int] = {op: i for i, op in enumerate(body.ops)}
    awaits = {op.buffer: place for op, place in order.items() if isinstance(op, AwaitOp) and op.buffer is not None}
    publishes = {op.buffer: place for op, place in order.items() if isinstance(op, PublishOp) and op.buffer is not None}
    for buffer, values in touching.items():
        places = [
            order[_ancestor(use.operation, body)]
            for v in values
            for use in v.uses
            if not isinstance(use.operation, _DependencyOp)
        ]
        name = f"%{buffer.name_hint or f'b{buffer.index}'}"
        if buffer not in awaits and buffer in stored:
            raise VerifyException(f"{name} is written, but never awaited as other buffers are")
        if places and min(places) < awaits.get(buffer, -1):
            raise VerifyException(f"{name} is touched before it is awaited")
        if places and max(places) > publishes.get(buffer, max(places)):
            raise VerifyException(f"{name} is touched after it is published")


def _ancestor(op: Operation, body: Block) -> Operation:
    """The op of the kernel's own block that `op` stands in."""
    while op.parent_block() is not body:
        above = op.parent_op()
        assert above is not None
        op = above
    return op


OPS: list[type[Operation]] = [AwaitOp, PublishOp]
