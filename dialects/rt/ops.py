"""The host program: straight lines of launches on weights, inputs and outputs, and an arena of intermediates.

rt.weight @l0.qkv : !layout.buffer<[96, 64], bf16, #layout.mem<…>>
rt.program @decode attributes {sizes = ["B", "T"], ranges = {B = [1, 8], T = [1, 8]}} {
  %ids = rt.io "ids" : !layout.buffer<["T"], i32>
  %w = rt.param @embed : !layout.buffer<[512, 64], bf16>
  %arena = rt.arena ["128 * T"]
  %x = rt.view %arena[0] : !layout.buffer<["T", 64], bf16>
  rt.launch @gather_0(%ids, %w, %x) grid ["1", "T", "1"] sizes ["T"] : (…)
  rt.return
}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FlatSymbolRefAttrConstr,
    IntegerAttr,
    LocationAttr,
    StringAttr,
    SymbolRefAttr,
    TensorType,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, ParametrizedAttribute, Region, SSAValue, TypeAttribute
from xdsl.irdl import (
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import (
    HasParent,
    IsolatedFromAbove,
    IsTerminator,
    MemoryReadEffect,
    MemoryWriteEffect,
    NoMemoryEffect,
    SymbolOpInterface,
)
from xdsl.utils.exceptions import VerifyException

from ..ir.diagnostics import LlmcError
from ..ir.located import LocatedOp
from ..layout import expressions
from ..layout.kernel_form import strings
from ..layout.ops import verify_grid
from ..layout.ranges import Range, decode_ranges, encode_ranges, verify_ranges
from ..layout.tensor_map import TensorMapAttr, maps_problem
from ..layout.types import BufferType


@irdl_attr_definition
class ArenaType(ParametrizedAttribute, TypeAttribute):
    """Memory that the program's intermediates share."""

    name = "rt.arena"


@irdl_op_definition
class WeightOp(LocatedOp):
    """A weight's image in device memory; `value` gives its content where the compiler knows it."""

    name = "rt.weight"

    sym_name = prop_def(StringAttr)
    type = prop_def(BufferType)
    value = opt_prop_def(DenseIntOrFPElementsAttr)

    traits = traits_def(SymbolOpInterface())

    def __init__(
        self,
        name: str,
        type: BufferType,
        value: DenseIntOrFPElementsAttr | None = None,
        *,
        location: LocationAttr | None = None,
    ):
        super().__init__(properties={"sym_name": StringAttr(name), "type": type, "value": value}, location=location)

    def verify_(self) -> None:
        if self.type.sizes:
            raise VerifyException(f"a weight has static sizes, not {sorted(self.type.sizes)}")
        if self.value is not None:
            kind = TensorType(self.type.element_type, [int(d) for d in self.type.dims])
            if self.value.type != kind:
                raise VerifyException(f"the value is {self.value.type}, the weight {kind}")

    @classmethod
    def parse(cls, parser: Parser) -> WeightOp:
        name = parser.parse_symbol_name()
        attributes = parser.parse_optional_attr_dict_with_keyword()
        parser.parse_punctuation(":")
        type_ = parser.parse_type()
        if not isinstance(type_, BufferType):
            parser.raise_error("expected !layout.buffer")
        value = parser.parse_attribute() if parser.parse_optional_punctuation("=") is not None else None
        op = cls(name.data, type_, value)  # pyright: ignore
        op.attributes |= attributes.data if attributes is not None else {}
        return op

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        printer.print_op_attributes(self.attributes, print_keyword=True)
        printer.print_string(" : ")
        printer.print_attribute(self.type)
        if self.value is not None:
            printer.print_string(" = ")
            printer.print_attribute(self.value)


