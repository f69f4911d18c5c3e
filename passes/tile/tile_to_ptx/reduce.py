"""`tile.reduce`: registers in pairs, lanes by butterfly shuffles, warps through shared memory in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from xdsl.dialects.builtin import Float64Type, IntegerType
from xdsl.ir import Attribute, SSAValue

from ....dialects.layout.tv import Tv
from ....dialects.ptx.build import Addr
from ....dialects.tile.ops import ReduceOp
from ....dialects.tile.types import frag_of
from ..scratch import distinct_lanes, warps_reduced
from .addressing import emit_thread_part, fit_threads
from .emitter import Scalar
from .lowering import KernelLowering
from .memory import opcode_of, registers_of_projection
from .packing import as_kind, pack_all, to_f32
from .values import Frag, elem_size, is_narrow_float, unsupported


def combine_opcode(kind: str, elem: Attribute, op: ReduceOp) -> str:
    """The instruction that combines two partial results."""
    if isinstance(elem, IntegerType):
        names = {"add": "add.s32", "mul": "mul.lo.s32", "max": "max.s32", "min": "min.s32", "and": "and.b32", "or": "or.b32"}
    else:
        names = {"add": "add.f32", "mul": "mul.f32", "max": "max.NaN.f32", "min": "min.NaN.f32"}
    if kind not in names:
        raise unsupported(f"reducing {elem} by {kind}", op)
    return names[kind]


def lower_reduce(k: KernelLowering, op: ReduceOp) -> None:
    e, frag, axis = k.e, k.frag(op.value), op.axis.value.data
    elem = frag.elem
    if elem_size(elem) == 8 or isinstance(elem, Float64Type):
        raise unsupported(f"reductions of {elem}", op)
    opcode = combine_opcode(op.kind.data, elem, op)
    is_bool = isinstance(elem, IntegerType) and elem.width.data == 1
    result_tv = frag_of(op.result).tv
    partials: list[list[Any]] = [[] for _ in range(result_tv.num_regs)]
    elements = k.elements(frag)
    seen: list[set[tuple[int, ...]]] = [set() for _ in partials]
    coords = [tuple(c) for c in frag.tv.reg_coords().tolist()]
    for register, target in enumerate(registers_of_projection(frag.tv, [axis], result_tv)):
        if coords[register] in seen[target]:
            continue  # a copy of an element counts once
        seen[target].add(coords[register])
        value: Any = elements[register]
        partials[target].append(e.op("selp.b32", 1, 0, value) if is_bool else to_f32(value) if is_narrow_float(elem) else value)
    values = [_tree(k, opcode, items) for items in partials]
    values = _across_lanes(k, op, frag.tv, axis, opcode, values)
    values = _across_warps(k, op, frag.tv, axis, opcode, values)
    if is_bool:
        values = [e.op("setp.ne.u32", v, 0) for v in values]
    k.set_frag(op.result, Frag(result_tv, elem, pack_all(e, elem, values)))


def _tree(k: KernelLowering, opcode: str, items: Sequence[Any]) -> Any:
    """Neighbours first: short chains and the same order everywhere."""
    items = list(items)
    while len(items) > 1:
        items = [k.e.op(opcode, items[i], items[i + 1]) if i + 1 < len(items) else items[i] for i in range(0, len(items), 2)]
    return items[0]


def _check_straight(op: ReduceOp, step: Sequence[int], axis: int) -> None:
    if any(s for dim, s in enumerate(step) if dim != axis):
        raise unsupported("a reduction along an axis that shares a lane or warp digit with another axis", op)


def _across_lanes(k: KernelLowering, op: ReduceOp, tv: Tv, axis: int, opcode: str, values: list[Any]) -> list[Any]:
    unit = 1
    for size, step in tv.lane:
        if size > 1 and step[axis]:
            _check_straight(op, step, axis)
            mask = unit
            while mask < unit * size:
                others = [k.e.do("shfl.sync.bfly.b32", v, mask, 31, -1) for v in values]
                values = [k.e.op(opcode, v, o) for v, o in zip(values, others, strict=True)]
                mask *= 2
        unit *= size
    return values


def _across_warps(k: KernelLowering, op: ReduceOp, tv: Tv, axis: int, opcode: str, values: list[Any]) -> list[Any]:
    """scratch[warp][lane][register]: every warp writes its partials, then all read them in the order of warps."""
    reduced = warps_reduced(tv, axis)
    if not reduced:
        return values
    for size, step in tv.warp:
        if size > 1 and step[axis]:
            _check_straight(op, step, axis)
    e = k.e
    count = len(values)
    index, lanes = distinct_lanes(tv, axis)
    part = fit_threads(index[None, :], ())
    assert part is not None
    row = lanes * count * 4
    lane_offset = emit_thread_part(e, part, k.lane, 0, count * 4)
    writer: Any = None
    unit = 1
    for size, step in tv.lane:
        if size > 1 and not any(s for dim, s in enumerate(step) if dim != axis):
            same = e.compare("eq.s32", e.and_(k.lane, (size - 1) * unit), 0)
            writer = e.both(writer, same)
        unit *= size
    base = e.add(lane_offset, k.shared_base())
    scratch = k.scratch(op)
    own = e.reg(e.mad(k.warp, row, base))
    kind = "f32" if all(isinstance(v, SSAValue) and v.type.data[0] == "f32" for v in values) else "b32"  # pyright: ignore
    values = [as_kind(e, v, kind) for v in values]
    width = 4 if count % 4 == 0 else 2 if count % 2 == 0 else 1
    k.enter_scratch()
    predicate = (writer, False) if isinstance(writer, SSAValue) else None
    for first in range(0, count, width):
        group = values[first : first + width]
        e.do(
            opcode_of("st.shared", kind, width),
            Addr(own, scratch + 4 * first),
            group if width > 1 else group[0],
            pred=predicate,
        )
    k.barrier()
    rest: Scalar = k.warp
    for unit, size in reduced:
        digit = e.rem(e.div(k.warp, unit), size) if unit * size < tv.num_warps else e.div(k.warp, unit)
        rest = e.sub(rest, e.mul(digit, unit)) if isinstance(digit, int) else e.op("sub.s32", e.reg(rest), e.mul(digit, unit))
    if unit_product(reduced) == tv.num_warps:
        rest = 0
    start = e.reg(e.mad(rest, row, base))
    totals: list[Any] = [None] * count
    for digits in product(*(range(size) for _, size in reversed(reduced))):
        warp = sum(d * unit for d, (unit, _) in zip(reversed(digits), reduced, strict=True))
        for first in range(0, count, width):
            loaded = e.do(opcode_of("ld.shared", kind, width), Addr(start, scratch + warp * row + 4 * first))
            for offset, value in enumerate(loaded if width > 1 else (loaded,)):
                old = totals[first + offset]
                totals[first + offset] = value if old is None else e.op(opcode, old, value)
    k.scratch_dirty = True
    return totals


def unit_product(reduced: Sequence[tuple[int, int]]) -> int:
    total = 1
    for _, size in reduced:
        total *= size
    return total
