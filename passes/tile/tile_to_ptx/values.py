"""What the values of `tile` are while they are lowered."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
)
from xdsl.ir import Attribute, SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.ir.numeric import dtype_of
from ....dialects.layout.mem import MemLayout
from ....dialects.layout.tv import Tv
from .emitter import Scalar


@dataclass(frozen=True)
class Narrow:
    """A bf16, f16 or f8 scalar, kept as f32. `exact`: the narrow type holds it, so converting needs no rounding."""

    value: SSAValue | float
    exact: bool


@dataclass(frozen=True)
class Frag:
    """A fragment: its packed registers (see dialects/tile/types.py)."""

    tv: Tv
    elem: Attribute
    words: tuple[SSAValue, ...]


@dataclass(frozen=True)
class Smem:
    """Shared memory: byte address = `base` (register or nothing) + `offset`."""

    layout: MemLayout
    shape: tuple[int, ...]
    elem: Attribute
    base: Scalar
    offset: int
    alignment: int
    """Bytes to which `base` + `offset` is aligned."""
    cluster: bool = False
    """It may be another CTA's: addressed in the cluster's window."""


@dataclass(frozen=True)
class Buffer:
    """Global memory: a 64-bit pointer; `sizes[d]` is the extent of dimension d as a scalar, if known."""

    layout: MemLayout
    dims: tuple[int | str, ...]
    elem: Attribute
    pointer: SSAValue
    sizes: tuple[Scalar | None, ...]
    constant: bool
    """Nothing writes it while the kernel runs."""


@dataclass(frozen=True)
class Mbarriers:
    """`count` mbarriers of 8 bytes from byte `base` + `offset` of shared memory on."""

    count: int
    base: Scalar
    offset: int
    cluster: bool = False


@dataclass(frozen=True)
class Mapped:
    """A tensor map: the generic address of the kernel's parameter."""

    address: SSAValue


Memory = Buffer | Smem


def space_of(memory: Memory) -> str:
    """The state space of its loads and stores."""
    if isinstance(memory, Buffer):
        return "global"
    return "shared::cluster" if memory.cluster else "shared"


@dataclass(frozen=True)
class Role:
    """The warps that run the current region: `count` from `first`; `barrier` is their named barrier."""

    first: int
    count: int
    barrier: int

    @property
    def threads(self) -> int:
        return 32 * self.count


def elem_size(elem: Attribute) -> int:
    """Bytes of an element in memory."""
    return dtype_of(elem).itemsize


def pack_of(elem: Attribute) -> int:
    """Elements in one register."""
    if isinstance(elem, IntegerType) and elem.width.data == 1:
        return 1
    return max(1, 4 // elem_size(elem))


def register_kind(elem: Attribute) -> str:
    """The register kind of a fragment's packed registers."""
    if isinstance(elem, IntegerType) and elem.width.data == 1:
        return "pred"
    if isinstance(elem, Float32Type):
        return "f32"
    if isinstance(elem, Float64Type):
        return "f64"
    return "b64" if elem_size(elem) == 8 else "b32"


def scalar_kind(elem: Attribute) -> str:
    """The register kind of a scalar of this type."""
    if is_narrow_float(elem):
        return "f32"
    if isinstance(elem, IndexType):
        return "b32"
    return register_kind(elem)


def is_narrow_float(elem: Attribute) -> bool:
    """Floats that are computed in f32: bf16, f16 and the 8-bit ones."""
    if isinstance(elem, BFloat16Type | Float16Type):
        return True
    return elem_size(elem) == 1 and not isinstance(elem, IntegerType)


OTHER_SCHEDULE = "give the kernel another schedule; if none does without this, write the model with other ops"


def unsupported(what: str, where: object, fix: str = "") -> LlmcError:
    """The refusal for something this lowering does not know."""
    return LlmcError("LLMC0602", f"the PTX lowering does not support {what}", where=where, fix=fix or OTHER_SCHEDULE)