@irdl_op_definition
class ProgramOp(LocatedOp):
    """A straight line of launches. `sizes` are the names its caller gives values; `ranges` what values it was compiled for."""

    name = "rt.program"

    sym_name = prop_def(StringAttr)
    sizes = prop_def(ArrayAttr[StringAttr])
    ranges = opt_prop_def(DictionaryAttr)
    body = region_def("single_block")

    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        name: str,
        sizes: Sequence[str],
        ranges: Mapping[str, Range] | None = None,
        *,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            properties={
                "sym_name": StringAttr(name),
                "sizes": strings(sizes),
                "ranges": encode_ranges(ranges) if ranges else None,
            },
            regions=[Region(Block())],
            location=location,
        )

    @property
    def block(self) -> Block:
        return self.body.block

    def verify_(self) -> None:
        verify_ranges(self.ranges)
        known = {name.data for name in self.sizes.data}
        ios: dict[str, Attribute] = {}
        for op in self.block.ops:
            if isinstance(op, IoOp) and ios.setdefault(op.label.data, op.result.type) != op.result.type:
                raise VerifyException(f'rt.io "{op.label.data}" is both {ios[op.label.data]} and {op.result.type}')
            unknown = [s.data for s in op.sizes.data if s.data not in known] if isinstance(op, LaunchOp) else []
            if unknown:
                raise VerifyException(f"a launch passes the size {unknown[0]}, which is none of the program's: {sorted(known)}")
            if isinstance(op, LaunchOp) and op.grid is not None:
                verify_grid(op.grid, known)
        if not isinstance(self.block.last_op, ReturnOp):
            raise VerifyException("a program ends in rt.return")

    @classmethod
    def parse(cls, parser: Parser) -> ProgramOp:
        name = parser.parse_symbol_name()
        attributes = parser.parse_optional_attr_dict_with_keyword()
        region = parser.parse_region()
        stored = dict(attributes.data) if attributes is not None else {}
        properties = {key: stored.pop(key) for key in ("sizes", "ranges") if key in stored}
        return cls.create(properties={"sym_name": name, **properties}, attributes=stored, regions=[region])

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        shown = {key: self.properties[key] for key in ("sizes", "ranges") if key in self.properties}
        printer.print_op_attributes({**shown, **self.attributes}, print_keyword=True)
        printer.print_string(" ")
        printer.print_region(self.body)


@irdl_op_definition
class IoOp(LocatedOp):
    """A buffer that outlives the program, by name: ids, positions, k_pages.0, logits. Programs that name it share it."""

    name = "rt.io"

    label = prop_def(StringAttr)
    result = result_def(BufferType)

    traits = traits_def(NoMemoryEffect(), HasParent(ProgramOp))
    assembly_format = "$label attr-dict `:` type($result)"

    def __init__(self, label: str, type: BufferType, *, location: LocationAttr | None = None):
        super().__init__(properties={"label": StringAttr(label)}, result_types=[type], location=location)
        hint = re.sub(r"[^A-Za-z0-9]", "_", label)
        self.result.name_hint = hint if SSAValue.is_valid_name(hint) else None


@irdl_op_definition
class ParamOp(LocatedOp):
    """A weight's image."""

    name = "rt.param"

    weight = prop_def(FlatSymbolRefAttrConstr)
    result = result_def(BufferType)

    traits = traits_def(NoMemoryEffect(), HasParent(ProgramOp))
    assembly_format = "$weight attr-dict `:` type($result)"

    def __init__(self, weight: str, type: BufferType, *, location: LocationAttr | None = None):
        super().__init__(properties={"weight": SymbolRefAttr(weight)}, result_types=[type], location=location)

    def verify_symbols(self, find: Callable[[str], Operation]) -> None:
        """The weight exists and has the result's type (an `nn.weight` until it is lowered); see `ir.symbols.verify_symbols`."""
        name = self.weight.root_reference.data
        weight = find(name)
        if weight.name == "nn.weight":
            return
        if not isinstance(weight, WeightOp):
            raise VerifyException(f"rt.param names @{name}, which is a {weight.name}, no weight")
        if weight.type != self.result.type:
            raise VerifyException(f"rt.param @{name} is {self.result.type}, but the weight is {weight.type}")


