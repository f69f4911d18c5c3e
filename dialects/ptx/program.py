"""PTX text once parsed: plain data, no xDSL. What the emulator executes and what tests look at.

    program = parse_ptx(text)                # dialects/ptx/parse.py
    kernel = program.kernels["gemm"]
    kernel.instructions[kernel.labels["$L1"]]

Operand classes: Register, Special, Immediate, Symbol, Address, TensorAddress, Vector, Pair, Sink.
A branch is an ordinary Instruction (base "bra") whose only operand is a Symbol naming the label.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from .forms import Form


@dataclass(frozen=True, slots=True)
class Register:
    """`%r5`, or `!%p1` as a source predicate."""

    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Special:
    """A special register: `%tid.x`, `%laneid`, `%clock64`, …"""

    name: str


@dataclass(frozen=True, slots=True)
class Immediate:
    """An integer, or the bit pattern of a float written `0f3F800000`/`0d…` (width 32/64)."""

    value: int
    float_width: int = 0  # 0: integer; 32 or 64: `value` holds the bits of a float


@dataclass(frozen=True, slots=True)
class Symbol:
    """A parameter, shared array or label used by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Address:
    """`[base+offset]`; the base is None for an absolute address."""

    base: Register | Symbol | None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class TensorAddress:
    """`[tensor_map, {c0, c1}]` of cp.async.bulk.tensor."""

    map: Register | Symbol
    coordinates: tuple[Register | Immediate, ...]


@dataclass(frozen=True, slots=True)
class Sink:
    """`_`: the result is dropped."""


@dataclass(frozen=True, slots=True)
class Vector:
    """`{a, b, …}`"""

    items: tuple[Register | Immediate | Sink, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """`d|p`: two results of one instruction."""

    first: Register | Sink
    second: Register | Sink


Operand: TypeAlias = Register | Special | Immediate | Symbol | Address | TensorAddress | Vector | Pair | Sink


@dataclass(slots=True)
class Instruction:
    """One instruction.

    `mods` are the parts of the opcode after the base: `mad.lo.s32` → base "mad", mods ("lo", "s32").
    `results` and `operands` are split by the table's form: a wgmma accumulator is in `results`
    only (it is read too); a `_` result is a Sink; `d|p` is one Pair; `{…}` is one Vector.
    `form` is the table row resolved for this opcode, None when the table has no such form
    (foreign PTX): then everything is in `operands`, and the first is usually the destination.
    """

    opcode: str
    base: str
    mods: tuple[str, ...]
    predicate: Register | None  # negated: executes where false
    results: tuple[Operand, ...]
    operands: tuple[Operand, ...]
    line: int  # 1-based line in the PTX text
    form: Form | None = field(default=None, repr=False)
    loc: tuple[str, int, int] | None = None  # (file, line, column) of the last `.loc`
    note: str | None = None  # trailing `// …` of the last `.loc`, e.g. the PyTorch module path


@dataclass(slots=True)
class Param:
    """A kernel parameter. `type` is u64, u32, f32, … or b8 for arrays; offset and size in bytes."""

    name: str
    type: str
    size: int
    align: int
    offset: int


@dataclass(slots=True)
class SharedDecl:
    """A `.shared` array; `size` None for the dynamic `extern .shared` one. `space` may be "const", "global" or "local"."""

    name: str
    size: int | None
    align: int
    type: str = "b8"
    space: str = "shared"
    init: tuple[int, ...] = ()


@dataclass(slots=True)
class Kernel:
    name: str
    params: list[Param] = field(default_factory=list)
    registers: dict[str, str] = field(default_factory=dict)  # "%r5" → "b32" (type as declared)
    shared: list[SharedDecl] = field(default_factory=list)  # its own and the module's
    instructions: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)  # label → index into instructions
    reqntid: tuple[int, int, int] | None = None
    maxntid: tuple[int, int, int] | None = None
    minnctapersm: int | None = None
    maxnreg: int | None = None
    cluster: tuple[int, int, int] | None = None


@dataclass(slots=True)
class Program:
    version: tuple[int, int]
    target: str
    kernels: dict[str, Kernel] = field(default_factory=dict)
    files: dict[int, str] = field(default_factory=dict)
