"""`scf.for`, `scf.if`, `scf.while` and `tile.roles`: blocks and branches, with values carried in registers."""

from __future__ import annotations

from typing import cast

from xdsl.dialects import scf
from xdsl.ir import Block, Region, SSAValue

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.tile import ops as tile
from .lowering import KernelLowering
from .packing import as_kind
from .values import Role, unsupported


def lower_for(k: KernelLowering, op: scf.ForOp) -> None:
    """before → header(i, carried): i < upper ? body : after; body → header. What does not vary stays before."""
    e = k.e
    lower, upper, step = k.scalar(op.lb), k.scalar(op.ub), k.scalar(op.step)
    kinds = [kind for value in op.iter_args for kind in k.kinds_of(value.type)]
    initial = [as_kind(e, lower, "b32"), *k.flatten(op.iter_args)]
    location = op.location
    header = k.new_block("b32", *kinds)
    body, after = k.new_block(), k.new_block()
    was_dirty = k.scratch_dirty
    e.push(header, hoists=True)
    counter, carried = header.args[0], header.args[1:]
    condition = e.op("setp.lt.s32", counter, upper)
    e.scope.builder.cbra(condition, body, after)
    e.continue_in(body)
    block = op.body.block
    k.values[block.args[0]] = counter
    k.bind(block.args[1:], carried)
    k.scratch_dirty = True
    k.lower_block(block)
    last = cast(scf.YieldOp, block.last_op)
    e.location = location
    following = [e.reg(e.add(counter, step)), *k.flatten(last.arguments)]
    e.scope.builder.bra(header, *following)
    e.pop()
    e.scope.builder.bra(header, *initial)
    e.continue_in(after)
    e.own(header.args)
    k.scratch_dirty = was_dirty or k.scratch_dirty
    k.bind(op.res, carried)


def lower_if(k: KernelLowering, op: scf.IfOp) -> None:
    e = k.e
    condition = k.scalar(op.cond)
    if not isinstance(condition, SSAValue):
        chosen = op.true_region if condition else op.false_region
        if chosen.blocks:
            k.lower_block(chosen.block)
            last = chosen.block.last_op
            if isinstance(last, scf.YieldOp):
                for result, value in zip(op.output, last.arguments, strict=True):
                    k.values[result] = k.values[value]
        return
    kinds = [kind for result in op.output for kind in k.kinds_of(result.type)]
    join = k.new_block(*kinds)
    has_else = bool(op.false_region.blocks) and (len(list(op.false_region.block.ops)) > 1 or bool(kinds))
    then = k.new_block()
    otherwise = k.new_block() if has_else else join
    single = k.single_thread
    was_dirty = k.scratch_dirty
    dirty_after: list[bool] = []
    for region, block in ((op.true_region, then), (op.false_region, otherwise)):
        if block is join:
            dirty_after.append(was_dirty)
            continue
        k.scratch_dirty = was_dirty
        k.single_thread = single or (block is then and isinstance(op.cond.owner, tile.IsThreadOp | tile.ElectOp))
        e.push(block, hoists=False)
        _lower_branch(k, region, join)
        e.pop()
        dirty_after.append(k.scratch_dirty)
    k.single_thread = single
    k.scratch_dirty = any(dirty_after)
    e.location = op.location
    e.scope.builder.cbra(condition, then, otherwise)
    e.continue_in(join)
    k.bind(op.output, join.args)


def _lower_branch(k: KernelLowering, region: Region, join: Block) -> None:
    block = region.block
    if isinstance(block.last_op, scf.YieldOp):
        k.lower_block(block)
        registers = k.flatten(block.last_op.arguments)
    else:
        for op in block.ops:
            k.lower_op(op)
        registers = []
    k.e.scope.builder.bra(join, *registers)


def lower_while(k: KernelLowering, op: scf.WhileOp) -> None:
    e = k.e
    initial = k.flatten(op.arguments)
    kinds = [kind for value in op.arguments for kind in k.kinds_of(value.type)]
    result_kinds = [kind for value in op.res for kind in k.kinds_of(value.type)]
    header = k.new_block(*kinds)
    body, after = k.new_block(*result_kinds), k.new_block(*result_kinds)
    e.push(header, hoists=True)
    k.scratch_dirty = True
    before = op.before_region.block
    k.bind(before.args, header.args)
    k.lower_block(before)
    condition_op = cast(scf.ConditionOp, before.last_op)
    condition = as_kind(e, k.scalar(condition_op.condition), "pred")
    passed = k.flatten(condition_op.args)
    e.scope.builder.cbra(condition, body, after, then_args=passed, else_args=passed)
    e.continue_in(body)
    inner = op.after_region.block
    k.bind(inner.args, body.args)
    k.lower_block(inner)
    e.scope.builder.bra(header, *k.flatten(cast(scf.YieldOp, inner.last_op).arguments))
    e.pop()
    e.scope.builder.bra(header, *initial)
    e.continue_in(after)
    k.scratch_dirty = True
    k.bind(op.res, after.args)


def lower_roles(k: KernelLowering, op: tile.RolesOp) -> None:
    """One branch a role on the warp's index; each role has its own named barrier."""
    e = k.e
    counts = op.warp_counts
    if k.role.first or k.role.count != k.kernel.num_warps:
        raise unsupported("roles inside a role", op)
    if len(counts) > 15:
        raise LlmcError(
            "LLMC0605", f"{len(counts)} roles, a CTA has 15 named barriers for them", where=op, fix="use fewer roles"
        )
    outer = k.role
    registers = [int(r) for r in op.regs.get_values()] if op.regs is not None else None
    features = {f.data for f in k.kernel.target_features.data} if k.kernel.target_features is not None else set[str]()
    moves_registers = registers is not None and all(count % 4 == 0 for count in counts) and "setmaxnreg" in features
    join = k.new_block()
    first = 0
    k.barrier()
    for index, (region, count) in enumerate(zip(op.roles, counts, strict=True)):
        start = k.new_block()
        last = index == len(counts) - 1
        rest = None if last else k.new_block()
        condition = None if last else cast(SSAValue, e.compare("lt.s32", k.global_warp, first + count))
        k.role = Role(first, count, index + 1)
        k.scratch_dirty = False
        e.push(start, hoists=False)
        if moves_registers:
            assert registers is not None
            entry = 65536 // (32 * k.kernel.num_warps) // 8 * 8
            direction = "inc" if registers[index] > entry else "dec"
            e.do(f"setmaxnreg.{direction}.sync.aligned.u32", registers[index])
        k.lower_block(region.block)
        e.scope.builder.bra(join)
        e.pop()
        if condition is None:
            e.scope.builder.bra(start)
        else:
            assert rest is not None
            e.scope.builder.cbra(condition, start, rest)
            e.continue_in(rest)
        first += count
    k.role = outer
    k.scratch_dirty = True
    e.continue_in(join)
