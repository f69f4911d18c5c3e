"""Making a `layout.kernel` from ops on tensors: which buffers it takes, in which order, with which effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import LocationAttr, TensorType, i32
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.numeric import dtype_of
from ...dialects.layout import expressions
from ...dialects.layout.ops import (
    BatchOp,
    KernelOp,
    ReadOp,
    ReturnOp,
    SamplingOp,
    StateOp,
    WriteOp,
    WriteStateOp,
    dims_from,
)
from ...dialects.layout.ranges import Range, encode_ranges
from ...dialects.layout.types import BufferType, Dim
from ...dialects.nn.types import BatchType, SamplingType, StateType

# What an op needs to know of its batch; ops that are absent need all of it.
BATCH_NEEDS: Mapping[str, tuple[str, ...]] = {
    "nn.append": ("positions", "sequence", "page_table"),
    "nn.positions": ("positions",),
    "nn.select_token": ("query_start",),
    "nn.sample": ("kv_len",),
    "nn.attention": BatchOp.NAMES,
}


@dataclass(frozen=True)
class Paging:
    """The geometry of the KV pool: tokens a page, and pages a sequence can have at most."""

    page_size: int = 64
    max_pages: int = 512


def is_stored(type_: Attribute) -> bool:
    """Whether a type is a tensor of elements that memory holds."""
    try:
        return isinstance(type_, TensorType) and dtype_of(type_.element_type) is not None  # pyright: ignore
    except (TypeError, KeyError):
        return False


def buffer_type(type_: Attribute, where: object) -> BufferType:
    """The row-major buffer that holds a tensor; LLMC0704 when only a dynamic stride could, LLMC0718 when none can,
    LLMC0709 when its rows are empty."""
    if not is_stored(type_):
        quantised = isinstance(type_, TensorType)
        raise LlmcError(
            "LLMC0718",
            f"no buffer holds a {type_}",
            where,
            why="memory has tensors of numbers"
            + (", and how quantised ones are stored is not written out yet" if quantised else ""),
            fix="run expand-quantised first" if quantised else "make it a tensor, of one element or of none: tensor<f32>",
        )
    dims = dims_from(type_)
    assert isinstance(type_, TensorType)
    elem: Attribute = type_.element_type  # pyright: ignore
    if 0 in dims[1:]:
        raise LlmcError(
            "LLMC0709",
            f"a {type_} has no elements",
            where,
            why=f"its dimension {dims.index(0, 1)} is 0, which a buffer takes for one that varies",
            fix="leave it out of the module, with what is computed from it alone",
        )
    try:
        return BufferType.of(dims, elem)
    except ValueError as problem:
        axis = next(i for i, dim in enumerate(dims) if i > 0 and not isinstance(dim, int))
        argument = isinstance(where, BlockArgument)
        name = f"argument %{where.name_hint or where.index}" if argument else "this tensor"
        raise LlmcError(
            "LLMC0704",
            f"dimension {axis} of {name} varies ({dims[axis]})",
            where,
            why=f"buffers have fixed strides, so only the first dimension may vary, and this is a {type_}",
            fix="keep that size static: llmc.compile(module, example_inputs) compiles a model's torch module for the sizes of its"
            " examples; where the model is yours, it may also put that dimension first",
        ) from problem


def batch_types(batch: BatchType, paging: Paging) -> dict[str, BufferType]:
    """The buffers that describe a batch."""
    tokens, sequences = batch.tokens.data, batch.sequences.data
    dims: dict[str, tuple[Dim, ...]] = {
        "positions": (_dim(tokens),),
        "sequence": (_dim(tokens),),
        "query_start": (_dim(f"{sequences}+1"),),
        "kv_len": (_dim(sequences),),
        "page_table": (_dim(sequences), paging.max_pages),
    }
    return {name: BufferType.of(d, i32) for name, d in dims.items()}


def _dim(text: str) -> Dim:
    from ...dialects.nn.sizes import Size

    size = Size.parse(text)
    return size.constant if size.constant is not None else str(size)


def page_types(state: StateType, paging: Paging) -> tuple[BufferType, BufferType]:
    """The pools of keys and of values."""
    if state.kind.data != "token":
        raise LlmcError(
            "LLMC0705",
            f"{state} is kept per sequence",
            state,
            why="only states that grow by token have a layout so far",
            fix="use a state that grows by token",
        )
    pool = BufferType.of(("P", state.heads, paging.page_size, state.head_size), state.elem)
    return pool, pool


def sampling_types(sequences: str = "B") -> dict[str, BufferType]:
    """The buffers of `!nn.sampling`."""
    from xdsl.dialects.builtin import f32

    elems = {"temperature": f32, "top_k": i32, "top_p": f32, "seed": i32}
    return {name: BufferType.of((_dim(sequences),), elem) for name, elem in elems.items()}


@dataclass(frozen=True)
class Slot:
    """Where a kernel's buffer comes from: operand `index` (part `part` of it), result `index`, or the batch."""

    kind: str
    index: int
    part: str = ""


@dataclass
class KernelPlan:
    """A kernel and where each of its buffers comes from."""

    kernel: KernelOp
    slots: list[Slot] = field(default_factory=list[Slot])


