"""CTAs of a cluster: their ranks, each other's shared memory, barriers and ordered sums.

    %r = tile.rank                                       0 … cluster - 1
    %s1 = tile.peer %s at %r1 : !tile.smem<64xf32>       the same memory, or mbarriers, of another CTA
    tile.cluster_barrier
    %y = tile.split_reduce %x {scope = "cluster", ordered} : …

A peer's memory is there once the CTAs have met, and until they meet again: `insert-fences` lets them meet before their first
use of each other's mbarriers and before they end.

An arrival at a peer's mbarrier says that the warp's reads of shared memory, products included, are done, so that copies may overwrite
it. In kernels that take peers' `!tile.smem` it also says that the warp's stores there are visible.
"""

from __future__ import annotations

from xdsl.dialects.builtin import Float32Type, LocationAttr, StringAttr, UnitAttr, i1, i32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, NoMemoryEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from .types import FragType, MbarriersType, SmemType, frag_of

SCOPES = ("cta", "cluster")


@irdl_op_definition
class RankOp(LocatedOp):
    """This CTA's rank in its cluster."""

    name = "tile.rank"

    result = result_def(i32)

    traits = traits_def(NoMemoryEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(result_types=[i32], location=location)


@irdl_op_definition
class PeerOp(LocatedOp):
    """The same shared memory, or the same mbarriers, in the CTA of a rank. Peers' barriers can be arrived at, not waited for."""

    name = "tile.peer"

    value = operand_def()
    rank = operand_def(i32)
    result = result_def()

    traits = traits_def(NoMemoryEffect())
    assembly_format = "$value `at` $rank attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, rank: SSAValue, *, location: LocationAttr | None = None):
        super().__init__(operands=[value, rank], result_types=[value.type], location=location)

    def verify_(self) -> None:
        if not isinstance(self.value.type, SmemType | MbarriersType) or self.result.type != self.value.type:
            raise VerifyException(f"a peer's memory is the same !tile.smem or !tile.mbarriers, not {self.value.type}")
        if isinstance(self.value.owner, PeerOp):
            raise VerifyException("a peer of a peer: give the rank of the CTA itself")


@irdl_op_definition
class ElectOp(LocatedOp):
    """True in one thread of the role, whichever the hardware elects in its first warp."""

    name = "tile.elect"

    result = result_def(i1)

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(result_types=[i1], location=location)


@irdl_op_definition
class ClusterBarrierOp(LocatedOp):
    """All threads of all CTAs of the cluster wait for each other; shared memory written before is visible after."""

    name = "tile.cluster_barrier"

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


def reduced_type(type_: FragType, scope: str) -> FragType:
    """What a split_reduce gives: the same tile for a cluster, leading extent 1 for the parts of a CTA."""
    return type_ if scope == "cluster" else type_.with_tv(type_.tv.project(0))


@irdl_op_definition
class SplitReduceOp(LocatedOp):
    """The sum of partial tiles in f32, in all that hold a part.

    `cluster`: each CTA of the cluster has a part, in registers; all get the sum of all. `cta`: the parts are the leading
    dimension of the tile. `ordered`: the parts are added one after the other, rank 0 first, so that the sum does not depend
    on how they came; without it any order may be taken.
    """

    name = "tile.split_reduce"

    value = operand_def(FragType)
    scope = prop_def(StringAttr)
    ordered = opt_prop_def(UnitAttr)
    result = result_def(FragType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, scope: str = "cluster", *, ordered: bool = True, location: LocationAttr | None = None):
        super().__init__(
            operands=[value],
            properties={"scope": StringAttr(scope), "ordered": UnitAttr() if ordered else None},
            result_types=[reduced_type(frag_of(value), scope)],
            location=location,
        )

    def verify_(self) -> None:
        type_: Attribute = self.value.type
        assert isinstance(type_, FragType)
        if self.scope.data not in SCOPES:
            raise VerifyException(f"scope {self.scope.data!r} is none of {', '.join(SCOPES)}")
        if not isinstance(type_.element_type, Float32Type):
            raise VerifyException(f"partial sums are f32, not {type_.element_type}")
        if self.result.type != reduced_type(type_, self.scope.data):
            raise VerifyException(f"the result is {reduced_type(type_, self.scope.data)}")


OPS: list[type[Operation]] = [RankOp, PeerOp, ElectOp, ClusterBarrierOp, SplitReduceOp]
