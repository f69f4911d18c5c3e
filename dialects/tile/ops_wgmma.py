"""Asynchronous mma of warpgroups: the accumulator is in flight until `tile.wgmma_wait`.

    %f = tile.wgmma %a, %b, %c : …               one group of instructions starts; a and b must stay as they are
    … loads, copies to other stages …
    %g = tile.wgmma %a2, %b2, %f : …             the next one on the same accumulator
    %h = tile.wgmma_wait %g {pending = 1} : …    all but the last group are done: %a and %b are free
    %d = tile.wgmma_wait %h {pending = 0} : …    all are done: a fragment again

`tile.wgmma_begin` hands a fragment over before any group has started, for accumulators in flight that loops carry.

b lies in shared memory, a in registers or there, too. Writes to them by threads (st.shared, cp.async) are made visible to wgmma by the barrier that separates them from it: kernels with wgmma
fence the asynchronous proxy at every barrier, or earlier, off the critical path, by `tile.async_fence`. Stages that wgmma reads may be written again after the wait and a barrier.
"""

from __future__ import annotations

from xdsl.dialects.builtin import BFloat16Type, Float16Type, IntegerAttr, LocationAttr, f32, i64
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import ParsePropInAttrDict, irdl_op_definition, operand_def, opt_prop_def, prop_def, result_def, traits_def
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from .types import FragType, InflightType, SmemType, frag_of
from .wgmma import WgmmaMismatch, wgmma_plan, wgmma_shared_plan


def accumulator_of(value: SSAValue | Attribute) -> FragType:
    """The fragment type of a fragment or of an accumulator in flight."""
    type_ = value.type if isinstance(value, SSAValue) else value
    return type_.frag if isinstance(type_, InflightType) else frag_of(type_)


def verify_one_user(value: SSAValue) -> None:
    """An accumulator in flight is linear: VerifyException unless one op at most takes it on."""
    if isinstance(value.type, InflightType) and value.first_use is not None and not value.has_one_use():
        raise VerifyException("an accumulator in flight has one user")


@irdl_op_definition
class AsyncFenceOp(LocatedOp):
    """What this thread wrote to shared memory, its finished copies included, is visible to wgmma after the next barrier."""

    name = "tile.async_fence"

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


@irdl_op_definition
class WgmmaBeginOp(LocatedOp):
    """A fragment as an accumulator in flight with no group started: free."""

    name = "tile.wgmma_begin"

    value = operand_def(FragType)
    result = result_def(InflightType)

    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, *, location: LocationAttr | None = None):
        frag = frag_of(value)
        super().__init__(operands=[value], result_types=[InflightType(frag.element_type, frag.layout)], location=location)

    def verify_(self) -> None:
        if self.result.type.frag != frag_of(self.value):
            raise VerifyException(f"begins {self.result.type} with {self.value.type}")
        verify_one_user(self.result)


@irdl_op_definition
class WgmmaOp(LocatedOp):
    """Starts `c + a · b[:, start : start + K]ᵀ`: a [M, K] in registers or in shared memory, b [N, …] in shared memory, c [M, N] f32.

    `wgmma.wgmma_plan` (`wgmma_shared_plan`) gives the instructions: by the coordinates in registers, and by where b's layout puts each
    k, and a's its rows.
    """

    name = "tile.wgmma"

    a = operand_def(FragType | SmemType)
    b = operand_def(SmemType)
    c = operand_def(FragType | InflightType)
    start = opt_prop_def(IntegerAttr)
    result = result_def(InflightType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect())
    assembly_format = "$a `,` $b `,` $c attr-dict `:` type($a) `,` type($b) `,` type($c) `->` type($result)"

    def __init__(self, a: SSAValue, b: SSAValue, c: SSAValue, start: int = 0, *, location: LocationAttr | None = None):
        frag = accumulator_of(c)
        super().__init__(
            operands=[a, b, c],
            properties={"start": IntegerAttr(start, i64) if start else None},
            result_types=[InflightType(frag.element_type, frag.layout)],
            location=location,
        )

    @property
    def first(self) -> int:
        """The k of b that a's first one meets."""
        return self.start.value.data if self.start is not None else 0

    def verify_(self) -> None:
        a, c, b = self.a.type, accumulator_of(self.c), self.b.type
        assert isinstance(a, FragType | SmemType) and isinstance(b, SmemType)
        if self.result.type.frag != c:
            raise VerifyException(f"the result is {self.result.type}, the accumulator {c}")
        if a.element_type != b.element_type or not isinstance(a.element_type, BFloat16Type | Float16Type):
            raise VerifyException(f"operands of {a.element_type} and {b.element_type}; wgmma takes bf16 or f16 here")
        if c.element_type != f32:
            raise VerifyException(f"accumulates in f32, not {c.element_type}")
        verify_one_user(self.c)
        verify_one_user(self.result)
        try:
            if isinstance(a, SmemType):
                wgmma_shared_plan(a.shape, a.layout, b.shape, b.layout, c.tv, self.first)
            else:
                wgmma_plan(a.tv, b.shape, b.layout, c.tv, self.first)
        except WgmmaMismatch as problem:
            raise VerifyException(f"wgmma: {problem}") from problem


@irdl_op_definition
class WgmmaWaitOp(LocatedOp):
    """Waits until all but the `pending` last groups of this warpgroup are done; with 0 the accumulator is a fragment again."""

    name = "tile.wgmma_wait"

    value = operand_def(InflightType)
    pending = prop_def(IntegerAttr)
    result = result_def(FragType | InflightType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, pending: int = 0, *, location: LocationAttr | None = None):
        type_ = value.type
        if not isinstance(type_, InflightType):
            raise VerifyException(f"expected a !tile.inflight, got {type_}")
        super().__init__(
            operands=[value],
            properties={"pending": IntegerAttr(pending, i64)},
            result_types=[type_ if pending else type_.frag],
            location=location,
        )

    def verify_(self) -> None:
        type_, pending = self.value.type, self.pending.value.data
        if not 0 <= pending <= 7:
            raise VerifyException(f"pending = {pending}: 0 to 7 groups may stay in flight")
        if not isinstance(type_, InflightType) or self.result.type != (type_ if pending else type_.frag):
            raise VerifyException(
                f"waiting for {self.value.type} with {pending} groups pending does not give {self.result.type}"
            )
        verify_one_user(self.value)
        verify_one_user(self.result)


OPS: list[type[Operation]] = [AsyncFenceOp, WgmmaBeginOp, WgmmaOp, WgmmaWaitOp]
