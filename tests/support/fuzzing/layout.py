"""Generators of `layout`: buffers with any layout, and the ops of a kernel's body."""

from __future__ import annotations

from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.ops import (
    AdvanceOp,
    BatchOp,
    KernelOp,
    ReadOp,
    ReturnOp,
    SamplingOp,
    StateOp,
    WriteOp,
    WriteStateOp,
    dims_from,
    tensor_of,
)
from llmc.dialects.layout.types import BufferType, Dim, ScheduleAttr
from llmc.dialects.nn.types import BatchType, StateType
from xdsl.dialects.builtin import Float8E4M3FNType, bf16, f16, f32, i8, i32
from xdsl.ir import Attribute

from .attributes import identifiers, texts
from .scope import Scope, generates

ELEMS: tuple[Attribute, ...] = (bf16, f16, f32, i8, i32, Float8E4M3FNType())


def memory(b: Scope, shape: list[int]) -> MemLayout:
    """A layout of static sizes: strided, blocked or swizzled."""
    order = list(range(len(shape)))
    if b.flag():
        order.reverse()
    dims: list[tuple[tuple[int, int], ...]] = [()] * len(shape)
    stride = b.pick(1, 1, 2)
    for axis in order:
        digits: list[tuple[int, int]] = []
        rest = shape[axis]
        if rest % 2 == 0 and rest > 2 and b.flag():
            digits.append((2, stride))
            stride, rest = stride * 2, rest // 2
        digits.append((rest, stride))
        stride *= rest
        dims[axis] = tuple(digits)
    return MemLayout(tuple(dims), b.pick(None, None, (3, 3, 3), (1, 4, 3)))


def buffer(b: Scope, elem: Attribute | None = None, rank: int | None = None) -> BufferType:
    """A buffer: static with any layout, or row-major with a dynamic leading size."""
    elem = elem or b.pick(*ELEMS)
    rank = b.number(0, 3) if rank is None else rank
    shape = [b.size() for _ in range(rank)]
    if rank and b.flag():
        return BufferType.of([b.pick("T", "B", "B + 1", "8 * T", "ceildiv(T, 4)"), *shape[1:]], elem)
    return BufferType.of(shape, elem, memory(b, shape) if b.flag() else None)


def schedule(b: Scope) -> ScheduleAttr:
    parameters = {
        b.draw(identifiers): b.pick(8, -1, True, False, "a", [], [1, 2], [-1], b.draw(texts)) for _ in range(b.number(0, 3))
    }
    return ScheduleAttr.of(
        b.pick("skinny", "gemm", "attention_decode"), **{k: v for k, v in parameters.items() if k != "family"}
    )


def sized(b: Scope) -> BufferType:
    """A buffer whose sizes are those of tensors (no ceildiv), of rank 1 or more."""
    if b.top.chance():
        return BufferType.of(["T", 16], bf16)  # one that a tensor map can be made of
    shape = [b.size() for _ in range(b.number(0, 2))]
    return BufferType.of([b.pick("T", "B", "8*T", 4), *shape], b.pick(*ELEMS))


@generates(KernelOp, ReturnOp, place="layout.kernel")
def nothing(b: Scope) -> None:
    pass


@generates(ReadOp, WriteOp, place="layout.kernel")
def read_and_write(b: Scope) -> None:
    kind = sized(b)
    x = b.put(ReadOp(b.value(kind)))
    assert x.type == tensor_of(kind)
    dims: list[Dim] = list(dims_from(x.type))
    offsets: list[int] | None = None
    if b.flag():
        offsets = [0 if isinstance(d, str) else b.number(0, 3) for d in dims]
        dims = [d if isinstance(d, str) else d + o + b.number(0, 2) for d, o in zip(dims, offsets)]
    b.put(WriteOp(x, b.value(BufferType.of(dims, kind.element_type)), offsets))


@generates(BatchOp, place="layout.kernel")
def batch(b: Scope) -> None:
    shapes: dict[str, list[Dim]] = {
        "positions": ["T"], "sequence": ["T"], "query_start": ["B+1"], "kv_len": ["B"], "page_table": ["B", 4]
    }  # fmt: skip
    chosen = [n for n in BatchOp.NAMES if b.flag()] or ["positions"]
    b.put(BatchOp({n: b.value(BufferType.of(shapes[n], i32)) for n in chosen}, BatchType.of("T", "B")))


@generates(StateOp, WriteStateOp, place="layout.kernel")
def state(b: Scope) -> None:
    heads, width, elem = b.pick(1, 2), b.pick(2, 16), b.pick(bf16, f32)
    k, v = (b.value(BufferType.of(["P", heads, 64, width], elem)) for _ in range(2))
    b.put(WriteStateOp(b.put(StateOp(k, v, StateType.of(heads, width, elem))), k, v))


@generates(SamplingOp, place="layout.kernel")
def sampling(b: Scope) -> None:
    b.put(SamplingOp([b.value(BufferType.of(["B"], elem)) for elem in (f32, i32, f32, i32)]))


@generates(AdvanceOp, place="layout.kernel")
def advance(b: Scope) -> None:
    b.put(AdvanceOp([b.value(BufferType.of(["B", 2] if n in ("eos", "ring") else ["B"], i32)) for n in AdvanceOp.NAMES]))