@irdl_op_definition
class UploadOp(LocatedOp):
    """Copies a tensor of the checkpoint, row-major, into a buffer: `rt.upload "model.norm.weight" to %w : …`"""

    name = "rt.upload"

    entry = prop_def(StringAttr)
    buffer = operand_def(BufferType)

    traits = traits_def(MemoryWriteEffect(), HasParent(ProgramOp))
    assembly_format = "$entry `to` $buffer attr-dict `:` type($buffer)"

    def __init__(self, entry: str, buffer: SSAValue, *, location: LocationAttr | None = None):
        super().__init__(operands=[buffer], properties={"entry": StringAttr(entry)}, location=location)

    def verify_(self) -> None:
        type_ = self.buffer.type
        if not isinstance(type_, BufferType) or not type_.is_row_major or type_.sizes:
            raise VerifyException("a checkpoint tensor is row-major and static")


@irdl_op_definition
class ArenaOp(LocatedOp):
    """Slots of memory, each of a size in bytes; they follow each other at multiples of 256 bytes."""

    name = "rt.arena"

    slots = prop_def(ArrayAttr[StringAttr])
    result = result_def(ArenaType)

    traits = traits_def(NoMemoryEffect(), HasParent(ProgramOp))
    assembly_format = "$slots attr-dict"

    def __init__(self, slots: Sequence[str], *, location: LocationAttr | None = None):
        super().__init__(properties={"slots": strings(slots)}, result_types=[ArenaType()], location=location)
        self.result.name_hint = "arena"

    def offsets(self, sizes: Mapping[str, int]) -> tuple[list[int], int]:
        """The slots' byte offsets and the arena's size in bytes, for these sizes."""
        offsets: list[int] = []
        end = 0
        for slot in self.slots.data:
            offsets.append(end)
            end += -(-max(expressions.evaluate(slot.data, sizes), 1) // ALIGNMENT) * ALIGNMENT
        return offsets, end

    def verify_(self) -> None:
        for slot in self.slots.data:
            try:
                expressions.names(slot.data)
            except LlmcError as problem:
                raise VerifyException(problem.what) from problem


ALIGNMENT = 256


@irdl_op_definition
class ViewOp(LocatedOp):
    """A buffer in a slot of the arena; its content is undefined until a launch writes it."""

    name = "rt.view"

    arena = operand_def(ArenaType)
    slot = prop_def(IntegerAttr)
    result = result_def(BufferType)

    traits = traits_def(NoMemoryEffect(), HasParent(ProgramOp))

    def __init__(self, arena: SSAValue, slot: int, type: BufferType, *, location: LocationAttr | None = None):
        super().__init__(operands=[arena], properties={"slot": IntegerAttr(slot, i64)}, result_types=[type], location=location)

    @classmethod
    def parse(cls, parser: Parser) -> ViewOp:
        arena = parser.resolve_operand(parser.parse_unresolved_operand(), ArenaType())
        with parser.in_square_brackets():
            slot = parser.parse_integer(allow_boolean=False, allow_negative=False)
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        type_ = parser.parse_type()
        op = cls(arena, slot, type_)  # pyright: ignore
        op.attributes |= attributes
        return op

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_operand(self.arena)
        printer.print_string(f"[{self.slot.value.data}]")
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.result.type)

    def verify_(self) -> None:
        owner = self.arena.owner
        if isinstance(owner, ArenaOp) and self.slot.value.data >= len(owner.slots.data):
            raise VerifyException(f"slot {self.slot.value.data} of an arena of {len(owner.slots.data)}")
        if isinstance(owner, ArenaOp):
            self._verify_room(owner.slots.data[self.slot.value.data].data)

    def _verify_room(self, slot: str) -> None:
        """The buffer fits its slot for the smallest and the largest sizes for which anything touches it."""
        program = self.parent_op()
        ranges = decode_ranges(program.ranges) if isinstance(program, ProgramOp) else {}
        for name, high in largest_sizes(self.result).items():
            low, highest = ranges.get(name, (1, high))
            ranges[name] = (low, min(high, highest))
        type_ = self.result.type
        assert isinstance(type_, BufferType)
        for sizes in expressions.corners(type_.sizes | expressions.names(slot), ranges):
            needed, given = type_.num_bytes(sizes), expressions.evaluate(slot, sizes)
            if needed > given:
                raise VerifyException(f"{type_} takes {needed} bytes where its slot, {slot}, has {given}")


