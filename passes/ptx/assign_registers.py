"""assign-registers: SSA ptx → named registers, ready to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects.builtin import IntegerAttr, ModuleOp
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
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class AssignRegisters(Pass):
    """Give every value a register name, by position, and every block argument its moves; the result prints as PTX.

    ptxas allocates the real registers, so nothing is shared except where an instruction demands it:
    a wgmma accumulator keeps the registers of its operand when nothing reads the operand after it (no loop runs the wgmma
    again without a new operand either), otherwise it is copied first; the results of ptx.unpack are the array's own registers and
    operands of ptx.pack are computed into the array's; each branch moves its values into the target's registers (a parallel
    copy, cycles through a temporary; a conditional branch's moves get a block of their own on that edge); `else` values are
    moved into the result's register before the predicated instruction.

    ```mlir before
    ptx.kernel @k {params = {n = "u32"}, reqntid = 32 : i32} {
      %0 = ptx.ld param.u32 [@n] : !ptx.reg<b32>
      ptx.bra ^bb1(%0)
    ^bb1(%1: !ptx.reg<b32>):
      %2 = ptx.add s32 %1, -1 : !ptx.reg<b32>
      %3 = ptx.setp gt.s32 %2, 0 : !ptx.reg<pred>
      ptx.cbra %3, ^bb1(%2), ^bb2
    ^bb2:
      ptx.ret
    }
    ```
    ```mlir after
    ptx.kernel @k {params = {n = "u32"}, reqntid = 32 : i32} {
      %0 = ptx.ld param.u32 [@n] : !ptx.reg<b32, "%r1">
      %1 = ptx.mov b32 %0 : !ptx.reg<b32, "%r0">
      ptx.bra ^bb1(%1)
    ^bb1(%2: !ptx.reg<b32, "%r0">):
      %3 = ptx.add s32 %2, -1 : !ptx.reg<b32, "%r2">
      %4 = ptx.setp gt.s32 %3, 0 : !ptx.reg<pred, "%p0">
      ptx.cbra %4, ^bb2, ^bb3
    ^bb2:
      %5 = ptx.mov b32 %3 : !ptx.reg<b32, "%r0">
      ptx.bra ^bb1(%5)
    ^bb3:
      ptx.ret
    }
    ```
    """

    name: ClassVar[str] = "assign-registers"
    produces: ClassVar[tuple[str, ...] | None] = ("ptx",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "ptx.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for op in module.walk():
            if isinstance(op, KernelOp):
                ctx.count("moves", assign_registers(op))


def assign_registers(kernel: KernelOp) -> int:
    """Names every register of the kernel in place; returns how many moves it added. Does nothing on a named kernel."""
    return _Assigner(kernel).run()


class _Assigner:
    def __init__(self, kernel: KernelOp) -> None:
        self.kernel = kernel
        self.next: dict[str, int] = dict.fromkeys(PREFIXES, 0)
        self.moves = 0
        self.reaching: dict[tuple[Block, Block], frozenset[Block]] = {}
        self.aliases: set[SSAValue] = set()

    def run(self) -> int:
        blocks = _reverse_postorder(self.kernel)
        if self._is_named(blocks):
            return 0
        for block in blocks:
            for arg in block.args:
                self._fresh(arg)
        for block in blocks:
            for op in block.ops:
                if isinstance(op, PackOp):
                    self._reserve(op)
        for block in blocks:
            for op in list(block.ops):
                self._op(op)
        for block in blocks:
            self._edges(block)
        return self.moves

    def _is_named(self, blocks: Sequence[Block]) -> bool:
        values = (v for block in blocks for op in block.ops for v in op.results)
        first = next(values, None)
        return first is not None and bool(first.type.register)  # pyright: ignore

    # ------------------------------------------------------------- names

    def _name(self, kind: str, count: int = 1) -> str:
        start = self.next[kind]
        self.next[kind] = start + count
        return f"{PREFIXES[kind]}{start}"

    def _fresh(self, value: SSAValue) -> None:
        type_ = value.type
        if isinstance(type_, RegsType):
            _set(value, RegsType((type_.kind, type_.count, self._name(type_.kind, type_.count))))
        else:
            assert isinstance(type_, RegType)
            _set(value, RegType((type_.kind, self._name(type_.kind))))

    def _reserve(self, pack: PackOp) -> None:
        """The pack's array is allocated first; operands made for it alone are computed right into it."""
        array = pack.results[0]
        self._fresh(array)
        for value, name in zip(pack.operands, array.type.names()):  # pyright: ignore
            owner = value.owner
            if isinstance(owner, PtxInstruction) and value.has_one_use() and not owner.resolved.tied:
                _set(value, RegType((value.type.kind, name)))  # pyright: ignore

    # ------------------------------------------------------------- ops

    def _op(self, op: Operation) -> None:
        if isinstance(op, PtxInstruction):
            if op.base == "wgmma" and op.results:
                self._tied(op)
            else:
                for result in op.results:
                    if not result.type.register:  # pyright: ignore
                        self._fresh(result)
            if "pred" in op.properties and op.else_values:
                self._else(op)
        elif isinstance(op, UnpackOp):
            array = op.operands[0].type
            assert isinstance(array, RegsType)
            for result, name in zip(op.results, array.names()):
                _set(result, RegType((array.kind, name)))
                self.aliases.add(result)
        elif not isinstance(op, PackOp):
            for result in op.results:
                self._fresh(result)

    def _tied(self, op: PtxInstruction) -> None:
        """Results take the registers of the accumulator operands, which are copied first where they live on."""
        for i, result in enumerate(op.results):
            value = op.operands[i]
            if not self._dies_in(value, op):
                value = self._copy_before(op, value)
                op.operands[i] = value
            _set(result, value.type)  # pyright: ignore

    def _dies_in(self, value: SSAValue, op: Operation) -> bool:
        """Whether this is the value's last use on every path, so that its registers may be overwritten."""
        if value in self.aliases:
            return False
        owner = value.owner
        if isinstance(owner, UndefOp):
            return value.has_one_use()
        defined = owner if isinstance(owner, Block) else owner.parent
        assert defined is not None and op.parent is not None
        if value.has_one_use() and defined is op.parent:
            return True
        later = self._after(defined, op.parent)
        if op.parent in later:
            return False
        users = [use.operation for use in value.uses]
        return users.count(op) == 1 and all(
            user is op or (user.parent is not op.parent and user.parent not in later) for user in users
        )

    def _after(self, defined: Block, used: Block) -> frozenset[Block]:
        """The blocks that can run after `used` without `defined` running in between."""
        known = self.reaching.get((defined, used))
        if known is None:
            seen: set[Block] = set()
            stack = list(_successors(used))
            while stack:
                block = stack.pop()
                if block is defined or block in seen:
                    continue
                seen.add(block)
                stack.extend(_successors(block))
            known = self.reaching[(defined, used)] = frozenset(seen)
        return known

    def _copy_before(self, op: Operation, value: SSAValue) -> SSAValue:
        block = op.parent
        assert block is not None
        type_ = value.type
        if isinstance(value.owner, UndefOp):  # any contents will do: fresh registers, no moves
            new: Operation = UndefOp.create(result_types=(type_,), location=op.location)
            block.insert_op_before(new, op)
            self._fresh(new.results[0])
            return new.results[0]
        if isinstance(type_, RegsType):
            unpack = UnpackOp.create(
                operands=(value,), result_types=[RegType((type_.kind, n)) for n in type_.names()], location=op.location
            )
            new = PackOp.create(operands=unpack.results, result_types=(type_,), location=op.location)
            self._fresh(new.results[0])
            block.insert_ops_before([unpack, new], op)
            self.moves += type_.count
            return new.results[0]
        assert isinstance(type_, RegType)
        return self._move(block, op, value, self._name(type_.kind))

    def _move(self, block: Block, before: Operation, value: SSAValue, name: str) -> SSAValue:
        """`mov name, value` before an op."""
        type_ = value.type
        assert isinstance(type_, RegType)
        op = INSTRUCTIONS["mov"].create(
            operands=(value,),
            result_types=(RegType((type_.kind, name)),),
            location=before.location,
            properties={"form": form_attr(type_.kind), "args": args_attr(("$",))},
        )
        block.insert_op_before(op, before)
        self.moves += 1
        return op.results[0]

    def _else(self, op: PtxInstruction) -> None:
        assert op.parent is not None
        at = op.num_args + 1
        for i, result in enumerate(op.results):
            op.operands[at + i] = self._move(op.parent, op, op.operands[at + i], result.type.register)  # pyright: ignore

    # ------------------------------------------------------------- edges

    def _edges(self, block: Block) -> None:
        last = block.last_op
        if isinstance(last, BraOp):
            if last.operands:
                last.operands = self._parallel(block, last, list(last.operands), last.successors[0].args)
        elif isinstance(last, CbraOp):
            self._conditional(block, last)

    def _conditional(self, block: Block, op: CbraOp) -> None:
        after = block
        targets: list[Block] = []
        args: list[list[SSAValue]] = []
        for target, values in zip(op.successors, (list(op.then_args), list(op.else_args))):
            if all(_register(v) == _register(a) for v, a in zip(values, target.args)):
                targets.append(target)
                args.append(values)
                continue
            edge = Block()
            region = block.parent
            assert region is not None
            region.insert_block_after(edge, after)
            after = edge
            bra = BraOp.create(successors=(target,), location=op.location)
            edge.add_op(bra)
            bra.operands = self._parallel(edge, bra, values, target.args)
            targets.append(edge)
            args.append([])
        op.operands = [op.condition, *args[0], *args[1]]
        op.properties["then_count"] = IntegerAttr(len(args[0]), 32)
        op.successors = targets

    def _parallel(
        self,
        block: Block,
        before: Operation,
        values: list[SSAValue],
        targets: Sequence[BlockArgument],
    ) -> list[SSAValue]:
        """Moves all values into the targets' registers at once; returns values that stand in those registers."""
        pending: dict[str, tuple[SSAValue, list[tuple[int, int]]]] = {}
        out: list[SSAValue] = list(values)
        arrays: dict[int, list[SSAValue]] = {}
        for i, (value, target) in enumerate(zip(values, targets)):
            if _register(value) == _register(target):
                continue
            if isinstance(value.owner, UndefOp):
                new = UndefOp.create(result_types=(target.type,), location=before.location)
                block.insert_op_before(new, before)
                out[i] = new.results[0]
                continue
            type_ = target.type
            if isinstance(type_, RegsType):
                source = value.type
                assert isinstance(source, RegsType)
                unpack = UnpackOp.create(
                    operands=(value,),
                    result_types=[RegType((source.kind, n)) for n in source.names()],
                    location=before.location,
                )
                block.insert_op_before(unpack, before)
                arrays[i] = list(unpack.results)
                for j, (element, name) in enumerate(zip(unpack.results, type_.names())):
                    pending[name] = (element, [(i, j)])
            else:
                pending[_register(target)] = (value, [(i, -1)])
        self._sequence(block, before, pending, out, arrays)
        for i, elements in arrays.items():
            pack = PackOp.create(operands=elements, result_types=(targets[i].type,), location=before.location)
            block.insert_op_before(pack, before)
            out[i] = pack.results[0]
        return out

    def _sequence(
        self,
        block: Block,
        before: Operation,
        pending: dict[str, tuple[SSAValue, list[tuple[int, int]]]],
        out: list[SSAValue],
        arrays: dict[int, list[SSAValue]],
    ) -> None:
        """Emits the moves in an order that reads every register before it is overwritten."""
        readers: dict[str, int] = {}
        for value, _ in pending.values():
            readers[_register(value)] = readers.get(_register(value), 0) + 1

        def done(result: SSAValue, places: list[tuple[int, int]]) -> None:
            for i, j in places:
                if j < 0:
                    out[i] = result
                else:
                    arrays[i][j] = result

        free = [name for name in pending if not readers.get(name)]
        while pending:
            if not free:  # only cycles are left: save one destination's old contents
                name = next(iter(pending))
                reader = next(n for n, (v, _) in pending.items() if _register(v) == name)
                value, places = pending[reader]
                kind = value.type.kind  # pyright: ignore
                saved = self._move(block, before, value, self._name(kind))
                pending[reader] = (saved, places)
                readers[name] -= 1
                readers[_register(saved)] = 1
                free.append(name)
                continue
            name = free.pop()
            value, places = pending.pop(name)
            done(self._move(block, before, value, name), places)
            source = _register(value)
            readers[source] -= 1
            if not readers[source] and source in pending:
                free.append(source)


def _register(value: SSAValue) -> str:
    return value.type.register  # pyright: ignore


def _set(value: SSAValue, type_: Any) -> None:
    value._type = type_  # pyright: ignore


def _successors(block: Block) -> Sequence[Block]:
    last = block.last_op
    return () if last is None else tuple(last.successors)


def _reverse_postorder(kernel: KernelOp) -> list[Block]:
    """Blocks so that definitions come before uses; blocks that cannot be reached are erased."""
    entry = kernel.body.blocks.first
    assert entry is not None
    order: list[Block] = []
    seen = {entry}
    stack: list[tuple[Block, int]] = [(entry, 0)]
    while stack:
        block, i = stack.pop()
        targets = _successors(block)
        if i < len(targets):
            stack.append((block, i + 1))
            if targets[i] not in seen:
                seen.add(targets[i])
                stack.append((targets[i], 0))
        else:
            order.append(block)
    for block in list(kernel.body.blocks):
        if block not in seen:
            _erase(kernel, block)
    order.reverse()
    return order


def _erase(kernel: KernelOp, block: Block) -> None:
    for op in reversed(list(block.ops)):
        op.detach()
        op.erase(safe_erase=False)
    kernel.body.detach_block(block)
    block.erase(safe_erase=False)
