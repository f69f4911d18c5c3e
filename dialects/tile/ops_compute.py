"""Ops on fragments: scalar code on every element, reductions, tensor cores, changes of layout."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    LocationAttr,
    StringAttr,
    bf16,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..ir.numeric import dtype_of
from ..layout.tv import Tv
from .mma import MmaMismatch, mma_plan
from .ops_kernel import YieldOp
from .ops_memory import check_broadcast
from .types import FragType, frag_of

REDUCTIONS = ("add", "mul", "max", "min", "and", "or")


def _i64(value: int) -> IntegerAttr:
    return IntegerAttr(value, i64)


@irdl_op_definition
class MapOp(LocatedOp):
    """Scalar code on the elements of fragments.

        %y = tile.map %x, %scale : (!tile.frag<16x64xf32, #a>, !tile.frag<1x64xf32, #b>) -> !tile.frag<16x64xf32, #a> {
        ^bb0(%0: f32, %1: f32):
          %2 = arith.mulf %0, %1 : f32
          tile.yield %2 : f32
        }

    Operands have the results' shape or size 1 in some dimensions; their layouts are the results' projected there.
    The region may use scalars from outside; they are the same in all threads.
    """

    name = "tile.map"

    inputs = var_operand_def(FragType)
    outputs = var_result_def(FragType)
    body = region_def("single_block")

    traits = traits_def(Pure())
    assembly_format = "($inputs^)? attr-dict `:` functional-type($inputs, $outputs) $body"

    def __init__(
        self,
        inputs: Sequence[SSAValue],
        tv: Tv,
        body: Block,
        *,
        location: LocationAttr | None = None,
    ):
        """`body` takes one scalar an input and ends in `tile.yield`, whose operands give the results' element types."""
        terminator = body.last_op
        if not isinstance(terminator, YieldOp):
            raise ValueError("the body of a map ends in tile.yield")
        super().__init__(
            operands=[list(inputs)],
            result_types=[[FragType.of(value.type, tv) for value in terminator.values]],
            regions=[Region(body)],
            location=location,
        )

    @property
    def tv(self) -> Tv:
        return frag_of(self.outputs[0]).tv

    def verify_(self) -> None:
        if not self.outputs:
            raise VerifyException("a map has at least one result")
        tv = self.tv
        for index, output in enumerate(self.outputs):
            if frag_of(output).tv != tv:
                raise VerifyException(f"result {index} has another layout than result 0")
        for index, value in enumerate(self.inputs):
            check_broadcast(f"operand {index}", frag_of(value), tv)
        block = self.body.block
        expected = [frag_of(value).element_type for value in self.inputs]
        if [a.type for a in block.args] != expected:
            raise VerifyException(
                f"the region takes {[str(a.type) for a in block.args]}, the operands have {[str(e) for e in expected]}"
            )
        terminator = block.last_op
        if not isinstance(terminator, YieldOp):
            raise VerifyException("the region ends in tile.yield")
        if [v.type for v in terminator.values] != [frag_of(o).element_type for o in self.outputs]:
            raise VerifyException("the yielded types are not the results' element types")


