"""A parsed kernel made ready to execute: register widths, shared-memory offsets, basic blocks, the source line of each instruction."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ptx.program import Instruction, Operand, Param
from ...dialects.ptx.program import Kernel as ParsedKernel

__all__ = ["Instr", "Kernel", "Param", "decode"]

BRANCHES = {"bra", "ret", "exit", "trap", "brx"}
"""Opcodes that change the program counter."""
WARP_SYNC = {"shfl", "vote", "match", "redux", "mma", "ldmatrix", "stmatrix", "movmatrix", "elect", "wgmma"}
"""Opcodes that all named lanes of a warp execute together."""


@dataclass(slots=True)
class Instr:
    """One instruction with its operands in PTX order (results first)."""

    pc: int
    opcode: str
    base: str
    mods: tuple[str, ...]
    args: tuple[Operand, ...]
    source: Instruction
    kind: str = "plain"  # plain | warp (needs converged lanes) | control | poll (a read that loops may spin on)

    @property
    def type(self) -> str:
        """The last modifier: the operand type of most instructions."""
        return self.mods[-1] if self.mods else ""


@dataclass(slots=True)
class Kernel:
    """What the emulator knows of a kernel before it runs."""

    name: str
    params: list[Param]
    param_bytes: int
    registers: dict[str, int]  # name → bits (predicates: 1)
    symbols: dict[str, int]  # shared array → byte offset in the CTA's shared memory
    smem_static: int
    code: list[Instr]
    labels: dict[str, int]
    leaders: set[int]
    lines: list[str] = field(repr=False)
    reqntid: tuple[int, int, int] | None = None
    cluster: tuple[int, int, int] | None = None

    def describe(self, pc: int) -> str:
        """`kernel saxpy, line 12: ld.global.f32 %f1, [%rd1];` and the source location where known."""
        source = self.code[pc].source
        text = self.lines[source.line - 1].strip() if 0 < source.line <= len(self.lines) else source.opcode
        where = f"kernel {self.name}, PTX line {source.line}: {text}"
        if source.loc:
            where += f"\n      from {source.loc[0]}:{source.loc[1]}"
        if source.note:
            where += f" ({source.note})"
        return where


def _bits(declared: str) -> int:
    match = re.fullmatch(r"[a-z]+?(\d+)(x2)?", declared)
    if declared == "pred":
        return 1
    if match is None:
        raise LlmcError(
            "LLMC0921",
            f"the emulator knows no register type .{declared}",
            "a register declaration of the PTX",
            fix="use .pred, .b16, .b32, .b64, .f32 or .f64",
        )
    return int(match[1]) * (2 if match[2] else 1)


def _kind(instruction: Instruction) -> str:
    base, mods = instruction.base, instruction.mods
    if base in BRANCHES or base in ("bar", "barrier"):
        return "control"
    if base == "nanosleep" or (base == "mbarrier" and mods[0] in ("try_wait", "test_wait")):
        return "poll"
    if base in ("ld", "atom") and any(m in ("acquire", "volatile", "relaxed") for m in mods):
        return "poll"
    if base == "ld" and "global" in mods and ("cv" in mods):
        return "poll"
    return "warp" if base in WARP_SYNC else "plain"


def decode(kernel: ParsedKernel, text: str) -> Kernel:
    """Prepare one kernel. Raises LlmcError for declarations that the emulator does not model."""
    symbols: dict[str, int] = {}
    offset = 0
    dynamic: list[str] = []
    for array in kernel.shared:
        if array.space != "shared":
            raise LlmcError(
                "LLMC0922",
                f"the emulator has no .{array.space} arrays",
                where=f"kernel {kernel.name}: {array.name}",
                fix="keep the array in shared memory, or run on a GPU",
            )
        if array.size is None:
            dynamic.append(array.name)
            continue
        offset = (offset + array.align - 1) // array.align * array.align
        symbols[array.name] = offset
        offset += array.size
    if dynamic:
        offset = (offset + 15) // 16 * 16
    symbols |= dict.fromkeys(dynamic, offset)
    code = [
        Instr(pc, i.opcode, i.base, tuple(i.mods), (*i.results, *i.operands), i, _kind(i))
        for pc, i in enumerate(kernel.instructions)
    ]
    leaders = set(kernel.labels.values())
    return Kernel(
        name=kernel.name,
        params=kernel.params,
        param_bytes=max((p.offset + p.size for p in kernel.params), default=0),
        registers={name: _bits(declared) for name, declared in kernel.registers.items()},
        symbols=symbols,
        smem_static=offset,
        code=code,
        labels=dict(kernel.labels),
        leaders=leaders,
        lines=text.splitlines(),
        reqntid=kernel.reqntid,
        cluster=kernel.cluster,
    )
