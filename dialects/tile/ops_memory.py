"""Ops between registers, shared and global memory.

Element `c` of the fragment reads or writes `memory[offset + c]`, dimension by dimension (the fragment has the
memory's rank; dimensions of size 1 are fine).  A *gather* dimension takes its coordinate from an index fragment
instead: `offset_d + index[c]`, where the index has size 1 in dimensions that it does not vary in.  In a
*checked* dimension, elements at or beyond the bound are not touched: loads give `other`, stores skip them.
The bounds are i32 operands, one per checked dimension, or, without operands, the memory's own sizes.
Offsets are never negative; index fragments must be in range where the other checks pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    LocationAttr,
    StringAttr,
    f64,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import MemoryReadEffect, MemoryWriteEffect, NoMemoryEffect
from xdsl.utils.exceptions import VerifyException

from ..ir.located import LocatedOp
from ..ir.numeric import dtype_of
from ..layout.attributes import TvAttr
from ..layout.tv import Tv
from ..layout.types import BufferType
from .bounds import verify_inside
from .types import FragType, SmemType, frag_of, memory_dims, memory_of, same_registers

CACHE_HINTS = ("default", "nc", "evict_first", "evict_last", "no_allocate", "cg")


def _flags(checked: Sequence[bool] | None) -> ArrayAttr[IntegerAttr] | None:
    if checked is None or not any(checked):
        return None
    return ArrayAttr([IntegerAttr.from_bool(bool(flag)) for flag in checked])


class _Access(LocatedOp):
    """What loads, stores and asynchronous copies share: offsets, checks and gathered dimensions."""

    def checked_flags(self, rank: int) -> tuple[bool, ...]:
        checked = cast("ArrayAttr[IntegerAttr] | None", self.properties.get("checked"))
        if checked is None:
            return (False,) * rank
        return tuple(bool(flag.value.data) for flag in checked.data)

    def gather_map(self) -> dict[int, SSAValue]:
        """The index fragment of each gathered dimension."""
        return dict(zip(self._gather_numbers(), self.gather, strict=True))  # pyright: ignore

    def _gather_numbers(self) -> tuple[int, ...]:
        found = self.properties.get("gather_dims")
        return tuple(int(d) for d in found.get_values()) if isinstance(found, DenseArrayBase) else ()

    def bound_map(self, rank: int) -> dict[int, SSAValue | None]:
        """Checked dimension → its bound operand, or None for the memory's own size."""
        dims = [d for d, flag in enumerate(self.checked_flags(rank)) if flag]
        bounds: Sequence[SSAValue] = self.bounds  # pyright: ignore
        return dict(zip(dims, bounds, strict=True)) if bounds else dict.fromkeys(dims)

    def verify_access(self, memory: SSAValue, offsets: Sequence[SSAValue], tv: Tv) -> None:
        type_ = memory_of(memory)
        dims = memory_dims(type_)
        rank = len(dims)
        if len(offsets) != rank:
            raise VerifyException(f"{len(offsets)} offsets for a memory of rank {rank}")
        if tv.rank != rank:
            raise VerifyException(f"a tile of shape {list(tv.shape)} for a memory of rank {rank}; relabel to change rank")
        if any(offset.type != i32 for offset in offsets):
            raise VerifyException("offsets are i32")
        flags = self.checked_flags(rank)
        if len(flags) != rank:
            raise VerifyException(f"checked has {len(flags)} flags for rank {rank}")
        bounds: Sequence[SSAValue] = self.bounds  # pyright: ignore
        if bounds and len(bounds) != sum(flags):
            raise VerifyException(f"{len(bounds)} bounds for {sum(flags)} checked dimensions")
        gather: Sequence[SSAValue] = getattr(self, "gather", ())
        numbers = self._gather_numbers()
        if len(numbers) != len(gather):
            raise VerifyException(f"gather_dims names {len(numbers)} dimensions, {len(gather)} index fragments are given")
        for dim, index in self.gather_map().items():
            if not 0 <= dim < rank:
                raise VerifyException(f"gather dimension {dim} for rank {rank}")
            check_broadcast(f"index of dimension {dim}", frag_of(index), tv)
            if frag_of(index).element_type != i32:
                raise VerifyException(f"index of dimension {dim} has elements {frag_of(index).element_type}, not i32")
        for dim, (extent, size, flag) in enumerate(zip(tv.shape, dims, flags, strict=True)):
            if isinstance(size, int) and extent > size and not flag and dim not in numbers:
                raise VerifyException(f"dimension {dim}: a tile of {extent} in a memory of {size} must be checked")
        verify_inside(self, offsets, tv.shape, dims, {*numbers, *(d for d, flag in enumerate(flags) if flag)})
        cache = self.properties.get("cache")
        if isinstance(cache, StringAttr) and cache.data not in CACHE_HINTS:
            raise VerifyException(f"cache hint {cache.data!r} is none of {', '.join(CACHE_HINTS)}")


