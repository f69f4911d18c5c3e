"""Rewriting that keeps locations: a replacement that has none takes the location of what it replaces."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Operation, Region, SSAValue
from xdsl.traits import IsTerminator, SymbolOpInterface, is_side_effect_free

from .locations import is_known


def inherit_location(ops: Sequence[Operation], location: LocationAttr) -> None:
    """Give `location` to every op (regions included) that has none."""
    for root in ops:
        for op in root.walk():
            if not is_known(op.location):
                op.location = location


def replace(op: Operation, new_ops: Sequence[Operation], new_results: Sequence[SSAValue | None] | None = None) -> None:
    """Put `new_ops` before `op`, hand its uses to `new_results` (default: the last new op's results), erase it. New ops
    without a location inherit that of `op`."""
    inherit_location(new_ops, op.location)
    block = op.parent
    assert block is not None
    block.insert_ops_before(new_ops, op)
    results: Sequence[SSAValue | None] = new_results if new_results is not None else (new_ops[-1].results if new_ops else ())
    for old, new in zip(op.results, results, strict=True):
        if new is not None:
            if new.name_hint is None:
                new.name_hint = old.name_hint
            old.replace_all_uses_with(new)
    op.detach()
    op.erase()


def erase_dead(region: Region, is_pure: Callable[[Operation], bool] | None = None) -> int:
    """Erase ops without uses or side effects, bottom up in one walk; returns how many. `is_pure` defaults to xDSL's
    side-effect traits."""
    pure = is_pure or is_side_effect_free
    erased = 0
    for block in region.blocks:
        for op in reversed(list(block.ops)):
            for inner in op.regions:
                erased += erase_dead(inner, is_pure)
            if any(result.first_use is not None for result in op.results):
                continue
            if op.has_trait(IsTerminator) or op.has_trait(SymbolOpInterface) or not pure(op):
                continue
            op.detach()
            op.erase()
            erased += 1
    return erased