@irdl_op_definition
class IotaOp(LocatedOp):
    """The coordinate along `axis` of every element."""

    name = "tile.iota"

    axis = prop_def(IntegerAttr)
    result = result_def(FragType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(Pure())
    assembly_format = "$axis attr-dict `:` type($result)"

    def __init__(self, axis: int, tv: Tv, *, location: LocationAttr | None = None):
        super().__init__(properties={"axis": _i64(axis)}, result_types=[FragType.of(i32, tv)], location=location)

    def verify_(self) -> None:
        _check_axis(self.axis, frag_of(self.result))
        if frag_of(self.result).element_type != i32:
            raise VerifyException("coordinates are i32")


def _check_axis(axis: IntegerAttr, frag: FragType) -> int:
    value = axis.value.data
    if not 0 <= value < frag.rank:
        raise VerifyException(f"axis {value} of a fragment of rank {frag.rank}")
    return value


@irdl_op_definition
class ReduceOp(LocatedOp):
    """Combines all elements along `axis`; every thread that held some gets the result.

    The axis keeps size 1; the layout is the operand's, projected. Across lanes by shuffles, across warps through
    shared memory, always in the same order. Sums are kept in the element type: convert to f32 first.
    """

    name = "tile.reduce"

    value = operand_def(FragType)
    axis = prop_def(IntegerAttr)
    kind = prop_def(StringAttr)
    result = result_def(FragType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(Pure())
    assembly_format = "$value $kind `over` $axis attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, axis: int, kind: str, *, location: LocationAttr | None = None):
        frag = frag_of(value)
        axis %= frag.rank
        super().__init__(
            operands=[value],
            properties={"axis": _i64(axis), "kind": StringAttr(kind)},
            result_types=[frag.with_tv(frag.tv.project(axis))],
            location=location,
        )

    def verify_(self) -> None:
        frag = frag_of(self.value)
        axis = _check_axis(self.axis, frag)
        if self.kind.data not in REDUCTIONS:
            raise VerifyException(f"kind {self.kind.data!r} is none of {', '.join(REDUCTIONS)}")
        expected = frag.with_tv(frag.tv.project(axis))
        if self.result.type != expected:
            raise VerifyException(f"the result is {expected}, not {self.result.type}")


@irdl_op_definition
class MmaOp(LocatedOp):
    """`c + a · bᵀ` on tensor cores: a [*, M, K], b [*, N, K], c [*, M, N].

    `mma.mma_plan` gives the instructions, by the coordinates that the three layouts keep in each register.
    """

    name = "tile.mma"

    a = operand_def(FragType)
    b = operand_def(FragType)
    c = operand_def(FragType)
    atom = prop_def(StringAttr)
    result = result_def(FragType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(Pure())
    assembly_format = "$a `,` $b `,` $c $atom attr-dict `:` type($a) `,` type($b) `,` type($c) `->` type($result)"

    def __init__(self, a: SSAValue, b: SSAValue, c: SSAValue, *, atom: str = "m16n8k16", location: LocationAttr | None = None):
        super().__init__(operands=[a, b, c], properties={"atom": StringAttr(atom)}, result_types=[c.type], location=location)

    def verify_(self) -> None:
        a, b, c = frag_of(self.a), frag_of(self.b), frag_of(self.c)
        if self.result.type != c:
            raise VerifyException(f"the result is {self.result.type}, the accumulator {c}")
        if a.element_type != b.element_type:
            raise VerifyException(f"operands of {a.element_type} and {b.element_type}")
        try:
            mma_plan(a.tv, b.tv, c.tv, self.atom.data)
        except MmaMismatch as problem:
            raise VerifyException(f"{self.atom.data}: {problem}") from problem


@irdl_op_definition
class RelayoutOp(LocatedOp):
    """The same tile in another register layout: moves within threads, shuffles or goes through shared memory."""

    name = "tile.relayout"

    value = operand_def(FragType)
    result = result_def(FragType)

    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, tv: Tv, *, location: LocationAttr | None = None):
        super().__init__(operands=[value], result_types=[frag_of(value).with_tv(tv)], location=location)

    def verify_(self) -> None:
        source, result = frag_of(self.value), frag_of(self.result)
        if source.shape != result.shape or source.element_type != result.element_type:
            raise VerifyException(f"relayout of {source} gives {result}: shape and elements stay")


@irdl_op_definition
class RelabelOp(LocatedOp):
    """The same registers under other coordinates: free. Element (register, lane, warp) stays where it is."""

    name = "tile.relabel"

    value = operand_def(FragType)
    result = result_def(FragType)

    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, tv: Tv, *, location: LocationAttr | None = None):
        super().__init__(operands=[value], result_types=[frag_of(value).with_tv(tv)], location=location)

    def verify_(self) -> None:
        source, result = frag_of(self.value), frag_of(self.result)
        if source.element_type != result.element_type:
            raise VerifyException(f"relabel keeps the elements' type, {source.element_type}")
        if source.num_regs != result.num_regs or source.tv.num_warps != result.tv.num_warps:
            raise VerifyException(
                f"relabel keeps registers and warps: {source.num_regs} registers of {source.tv.num_warps} warps "
                f"against {result.num_regs} of {result.tv.num_warps}"
            )


@irdl_op_definition
class SliceOp(LocatedOp):
    """`[start, start + size)` along `axis`: a subset of every thread's registers, free."""

    name = "tile.slice"

    value = operand_def(FragType)
    axis = prop_def(IntegerAttr)
    start = prop_def(IntegerAttr)
    size = prop_def(IntegerAttr)
    result = result_def(FragType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, axis: int, start: int, size: int, *, location: LocationAttr | None = None):
        frag = frag_of(value)
        axis %= frag.rank
        tv, _ = frag.tv.slice(axis, start, size)
        super().__init__(
            operands=[value],
            properties={"axis": _i64(axis), "start": _i64(start), "size": _i64(size)},
            result_types=[frag.with_tv(tv)],
            location=location,
        )

    @property
    def registers(self) -> tuple[int, ...]:
        """For each element of the result, the operand's element."""
        return frag_of(self.value).tv.slice(self.axis.value.data, self.start.value.data, self.size.value.data)[1]

    def verify_(self) -> None:
        frag = frag_of(self.value)
        axis = _check_axis(self.axis, frag)
        try:
            tv, _ = frag.tv.slice(axis, self.start.value.data, self.size.value.data)
        except ValueError as problem:
            raise VerifyException(str(problem)) from problem
        if self.result.type != frag.with_tv(tv):
            raise VerifyException(f"the slice is {frag.with_tv(tv)}, not {self.result.type}")


@irdl_op_definition
class ConcatOp(LocatedOp):
    """Fragments of one layout after each other along `axis`: their registers in sequence, free."""

    name = "tile.concat"

    values = var_operand_def(FragType)
    axis = prop_def(IntegerAttr)
    result = result_def(FragType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(Pure())
    assembly_format = "$values attr-dict `:` type($values) `->` type($result)"

    def __init__(self, values: Sequence[SSAValue], axis: int, *, location: LocationAttr | None = None):
        frag = frag_of(values[0])
        axis %= frag.rank
        super().__init__(
            operands=[list(values)],
            properties={"axis": _i64(axis)},
            result_types=[frag.with_tv(frag.tv.concat(axis, len(values)))],
            location=location,
        )

    def verify_(self) -> None:
        if not self.values:
            raise VerifyException("concat takes at least one fragment")
        frag = frag_of(self.values[0])
        axis = _check_axis(self.axis, frag)
        if any(value.type != frag for value in self.values):
            raise VerifyException("all operands have the same type")
        expected = frag.with_tv(frag.tv.concat(axis, len(self.values)))
        if self.result.type != expected:
            raise VerifyException(f"the result is {expected}, not {self.result.type}")


@irdl_op_definition
class BroadcastOp(LocatedOp):
    """Dimensions of size 1 repeated: the operand's layout is the result's, projected. Copies of registers."""

    name = "tile.broadcast"

    value = operand_def(FragType)
    result = result_def(FragType)

    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, tv: Tv, *, location: LocationAttr | None = None):
        super().__init__(operands=[value], result_types=[frag_of(value).with_tv(tv)], location=location)

    def verify_(self) -> None:
        source, result = frag_of(self.value), frag_of(self.result)
        if source.element_type != result.element_type:
            raise VerifyException(f"broadcast keeps the elements' type, {source.element_type}")
        check_broadcast("operand", source, result.tv)


@irdl_op_definition
class FullOp(LocatedOp):
    """A constant in every element."""

    name = "tile.full"

    value = prop_def(FloatAttr | IntegerAttr)
    result = result_def(FragType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($result)"

    def __init__(self, value: float | int, elem: Attribute, tv: Tv, *, location: LocationAttr | None = None):
        if isinstance(elem, IntegerType):
            attr: FloatAttr | IntegerAttr = IntegerAttr(int(value), elem)
        else:
            attr = FloatAttr(float(value), elem)  # pyright: ignore
        super().__init__(properties={"value": attr}, result_types=[FragType.of(elem, tv)], location=location)

    def verify_(self) -> None:
        if self.value.type != frag_of(self.result).element_type:
            raise VerifyException(f"a value of {self.value.type} in {self.result.type}")


@irdl_op_definition
class SplatOp(LocatedOp):
    """A scalar in every element."""

    name = "tile.splat"

    scalar = operand_def()
    result = result_def(FragType)

    traits = traits_def(Pure())
    assembly_format = "$scalar attr-dict `:` type($scalar) `->` type($result)"

    def __init__(self, scalar: SSAValue, tv: Tv, *, location: LocationAttr | None = None):
        super().__init__(operands=[scalar], result_types=[FragType.of(scalar.type, tv)], location=location)

    def verify_(self) -> None:
        if self.scalar.type != frag_of(self.result).element_type:
            raise VerifyException(f"a scalar of {self.scalar.type} in {self.result.type}")


@irdl_op_definition
class ExtractOp(LocatedOp):
    """One element as a scalar; every thread must hold it."""

    name = "tile.extract"

    value = operand_def(FragType)
    coords = prop_def(DenseArrayBase.constr(i64))
    result = result_def()

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(Pure())
    assembly_format = "$value `at` $coords attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, coords: Sequence[int] | None = None, *, location: LocationAttr | None = None):
        frag = frag_of(value)
        at = tuple(coords) if coords is not None else (0,) * frag.rank
        super().__init__(
            operands=[value],
            properties={"coords": DenseArrayBase.from_list(i64, list(at))},
            result_types=[frag.element_type],
            location=location,
        )

    @property
    def at(self) -> tuple[int, ...]:
        return tuple(int(v) for v in self.coords.get_values())

    @property
    def register(self) -> int:
        register = frag_of(self.value).tv.find_reg(self.at)
        assert register is not None
        return register

    def verify_(self) -> None:
        frag = frag_of(self.value)
        if self.result.type != frag.element_type:
            raise VerifyException(f"extracts {self.result.type} from {frag}")
        tv = frag.tv
        register = tv.find_reg(self.at) if len(self.at) == tv.rank else None
        if register is None or any(any(step) for size, step in (*tv.lane, *tv.warp) if size > 1):
            raise VerifyException(f"element {list(self.at)} is not held by every thread; reduce or relayout first")


@irdl_op_definition
class UnpackOp(LocatedOp):
    """Small integers to bf16, exactly, by bit tricks instead of conversions (i8 → bf16)."""

    name = "tile.unpack"

    value = operand_def(FragType)
    result = result_def(FragType)

    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, elem: Attribute = bf16, *, location: LocationAttr | None = None):
        super().__init__(operands=[value], result_types=[frag_of(value).with_elem(elem)], location=location)

    def verify_(self) -> None:
        source, result = frag_of(self.value), frag_of(self.result)
        if source.layout != result.layout:
            raise VerifyException("unpack keeps the layout")
        if not isinstance(source.element_type, IntegerType) or dtype_of(source.element_type).itemsize != 1:
            raise VerifyException(f"unpacks 8-bit integers, not {source.element_type}")
        if isinstance(result.element_type, IntegerType):
            raise VerifyException("unpacks to a float type")


OPS: list[type[Operation]] = [
    MapOp,
    IotaOp,
    ReduceOp,
    MmaOp,
    RelayoutOp,
    RelabelOp,
    SliceOp,
    ConcatOp,
    BroadcastOp,
    FullOp,
    SplatOp,
    ExtractOp,
    UnpackOp,
]