def check_broadcast(what: str, frag: FragType, tv: Tv) -> None:
    """`frag` must be the projection of `tv` to frag's shape (size 1 where it does not vary)."""
    if frag.rank != tv.rank or any(a not in (1, b) for a, b in zip(frag.shape, tv.shape, strict=True)):
        raise VerifyException(f"{what}: shape {list(frag.shape)} does not broadcast to {list(tv.shape)}")
    if not same_registers(frag.tv, tv.project_to(frag.shape)):
        raise VerifyException(
            f"{what}: its layout {frag.layout} is not that of the result projected to {list(frag.shape)}, "
            f"{TvAttr(tv.project_to(frag.shape))}; use tile.relayout"
        )


def _verify_element(op: LocatedOp, memory: SSAValue, offsets: Sequence[SSAValue]) -> None:
    """`offsets` are the coordinates of one element of `memory`."""
    dims = memory_dims(memory_of(memory))
    if len(offsets) != len(dims):
        raise VerifyException(f"{len(offsets)} offsets for {memory.type}")
    verify_inside(op, offsets, [1] * len(dims), dims)


@irdl_op_definition
class AllocOp(LocatedOp):
    """Shared memory for the whole run of the kernel. `offset` (bytes) is set by the allocate pass.

    Allocations with the same `alias` group may lie on the same bytes: the schedule promises that they are
    never live at once.
    """

    name = "tile.alloc"

    offset = opt_prop_def(IntegerAttr)
    alias = opt_prop_def(StringAttr)
    result = result_def(SmemType)

    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "attr-dict `:` type($result)"

    def __init__(self, type_: SmemType, *, alias: str | None = None, location: LocationAttr | None = None):
        super().__init__(
            properties={"alias": StringAttr(alias) if alias is not None else None}, result_types=[type_], location=location
        )


@irdl_op_definition
class StageOp(LocatedOp):
    """`%smem[%i]`: the shared memory with its leading dimension fixed at `%i`."""

    name = "tile.stage"

    smem = operand_def(SmemType)
    index = operand_def(i32)
    result = result_def(SmemType)

    traits = traits_def(NoMemoryEffect())
    assembly_format = "$smem `[` $index `]` attr-dict `:` type($smem) `->` type($result)"

    def __init__(self, smem: SSAValue, index: SSAValue, *, location: LocationAttr | None = None):
        super().__init__(operands=[smem, index], result_types=[stage_type(smem.type)], location=location)

    def verify_(self) -> None:
        if self.result.type != stage_type(self.smem.type):
            raise VerifyException(f"a stage of {self.smem.type} is {stage_type(self.smem.type)}")


def stage_type(type_: Attribute) -> SmemType:
    """The type of one stage. A swizzle must repeat within a stage."""
    if not isinstance(type_, SmemType) or len(type_.shape) < 2:
        raise VerifyException(f"expected shared memory of rank 2 or more, got {type_}")
    digits = type_.layout.dims[0]
    if len(digits) != 1:
        raise VerifyException("the leading dimension of staged shared memory has one digit")
    if type_.layout.swizzle is not None:
        bits, base, shift = type_.layout.swizzle
        if digits[0][1] % (1 << (bits + base + shift)):
            raise VerifyException(f"a stage of {digits[0][1]} elements cuts the swizzle {list(type_.layout.swizzle)}")
    return SmemType.of(type_.shape[1:], type_.element_type, type_.layout.drop(0))


