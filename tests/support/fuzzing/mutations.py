"""Random damage to modules: operands, types, properties, regions and order are changed, and what comes out is mostly wrong."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from llmc.dialects.layout.types import BufferType
from llmc.dialects.nn.types import BatchType, StateType, tensor
from llmc.dialects.ptx.types import reg, regs
from llmc.dialects.tile.types import SmemType
from xdsl.dialects import test
from xdsl.dialects.builtin import IndexType, ModuleOp, TensorType, bf16, f32, i1, i32
from xdsl.ir import Attribute, Block, Operation, SSAValue

from .attributes import values

TYPES: tuple[Attribute, ...] = (
    f32,
    bf16,
    i1,
    i32,
    IndexType(),
    tensor(f32, ["T", 4]),
    tensor(bf16, []),
    TensorType(f32, [-(2**63), 3]),
    BatchType.of(),
    StateType.of(1, 2, f32),
    BufferType.of(["T", 4], f32),
    BufferType.of([], i32),
    SmemType.of([16], f32),
    reg("b32"),
    regs("f32", 4),
)


def _value(draw: st.DrawFn, op: Operation) -> SSAValue:
    """A value of another type, made just before an op."""
    made = test.TestOp(result_types=[draw(st.sampled_from(TYPES))])
    assert op.parent is not None
    op.parent.insert_op_before(made, op)
    return made.results[0]


def drop_operand(draw: st.DrawFn, op: Operation) -> bool:
    if not op.operands:
        return False
    index = draw(st.integers(0, len(op.operands) - 1))
    op.operands = [o for i, o in enumerate(op.operands) if i != index]
    return True


def repeat_operand(draw: st.DrawFn, op: Operation) -> bool:
    if not op.operands:
        return False
    op.operands = [*op.operands, draw(st.sampled_from(list(op.operands)))]
    return True


def change_operand(draw: st.DrawFn, op: Operation) -> bool:
    if not op.operands:
        return False
    op.operands[draw(st.integers(0, len(op.operands) - 1))] = _value(draw, op)
    return True


def change_result_type(draw: st.DrawFn, op: Operation) -> bool:
    if not op.results:
        return False
    op.results[draw(st.integers(0, len(op.results) - 1))]._type = draw(st.sampled_from(TYPES))  # pyright: ignore
    return True


def drop_property(draw: st.DrawFn, op: Operation) -> bool:
    if not op.properties:
        return False
    del op.properties[draw(st.sampled_from(sorted(op.properties)))]
    return True


def change_property(draw: st.DrawFn, op: Operation) -> bool:
    if not op.properties:
        return False
    op.properties[draw(st.sampled_from(sorted(op.properties)))] = draw(values)
    return True


def change_number(draw: st.DrawFn, op: Operation) -> bool:
    """A property keeps its kind but gets another value: what verifiers have to judge."""
    if not op.properties:
        return False
    key = draw(st.sampled_from(sorted(op.properties)))
    kind = type(op.properties[key])
    op.properties[key] = draw(values.filter(lambda v: isinstance(v, kind)))
    return True


def drop_last_op(draw: st.DrawFn, op: Operation) -> bool:
    blocks = [b for region in op.regions for b in region.blocks if b.last_op is not None]
    if not blocks:
        return False
    last = draw(st.sampled_from(blocks)).last_op
    assert last is not None
    if any(result.first_use is not None for result in last.results):
        return False
    last.detach()
    last.erase()
    return True


def empty_region(draw: st.DrawFn, op: Operation) -> bool:
    if not op.regions or isinstance(op, ModuleOp):
        return False
    region = draw(st.sampled_from(list(op.regions)))
    for block in list(region.blocks):
        region.detach_block(block)
        block.drop_all_references()
    if draw(st.booleans()):
        region.add_block(Block())
    return True


def change_argument(draw: st.DrawFn, op: Operation) -> bool:
    blocks = [b for region in op.regions for b in region.blocks]
    if not blocks:
        return False
    block = draw(st.sampled_from(blocks))
    if block.args and draw(st.booleans()):
        draw(st.sampled_from(list(block.args)))._type = draw(st.sampled_from(TYPES))  # pyright: ignore
    else:
        block.insert_arg(draw(st.sampled_from(TYPES)), draw(st.integers(0, len(block.args))))
    return True


def move_down(draw: st.DrawFn, op: Operation) -> bool:
    """Behind the op that follows: its uses may come first then."""
    following, block = op.next_op, op.parent
    if following is None or block is None:
        return False
    op.detach()
    block.insert_op_after(op, following)
    return True


MUTATIONS: tuple[Callable[[st.DrawFn, Operation], bool], ...] = (
    drop_operand,
    repeat_operand,
    change_operand,
    change_result_type,
    drop_property,
    change_property,
    change_number,
    drop_last_op,
    empty_region,
    change_argument,
    move_down,
)


def mutate(draw: st.DrawFn, module: ModuleOp, kind: type[Operation] | None = None) -> str | None:
    """Damage one op (of a class, if given) in place; what was done, or None where nothing could be."""
    ops = [op for op in module.walk() if op is not module and (kind is None or type(op) is kind)]
    if not ops:
        return None
    op, mutation = draw(st.sampled_from(ops)), draw(st.sampled_from(MUTATIONS))
    return f"{mutation.__name__} of {op.name}" if mutation(draw, op) else None
