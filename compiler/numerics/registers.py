"""Registers for a `ptx.kernel` in SSA form that is only to be run on the emulator: every value has one of its own, and a block's
arguments go through registers that nothing else uses. Slow, and with hardly anything to be wrong in: what `assign-registers` does is
compared with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from ...dialects.ptx.ops import (
    INSTRUCTIONS,
    BraOp,
    CbraOp,
    KernelOp,
    PackOp,
    PtxInstruction,
    UndefOp,
    UnpackOp,
    args_attr,
    form_attr,
)
from ...dialects.ptx.types import PREFIXES, RegsType, RegType


def name_registers(kernel: KernelOp) -> None:
    """Name every register of a kernel in SSA form, in place; a kernel that has names keeps them."""
    first = next((r for op in kernel.walk() for r in op.results), None)
    if first is None or not register_of(first):
        _Namer(kernel).run()


def register_of(value: SSAValue) -> str:
    assert isinstance(value.type, RegType | RegsType)
    return value.type.register


class _Namer:
    def __init__(self, kernel: KernelOp) -> None:
        self.kernel = kernel
        self.next: dict[str, int] = dict.fromkeys(PREFIXES, 0)
        self.shadows: dict[BlockArgument, Any] = {}

    def run(self) -> None:
        blocks = _reachable(self.kernel)
        for block in blocks:
            for argument in block.args:
                self.shadows[argument] = self._named(argument.type)
                _set(argument, self._named(argument.type))
        for block in blocks:
            for op in list(block.ops):
                self._op(op)
        for block in blocks:
            self._enter(block)
            self._leave(block)

    def _named(self, type_: Any) -> RegType | RegsType:
        """A register, or an array of them, that nothing else has."""
        count = type_.count if isinstance(type_, RegsType) else 1
        start = self.next[type_.kind]
        self.next[type_.kind] = start + count
        name = f"{PREFIXES[type_.kind]}{start}"
        return RegsType((type_.kind, count, name)) if isinstance(type_, RegsType) else RegType((type_.kind, name))

    def _op(self, op: Operation) -> None:
        if isinstance(op, UnpackOp):
            for result, name in zip(op.results, _names(op.operands[0].type)):
                _set(result, RegType((op.operands[0].type.kind, name)))  # pyright: ignore
        elif isinstance(op, PackOp):
            array = self._named(op.results[0].type)
            _set(op.results[0], array)
            op.operands = [self._move(op, v, RegType((array.kind, n))) for v, n in zip(op.operands, _names(array))]
        elif isinstance(op, PtxInstruction) and op.base == "wgmma" and op.results:
            for index, result in enumerate(op.results):  # the accumulator is updated in place: let it be a copy
                copy = self._copy(op, op.operands[index], self._named(result.type))
                op.operands[index] = copy
                _set(result, copy.type)
        else:
            for result in op.results:
                _set(result, self._named(result.type))
            if isinstance(op, PtxInstruction) and "pred" in op.properties and op.else_values:
                at = op.num_args + 1
                for index, result in enumerate(op.results):
                    op.operands[at + index] = self._move(op, op.operands[at + index], result.type)

    def _enter(self, block: Block) -> None:
        """A block begins by fetching its arguments."""
        first = block.first_op
        for argument in block.args if first is not None else ():
            assert first is not None
            self._copy(first, _held(self.shadows[argument], first), argument.type)

    def _leave(self, block: Block) -> None:
        """A branch leaves the arguments of its targets where they fetch them."""
        last = block.last_op
        match last:
            case BraOp() if last.operands:
                last.operands = self._hand_over(last, list(last.operands), last.successors[0])
            case CbraOp():
                then, other = list(last.then_args), list(last.else_args)
                given = [*self._hand_over(last, then, last.successors[0]), *self._hand_over(last, other, last.successors[1])]
                last.operands = [last.condition, *given]
            case _:
                pass

    def _hand_over(self, branch: Operation, values: Sequence[SSAValue], target: Block) -> list[SSAValue]:
        for value, argument in zip(values, target.args, strict=True):
            self._copy(branch, value, self.shadows[argument])
        return [_held(argument.type, branch) for argument in target.args]

    def _copy(self, before: Operation, value: SSAValue, type_: Any) -> SSAValue:
        """`value` in other registers: one move, or one an element."""
        if not isinstance(type_, RegsType):
            return self._move(before, value, type_)
        source = value.type
        assert isinstance(source, RegsType) and before.parent is not None
        kinds = [RegType((source.kind, n)) for n in source.names()]
        unpack = UnpackOp.create(operands=(value,), result_types=kinds, location=before.location)
        before.parent.insert_op_before(unpack, before)
        moved = [self._move(before, v, RegType((type_.kind, n))) for v, n in zip(unpack.results, type_.names())]
        pack = PackOp.create(operands=moved, result_types=(type_,), location=before.location)
        before.parent.insert_op_before(pack, before)
        return pack.results[0]

    def _move(self, before: Operation, value: SSAValue, type_: Any) -> SSAValue:
        op = INSTRUCTIONS["mov"].create(
            operands=(value,),
            result_types=(type_,),
            location=before.location,
            properties={"form": form_attr(type_.kind), "args": args_attr(("$",))},
        )
        assert before.parent is not None
        before.parent.insert_op_before(op, before)
        return op.results[0]


def _held(type_: Any, before: Operation) -> SSAValue:
    """A value that stands for what a register already holds."""
    op = UndefOp.create(result_types=(type_,), location=before.location)
    assert before.parent is not None
    before.parent.insert_op_before(op, before)
    return op.results[0]


def _names(type_: Any) -> list[str]:
    return list(type_.names())


def _set(value: SSAValue, type_: Any) -> None:
    value._type = type_  # pyright: ignore


def _reachable(kernel: KernelOp) -> list[Block]:
    """Blocks in an order in which definitions come before uses; what can't be reached is named too, after the rest."""
    entry = kernel.body.blocks.first
    order: list[Block] = []
    seen: set[Block] = set()
    stack: list[tuple[Block, int]] = [(entry, 0)] if entry is not None else []
    seen.update(block for block, _ in stack)
    while stack:
        block, index = stack.pop()
        targets = block.last_op.successors if block.last_op is not None else ()
        if index < len(targets):
            stack.append((block, index + 1))
            if targets[index] not in seen:
                seen.add(targets[index])
                stack.append((targets[index], 0))
        else:
            order.append(block)
    return [*reversed(order), *(b for b in kernel.body.blocks if b not in seen)]