@irdl_op_definition
class ViewOp(LocatedOp):
    """The same bytes of shared memory as another type, from byte `offset` on."""

    name = "tile.view"

    smem = operand_def(SmemType)
    offset = prop_def(IntegerAttr)
    result = result_def(SmemType)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(NoMemoryEffect())
    assembly_format = "$smem `at` $offset attr-dict `:` type($smem) `->` type($result)"

    def __init__(self, smem: SSAValue, type_: SmemType, offset: int = 0, *, location: LocationAttr | None = None):
        super().__init__(
            operands=[smem], properties={"offset": IntegerAttr(offset, i64)}, result_types=[type_], location=location
        )

    def verify_(self) -> None:
        source, result = self.smem.type, self.result.type
        assert isinstance(source, SmemType) and isinstance(result, SmemType)
        end = self.offset.value.data + result.num_bytes
        if end > source.num_bytes:
            raise VerifyException(f"the view ends at byte {end} of {source.num_bytes}")


@irdl_op_definition
class LoadOp(_Access):
    """memory → fragment; the rules stand in the module docstring."""

    name = "tile.load"

    src = operand_def()
    offsets = var_operand_def(i32)
    gather = var_operand_def(FragType)
    bounds = var_operand_def(i32)
    checked = opt_prop_def(ArrayAttr[IntegerAttr])
    gather_dims = opt_prop_def(DenseArrayBase.constr(i64))
    other = opt_prop_def(FloatAttr)
    cache = opt_prop_def(StringAttr)
    result = result_def(FragType)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    traits = traits_def(MemoryReadEffect())
    assembly_format = (
        "$src `[` $offsets `]` (`gather` `(` $gather^ `:` type($gather) `)`)? (`bounds` `(` $bounds^ `)`)?"
        " attr-dict `:` type($src) `->` type($result)"
    )

    def __init__(
        self,
        src: SSAValue,
        offsets: Sequence[SSAValue],
        tv: Tv,
        *,
        checked: Sequence[bool] | None = None,
        bounds: Sequence[SSAValue] = (),
        gather: Mapping[int, SSAValue] | None = None,
        other: float = 0.0,
        cache: str = "default",
        location: LocationAttr | None = None,
    ):
        gather = gather or {}
        super().__init__(
            operands=[src, list(offsets), list(gather.values()), list(bounds)],
            properties={
                "checked": _flags(checked),
                "gather_dims": DenseArrayBase.from_list(i64, list(gather)) if gather else None,
                "other": FloatAttr(other, f64) if other != 0.0 else None,
                "cache": StringAttr(cache) if cache != "default" else None,
            },
            result_types=[FragType.of(memory_of(src).element_type, tv)],
            location=location,
        )

    @property
    def frag(self) -> FragType:
        return frag_of(self.result)

    @property
    def other_value(self) -> float:
        return self.other.value.data if self.other is not None else 0.0

    def verify_(self) -> None:
        self.verify_access(self.src, self.offsets, self.frag.tv)
        if self.frag.element_type != memory_of(self.src).element_type:
            raise VerifyException(f"loads {self.frag.element_type} from {self.src.type}")


@irdl_op_definition
class StoreOp(_Access):
    """fragment → memory. Copies of an element write the same value (or one of them writes)."""

    name = "tile.store"

    value = operand_def(FragType)
    dst = operand_def()
    offsets = var_operand_def(i32)
    gather = var_operand_def(FragType)
    bounds = var_operand_def(i32)
    checked = opt_prop_def(ArrayAttr[IntegerAttr])
    gather_dims = opt_prop_def(DenseArrayBase.constr(i64))
    cache = opt_prop_def(StringAttr)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    traits = traits_def(MemoryWriteEffect())
    assembly_format = (
        "$value `,` $dst `[` $offsets `]` (`gather` `(` $gather^ `:` type($gather) `)`)? (`bounds` `(` $bounds^ `)`)?"
        " attr-dict `:` type($value) `->` type($dst)"
    )

    def __init__(
        self,
        value: SSAValue,
        dst: SSAValue,
        offsets: Sequence[SSAValue],
        *,
        checked: Sequence[bool] | None = None,
        bounds: Sequence[SSAValue] = (),
        gather: Mapping[int, SSAValue] | None = None,
        cache: str = "default",
        location: LocationAttr | None = None,
    ):
        gather = gather or {}
        super().__init__(
            operands=[value, dst, list(offsets), list(gather.values()), list(bounds)],
            properties={
                "checked": _flags(checked),
                "gather_dims": DenseArrayBase.from_list(i64, list(gather)) if gather else None,
                "cache": StringAttr(cache) if cache != "default" else None,
            },
            location=location,
        )

    @property
    def frag(self) -> FragType:
        return frag_of(self.value)

    def verify_(self) -> None:
        self.verify_access(self.dst, self.offsets, self.frag.tv)
        if self.frag.element_type != memory_of(self.dst).element_type:
            raise VerifyException(f"stores {self.frag.element_type} into {self.dst.type}")


