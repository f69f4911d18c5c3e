"""`layout.kernel`, one launch on buffers, and the ops that connect its body's tensors to them.

    layout.kernel @k0(%x: !layout.buffer<["T", 64], bf16>, %w: …, %y: …, %T: i32) attributes {
        family = "linear", arg_effects = ["r", "r", "w"], sizes = ["T"], grid = ["4", "1", "1"],
        schedule = #layout.schedule<"skinny", {warps = 8}>} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      …
      layout.write %1, %y : …
      layout.return
    }

Arguments stand in this order: inputs, the batch's buffers, outputs, workspace, one i32 per size name (alphabetical). Effects are
`r`, `w` or `rw`, one a buffer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DictionaryAttr,
    LocationAttr,
    StringAttr,
    TensorType,
    f32,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import (
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
from ..nn.sizes import Size
from ..nn.types import BatchType, SamplingType, StateType, dims_of, tensor
from . import expressions
from .kernel_form import KernelForm, strings
from .ranges import verify_ranges
from .tensor_map import TensorMapAttr, maps_problem
from .types import BufferType, Dim, ScheduleAttr

EFFECTS = ("r", "w", "rw")


def verify_grid(grid: ArrayAttr[StringAttr], sizes: Iterable[str]) -> None:
    """VerifyException unless a grid is three size expressions of `sizes` that can be 1 or more."""
    if len(grid.data) != 3:
        raise VerifyException("a grid has three expressions")
    for text in grid.data:
        try:
            used = expressions.names(text.data)
            largest = max(expressions.evaluate(text.data, corner) for corner in expressions.corners(used, {}))
        except LlmcError as problem:
            raise VerifyException(problem.what) from problem
        unknown = used - set(sizes)
        if unknown:
            raise VerifyException(f"the grid uses the sizes {sorted(unknown)}, which are none of {sorted(sizes)}")
        if largest < 1:
            raise VerifyException(f"a grid has at least one CTA along each axis, not {text.data}")


def parse_operand_list(parser: Parser) -> tuple[list[SSAValue], dict[str, Attribute]]:
    """`(%a, %b) {attributes} : (type, type)`"""
    names = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_unresolved_operand)
    attributes = parser.parse_optional_attr_dict()
    parser.parse_punctuation(":")
    types = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type)
    return list(parser.resolve_operands(names, types, parser.pos)), attributes


def print_operand_list(printer: Printer, values: Sequence[SSAValue], attributes: Mapping[str, Attribute]) -> None:
    with printer.in_parens():
        printer.print_list(values, printer.print_operand)
    printer.print_op_attributes(attributes)
    printer.print_string(" : ")
    with printer.in_parens():
        printer.print_list(values, lambda v: printer.print_attribute(v.type))


def buffer_of(value: SSAValue) -> BufferType:
    """The buffer type of a value."""
    if not isinstance(value.type, BufferType):
        raise VerifyException(f"expected a !layout.buffer, got {value.type}")
    return value.type


def tensor_of(buffer: BufferType) -> TensorType[Attribute]:
    """The tensor that a buffer holds."""
    return tensor(buffer.element_type, [Size.of(d) for d in buffer.dims])


def dims_from(value: SSAValue | Attribute) -> tuple[Dim, ...]:
    """The sizes of a tensor as buffer dimensions."""
    return tuple(s.constant if s.constant is not None else str(s) for s in dims_of(value))


@irdl_op_definition
class KernelOp(KernelForm):
    """One launch: a region over buffers and i32 sizes."""

    name = "layout.kernel"

    sym_name = prop_def(StringAttr)
    family = prop_def(StringAttr)
    arg_effects = prop_def(ArrayAttr[StringAttr])
    sizes = prop_def(ArrayAttr[StringAttr])
    schedule = opt_prop_def(ScheduleAttr)
    grid = opt_prop_def(ArrayAttr[StringAttr])
    ranges = opt_prop_def(DictionaryAttr)
    maps = opt_prop_def(ArrayAttr[TensorMapAttr])
    body = region_def("single_block")

    PRINTED: ClassVar[tuple[str, ...]] = ("family", "arg_effects", "sizes", "ranges", "schedule", "grid", "maps")
    traits = traits_def(IsolatedFromAbove(), SymbolOpInterface())

    def __init__(
        self,
        sym_name: str,
        family: str,
        buffers: Sequence[BufferType],
        effects: Sequence[str],
        sizes: Sequence[str],
        *,
        schedule: ScheduleAttr | None = None,
        grid: Sequence[str] | None = None,
        ranges: DictionaryAttr | None = None,
        names: Sequence[str] | None = None,
        location: LocationAttr | None = None,
    ):
        """An empty kernel over `buffers` and `sizes`; fill `body.block` and end it with `layout.return`."""
        block = Block(arg_types=[*buffers, *([i32] * len(sizes))])
        hints = [*(names or [f"b{i}" for i in range(len(buffers))]), *sizes]
        for argument, hint in zip(block.args, hints, strict=True):
            argument.name_hint = hint
            if location is not None:
                argument.location = location
        super().__init__(
            properties={
                "sym_name": StringAttr(sym_name),
                "family": StringAttr(family),
                "arg_effects": strings(effects),
                "sizes": strings(sizes),
                "schedule": schedule,
                "grid": strings(grid) if grid is not None else None,
                "ranges": ranges,
            },
            regions=[Region(block)],
            location=location,
        )

    @property
    def effects(self) -> ArrayAttr[StringAttr]:
        """The same as `arg_effects`, under the name that `tile.kernel` has for it."""
        return self.arg_effects

    def effect(self, argument: SSAValue) -> str:
        """`r`, `w` or `rw` of a buffer argument."""
        return self.arg_effects.data[self.buffers.index(argument)].data  # pyright: ignore

    def range_of(self, size: str) -> tuple[int, int] | None:
        """The smallest and largest value of a size in the regime that launches this kernel, where that is known."""
        found = self.ranges.data.get(size) if self.ranges is not None else None
        if not isinstance(found, ArrayAttr):
            return None
        low, high = (item.value.data for item in found.data)  # pyright: ignore
        return low, high  # pyright: ignore

    @property
    def reads(self) -> list[ReadOp]:
        return [op for op in self.block.ops if isinstance(op, ReadOp)]

    @property
    def writes(self) -> list[WriteOp]:
        return [op for op in self.block.ops if isinstance(op, WriteOp)]

    @property
    def batch(self) -> BatchOp | None:
        return next((op for op in self.block.ops if isinstance(op, BatchOp)), None)

    def verify_(self) -> None:
        buffers = self.buffers
        if len(self.arg_effects.data) != len(buffers):
            raise VerifyException(f"{len(buffers)} buffers, {len(self.arg_effects.data)} effects")
        for effect in self.arg_effects.data:
            if effect.data not in EFFECTS:
                raise VerifyException(f"effect {effect.data!r} is none of r, w, rw")
        tail = self.block.args[len(buffers) :]
        if any(a.type != i32 for a in tail) or len(tail) != len(self.sizes.data):
            raise VerifyException("the arguments are buffers, then one i32 per name in sizes")
        declared = [s.data for s in self.sizes.data]
        if declared != sorted(set(declared)):
            raise VerifyException(f"sizes {declared} are not sorted and distinct")
        used = frozenset[str]().union(*(a.type.sizes for a in buffers)) if buffers else frozenset[str]()  # pyright: ignore
        missing = used - set(declared)
        if missing:
            raise VerifyException(f"buffers use the sizes {sorted(missing)}, which are no arguments")
        if (problem := maps_problem(self.maps, [a.type for a in buffers])) is not None:
            raise VerifyException(problem)
        if self.grid is not None:
            verify_grid(self.grid, declared)
        verify_ranges(self.ranges)
        for op in self.block.ops:
            if isinstance(op, WriteOp | WriteStateOp):
                for operand in op.operands:
                    if isinstance(operand.type, BufferType) and operand in buffers and "w" not in self.effect(operand):
                        raise VerifyException(f"{op.name} writes to a buffer whose effect is {self.effect(operand)}")
        if not isinstance(self.block.last_op, ReturnOp):
            raise VerifyException("a kernel ends in layout.return")

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        with printer.in_parens():
            printer.print_list(self.block.args, printer.print_block_argument)
        shown = {key: self.properties[key] for key in self.PRINTED if key in self.properties}
        printer.print_op_attributes({**shown, **self.attributes}, print_keyword=True)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False)


@irdl_op_definition
class ReadOp(LocatedOp):
    """The tensor in a buffer, at the kernel's start."""

    name = "layout.read"

    buffer = operand_def(BufferType)
    result = result_def(TensorType)

    traits = traits_def(MemoryReadEffect())
    assembly_format = "$buffer attr-dict `:` type($buffer) `->` type($result)"

    def __init__(self, buffer: SSAValue, *, result_type: Attribute | None = None, location: LocationAttr | None = None):
        super().__init__(operands=[buffer], result_types=[result_type or tensor_of(buffer_of(buffer))], location=location)

    def verify_(self) -> None:
        _same(buffer_of(self.buffer), self.result.type)


