"""The ways to make a module smaller. An edit changes a module in place and says whether it changed anything; whether the result is
valid, and still of interest, is for the search to ask."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from xdsl.dialects.builtin import ModuleOp, UnknownLoc
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.traits import IsTerminator

DIMENSION = re.compile(r"(?<=[<x])(\d+)(?=x)")


def inner_ops(module: ModuleOp) -> list[Operation]:
    """Every op but the module, in the order of the text."""
    return [op for op in module.walk() if op is not module]


def symbols(module: ModuleOp) -> list[Operation]:
    """The functions, kernels and programs of a module, in the order of the text."""
    return list(module.body.block.ops)


def drop_ops(module: ModuleOp, ops: Callable[[ModuleOp], list[Operation]], indices: Sequence[int]) -> bool:
    """Erase some of the ops that `ops` lists, the last first. Uses of their results get an operand, an earlier value or an argument
    of the same type; failing those a new argument of the function."""
    listed, changed = ops(module), False
    for index in sorted(indices, reverse=True):
        op = listed[index]
        if op.parent is None or _outer_gone(op, module) or op.has_trait(IsTerminator):
            continue
        values = [substitute(op, result) if result.first_use is not None else None for result in op.results]
        for result, value in zip(op.results, values, strict=True):
            if value is not None:
                result.replace_all_uses_with(value)
        op.detach()
        op.erase(safe_erase=False)
        changed = True
    return changed


def _outer_gone(op: Operation, module: ModuleOp) -> bool:
    outer: Operation | None = op
    while outer is not None and outer is not module:
        outer = outer.parent_op()
    return outer is None


def substitute(op: Operation, result: SSAValue) -> SSAValue:
    """A value for a result of an op that goes."""
    for value in (*op.operands, *earlier_values(op)):
        if value.type == result.type:
            return value
    block, function = op.parent, op.parent_op()
    while function is not None and not isinstance(function, FuncOp):
        function = function.parent_op()
    if isinstance(function, FuncOp) and function.body.blocks:
        block = function.body.blocks[0]
        value = block.insert_arg(result.type, len(block.args))
        value.name_hint = result.name_hint
        function.update_function_type()
        return value
    assert block is not None
    return block.insert_arg(result.type, len(block.args))  # refused by the verifier where the block can't have it


def earlier_values(op: Operation) -> Iterator[SSAValue]:
    """Values that an op can use, of its block: the nearest first, then the arguments."""
    before = op.prev_op
    while before is not None:
        yield from before.results
        before = before.prev_op
    if op.parent is not None:
        yield from op.parent.args


def drop_unused(module: ModuleOp) -> bool:
    """Erase every op whose results nobody uses, until there is none."""
    changed = False
    for op in reversed(inner_ops(module)):
        if op.results and not op.regions and all(r.first_use is None for r in op.results) and not op.has_trait(IsTerminator):
            op.detach()
            op.erase()
            changed = True
    return changed


def can_end_at(op: Operation) -> bool:
    """Whether the function that holds an op could end right after it, and does not."""
    function = op.parent_op()
    if not isinstance(function, FuncOp) or not op.results or len(function.body.blocks) != 1 or op.next_op is None:
        return False
    return not (isinstance(op.next_op, ReturnOp) and list(op.next_op.operands) == list(op.results))


def cut_tail(module: ModuleOp, index: int) -> bool:
    """End the function that holds an op right after it, and return its results."""
    op = inner_ops(module)[index]
    function, block = op.parent_op(), op.parent
    if not can_end_at(op) or not isinstance(function, FuncOp) or block is None:
        return False
    following = op.next_op
    tail: list[Operation] = []
    while following is not None:
        tail.append(following)
        following = following.next_op
    for gone in reversed(tail):
        gone.detach()
        gone.erase(safe_erase=False)
    block.add_op(ReturnOp(*op.results))
    _match_results(function)
    return True


def _match_results(function: FuncOp) -> None:
    function.update_function_type()
    if function.res_attrs is not None:
        function.res_attrs = None


def drop_returned(module: ModuleOp, index: int, position: int) -> bool:
    """Return one value less."""
    op = inner_ops(module)[index]
    function = op.parent_op()
    if not isinstance(op, ReturnOp) or not isinstance(function, FuncOp) or position >= len(op.operands):
        return False
    op.operands = [o for i, o in enumerate(op.operands) if i != position]
    _match_results(function)
    return True


def drop_arguments(module: ModuleOp, index: int) -> bool:
    """Drop the arguments of a function that nothing uses."""
    function = inner_ops(module)[index]
    if not isinstance(function, FuncOp) or not function.body.blocks:
        return False
    block: Block = function.body.blocks[0]
    unused = [a for a in block.args if a.first_use is None]
    kept = [i for i, a in enumerate(block.args) if a.first_use is not None]
    for argument in unused:
        block.erase_arg(argument)
    if unused and function.arg_attrs is not None:
        function.arg_attrs = type(function.arg_attrs)([function.arg_attrs.data[i] for i in kept])
    if unused:
        function.update_function_type()
    return bool(unused)


def share_operand(module: ModuleOp, index: int, position: int) -> bool:
    """Let an operand be the earliest value of its type: what made it may become unused."""
    op = inner_ops(module)[index]
    if position >= len(op.operands):
        return False
    now = op.operands[position]
    for value in reversed(list(earlier_values(op))):
        if value is now:
            return False
        if value.type == now.type:
            op.operands[position] = value
            return True
    return False


def drop_attribute(module: ModuleOp, index: int, name: str) -> bool:
    """Drop an attribute or a property of an op (of the module itself for -1)."""
    op = module if index < 0 else inner_ops(module)[index]
    return op.attributes.pop(name, None) is not None or op.properties.pop(name, None) is not None


def inline_region(module: ModuleOp, index: int) -> bool:
    """Put the ops of an op's first region in its place, if they use none of its arguments; its results become earlier values."""
    op = inner_ops(module)[index]
    outer = op.parent
    if not op.regions or not op.regions[0].blocks or outer is None or isinstance(op, FuncOp):
        return False
    block = op.regions[0].blocks[0]
    if any(argument.first_use is not None for argument in block.args):
        return False
    last = block.last_op
    if last is not None and last.has_trait(IsTerminator):
        for result, value in zip(op.results, last.operands, strict=False):
            if result.type == value.type:
                result.replace_all_uses_with(value)
        last.detach()
        last.erase(safe_erase=False)
    for inner in list(block.ops):
        inner.detach()
        outer.insert_op_before(inner, op)
    if any(result.first_use is not None for result in op.results):
        return False
    Rewriter.erase_op(op, safe_erase=False)
    return True


