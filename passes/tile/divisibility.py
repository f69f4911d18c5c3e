"""What is known about divisors and signs of integer values: how alignment of tile origins is proved."""

from __future__ import annotations

from math import gcd

from xdsl.dialects import arith, scf
from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from ...dialects.ir.constants import constant_value
from ...dialects.tile.ops import KernelOp, TaskOp

UNLIMITED = 2**30 * 3**4 * 5**2 * 7 * 11 * 13
"""The divisor of zero: whatever may be asked for divides it."""


def of_int(value: int) -> int:
    """What is known to divide a constant: itself."""
    return abs(value) if value else UNLIMITED


def known_divisor(value: SSAValue, depth: int = 0) -> int:
    """A number that divides `value` for certain (1 if nothing is known).

    >>> known_divisor(muli(x, constant 128))
    128
    """
    constant = constant_value(value)
    if constant is not None:
        return of_int(abs(constant))
    if depth > 12:
        return 1
    owner = value.owner
    if isinstance(value, BlockArgument):
        assert isinstance(owner, Block)
        return _loop_counter(value, owner, depth)
    assert isinstance(owner, Operation)
    deeper = depth + 1
    if isinstance(owner, arith.MuliOp):
        product = known_divisor(owner.lhs, deeper) * known_divisor(owner.rhs, deeper)
        return min(product, UNLIMITED)
    if isinstance(owner, arith.ShLIOp):
        shift = constant_value(owner.rhs)
        return known_divisor(owner.lhs, deeper) << min(shift, 31) if shift is not None else 1
    if isinstance(owner, arith.AddiOp | arith.SubiOp | arith.MinSIOp | arith.MaxSIOp | arith.RemSIOp | arith.RemUIOp):
        return gcd(known_divisor(owner.operands[0], deeper), known_divisor(owner.operands[1], deeper))
    if isinstance(owner, arith.DivSIOp | arith.DivUIOp | arith.FloorDivSIOp):
        by = constant_value(owner.operands[1])
        numerator = known_divisor(owner.operands[0], deeper)
        return numerator // by if by and numerator % by == 0 else 1
    if isinstance(owner, arith.SelectOp):
        return gcd(known_divisor(owner.lhs, deeper), known_divisor(owner.rhs, deeper))
    if isinstance(owner, arith.ExtSIOp | arith.ExtUIOp | arith.IndexCastOp | arith.TruncIOp):
        return known_divisor(owner.operands[0], deeper)
    return 1


def is_non_negative(value: SSAValue, depth: int = 0) -> bool:
    """Whether an i32 is known to be at least 0: sizes, task coordinates, counters of loops from 0 up, and their sums."""
    constant = constant_value(value)
    if constant is not None:
        return constant >= 0
    if depth > 12:
        return False
    owner = value.owner
    if isinstance(value, BlockArgument):
        loop = value.block.parent_op()
        if isinstance(loop, scf.ForOp):
            return value.index == 0 and is_non_negative(loop.lb, depth + 1)
        return isinstance(loop, KernelOp)
    assert isinstance(owner, Operation)
    if isinstance(owner, TaskOp):
        return True
    if isinstance(owner, arith.MaxSIOp):
        return any(is_non_negative(v, depth + 1) for v in owner.operands)
    if isinstance(owner, arith.RemSIOp | arith.AndIOp):
        return is_non_negative(owner.operands[0], depth + 1)
    if isinstance(owner, _KEEP_SIGN):
        return all(is_non_negative(v, depth + 1) for v in owner.operands)
    if isinstance(owner, arith.SelectOp):
        return all(is_non_negative(v, depth + 1) for v in owner.operands[1:])
    return False


_KEEP_SIGN = (
    arith.AddiOp,
    arith.MuliOp,
    arith.DivSIOp,
    arith.DivUIOp,
    arith.FloorDivSIOp,
    arith.MinSIOp,
)


def _loop_counter(value: BlockArgument, block: Block, depth: int) -> int:
    loop = block.parent_op()
    if isinstance(loop, scf.ForOp) and value.index == 0:
        return gcd(known_divisor(loop.lb, depth + 1), known_divisor(loop.step, depth + 1))
    return 1