def kernel_from_body(
    name: str,
    family: str,
    arguments: Sequence[SSAValue],
    ops: Sequence[Operation],
    results: Sequence[SSAValue],
    paging: Paging,
    ranges: Mapping[str, Range],
    location: LocationAttr,
    offsets: Mapping[int, Sequence[int]] | None = None,
    result_types: Mapping[int, BufferType] | None = None,
) -> KernelPlan:
    """A `layout.kernel` that computes `results` from `arguments` with clones of `ops`.

    `offsets` places result i inside its buffer, whose type is then `result_types[i]`.
    """
    takes = _Buffers()
    takes.add_arguments(arguments, ops, paging)
    takes.add_results(results, result_types or {})
    sizes = sorted(frozenset[str]().union(*(b.sizes for b in takes.types)))
    kept = {s: ranges[s] for s in sizes if s in ranges}
    kernel = KernelOp(
        name,
        family,
        takes.types,
        takes.effects,
        sizes,
        ranges=encode_ranges(kept) if kept else None,
        names=takes.names,
        location=location,
    )
    values = _read(kernel, arguments, takes, location)
    for op in ops:
        kernel.block.add_op(op.clone(value_mapper=values))
    for index, result in enumerate(results):
        if isinstance(result.type, StateType):
            k, v = (kernel.block.args[i] for i in takes.sources[_state_argument(result, arguments)])
            write: Operation = WriteStateOp(values[result], k, v, location=location)
        else:
            target = kernel.block.args[takes.targets[index]]
            write = WriteOp(values[result], target, (offsets or {}).get(index), location=location)
        kernel.block.add_op(write)
    kernel.block.add_op(ReturnOp(location=location))
    return KernelPlan(kernel, takes.slots)


@dataclass
class _Buffers:
    """The buffers that a kernel takes, in order, and which of them are an argument's, a part of the batch or a result's."""

    types: list[BufferType] = field(default_factory=list[BufferType])
    effects: list[str] = field(default_factory=list[str])
    names: list[str] = field(default_factory=list[str])
    slots: list[Slot] = field(default_factory=list[Slot])
    sources: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    batch: dict[str, int] = field(default_factory=dict[str, int])
    targets: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, type_: BufferType, effect: str, hint: str, slot: Slot) -> int:
        self.types.append(type_)
        self.effects.append(effect)
        self.names.append(hint)
        self.slots.append(slot)
        return len(self.types) - 1

    def add_arguments(self, arguments: Sequence[SSAValue], ops: Sequence[Operation], paging: Paging) -> None:
        """Inputs and states in order, then what the ops need of the batch."""
        needs = _batch_needs(ops)
        appended = {op.operands[0] for op in ops if op.name == "nn.append"}
        sequences = next((a.type.sequences.data for a in arguments if isinstance(a.type, BatchType)), "B")
        for index, argument in enumerate(arguments):
            type_ = argument.type
            if isinstance(type_, StateType):
                effect = "rw" if argument in appended else "r"
                pools = zip("kv", page_types(type_, paging), strict=True)
                self.sources[index] = [
                    self.add(pool, effect, f"{part}_pages{index}", Slot("operand", index, part)) for part, pool in pools
                ]
            elif isinstance(type_, SamplingType):
                parts = sampling_types(sequences).items()
                self.sources[index] = [self.add(kind, "r", part, Slot("operand", index, part)) for part, kind in parts]
            elif not isinstance(type_, BatchType):
                self.sources[index] = [self.add(buffer_type(type_, argument), "r", f"x{index}", Slot("operand", index))]
        for index, argument in enumerate(arguments):
            if isinstance(argument.type, BatchType):
                for part, kind in batch_types(argument.type, paging).items():
                    if part in needs:
                        self.batch[part] = self.add(kind, "r", part, Slot("batch", index, part))

    def add_results(self, results: Sequence[SSAValue], given: Mapping[int, BufferType]) -> None:
        """Outputs in order; states have their pools already."""
        for index, result in enumerate(results):
            if not isinstance(result.type, StateType):
                kind = given.get(index) or buffer_type(result.type, result)
                self.targets[index] = self.add(kind, "w", f"y{index}", Slot("result", index))


def _read(kernel: KernelOp, arguments: Sequence[SSAValue], takes: _Buffers, location: LocationAttr) -> dict[SSAValue, SSAValue]:
    """Argument → the value in the kernel that stands for it."""
    values: dict[SSAValue, SSAValue] = {}
    for index, argument in enumerate(arguments):
        type_ = argument.type
        args = [kernel.block.args[i] for i in takes.sources.get(index, [])]
        if isinstance(type_, BatchType):
            if not takes.batch:
                continue
            op: Operation = BatchOp({n: kernel.block.args[i] for n, i in takes.batch.items()}, type_, location=location)
        elif isinstance(type_, StateType):
            op = StateOp(args[0], args[1], type_, location=location)
        elif isinstance(type_, SamplingType):
            op = SamplingOp(args, location=location)
        else:
            op = ReadOp(args[0], result_type=type_, location=location)
        kernel.block.add_op(op)
        values[argument] = op.results[0]
    return values


def _batch_needs(ops: Sequence[Operation]) -> frozenset[str]:
    needs: set[str] = set()
    for op in ops:
        if any(isinstance(o.type, BatchType) for o in op.operands):
            needs.update(BATCH_NEEDS.get(op.name, BatchOp.NAMES))
    return frozenset(needs)


def state_argument(value: SSAValue, stop: Callable[[SSAValue], bool]) -> SSAValue:
    """The first version of a state: up through the appends that updated it."""
    while not stop(value):
        owner = value.owner
        if not isinstance(owner, Operation):
            break
        states = [o for o in owner.operands if isinstance(o.type, StateType)]
        if not states:
            break
        value = states[0]
    return value


def _state_argument(result: SSAValue, arguments: Sequence[SSAValue]) -> int:
    origin = state_argument(result, lambda v: v in arguments)
    return list(arguments).index(origin)


def used_sizes(buffers: Sequence[BufferType], grid: Sequence[str] = ()) -> list[str]:
    """The size names that buffers and grid expressions need, sorted."""
    names: set[str] = set()
    for buffer in buffers:
        names |= buffer.sizes
    for text in grid:
        names |= expressions.names(text)
    return sorted(names)
