"""Common subexpressions are computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, Region
from xdsl.traits import IsolatedFromAbove, IsTerminator, Pure, SymbolOpInterface

from ...dialects.ir.dominance import dominators
from ...dialects.ir.hashing import structural_text
from ...dialects.ir.locations import fused
from ..framework.pass_ import Pass, PassContext

Known = dict[tuple[Any, ...], Operation]


@dataclass(frozen=True)
class Cse(Pass):
    """Replace an op by an equal one that dominates it. Only ops without side effects; equal means name, operands, attributes,
    result types and regions. The op that stays gets both locations.

    ```mlir before
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
      %1 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
      %2 = nn.add %0, %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      func.return %2 : tensor<4xf32>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32>
      %1 = nn.add %0, %0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      func.return %1 : tensor<4xf32>
    }
    ```
    """

    name: ClassVar[str] = "cse"
    produces: ClassVar[tuple[str, ...] | None] = ()
    required: ClassVar[bool] = False

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        ctx.count("shared", share_equal(module))


def share_equal(root: Operation) -> int:
    """Share equal ops below `root`; returns how many were erased."""
    sharer = _Sharer()
    for region in root.regions:
        sharer.region(region, {})
    return sharer.erased


class _Sharer:
    def __init__(self) -> None:
        self.erased = 0
        self.shareable: dict[type[Operation], bool] = {}

    def region(self, region: Region, known: Known) -> None:
        if not region.blocks:
            return
        if len(region.blocks) == 1:
            self.block(region.blocks[0], known)
            return
        order, idom = dominators(region)
        after: dict[Block, Known] = {}
        for block in order:
            mine = dict(known if idom[block] is block else after[idom[block]])
            self.block(block, mine)
            after[block] = mine

    def block(self, block: Block, known: Known) -> None:
        op = block.first_op
        while op is not None:
            following = op.next_op
            if self.is_shareable(op):
                key = key_of(op)
                earlier = known.get(key)
                if earlier is None:
                    known[key] = op
                else:
                    self.merge(op, earlier)
                    op = following
                    continue
            for region in op.regions:
                self.region(region, {} if op.has_trait(IsolatedFromAbove) else dict(known))
            op = following

    def merge(self, op: Operation, earlier: Operation) -> None:
        for old, kept in zip(op.results, earlier.results, strict=True):
            old.replace_all_uses_with(kept)
            if kept.name_hint is None:
                kept.name_hint = old.name_hint
        if op.location != earlier.location:
            earlier.location = fused((earlier.location, op.location))
        op.detach()
        op.erase()
        self.erased += 1

    def is_shareable(self, op: Operation) -> bool:
        cls = type(op)
        found = self.shareable.get(cls)
        if found is None:
            pure = op.has_trait(Pure, value_if_unregistered=False)
            found = self.shareable[cls] = pure and not op.has_trait(IsTerminator) and not op.has_trait(SymbolOpInterface)
        return found and bool(op.results)


def key_of(op: Operation) -> tuple[Any, ...]:
    """Equal for ops that compute the same."""
    return (
        type(op),
        op.operands,
        tuple(op.properties.items()) if op.properties else (),
        tuple(op.attributes.items()) if op.attributes else (),
        op.result_types,
        tuple(structural_text(op) for _ in op.regions[:1]),
    )