def largest_sizes(value: SSAValue) -> dict[str, int]:
    """The largest sizes for which anything touches the memory of `value`: launches may be for a range of sizes only."""
    bounds: dict[str, int] | None = None
    for use in value.uses:
        op = use.operation
        if isinstance(op, ReinterpretOp):
            found = largest_sizes(op.result)
        else:
            found = {n: high for n, (_, high) in decode_ranges(op.when).items()} if isinstance(op, LaunchOp) else {}
        bounds = found if bounds is None else {n: max(h, found[n]) for n, h in bounds.items() if n in found}
    return bounds or {}


@irdl_op_definition
class TempOp(LocatedOp):
    """A buffer for an intermediate that has no place yet; `plan-arena` turns it into a view."""

    name = "rt.temp"

    result = result_def(BufferType)

    traits = traits_def(NoMemoryEffect(), HasParent(ProgramOp))
    assembly_format = "attr-dict `:` type($result)"

    def __init__(self, type: BufferType, *, location: LocationAttr | None = None):
        super().__init__(result_types=[type], location=location)


@irdl_op_definition
class ReinterpretOp(LocatedOp):
    """The same memory under another shape of as many elements (row-major)."""

    name = "rt.reinterpret"

    source = operand_def(BufferType)
    result = result_def(BufferType)

    traits = traits_def(NoMemoryEffect(), HasParent(ProgramOp))
    assembly_format = "$source attr-dict `:` type($source) `->` type($result)"

    def __init__(self, source: SSAValue, type: BufferType, *, location: LocationAttr | None = None):
        super().__init__(operands=[source], result_types=[type], location=location)

    def verify_(self) -> None:
        for value in (self.source, self.result):
            if not isinstance(value.type, BufferType) or not value.type.is_row_major:
                raise VerifyException("only row-major buffers can be reinterpreted")
        source, result = self.source.type, self.result.type
        assert isinstance(source, BufferType) and isinstance(result, BufferType)
        if source.element_type != result.element_type:
            raise VerifyException(f"reinterpreting keeps the element type, {source.element_type}, not {result.element_type}")


def _tensor_map(parser: Parser) -> TensorMapAttr:
    found = parser.parse_attribute()
    if not isinstance(found, TensorMapAttr):
        parser.raise_error("expected #layout.tensor_map<…>")
    return found


