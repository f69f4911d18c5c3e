"""What a kernel takes: its buffers with what they mean, its sizes, in the order of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, bf16, f16, f32, f64, i8, i16, i32, i64
from xdsl.ir import Attribute, SSAValue

from ...dialects.layout.ops import BatchOp, KernelOp, SamplingOp, StateOp
from ...dialects.layout.ranges import decode_ranges
from ...dialects.layout.types import BufferType
from ...dialects.ptx.ops import KernelOp as PtxKernelOp
from ...dialects.tile.ops import KernelOp as TileKernelOp
from .inputs import NOTHING, Use, symbols, use_of
from .outcome import NumericsOptions

AnyKernel = KernelOp | TileKernelOp | PtxKernelOp
PARTS = (*BatchOp.NAMES, *SamplingOp.NAMES)
TOKENS = 5
ELEMENTS: dict[str, Attribute] = {
    "bfloat16": bf16, "float16": f16, "float32": f32, "float64": f64, "int8": i8, "int16": i16, "int32": i32, "int64": i64,
}  # fmt: skip
"""Element types of arrays that are given for a kernel that does not say what its parameters point to."""


@dataclass(frozen=True)
class Argument:
    """A buffer argument: its name, type and effect, and what it means (`positions`, `k_pages`, …; empty: any tensor)."""

    name: str
    type: BufferType
    effect: str
    role: str = ""
    use: Use = NOTHING

    @property
    def workspace(self) -> bool:
        return self.role == "workspace"


@dataclass(frozen=True)
class Signature:
    """What a kernel takes: its buffers, its sizes, and the values that these may have."""

    arguments: tuple[Argument, ...]
    sizes: tuple[str, ...]
    order: tuple[str, ...] = ()
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict[str, "tuple[int, int]"])

    @staticmethod
    def of(kernel: AnyKernel, options: NumericsOptions | None = None) -> Signature | None:
        """None for a PTX kernel that does not say what its parameters point to, unless `options` give an array or a size for each."""
        effects = strings_in(kernel.effects if not isinstance(kernel, PtxKernelOp) else kernel.attributes.get("effects"))
        if isinstance(kernel, PtxKernelOp):
            types, names = kernel.attributes.get("buffers"), strings_in(kernel.attributes.get("names"))
            if not isinstance(types, ArrayAttr) or len(names) != len(types.data):
                return _given(kernel, options) if options is not None else None
            pairs = list(zip(names, types.data))
            sizes = strings_in(kernel.attributes.get("sizes"))
            roles, ranges = {n: _role_by_name(n) for n in names}, dict[str, tuple[int, int]]()
        else:
            pairs = [(b.name_hint or f"b{i}", b.type) for i, b in enumerate(kernel.buffers)]
            sizes = strings_in(kernel.sizes)
            roles = _roles(kernel) if isinstance(kernel, KernelOp) else {n: _role_by_name(n) for n, _ in pairs}
            ranges = decode_ranges(kernel.ranges) if isinstance(kernel, KernelOp) else {}
        uses = _uses(kernel) if isinstance(kernel, KernelOp) else {}
        arguments = tuple(
            Argument(name, type_, effect, roles.get(name, ""), uses.get(name, NOTHING))
            for (name, type_), effect in zip(pairs, effects, strict=True)
            if isinstance(type_, BufferType)
        )
        return Signature(arguments, tuple(sizes), (*(a.name for a in arguments), *sizes), ranges)

    def values(self, given: Mapping[str, int]) -> dict[str, int]:
        """A value for every size: given, else small and within its ranges."""
        found: dict[str, int] = {}
        for position, name in enumerate(self.sizes):
            low, high = self.ranges.get(name, (1, 1 << 30))
            default = {"T": TOKENS, "B": 3}.get(name, 3 + position)
            found[name] = given[name] if name in given else min(max(default, low), high)
        if "B" in found and "T" in found and "B" not in given:
            found["B"] = min(found["B"], found["T"])
        return found


def _given(kernel: PtxKernelOp, options: NumericsOptions) -> Signature | None:
    """Parameters by what the user gives: an array for each pointer (read and written), a size for each other one."""
    arguments: list[Argument] = []
    sizes: list[str] = []
    for index, (name, kind) in enumerate(kernel.param_types.items()):
        array = next((np.asarray(options.inputs[k]) for k in (name, str(index)) if k in options.inputs), None)
        if array is not None and kind in ("u64", "s64", "b64") and array.dtype.name in ELEMENTS:
            arguments.append(Argument(name, BufferType.of(array.shape, ELEMENTS[array.dtype.name]), "rw"))
        elif name in options.sizes:
            sizes.append(name)
        else:
            return None
    return Signature(tuple(arguments), tuple(sizes), tuple(kernel.param_types))


def strings_in(attribute: Attribute | None) -> list[str]:
    return [s.data for s in attribute.data if isinstance(s, StringAttr)] if isinstance(attribute, ArrayAttr) else []


def _role_by_name(name: str) -> str:
    """What a buffer means by its name, where no `layout.batch` says it any more."""
    for role in ("k_pages", "v_pages", "partial"):
        if name.startswith(role):
            return "workspace" if role == "partial" else role
    known = (*PARTS, "tokens", "eos", "limit", "alive", "step", "ring")
    return name if name in known else ""


def _roles(kernel: KernelOp) -> dict[str, str]:
    """What each buffer of a `layout.kernel` means, from the ops that read it; those that nothing reads or writes are workspace."""
    roles: dict[SSAValue, str] = {}
    for op in kernel.block.ops:
        match op:
            case BatchOp():
                roles |= {value: part for part, value in op.parts.items()}
            case StateOp():
                roles |= {op.k_pages: "k_pages", op.v_pages: "v_pages"}
            case SamplingOp():
                roles |= dict(zip(op.operands, SamplingOp.NAMES))
            case _ if op.name == "layout.advance":
                roles |= dict(zip(op.operands, getattr(op, "NAMES", ())))
            case _:
                pass
    found: dict[str, str] = {}
    for index, buffer in enumerate(kernel.buffers):
        used = next(iter(buffer.uses), None) is not None
        found[buffer.name_hint or f"b{index}"] = roles.get(buffer, "" if used else "workspace")
    return found


def _uses(kernel: KernelOp) -> dict[str, Use]:
    module = kernel.parent_op()
    table = symbols(module) if isinstance(module, ModuleOp) else {}
    return {b.name_hint or f"b{i}": use_of(b, table) for i, b in enumerate(kernel.buffers)}
