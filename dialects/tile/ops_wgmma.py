"""Asynchronous mma of warpgroups: the accumulator is in flight until `tile.wgmma_wait`.

    %f = tile.wgmma %a, %b, %c : …       one group of instructions starts; b (shared memory) and a must stay as they are
    … loads, copies to other stages …
    %d = tile.wgmma_wait %f : …          the group is done

Writes to b by threads (st.shared, cp.async) are made visible to wgmma by the barrier that separates them from it: kernels with wgmma
fence the asynchronous proxy at every barrier. Stages that wgmma reads may be written again after the wait and a barrier.
"""

from __future__ import annotations

from xdsl.dialects.builtin import BFloat16Type, Float16Type, f32
from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Operation, SSAValue
from xdsl.irdl import irdl_op_definition, operand_def, result_def, traits_def
from xdsl.traits import MemoryReadEffect
from xdsl.utils.exceptions import VerifyException

from .base import TileOp
from .types import FragType, InflightType, SmemType, frag_of
from .wgmma import WgmmaMismatch, wgmma_plan


@irdl_op_definition
class WgmmaOp(TileOp):
    """Starts `c + a · bᵀ`: a [M, K] in registers, b [N, K] in shared memory, c [M, N] f32.

    `wgmma.wgmma_plan` gives the instructions: by the coordinates in registers, and by where b's layout puts each k.
    """

    name = "tile.wgmma"

    a = operand_def(FragType)
    b = operand_def(SmemType)
    c = operand_def(FragType)
    result = result_def(InflightType)

    traits = traits_def(MemoryReadEffect())
    assembly_format = "$a `,` $b `,` $c attr-dict `:` type($a) `,` type($b) `,` type($c) `->` type($result)"

    def __init__(self, a: SSAValue, b: SSAValue, c: SSAValue, *, location: LocationAttr | None = None):
        frag = frag_of(c)
        super().__init__(operands=[a, b, c], result_types=[InflightType(frag.element_type, frag.layout)], location=location)

    def verify_(self) -> None:
        a, c, b = frag_of(self.a), frag_of(self.c), self.b.type
        assert isinstance(b, SmemType)
        if not isinstance(self.result.type, InflightType) or self.result.type.frag != c:
            raise VerifyException(f"the result is {self.result.type}, the accumulator {c}")
        if a.element_type != b.element_type or not isinstance(a.element_type, BFloat16Type | Float16Type):
            raise VerifyException(f"operands of {a.element_type} and {b.element_type}; wgmma takes bf16 or f16 here")
        if c.element_type != f32:
            raise VerifyException(f"accumulates in f32, not {c.element_type}")
        try:
            wgmma_plan(a.tv, b.shape, b.layout, c.tv)
        except WgmmaMismatch as problem:
            raise VerifyException(f"wgmma: {problem}") from problem


@irdl_op_definition
class WgmmaWaitOp(TileOp):
    """Waits until every group that this warpgroup started is done; gives the accumulator."""

    name = "tile.wgmma_wait"

    value = operand_def(InflightType)
    result = result_def(FragType)

    traits = traits_def(MemoryReadEffect())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, *, location: LocationAttr | None = None):
        type_ = value.type
        if not isinstance(type_, InflightType):
            raise VerifyException(f"expected a !tile.inflight, got {type_}")
        super().__init__(operands=[value], result_types=[type_.frag], location=location)

    def verify_(self) -> None:
        type_ = self.value.type
        if not isinstance(type_, InflightType) or self.result.type != type_.frag:
            raise VerifyException(f"waiting for {self.value.type} gives its fragment, not {self.result.type}")
        if not self.value.has_one_use():
            raise VerifyException("an accumulator in flight is waited for once, and nothing else takes it")


OPS: list[type[Operation]] = [WgmmaOp, WgmmaWaitOp]