@irdl_op_definition
class LoadScalarOp(LocatedOp):
    """One element, the same in all threads."""

    name = "tile.load_scalar"

    src = operand_def()
    offsets = var_operand_def(i32)
    result = result_def()

    traits = traits_def(MemoryReadEffect())
    assembly_format = "$src `[` $offsets `]` attr-dict `:` type($src) `->` type($result)"

    def __init__(self, src: SSAValue, offsets: Sequence[SSAValue], *, location: LocationAttr | None = None):
        super().__init__(operands=[src, list(offsets)], result_types=[memory_of(src).element_type], location=location)

    def verify_(self) -> None:
        _verify_element(self, self.src, self.offsets)
        if self.result.type != memory_of(self.src).element_type:
            raise VerifyException(f"loads {self.result.type} from {self.src.type}")


@irdl_op_definition
class StoreScalarOp(LocatedOp):
    """One element, written by one thread."""

    name = "tile.store_scalar"

    value = operand_def()
    dst = operand_def()
    offsets = var_operand_def(i32)

    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$value `,` $dst `[` $offsets `]` attr-dict `:` type($value) `->` type($dst)"

    def __init__(self, value: SSAValue, dst: SSAValue, offsets: Sequence[SSAValue], *, location: LocationAttr | None = None):
        super().__init__(operands=[value, dst, list(offsets)], location=location)

    def verify_(self) -> None:
        _verify_element(self, self.dst, self.offsets)
        if self.value.type != memory_of(self.dst).element_type:
            raise VerifyException(f"stores {self.value.type} into {self.dst.type}")


@irdl_op_definition
class AtomicAddOp(LocatedOp):
    """Adds to one element of global memory; one thread does it, all get the value from before."""

    name = "tile.atomic_add"

    value = operand_def()
    dst = operand_def()
    offsets = var_operand_def(i32)
    result = result_def()

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$value `,` $dst `[` $offsets `]` attr-dict `:` type($dst) `,` type($value) `->` type($result)"

    def __init__(self, value: SSAValue, dst: SSAValue, offsets: Sequence[SSAValue], *, location: LocationAttr | None = None):
        super().__init__(operands=[value, dst, list(offsets)], result_types=[value.type], location=location)

    def verify_(self) -> None:
        _verify_element(self, self.dst, self.offsets)
        if self.value.type != memory_of(self.dst).element_type or self.result.type != self.value.type:
            raise VerifyException(f"adds {self.value.type} to {self.dst.type}")