@irdl_op_definition
class WriteOp(LocatedOp):
    """Puts a tensor in a buffer, from the coordinates `offsets` on (default: at the origin, all of it)."""

    name = "layout.write"

    value = operand_def(TensorType)
    buffer = operand_def(BufferType)
    offsets = opt_prop_def(DenseArrayBase.constr(i64))

    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$value `,` $buffer (`at` $offsets^)? attr-dict `:` type($value) `->` type($buffer)"

    def __init__(
        self, value: SSAValue, buffer: SSAValue, offsets: Sequence[int] | None = None, *, location: LocationAttr | None = None
    ):
        whole = offsets is None or (not any(offsets) and tensor_of(buffer_of(buffer)) == value.type)
        at = None if whole else DenseArrayBase.from_list(i64, list(offsets or ()))
        super().__init__(operands=[value, buffer], properties={"offsets": at}, location=location)

    @property
    def start(self) -> tuple[int, ...]:
        """The coordinates of the tensor's first element in the buffer."""
        if self.offsets is None:
            return (0,) * buffer_of(self.buffer).rank
        return tuple(int(v) for v in self.offsets.get_values())

    def verify_(self) -> None:
        buffer = buffer_of(self.buffer)
        if self.offsets is None:
            _same(buffer, self.value.type)
            return
        dims = dims_from(self.value.type)
        if len(dims) != buffer.rank or len(self.start) != buffer.rank:
            raise VerifyException(f"a tensor of rank {len(dims)} at {list(self.start)} of a buffer of rank {buffer.rank}")
        for axis, (start, dim, extent) in enumerate(zip(self.start, dims, buffer.dims, strict=True)):
            if isinstance(dim, int) and isinstance(extent, int):
                if start < 0 or start + dim > extent:
                    raise VerifyException(f"axis {axis}: [{start}, {start + dim}) leaves the buffer's {extent}")
            elif start != 0 or dim != extent:
                raise VerifyException(f"axis {axis}: a dynamic axis is written whole")


