"""`plan-arena`: intermediates of a program share memory where their lives do not overlap."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from ...dialects.ir.rewriting import replace
from ...dialects.layout import expressions
from ...dialects.layout.ranges import decode_ranges
from ...dialects.layout.types import BufferType
from ...dialects.rt.ops import ArenaOp, ProgramOp, ReinterpretOp, TempOp, ViewOp, largest_sizes
from ..framework.pass_ import Pass, PassContext
from .scheduling import programs

TYPICAL = {"T": 512, "B": 8, "P": 1024}


@dataclass
class _Slot:
    """A slot: the sizes in bytes of what it holds, and the last op that uses its present tenant."""

    sizes: list[str]
    bytes: int
    busy_until: int


@dataclass(frozen=True)
class PlanArena(Pass):
    """Intermediates of a program share memory where their lives do not overlap. Sizes stay symbolic: a slot is as large as the
    largest buffer it ever holds, and the executor lays the slots one after another.

    ```mlir before
    rt.program @p attributes {sizes = ["T"]} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %a = rt.temp : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%x, %a) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      %b = rt.temp : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%a, %b) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      %c = rt.temp : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%b, %c) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.launch @copy(%c, %x) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.return
    }
    layout.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], grid = ["1", "1", "1"]} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      layout.write %0, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
      layout.return
    }
    ```
    ```mlir after
    rt.program @p attributes {sizes = ["T"]} {
      %arena = rt.arena ["128 * T", "128 * T"]
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %a = rt.view %arena[0] : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%x, %a) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      %b = rt.view %arena[1] : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%a, %b) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      %c = rt.view %arena[0] : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%b, %c) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.launch @copy(%c, %x) grid ["1", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.return
    }
    layout.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], grid = ["1", "1", "1"]} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      layout.write %0, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
      layout.return
    }
    ```
    """

    name: ClassVar[str] = "plan-arena"
    produces: ClassVar[tuple[str, ...] | None] = ("rt",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for program in programs(module):
            plan_program(ctx, program)


def plan_program(ctx: PassContext, program: ProgramOp) -> None:
    """Replace the program's `rt.temp`s by views of one arena."""
    order = {op: index for index, op in enumerate(program.block.ops)}
    temps = [op for op in program.block.ops if isinstance(op, TempOp)]
    if not temps:
        return
    ranges = {size: high for size, (_, high) in decode_ranges(program.ranges).items()}
    typical = {**TYPICAL, **{size: min(high, TYPICAL.get(size, high)) for size, high in ranges.items()}}
    lives = {op: _life(op.result, order) for op in temps}
    slots: list[_Slot] = []
    places: dict[Operation, int] = {}
    for op in sorted(temps, key=lambda t: (lives[t][0], order[t])):
        begin, end = lives[op]
        type_ = op.result.type
        assert isinstance(type_, BufferType)
        expression = _bounded(
            str(type_.bytes_expression()), {n: h for n, h in largest_sizes(op.result).items() if h < ranges.get(n, h + 1)}
        )
        names = expressions.names(expression)
        needed = expressions.evaluate(expression, {**{n: 64 for n in names}, **typical})
        free = [i for i, slot in enumerate(slots) if slot.busy_until < begin]
        best = min(free, key=lambda i: (max(needed - slots[i].bytes, 0), abs(slots[i].bytes - needed), i), default=None)
        if best is None:
            slots.append(_Slot([], 0, -1))
            best = len(slots) - 1
        slot = slots[best]
        slot.bytes, slot.busy_until = max(slot.bytes, needed), end
        if expression not in slot.sizes:
            slot.sizes.append(expression)
        places[op] = best
    arena = ArenaOp([_largest(slot.sizes) for slot in slots], location=program.location)
    first = next(iter(program.block.ops))
    program.block.insert_op_before(arena, first)
    for op in temps:
        hint = op.result.name_hint
        view = ViewOp(arena.result, places[op], op.result.type, location=op.location)  # pyright: ignore
        replace(op, [view])
        view.result.name_hint = hint
    ctx.count("intermediates", len(temps))
    ctx.count("slots", len(slots))


def _bounded(expression: str, bounds: dict[str, int]) -> str:
    """The expression with each size held to its bound."""
    for name, high in bounds.items():
        expression = re.sub(rf"\b{re.escape(name)}\b", f"min({name}, {high})", expression)
    return expression


def _life(value: SSAValue, order: dict[Operation, int]) -> tuple[int, int]:
    """Indices of the first and the last op that touch the memory of `value`, views of it included."""
    uses: list[int] = []
    for use in value.uses:
        op = use.operation
        if isinstance(op, ReinterpretOp):
            uses.extend(_life(op.result, order))
        else:
            uses.append(order[op])
    if not uses:
        owner = value.owner
        assert isinstance(owner, Operation)
        return order[owner], order[owner]
    return min(uses), max(uses)


def _largest(sizes: list[str]) -> str:
    constants = [int(s) for s in sizes if s.isdigit()]
    by_monomial: dict[str, int] = {}
    others: list[str] = []
    for size in sizes:
        factors = size.split(" * ")
        if size.isdigit():
            continue
        if len(factors) == 2 and factors[0].isdigit():
            by_monomial[factors[1]] = max(by_monomial.get(factors[1], 0), int(factors[0]))
        else:
            others.append(size)
    parts = [f"{c} * {m}" for m, c in by_monomial.items()] + others + ([str(max(constants))] if constants else [])
    return parts[0] if len(parts) == 1 else f"max({', '.join(parts)})"