@irdl_op_definition
class CpAsyncOp(_Access):
    """Asynchronous copy of a tile, global to shared memory: 4, 8 or 16 bytes a thread and register run of `tv`.

    Element c goes from `src[src_offsets + c]` to `dst[dst_offsets + c]`; the innermost register digit of `tv` is the
    vector one thread copies. Elements beyond a bound are zero in shared memory. The tile is `tv.shape`; the shared
    memory may have lower rank, then leading dimensions of size 1 of the tile are dropped for it.
    """

    name = "tile.cp_async"

    src = operand_def()
    src_offsets = var_operand_def(i32)
    dst = operand_def(SmemType)
    dst_offsets = var_operand_def(i32)
    gather = var_operand_def(FragType)
    bounds = var_operand_def(i32)
    tv = prop_def(TvAttr)
    checked = opt_prop_def(ArrayAttr[IntegerAttr])
    gather_dims = opt_prop_def(DenseArrayBase.constr(i64))
    cache = opt_prop_def(StringAttr)

    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = (
        "$src `[` $src_offsets `]` `,` $dst `[` $dst_offsets `]` (`gather` `(` $gather^ `:` type($gather) `)`)?"
        " (`bounds` `(` $bounds^ `)`)? attr-dict `:` type($src) `->` type($dst)"
    )

    def __init__(
        self,
        src: SSAValue,
        src_offsets: Sequence[SSAValue],
        dst: SSAValue,
        dst_offsets: Sequence[SSAValue],
        tv: Tv,
        *,
        checked: Sequence[bool] | None = None,
        bounds: Sequence[SSAValue] = (),
        gather: Mapping[int, SSAValue] | None = None,
        cache: str = "default",
        location: LocationAttr | None = None,
    ):
        gather = gather or {}
        super().__init__(
            operands=[src, list(src_offsets), dst, list(dst_offsets), list(gather.values()), list(bounds)],
            properties={
                "tv": TvAttr(tv),
                "checked": _flags(checked),
                "gather_dims": DenseArrayBase.from_list(i64, list(gather)) if gather else None,
                "cache": StringAttr(cache) if cache != "default" else None,
            },
            location=location,
        )

    @property
    def vector(self) -> int:
        """Elements one thread copies at once: the innermost register digit."""
        reg = self.tv.data.reg
        return reg[0][0] if reg else 1

    def verify_(self) -> None:
        tv = self.tv.data
        if (problem := tv.problem()) is not None:
            raise VerifyException(f"malformed register layout: {problem}")
        self.verify_access(self.src, self.src_offsets, tv)
        source, target = memory_of(self.src), self.dst.type
        assert isinstance(target, SmemType)
        if source.element_type != target.element_type:
            raise VerifyException(f"copies {source.element_type} into {target}")
        lost = tv.rank - len(target.shape)
        if lost < 0 or any(extent != 1 for extent in tv.shape[:lost]):
            raise VerifyException(f"a tile of {list(tv.shape)} does not fit {target}")
        if len(self.dst_offsets) != len(target.shape):
            raise VerifyException(f"{len(self.dst_offsets)} offsets for {target}")
        verify_inside(self, self.dst_offsets, tv.shape[lost:], target.shape)
        width = self.vector * dtype_of(target.element_type).itemsize
        if width not in (4, 8, 16):
            raise VerifyException(f"each thread copies {width} bytes at once; cp.async takes 4, 8 or 16")
        if not tv.is_covering():
            raise VerifyException("tv does not cover the tile")


@irdl_op_definition
class CpAsyncCommitOp(LocatedOp):
    """Closes a group of the asynchronous copies issued since the last commit."""

    name = "tile.cp_async_commit"

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


@irdl_op_definition
class CpAsyncWaitOp(LocatedOp):
    """Waits until at most `pending` groups of this thread are open. Other threads' copies need a barrier."""

    name = "tile.cp_async_wait"

    pending = prop_def(IntegerAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$pending attr-dict"

    def __init__(self, pending: int = 0, *, location: LocationAttr | None = None):
        super().__init__(properties={"pending": IntegerAttr(pending, i64)}, location=location)

    def verify_(self) -> None:
        if self.pending.value.data < 0:
            raise VerifyException(f"{self.pending.value.data} groups can't be open; it takes 0 or more")


@irdl_op_definition
class PrefetchOp(LocatedOp):
    """Asks L2 for the cache lines (128 bytes) in which `src[offsets + c]` lies, for every c of `tv`; nothing else happens."""

    name = "tile.prefetch"

    src = operand_def(BufferType)
    offsets = var_operand_def(i32)
    tv = prop_def(TvAttr)

    irdl_options = (ParsePropInAttrDict(),)
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())
    assembly_format = "$src `[` $offsets `]` attr-dict `:` type($src)"

    def __init__(self, src: SSAValue, offsets: Sequence[SSAValue], tv: Tv, *, location: LocationAttr | None = None):
        super().__init__(operands=[src, list(offsets)], properties={"tv": TvAttr(tv)}, location=location)

    def verify_(self) -> None:
        tv, rank = self.tv.data, len(memory_dims(memory_of(self.src)))
        if (problem := tv.problem()) is not None:
            raise VerifyException(f"malformed register layout: {problem}")
        if tv.rank != rank or len(self.offsets) != rank:
            raise VerifyException(f"a tile of {list(tv.shape)} at {len(self.offsets)} offsets of a buffer of rank {rank}")


OPS: list[type[Operation]] = [
    AllocOp,
    StageOp,
    ViewOp,
    LoadOp,
    StoreOp,
    LoadScalarOp,
    StoreScalarOp,
    AtomicAddOp,
    CpAsyncOp,
    CpAsyncCommitOp,
    CpAsyncWaitOp,
    PrefetchOp,
]