def _same(buffer: BufferType, value: Attribute) -> None:
    expected = tensor_of(buffer)
    if expected != value:
        raise VerifyException(f"{buffer} holds {expected}, not {value}")


@irdl_op_definition
class BatchOp(LocatedOp):
    """The batch that the given buffers describe; a kernel takes only those that it needs.

    positions[T]: where each token stands in its sequence. sequence[T]: which row of the page table it belongs to.
    query_start[B + 1]: each sequence's rows of T. kv_len[B]: tokens in the cache, this step's included.
    page_table[B, MAXP]: pages of each sequence, page 0 being scratch.
    """

    name = "layout.batch"

    positions = opt_operand_def(BufferType)
    sequence = opt_operand_def(BufferType)
    query_start = opt_operand_def(BufferType)
    kv_len = opt_operand_def(BufferType)
    page_table = opt_operand_def(BufferType)
    result = result_def(BatchType)

    NAMES: ClassVar[tuple[str, ...]] = ("positions", "sequence", "query_start", "kv_len", "page_table")
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(NoMemoryEffect())

    def __init__(self, parts: dict[str, SSAValue], batch: BatchType, *, location: LocationAttr | None = None):
        operands = [[parts[n]] if n in parts else [] for n in self.NAMES]
        super().__init__(operands=operands, result_types=[batch], location=location)

    @property
    def parts(self) -> dict[str, SSAValue]:
        """The buffers that are present, by name."""
        return {n: v for n in self.NAMES if (v := getattr(self, n)) is not None}

    @classmethod
    def parse(cls, parser: Parser) -> BatchOp:
        def entry():
            key = parser.parse_identifier()
            if key not in cls.NAMES:
                parser.raise_error(f"'{key}' is no part of a batch: {', '.join(cls.NAMES)}")
            parser.parse_punctuation("=")
            return key, parser.parse_unresolved_operand()

        entries = parser.parse_comma_separated_list(parser.Delimiter.NONE, entry)
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        types = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type)
        parser.parse_punctuation("->")
        result = parser.parse_type()
        values = parser.resolve_operands([e[1] for e in entries], types, parser.pos)
        if not isinstance(result, BatchType):
            parser.raise_error("expected !nn.batch")
        op = cls({key: value for (key, _), value in zip(entries, values, strict=True)}, result)
        op.attributes |= attributes
        return op

    def print(self, printer: Printer) -> None:
        parts = self.parts
        printer.print_string(" ")

        def entry(item: tuple[str, SSAValue]) -> None:
            printer.print_string(f"{item[0]} = ")
            printer.print_operand(item[1])

        printer.print_list(list(parts.items()), entry)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        with printer.in_parens():
            printer.print_list(list(parts.values()), lambda v: printer.print_attribute(v.type))
        printer.print_string(" -> ")
        printer.print_attribute(self.result.type)

    def verify_(self) -> None:
        if not self.parts:
            raise VerifyException("a batch needs at least one of " + ", ".join(self.NAMES))
        for name, value in self.parts.items():
            buffer = buffer_of(value)
            rank = 2 if name == "page_table" else 1
            if buffer.element_type != i32 or buffer.rank != rank:
                raise VerifyException(f"{name} is a buffer of i32 of rank {rank}, not {buffer}")