def end_block(module: ModuleOp, index: int) -> bool:
    """End a block as its region ends elsewhere, instead of branching on; blocks that nothing branches to any more go."""
    op = inner_ops(module)[index]
    region = op.parent_region()
    if not op.successors or region is None:
        return False
    last = next((b.last_op for b in region.blocks if b.last_op is not None and _plain_end(b.last_op)), None)
    if last is None:
        return False
    Rewriter.insert_op(last.clone(), InsertPoint.before(op))
    _erase(op)
    drop_unreachable(region)
    return True


def _plain_end(op: Operation) -> bool:
    return op.has_trait(IsTerminator) and not op.successors and not op.operands


def drop_unreachable(region: Region) -> None:
    """Erase the blocks that the first one does not lead to."""
    reached, waiting = set[Block](), [region.blocks[0]]
    while waiting:
        block = waiting.pop()
        if block not in reached:
            reached.add(block)
            waiting += block.last_op.successors if block.last_op is not None else ()
    for block in [b for b in region.blocks if b not in reached]:
        for op in reversed(list(block.ops)):
            _erase(op)
        region.erase_block(block, safe_erase=False)


def merge_block(module: ModuleOp, index: int) -> bool:
    """Put the block that a branch goes to in the branch's place, where nothing else goes there."""
    op = inner_ops(module)[index]
    region, outer = op.parent_region(), op.parent
    if len(op.successors) != 1 or region is None or outer is None:
        return False
    block = op.successors[0]
    into = [b for b in region.blocks if b.last_op is not None and block in b.last_op.successors]
    if into != [outer] or block is outer or block is region.blocks[0] or len(op.operands) != len(block.args):
        return False
    for argument, value in zip(block.args, op.operands, strict=True):
        argument.replace_all_uses_with(value)
    _erase(op)
    for inner in list(block.ops):
        inner.detach()
        outer.add_op(inner)
    region.erase_block(block, safe_erase=False)
    return True


def _erase(op: Operation) -> None:
    op.detach()
    op.erase(safe_erase=False)


def drop_locations(module: ModuleOp) -> bool:
    """Forget where every op came from."""
    changed = False
    for op in module.walk():
        if not isinstance(op.location, UnknownLoc):
            op.location, changed = UnknownLoc(), True
    return changed


def dimensions(text: str) -> list[int]:
    """The static sizes in the types of a text, the largest first."""
    return sorted({int(n) for n in DIMENSION.findall(text) if int(n) > 1}, reverse=True)


def shrink_dimension(text: str, size: int, smaller: int) -> str:
    """The text with one size in place of another, in every type."""
    return DIMENSION.sub(lambda m: str(smaller) if int(m[0]) == size else m[0], text)