@irdl_op_definition
class LaunchOp(LocatedOp):
    """Runs a kernel on buffers. After them come the tensor maps of `maps`, encoded for these buffers, and the values of `sizes`. With `for "T" in [1, 4]` the launch
    happens only when the size lies in that range, ends included."""

    name = "rt.launch"

    kernel = prop_def(FlatSymbolRefAttrConstr)
    buffers = var_operand_def(BufferType)
    sizes = prop_def(ArrayAttr[StringAttr])
    grid = opt_prop_def(ArrayAttr[StringAttr])
    when = opt_prop_def(DictionaryAttr)
    maps = opt_prop_def(ArrayAttr[TensorMapAttr])

    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect(), HasParent(ProgramOp))

    def __init__(
        self,
        kernel: str,
        buffers: Sequence[SSAValue],
        sizes: Sequence[str],
        grid: Sequence[str] | None = None,
        when: Mapping[str, Range] | None = None,
        *,
        maps: ArrayAttr[TensorMapAttr] | None = None,
        location: LocationAttr | None = None,
    ):
        super().__init__(
            operands=[list(buffers)],
            properties={
                "kernel": SymbolRefAttr(kernel),
                "sizes": strings(sizes),
                "grid": strings(grid) if grid is not None else None,
                "when": encode_ranges(when) if when else None,
                "maps": maps,
            },
            location=location,
        )

    def verify_(self) -> None:
        verify_ranges(self.when)
        if (problem := maps_problem(self.maps, [b.type for b in self.buffers])) is not None:
            raise VerifyException(problem)

    def verify_symbols(self, find: Callable[[str], Operation]) -> None:
        """The kernel exists and takes these buffers and sizes; see `ir.symbols.verify_symbols`."""
        name = self.kernel.root_reference.data
        kernel = find(name)
        if not kernel.name.endswith(".kernel"):
            raise VerifyException(f"rt.launch names @{name}, which is a {kernel.name}, no kernel")
        if kernel.name == "ptx.kernel":
            return  # its parameters are pointers and numbers, whose count assembling checks
        taken = [a.type for a in kernel.regions[0].block.args]
        buffers = [kind for kind in taken if isinstance(kind, BufferType)]
        passed = [b.type for b in self.buffers if isinstance(b.type, BufferType)]
        if kernel.name == "tile.kernel":  # the same memory, perhaps under another shape
            same = [b.element_type for b in passed] == [b.element_type for b in buffers]
        else:
            same = passed == buffers
        if not same:
            given = ", ".join(map(str, passed))
            raise VerifyException(f"rt.launch @{name} passes ({given}), the kernel takes ({', '.join(map(str, buffers))})")
        sizes = sum(kind == i32 for kind in taken)
        if len(self.sizes.data) != sizes:
            raise VerifyException(f"rt.launch @{name} passes {len(self.sizes.data)} sizes, not {sizes}")

    def happens(self, sizes: Mapping[str, int]) -> bool:
        """Whether the launch happens for these sizes."""
        return all(low <= sizes[name] <= high for name, (low, high) in decode_ranges(self.when).items())

    def grid_of(self, sizes: Mapping[str, int]) -> tuple[int, int, int]:
        """The number of CTAs per axis for these sizes."""
        if self.grid is None:
            raise LlmcError(
                "LLMC0710", f"the launch of @{self.kernel.root_reference.data} has no grid", self, fix="run finalise-abi"
            )
        x, y, z = (expressions.evaluate(text.data, sizes) for text in self.grid.data)
        return x, y, z

    @classmethod
    def parse(cls, parser: Parser) -> LaunchOp:
        kernel = parser.parse_symbol_name().data
        names = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_unresolved_operand)

        def texts() -> list[str]:
            return parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_str_literal)

        grid = texts() if parser.parse_optional_keyword("grid") is not None else None
        maps: ArrayAttr[TensorMapAttr] | None = None
        if parser.parse_optional_keyword("maps") is not None:
            maps = ArrayAttr(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: _tensor_map(parser)))
        sizes = texts() if parser.parse_optional_keyword("sizes") is not None else []
        when: dict[str, Range] = {}
        while parser.parse_optional_keyword("for") is not None:
            size = parser.parse_str_literal()
            parser.parse_keyword("in")
            low, high = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: parser.parse_integer(allow_boolean=False)
            )
            when[size] = (low, high)
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        types = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type)
        op = cls(kernel, parser.resolve_operands(names, types, parser.pos), sizes, grid, when, maps=maps)
        op.attributes |= attributes
        return op

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.kernel.root_reference.data)
        with printer.in_parens():
            printer.print_list(self.buffers, printer.print_operand)

        def texts(keyword: str, values: ArrayAttr[StringAttr]) -> None:
            printer.print_string(f" {keyword} ")
            with printer.in_square_brackets():
                printer.print_list(values.data, lambda v: printer.print_string_literal(v.data))

        if self.grid is not None:
            texts("grid", self.grid)
        if self.maps is not None:
            printer.print_string(" maps [")
            printer.print_list(self.maps.data, printer.print_attribute)
            printer.print_string("]")
        if self.sizes.data:
            texts("sizes", self.sizes)
        for name, (low, high) in decode_ranges(self.when).items():
            printer.print_string(" for ")
            printer.print_string_literal(name)
            printer.print_string(f" in [{low}, {high}]")
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        with printer.in_parens():
            printer.print_list(self.buffers, lambda v: printer.print_attribute(v.type))


@irdl_op_definition
class ReturnOp(LocatedOp):
    """Ends a program."""

    name = "rt.return"

    traits = traits_def(IsTerminator(), HasParent(ProgramOp))
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


OPS: list[type[Operation]] = [
    WeightOp,
    ProgramOp,
    IoOp,
    ParamOp,
    UploadOp,
    ArenaOp,
    ViewOp,
    TempOp,
    ReinterpretOp,
    LaunchOp,
    ReturnOp,
]
