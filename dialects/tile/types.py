"""The types of `tile`: what a CTA holds in registers, shared memory and rings.

    !tile.frag<16x8xf32, #layout.tv<…>>       a tile spread over the registers of a CTA's (or role's) warps
    !tile.smem<64x64xbf16, #layout.mem<…>>    shared memory, static
    !tile.ring<4, 512xbf16, #layout.mem<…>>   stages of shared memory with full and empty barriers
    !tile.mbarriers<4>                        mbarriers in shared memory, what rings are made of
    !tile.tmap<64x64xbf16, swizzle = 128>     a tensor map: boxes of a buffer, and how they lie in shared memory
    !tile.inflight<16x8xf32, #layout.tv<…>>   an accumulator that asynchronous mma still writes

**Packing of fragments.**  A thread holds `tv.num_regs` elements; element `r` counts the register
digits of the layout in mixed radix, innermost first.  16-bit elements lie two in a 32-bit register
(2i in the low half, 2i+1 in the high half), 8-bit elements four, 32-bit ones alone, 64-bit ones in a
64-bit register, i1 in a predicate.  An odd remainder leaves the upper part of the last register unused.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects.builtin import ArrayAttr, IntAttr
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from ..ir.numeric import dtype_of
from ..layout.attributes import MemAttr, TvAttr
from ..layout.mem import MemLayout
from ..layout.tv import Tv
from ..layout.types import BufferType, Dim


def _shape_attr(shape: Sequence[int]) -> ArrayAttr[IntAttr]:
    return ArrayAttr([IntAttr(extent) for extent in shape])


def _parse_shaped(parser: AttrParser) -> tuple[ArrayAttr[IntAttr], Attribute]:
    shape, elem = parser.parse_ranked_shape()
    return _shape_attr(shape), elem


def _print_shaped(printer: Printer, shape: Sequence[int], elem: Attribute) -> None:
    printer.print_string("".join(f"{extent}x" for extent in shape))
    printer.print_attribute(elem)


class _Registers(ParametrizedAttribute, TypeAttribute):
    """Shape, element type and register layout, shared by `frag` and `inflight`."""

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            shape, elem = _parse_shaped(parser)
            parser.parse_punctuation(",")
            tv = parser.parse_attribute()
            if not isinstance(tv, TvAttr):
                parser.raise_error("expected #layout.tv<…>")
            if tuple(d.data for d in shape.data) != tv.data.shape:
                parser.raise_error(f"the register layout has shape {list(tv.data.shape)}, the tile {shape}")
        return [elem, tv]

    def print_parameters(self, printer: Printer) -> None:
        elem, tv = self.parameters
        assert isinstance(tv, TvAttr)
        with printer.in_angle_brackets():
            _print_shaped(printer, tv.data.shape, elem)
            printer.print_string(", ")
            printer.print_attribute(tv)


@irdl_attr_definition
class FragType(_Registers):
    """A tile in registers; see the module docstring for the order and packing of elements."""

    name = "tile.frag"

    element_type: Attribute
    layout: TvAttr

    @staticmethod
    def of(elem: Attribute, tv: Tv) -> FragType:
        return FragType(elem, TvAttr(tv))

    @property
    def tv(self) -> Tv:
        return self.layout.data

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.data.shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def num_regs(self) -> int:
        """Elements (not 32-bit registers) a thread holds."""
        return self.tv.num_regs

    def with_elem(self, elem: Attribute) -> FragType:
        return FragType(elem, self.layout)

    def with_tv(self, tv: Tv) -> FragType:
        return FragType(self.element_type, TvAttr(tv))

    def verify(self) -> None:
        if (problem := self.tv.problem()) is not None:
            raise VerifyException(f"malformed register layout: {problem}")


@irdl_attr_definition
class InflightType(_Registers):
    """A fragment that asynchronous mma still writes; only wgmma, its wait and yields take it."""

    name = "tile.inflight"

    element_type: Attribute
    layout: TvAttr

    @property
    def frag(self) -> FragType:
        return FragType(self.element_type, self.layout)


@irdl_attr_definition
class SmemType(ParametrizedAttribute, TypeAttribute):
    """Shared memory of static shape; `layout` maps coordinates to elements from its start."""

    name = "tile.smem"

    shape_attr: ArrayAttr[IntAttr]
    element_type: Attribute
    mem: MemAttr

    @staticmethod
    def of(shape: Sequence[int], elem: Attribute, layout: MemLayout | None = None) -> SmemType:
        """Row-major unless a layout is given."""
        return SmemType(_shape_attr(shape), elem, MemAttr(layout or MemLayout.row_major(shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(d.data for d in self.shape_attr.data)

    @property
    def layout(self) -> MemLayout:
        return self.mem.data

    @property
    def num_elements(self) -> int:
        """Elements spanned, padding and swizzle blocks included."""
        return self.layout.size(self.shape)

    @property
    def num_bytes(self) -> int:
        return self.num_elements * dtype_of(self.element_type).itemsize

    def verify(self) -> None:
        if self.layout.rank != len(self.shape):
            raise VerifyException(f"shape of rank {len(self.shape)} with a layout of rank {self.layout.rank}")
        if any(extent < 1 for extent in self.shape):
            raise VerifyException(f"shared memory has static sizes, got {list(self.shape)}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return list(_parse_smem(parser))

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            _print_smem(printer, self)


def _parse_smem(parser: AttrParser) -> tuple[ArrayAttr[IntAttr], Attribute, MemAttr]:
    shape, elem = _parse_shaped(parser)
    if parser.parse_optional_punctuation(",") is None:
        return shape, elem, MemAttr(MemLayout.row_major([d.data for d in shape.data]))
    mem = parser.parse_attribute()
    if not isinstance(mem, MemAttr):
        parser.raise_error("expected #layout.mem<…>")
    return shape, elem, mem


def _print_smem(printer: Printer, type_: SmemType) -> None:
    _print_shaped(printer, type_.shape, type_.element_type)
    if type_.layout != MemLayout.row_major(type_.shape):
        printer.print_string(", ")
        printer.print_attribute(type_.mem)


@irdl_attr_definition
class RingType(ParametrizedAttribute, TypeAttribute):
    """`stages` buffers of shared memory between producer and consumer warps.

    Ring ops take a monotone counter i: slot i mod stages, phase parity (i / stages) & 1.
    """

    name = "tile.ring"

    stages_attr: IntAttr
    stage: SmemType

    @property
    def alias_stem(self) -> str:
        return "ring"

    @staticmethod
    def of(stages: int, stage: SmemType) -> RingType:
        return RingType(IntAttr(stages), stage)

    @property
    def stages(self) -> int:
        return self.stages_attr.data

    def verify(self) -> None:
        if self.stages < 1:
            raise VerifyException(f"a ring has at least one stage, not {self.stages}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            stages = parser.parse_integer(allow_boolean=False, allow_negative=False)
            parser.parse_punctuation(",")
            return [IntAttr(stages), SmemType(*_parse_smem(parser))]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.stages}, ")
            _print_smem(printer, self.stage)


@irdl_attr_definition
class MbarriersType(ParametrizedAttribute, TypeAttribute):
    """`count` mbarriers of 8 bytes in shared memory, one beside the other; ops name one by its slot."""

    name = "tile.mbarriers"

    count_attr: IntAttr

    @staticmethod
    def of(count: int) -> MbarriersType:
        return MbarriersType(IntAttr(count))

    @property
    def count(self) -> int:
        return self.count_attr.data

    def verify(self) -> None:
        if self.count < 1:
            raise VerifyException("there is at least one mbarrier")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return [IntAttr(parser.parse_integer(allow_boolean=False, allow_negative=False))]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(str(self.count))


@irdl_attr_definition
class TmapType(ParametrizedAttribute, TypeAttribute):
    """A tensor map; its box is outermost first, its swizzle in bytes (0: none)."""

    name = "tile.tmap"

    box_attr: ArrayAttr[IntAttr]
    element_type: Attribute
    swizzle_attr: IntAttr

    @staticmethod
    def of(box: Sequence[int], elem: Attribute, swizzle: int = 0) -> TmapType:
        return TmapType(_shape_attr(box), elem, IntAttr(swizzle))

    @property
    def box(self) -> tuple[int, ...]:
        return tuple(d.data for d in self.box_attr.data)

    @property
    def swizzle(self) -> int:
        return self.swizzle_attr.data

    @property
    def num_bytes(self) -> int:
        """What a copy counts at its barrier, elements outside the tensor included."""
        return prod(self.box) * dtype_of(self.element_type).itemsize

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            box, elem = _parse_shaped(parser)
            swizzle = 0
            if parser.parse_optional_punctuation(",") is not None:
                parser.parse_keyword("swizzle")
                parser.parse_punctuation("=")
                swizzle = parser.parse_integer(allow_boolean=False, allow_negative=False)
        return [box, elem, IntAttr(swizzle)]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            _print_shaped(printer, self.box, self.element_type)
            if self.swizzle:
                printer.print_string(f", swizzle = {self.swizzle}")


Memory = BufferType | SmemType


def memory_of(value: SSAValue | Attribute) -> Memory:
    """The memory type of a value; VerifyException for anything else."""
    type_ = value.type if isinstance(value, SSAValue) else value
    if not isinstance(type_, BufferType | SmemType):
        raise VerifyException(f"expected a !layout.buffer or !tile.smem, got {type_}")
    return type_


def memory_dims(memory: Memory) -> tuple[Dim, ...]:
    """Sizes of a memory: ints, or size expressions of a buffer's dynamic dimensions."""
    return memory.dims if isinstance(memory, BufferType) else memory.shape


def frag_of(value: SSAValue | Attribute) -> FragType:
    """The fragment type of a value; VerifyException for anything else."""
    type_ = value.type if isinstance(value, SSAValue) else value
    if not isinstance(type_, FragType):
        raise VerifyException(f"expected a !tile.frag, got {type_}")
    return type_


def same_registers(a: Tv, b: Tv) -> bool:
    """Whether both layouts keep the same coordinates in the same register of the same thread."""
    if a == b:
        return True
    if a.shape != b.shape or a.num_regs != b.num_regs or a.num_warps != b.num_warps:
        return False
    if a.normalised() == b.normalised():
        return True
    return bool((a.all_coords() == b.all_coords()).all())


def describe_tv(tv: Tv) -> str:
    """A layout in words, for messages."""
    return f"{list(tv.shape)} in {tv.num_regs} registers of {tv.num_warps} warps ({prod(tv.shape)} elements)"


TYPES: list[type[Attribute]] = [FragType, InflightType, SmemType, RingType, MbarriersType, TmapType]