def _verify_pools(state: Attribute, pools: Sequence[SSAValue]) -> None:
    assert isinstance(state, StateType)
    for value in pools:
        buffer = buffer_of(value)
        if buffer.rank != 4 or buffer.dims[1] != state.heads or buffer.element_type != state.elem:
            raise VerifyException(f"{buffer} is no pool of pages for {state}")


@irdl_op_definition
class StateOp(LocatedOp):
    """The state in a pool of pages: `[P, heads, page size, head size]` for keys and for values, updated in place."""

    name = "layout.state"

    k_pages = operand_def(BufferType)
    v_pages = operand_def(BufferType)
    result = result_def(StateType)

    traits = traits_def(MemoryReadEffect())
    assembly_format = "$k_pages `,` $v_pages attr-dict `:` type($k_pages) `,` type($v_pages) `->` type($result)"

    def __init__(self, k_pages: SSAValue, v_pages: SSAValue, state: StateType, *, location: LocationAttr | None = None):
        super().__init__(operands=[k_pages, v_pages], result_types=[state], location=location)

    def verify_(self) -> None:
        _verify_pools(self.result.type, (self.k_pages, self.v_pages))


@irdl_op_definition
class WriteStateOp(LocatedOp):
    """Marks that `state` is the new content of the pools; the update itself is in place."""

    name = "layout.write_state"

    state = operand_def(StateType)
    k_pages = operand_def(BufferType)
    v_pages = operand_def(BufferType)

    traits = traits_def(MemoryWriteEffect())
    assembly_format = "$state `,` $k_pages `,` $v_pages attr-dict `:` type($state) `->` type($k_pages) `,` type($v_pages)"

    def __init__(self, state: SSAValue, k_pages: SSAValue, v_pages: SSAValue, *, location: LocationAttr | None = None):
        super().__init__(operands=[state, k_pages, v_pages], location=location)

    def verify_(self) -> None:
        _verify_pools(self.state.type, (self.k_pages, self.v_pages))


