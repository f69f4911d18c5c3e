"""`tile.load` and `tile.store`: predicates, vectors, ldmatrix, one writer for copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.ir import Attribute, Operation, SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.ir.numeric import dtype_of
from ....dialects.layout.tv import Tv
from ....dialects.ptx.build import Addr
from ....dialects.tile.ops import (
    LoadOp,
    PrefetchOp,
    StoreOp,
)
from ..divisibility import known_divisor, of_int
from .access import Access, Check, Matrices, Origin
from .addressing import Run
from .emitter import Predicate, Scalar
from .lowering import KernelLowering
from .packing import unpack_halves
from .pointers import Pointers
from .values import Buffer, Frag, Memory, Smem, elem_size, is_narrow_float, pack_of, register_kind, space_of


class TileAccess:
    """One memory operand of an op: its `Access`, the addresses and the conditions of its registers."""

    def __init__(
        self,
        k: KernelLowering,
        memory: Memory,
        tv: Tv,
        offsets: Sequence[SSAValue | int],
        bounds: Mapping[int, SSAValue | None],
        gather: Mapping[int, SSAValue],
    ):
        self.k = k
        self.memory = memory
        self.tv = tv
        self.origins: list[Scalar] = [k.scalar(o) for o in offsets]
        self.bounds: dict[int, Scalar] = {}
        checks: dict[int, Check] = {}
        sizes = memory.sizes if isinstance(memory, Buffer) else memory.shape
        for dim, bound in bounds.items():
            value = k.scalar(bound) if bound is not None else sizes[dim]
            if value is None:
                raise LlmcError(
                    "LLMC0603", f"dimension {dim} is checked, but the kernel does not know its size", k.e.location,
                    fix="pass the size as an argument of the kernel or give a bound",
                )  # fmt: skip
            self.bounds[dim] = value
            divisor = of_int(value) if isinstance(value, int) else known_divisor(bound) if bound is not None else 1
            checks[dim] = Check(divisor)
        self.gathered = {dim: self._indices(k.frag(index), tv) for dim, index in gather.items()}
        origins = tuple(
            Origin(scalar if isinstance(scalar, int) else None, _divisor(offset))
            for scalar, offset in zip(self.origins, offsets, strict=True)
        )
        alignment = memory.alignment if isinstance(memory, Smem) else 256
        self.access = Access.of(tv, memory.layout, memory.elem, origins, checks, tuple(sorted(gather)), alignment)
        self.pointers = Pointers(k.e, k.lane, k.warp, memory, self.access, self.origins, self.gathered)

    def _indices(self, index: Frag, tv: Tv) -> list[SSAValue]:
        """The index register that each register of the tile uses."""
        axes = [d for d, (a, b) in enumerate(zip(index.tv.shape, tv.shape, strict=True)) if a == 1 != b]
        return [index.words[r] for r in registers_of_projection(tv, axes, index.tv)]

    def runs(self, max_bytes: int = 16) -> list[Run]:
        extra = None
        if self.gathered:
            extra = [tuple(v[r] for v in self.gathered.values()) for r in range(self.tv.num_regs)]
        return self.access.runs(extra, max_bytes)

    def condition(self, register: int) -> SSAValue | bool | None:
        """Whether the register is in bounds; None if nothing is checked."""
        result: SSAValue | bool | None = None
        grains = dict(self.access.granularity)
        for dim, bound in self.bounds.items():
            inside = self.pointers.in_bounds(dim, register, grains[dim], bound)
            result = self.k.e.both(result, inside)
        return result


def _divisor(offset: SSAValue | int) -> int:
    return of_int(offset) if isinstance(offset, int) else known_divisor(offset)


def registers_of_projection(tv: Tv, axes: Sequence[int], projected: Tv) -> list[int]:
    """For each register of `tv`, the register of its projection with the same coordinates elsewhere."""
    if not axes and projected.num_regs == tv.num_regs:
        return list(range(tv.num_regs))
    where: dict[tuple[int, ...], int] = {}
    for register, coords in enumerate(projected.reg_coords().tolist()):
        where.setdefault(tuple(coords), register)
    chosen: list[int] = []
    for coords in tv.reg_coords().tolist():
        for axis in axes:
            coords[axis] = 0
        chosen.append(where[tuple(coords)])
    return chosen


def opcode_of(stem: str, kind: str, words: int) -> str:
    """`ld.global` + words of a register kind → `ld.global.v4.b32`."""
    return f"{stem}.v{words}.{kind}" if words > 1 else f"{stem}.{kind}"


def policy_of(k: KernelLowering, cache: str) -> SSAValue | None:
    """The L2 cache policy of a hint, in a register."""
    if cache in ("evict_first", "evict_last"):
        return k.e.op(f"createpolicy.fractional.L2::{cache}.b64", 1.0)
    return None


def load_stem(memory: Memory, cache: str) -> str:
    if isinstance(memory, Smem):
        return f"ld.{space_of(memory)}"
    if cache == "evict_first":
        return f"ld.global{'.nc' if memory.constant else ''}.L1::no_allocate.L2::cache_hint"
    if cache == "evict_last":
        return f"ld.global{'.nc' if memory.constant else ''}.L2::cache_hint"
    if cache == "no_allocate":
        return f"ld.global{'.nc' if memory.constant else ''}.L1::no_allocate"
    if cache == "cg":
        return "ld.global.cg"
    return "ld.global.nc" if cache == "nc" or memory.constant else "ld.global"


def fill_word(elem: Attribute, value: float) -> int | float:
    """The constant that fills a packed register with `value`."""
    kind = register_kind(elem)
    if kind in ("f32", "f64"):
        return float(value)
    dtype = dtype_of(elem)
    if kind == "pred":
        return int(value)
    raw = np.full(pack_of(elem), value).astype(dtype).tobytes()
    return int.from_bytes(raw, "little", signed=True)


def positive(k: KernelLowering, condition: SSAValue | bool | None) -> tuple[Predicate | None, bool]:
    """(predicate operand, whether the access happens at all)."""
    if condition is None or condition is True:
        return None, True
    if condition is False:
        return None, False
    return (condition, False), True  # pyright: ignore


def cache_of(op: Any) -> str:
    return op.cache.data if op.cache is not None else "default"


# -- loads ----------------------------------------------------------------------------------------------------------
def lower_load(k: KernelLowering, op: LoadOp) -> None:
    frag = op.frag
    memory = k.memory(op.src)
    rank = len(frag.shape)
    tile = TileAccess(k, memory, frag.tv, op.offsets, op.bound_map(rank), op.gather_map())
    k.set_frag(op.result, load_tile(k, tile, cache_of(op), op.other_value, limit_of(op)))


def lower_prefetch(k: KernelLowering, op: PrefetchOp) -> None:
    tv = op.tv.data
    tile = TileAccess(k, k.memory(op.src), tv, op.offsets, {}, {})
    for address in dict.fromkeys(tile.pointers.address(register) for register in range(tv.num_regs)):
        k.e.do("prefetch.global.L2", address)


def limit_of(op: Operation) -> str:
    """The instruction that `select-access` wrote on the op, or nothing."""
    access = op.attributes.get("access")
    return access.data if access is not None else ""  # pyright: ignore


def chosen_matrices(tile: TileAccess, runs: Sequence[Run]) -> Matrices | None:
    """ldmatrix where plain accesses would take at most 4 bytes each."""
    if (
        not isinstance(tile.memory, Smem)
        or tile.memory.cluster
        or tile.gathered
        or tile.bounds
        or max(r.nbytes for r in runs) > 4
    ):
        return None
    return tile.access.matrices()


def describe_access(tile: TileAccess, is_load: bool) -> str:
    """The instruction of an access as the text that stands in the IR: "ldmatrix.x4.trans", "16", "4"."""
    runs = tile.runs()
    matrices = chosen_matrices(tile, runs) if is_load else None
    if matrices is not None:
        return f"ldmatrix.x{len(matrices.words[0])}{'.trans' if matrices.transposed else ''}"
    return str(max(run.nbytes for run in runs))


def load_tile(k: KernelLowering, tile: TileAccess, cache: str = "default", other: float = 0.0, limit: str = "") -> Frag:
    elem, memory = tile.memory.elem, tile.memory
    runs = tile.runs(int(limit) if limit.isdigit() else 16)
    if not limit.isdigit():
        matrices = chosen_matrices(tile, runs)
        if matrices is not None:
            return load_matrices(k, tile, matrices)
    pack, kind = pack_of(elem), register_kind(elem)
    words: list[Any] = [None] * -(-tile.tv.num_regs // pack)
    elements: dict[int, Any] = {}
    stem = load_stem(memory, cache)
    policy = policy_of(k, cache) if isinstance(memory, Buffer) else None
    seen: dict[Any, Any] = {}
    for run in runs:
        condition = tile.condition(run.first)
        address = tile.pointers.address(run.first)
        width = "pred" if kind == "pred" else "half" if run.by_element and elem_size(elem) == 2 else kind
        key = (address, run.nbytes, run.by_element, condition)
        values = seen.get(key)
        if values is None:
            predicate, happens = positive(k, condition)
            values = seen[key] = _load_run(k, stem, width, elem, run, address, predicate, happens, other, policy)
        for word, value in zip(run.words, values, strict=True):
            if run.by_element:
                elements[word] = value
            else:
                words[word] = value
    if elements:
        words = _assemble(k, elem, [elements[r] for r in range(tile.tv.num_regs)])
    return Frag(tile.tv, elem, tuple(words))


def _load_run(
    k: KernelLowering, stem: str, width: str, elem: Attribute, run: Run, address: Addr,
    predicate: Predicate | None, happens: bool, other: float, policy: SSAValue | None,
) -> Sequence[SSAValue]:  # fmt: skip
    e = k.e
    count = len(run.words)
    byte = elem_size(elem) == 1
    if width == "pred" or (run.by_element and byte):
        type_, register, fill = ("u8" if width == "pred" else "s8"), "b32", int(other)
        if width != "pred" and is_narrow_float(elem):
            type_, fill = "u8", int(np.asarray(other).astype(dtype_of(elem)).view(np.uint8))
    elif width == "half":
        type_, register = "b16", "b16"
        fill = int(np.asarray(other).astype(dtype_of(elem)).view(np.int16))
    else:
        type_, register, fill = width, width, fill_word(elem, other)
    filler = None
    if predicate is not None or not happens:
        filler = e.op(f"mov.{register}", fill)
    if not happens:
        values: Sequence[SSAValue] = [filler] * count  # pyright: ignore
    else:
        operands = [address] if policy is None else [address, policy]
        options: dict[str, Any] = {"pred": predicate} if predicate is not None else {}
        if filler is not None:
            options["otherwise"] = [filler] * count
        loaded = e.do(opcode_of(stem, type_, count), *operands, **options)
        values = loaded if count > 1 else [loaded]
    if width == "pred":
        return [e.op("setp.ne.u32", v, 0) for v in values]
    return values


def _assemble(k: KernelLowering, elem: Attribute, elements: Sequence[SSAValue]) -> list[SSAValue]:
    """Single elements (b16, or bytes in b32) into packed registers."""
    e = k.e
    if elem_size(elem) == 2:
        return [
            e.op("mov.b32", (elements[i], elements[i + 1] if i + 1 < len(elements) else elements[i]))
            for i in range(0, len(elements), 2)
        ]
    words: list[SSAValue] = []
    for first in range(0, len(elements), 4):
        parts = [*elements[first : first + 4]]
        while len(parts) < 4:
            parts.append(parts[-1])
        low = e.op("prmt.b32", parts[0], parts[1], 0x0040)
        high = e.op("prmt.b32", parts[2], parts[3], 0x0040)
        words.append(e.op("prmt.b32", low, high, 0x5410))
    return words


def load_matrices(k: KernelLowering, tile: TileAccess, matrices: Matrices) -> Frag:
    """ldmatrix: lanes 8m..8m+7 give the row addresses of matrix m."""
    pointers = Pointers(k.e, k.lane, k.warp, tile.memory, tile.access, tile.origins, plan=matrices.plan)
    words: list[Any] = [None] * (tile.tv.num_regs // 2)
    for group, chosen in enumerate(matrices.words):
        opcode = f"ldmatrix.sync.aligned.m8n8.x{len(chosen)}{'.trans' if matrices.transposed else ''}.shared.b16"
        values = k.e.do(opcode, pointers.address(group))
        for word, value in zip(chosen, values if len(chosen) > 1 else _as_list(values), strict=True):
            words[word] = value
    return Frag(tile.tv, tile.memory.elem, tuple(words))


def _as_list(value: Any) -> list[SSAValue]:
    return [value] if isinstance(value, SSAValue) else list(value)


# -- stores ---------------------------------------------------------------------------------------------------------
def lower_store(k: KernelLowering, op: StoreOp) -> None:
    frag = k.frag(op.value)
    memory = k.memory(op.dst)
    tile = TileAccess(k, memory, frag.tv, op.offsets, op.bound_map(frag.tv.rank), op.gather_map())
    limit = limit_of(op)
    store_tile(k, tile, frag, cache_of(op), int(limit) if limit.isdigit() else 16)


def one_writer(k: KernelLowering, tv: Tv) -> SSAValue | bool | None:
    """Of all threads that hold copies, the one that writes: those whose copying digits are 0."""
    result: SSAValue | bool | None = None
    unit = 1
    for size, step in tv.lane:
        if size > 1 and not any(step):
            result = k.e.both(result, _digit_is_zero(k, k.lane, unit, size, 32))
        unit *= size
    unit = 1
    for size, step in tv.warp:
        if size > 1 and not any(step):
            result = k.e.both(result, _digit_is_zero(k, k.warp, unit, size, tv.num_warps))
        unit *= size
    return result


def _digit_is_zero(k: KernelLowering, source: Scalar, unit: int, size: int, total: int) -> SSAValue | bool:
    e = k.e
    if unit * size >= total:  # outermost digit
        return e.compare("lt.s32", source, unit)
    if unit & (unit - 1) == 0 and size & (size - 1) == 0:
        return e.compare("eq.s32", e.and_(source, (size - 1) * unit), 0)
    return e.compare("eq.s32", e.rem(e.div(source, unit), size), 0)


def store_tile(k: KernelLowering, tile: TileAccess, frag: Frag, cache: str = "default", max_bytes: int = 16) -> None:
    e, elem, memory = k.e, tile.memory.elem, tile.memory
    pack, kind = pack_of(elem), register_kind(elem)
    stem = f"st.{space_of(memory)}"
    policy = None
    if isinstance(memory, Buffer) and cache in ("evict_first", "evict_last"):
        stem, policy = "st.global.L2::cache_hint", policy_of(k, cache)
    writer = one_writer(k, frag.tv)
    written: set[Any] = set()
    for run in tile.runs(max_bytes):
        address = tile.pointers.address(run.first)
        condition = e.both(writer, tile.condition(run.first))
        predicate, happens = positive(k, condition)
        if not happens or (address, run.nbytes) in written:
            continue
        written.add((address, run.nbytes))
        if kind == "pred":
            values, type_ = [e.op("selp.b32", 1, 0, frag.words[w]) for w in run.words], "u8"
        elif run.by_element:
            word, part = frag.words[run.first // pack], run.first % pack
            if elem_size(elem) == 2:
                values, type_ = [unpack_halves(e, word)[part]], "b16"
            else:
                values, type_ = [e.shr(word, 8 * part)], "u8"
        else:
            values, type_ = [frag.words[w] for w in run.words], kind
        operand = values if len(values) > 1 else values[0]
        operands = [address, operand] if policy is None else [address, operand, policy]
        e.do(opcode_of(stem, type_, len(values)), *operands, pred=predicate)
