"""One shape for equal things: folds constants, removes identities, joins views, shares equal ops, drops dead ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp

from ...dialects.ir.rewriting import erase_dead
from ...dialects.ir.symbols import SymbolTable
from ...dialects.nn.ops import WeightOp
from ..framework.options import at_least
from ..framework.pass_ import Pass, PassContext
from ..framework.patterns import PatternSet
from ..framework.rewriting import apply_patterns
from ..nn import simplifications
from . import arith_simplifications as arith
from .cse import share_equal


@dataclass(frozen=True)
class Canonicalize(Pass):
    """Fold constants, elide identities, join reshapes, transposes and casts, share equal ops, erase unused ones and weights.

    Applies the rules of nn ops, and for ops of other dialects the folders and canonicalization patterns that they bring. Each
    pattern may fire `max-iterations` times an op; one that never ends is an error that names it.

    ```mlir before
    func.func @main(%x: tensor<4x8xbf16>) -> tensor<2x16xbf16> {
      %0 = nn.reshape %x : (tensor<4x8xbf16>) -> tensor<32xbf16>
      %1 = nn.reshape %0 : (tensor<32xbf16>) -> tensor<2x16xbf16>
      %2 = nn.cast %1 : (tensor<2x16xbf16>) -> tensor<2x16xf32>
      %3 = nn.cast %2 : (tensor<2x16xf32>) -> tensor<2x16xbf16>
      %4 = nn.exp %2 : (tensor<2x16xf32>) -> tensor<2x16xf32>
      func.return %3 : tensor<2x16xbf16>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4x8xbf16>) -> tensor<2x16xbf16> {
      %0 = nn.reshape %x : (tensor<4x8xbf16>) -> tensor<2x16xbf16>
      func.return %0 : tensor<2x16xbf16>
    }
    ```
    """

    name: ClassVar[str] = "canonicalize"
    produces: ClassVar[tuple[str, ...] | None] = None
    required: ClassVar[bool] = False
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "func.func", "fusion.kernel", "layout.kernel", "tile.kernel")
    max_iterations: int = 10

    def __post_init__(self) -> None:
        at_least(self, max_iterations=1)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        patterns = PatternSet.of((*simplifications.PATTERNS, *arith.PATTERNS), canonical=True, replaced=arith.REPLACED)
        for region in module.regions:
            ctx.count("erased", erase_dead(region))
        ctx.count("shared", share_equal(module))  # rules compare operands, so equal ones must be the same
        while apply_patterns(module, patterns, ctx, max_iterations=self.max_iterations, fold=True):
            shared = share_equal(module)
            ctx.count("shared", shared)
            if not shared:
                break
        for region in module.regions:
            ctx.count("erased", erase_dead(region))
        ctx.count("weights erased", SymbolTable(module).erase_unused(lambda op: isinstance(op, WeightOp)))
