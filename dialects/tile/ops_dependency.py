"""The order of kernels and tasks: a task awaits what it reads and publishes what it has written, by name.

    tile.await "x"                                                  by stream order: nothing is left to do
    tile.await "x" {by = "grid"}                                    the kernels before this one have ended or published
    tile.await "x" on %n[%i] until %k {by = "counter"} : …          element i of the counters has reached k

What data was published by is written where it is awaited: a launch of its own by the stream or, started early, by the
grid; tasks of one persistent kernel by counters in global memory, which somebody sets to zero before the launch.
"""

from __future__ import annotations

from xdsl.dialects.builtin import LocationAttr, StringAttr, i32
from xdsl.ir import Operation, SSAValue
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

    counters = opt_operand_def(BufferType)
    index = opt_operand_def(i32)
    target = opt_operand_def(i32)

    assembly_format = "$dep (`on` $counters^ `[` $index `]` `until` $target)? attr-dict (`:` type($counters)^)?"

    def __init__(
        self,
        dep: str,
        counters: SSAValue | None = None,
        index: SSAValue | None = None,
        target: SSAValue | None = None,
        *,
        by: str | None = None,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[counters, index, target],
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

    counters = opt_operand_def(BufferType)
    index = opt_operand_def(i32)

    assembly_format = "$dep (`on` $counters^ `[` $index `]`)? attr-dict (`:` type($counters)^)?"

    def __init__(
        self,
        dep: str,
        counters: SSAValue | None = None,
        index: SSAValue | None = None,
        *,
        by: str | None = None,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[counters, index], properties={"dep": StringAttr(dep), "by": _by(counters, by)}, location=location
        )

    def verify_(self) -> None:
        self.check_counter(self.counters, self.index)


OPS: list[type[Operation]] = [AwaitOp, PublishOp]
