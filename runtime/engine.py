"""What runs the programs of a compiled module: an interface over the device executor and the numpy reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.traits import SymbolTable

from ..dialects.ir.diagnostics import LlmcError
from ..dialects.layout.ops import KernelOp, ReadOp
from ..dialects.layout.ranges import decode_ranges
from ..dialects.layout.types import BufferType
from ..dialects.nn.ops import EmbeddingOp
from ..dialects.nn.types import dims_of
from ..dialects.rt.ops import IoOp, LaunchOp, ProgramOp


@dataclass(frozen=True)
class Capacity:
    """The largest sizes an engine is made for: tokens of a step, sequences, pages of the KV pool; `others` names further ones."""

    tokens: int = 512
    sequences: int = 8
    pages: int = 129
    others: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def sizes(self) -> dict[str, int]:
        return {"T": max(self.tokens, self.sequences), "B": self.sequences, "P": self.pages, **self.others}


class Engine(Protocol):
    """Named buffers, and programs that work on them. `asynchronous`: a captured program returns before it is done."""

    programs: Mapping[str, ProgramOp]
    capacity: Capacity
    page_size: int
    max_pages: int

    @property
    def asynchronous(self) -> bool: ...

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Make the weights' images from a checkpoint."""
        ...

    def write(self, label: str, array: np.ndarray[Any, Any]) -> None:
        """Put the elements of `array` at the start of a named buffer."""
        ...

    def read(self, label: str, count: int) -> np.ndarray[Any, Any]:
        """The first `count` elements of a named buffer, flat, in its dtype."""
        ...

    def type_of(self, label: str) -> BufferType | None:
        """The type of a named buffer, None when no program has it."""
        ...

    def run(self, program: str, sizes: Mapping[str, int]) -> None:
        """Run a program for these sizes."""
        ...

    def capture(self, program: str, sizes: Mapping[str, int]) -> Callable[[], None]:
        """Prepare a program for these sizes; the result runs it, without waiting."""
        ...


def module_programs(module: ModuleOp) -> dict[str, ProgramOp]:
    return {op.sym_name.data: op for op in module.body.block.ops if isinstance(op, ProgramOp)}


def largest_sizes(program: ProgramOp, capacity: Capacity) -> dict[str, int]:
    """The largest sizes that a program can be run with; decoding has a token per sequence."""
    ranges = decode_ranges(program.ranges)
    sizes = dict(capacity.sizes)
    if program.sym_name.data.startswith("decode"):
        sizes["T"] = sizes["B"]
    return {name: min(value, ranges.get(name, (0, value))[1]) for name, value in sizes.items()}


def io_types(programs: Mapping[str, ProgramOp], capacity: Capacity) -> dict[str, tuple[BufferType, int]]:
    """Each named buffer's largest type over the programs, and its bytes."""
    found: dict[str, tuple[BufferType, int]] = {}
    for program in programs.values():
        sizes = largest_sizes(program, capacity)
        for op in program.block.ops:
            if isinstance(op, IoOp):
                type_ = op.result.type
                assert isinstance(type_, BufferType)
                nbytes = type_.num_bytes(sizes)
                if op.label.data not in found or nbytes > found[op.label.data][1]:
                    found[op.label.data] = (type_, nbytes)
    return found


def io_type(program: ProgramOp, label: str) -> BufferType | None:
    """The type under which a program sees a named buffer."""
    for op in program.block.ops:
        if isinstance(op, IoOp) and op.label.data == label:
            assert isinstance(op.result.type, BufferType)
            return op.result.type
    return None


def known_tokens(programs: Mapping[str, ProgramOp]) -> int | None:
    """The rows of the smallest table in which a kernel looks up the token ids; None where none does so directly."""
    rows: list[int] = []
    for launch in (op for program in programs.values() for op in program.block.ops if isinstance(op, LaunchOp)):
        places = [i for i, b in enumerate(launch.buffers) if isinstance(b.owner, IoOp) and b.owner.label.data == "ids"]
        kernel = SymbolTable.lookup_symbol(launch, launch.kernel) if places else None
        if not isinstance(kernel, KernelOp):
            continue
        ids = [kernel.body.block.args[i] for i in places]
        for op in kernel.body.walk():
            if isinstance(op, EmbeddingOp) and isinstance(op.ids.owner, ReadOp) and op.ids.owner.buffer in ids:
                size = dims_of(op.table)[0].constant
                rows += [size] if size is not None else []
    return min(rows, default=None)


def paging(module: ModuleOp) -> tuple[int, int]:
    """(tokens of a page, pages a sequence can have) as the module was compiled."""
    values: list[int] = []
    for key, default in (("layout.page_size", 64), ("layout.max_pages", 512)):
        attr = module.attributes.get(key)
        values.append(attr.value.data if isinstance(attr, IntegerAttr) else default)
    return values[0], values[1]


def select_program(programs: Mapping[str, ProgramOp], stem: str, sizes: Mapping[str, int]) -> str:
    """The program `@stem…` with the tightest ranges that hold `sizes`; LLMC0871 when none does."""
    best: tuple[int, str] | None = None
    for name, program in programs.items():
        if not name.startswith(stem):
            continue
        ranges = decode_ranges(program.ranges)
        if all(low <= sizes[k] <= high for k, (low, high) in ranges.items() if k in sizes):
            key = (ranges.get("T", (0, 1 << 40))[1], name)
            best = min(best, key) if best is not None else key
    if best is None:
        shown = ", ".join(f"{k} = {v}" for k, v in sizes.items())
        raise LlmcError(
            "LLMC0871",
            f"no @{stem} program was compiled for {shown}",
            f"@{stem}",
            why=f"the module has {', '.join('@' + n for n in programs)}",
            fix="ask for sizes inside a program's ranges, or compile with larger limits",
        )
    return best[1]