@irdl_op_definition
class SamplingOp(LocatedOp):
    """Sampling parameters, one of each a sequence: temperature f32, top_k i32, top_p f32, seed i32. The draw's position is kv_len."""

    name = "layout.sampling"

    temperature = operand_def(BufferType)
    top_k = operand_def(BufferType)
    top_p = operand_def(BufferType)
    seed = operand_def(BufferType)
    result = result_def(SamplingType)

    NAMES: ClassVar[tuple[str, ...]] = ("temperature", "top_k", "top_p", "seed")
    traits = traits_def(NoMemoryEffect())
    assembly_format = (
        "$temperature `,` $top_k `,` $top_p `,` $seed attr-dict `:` type($temperature) `,` type($top_k) `,` type($top_p) `,`"
        " type($seed) `->` type($result)"
    )

    def __init__(self, parts: Sequence[SSAValue], *, location: LocationAttr | None = None):
        super().__init__(operands=list(parts), result_types=[SamplingType()], location=location)

    def verify_(self) -> None:
        for name, value in zip(self.NAMES, self.operands, strict=True):
            buffer, elem = buffer_of(value), f32 if name in ("temperature", "top_p") else i32
            if buffer.rank != 1 or buffer.element_type != elem:
                raise VerifyException(f"{name} is a buffer of {elem} of rank 1, not {buffer}")


@irdl_op_definition
class AdvanceOp(LocatedOp):
    """Moves every live sequence one token on; what the decode loop does between steps, per sequence b:

    if alive[b]:  ids[b] = tokens[b];  ring[b, step[b] % R] = tokens[b];  step[b] += 1
                  alive[b] = tokens[b] != eos[b, *]  and  step[b] < limit[b]
                  if alive[b]:  positions[b] += 1;  kv_len[b] += 1
    """

    name = "layout.advance"

    tokens = operand_def(BufferType)
    eos = operand_def(BufferType)
    limit = operand_def(BufferType)
    ids = operand_def(BufferType)
    positions = operand_def(BufferType)
    kv_len = operand_def(BufferType)
    alive = operand_def(BufferType)
    step = operand_def(BufferType)
    ring = operand_def(BufferType)

    NAMES: ClassVar[tuple[str, ...]] = ("tokens", "eos", "limit", "ids", "positions", "kv_len", "alive", "step", "ring")
    traits = traits_def(MemoryReadEffect(), MemoryWriteEffect())

    def __init__(self, parts: Sequence[SSAValue], *, location: LocationAttr | None = None):
        super().__init__(operands=list(parts), location=location)

    @classmethod
    def parse(cls, parser: Parser) -> AdvanceOp:
        operands, attributes = parse_operand_list(parser)
        op = cls(operands)
        op.attributes |= attributes
        return op

    def print(self, printer: Printer) -> None:
        print_operand_list(printer, self.operands, self.attributes)

    def verify_(self) -> None:
        for name, value in zip(self.NAMES, self.operands, strict=True):
            rank = 2 if name in ("eos", "ring") else 1
            buffer = buffer_of(value)
            if buffer.rank != rank or buffer.element_type != i32:
                raise VerifyException(f"{name} is a buffer of i32 of rank {rank}, not {buffer}")


@irdl_op_definition
class ReturnOp(LocatedOp):
    """Ends a kernel."""

    name = "layout.return"

    traits = traits_def(IsTerminator())
    assembly_format = "attr-dict"

    def __init__(self, *, location: LocationAttr | None = None):
        super().__init__(location=location)


OPS: list[type[Operation]] = [
    KernelOp,
    ReadOp,
    WriteOp,
    BatchOp,
    StateOp,
    WriteStateOp,
    SamplingOp,
    AdvanceOp,
    ReturnOp,
]
