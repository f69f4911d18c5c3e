"""Anchors: the ops that nested pipelines run on, each alone in a module while a pass looks at it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.traits import IsolatedFromAbove

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.symbols import symbol_name

ROOT = "builtin.module"
ANY = "any"


@dataclass
class Anchor:
    """What passes are applied to: the whole module (`op` is `root`), or an op somewhere inside of it. `ops` is what stands in the
    op's place now: the op itself, unless a pass put other ops there."""

    op: Operation
    root: ModuleOp
    ops: list[Operation] = field(init=False)

    def __post_init__(self) -> None:
        self.ops = [self.op]

    def __str__(self) -> str:
        """`func.func @main`; `builtin.module` for the whole."""
        symbol = symbol_name(self.op)
        return self.op.name if symbol is None else f"{self.op.name} @{symbol}"

    @property
    def whole(self) -> bool:
        return self.op is self.root

    @property
    def gone(self) -> bool:
        """Whether a pass erased or replaced the op."""
        return self.op not in self.ops

    @contextmanager
    def alone(self) -> Generator[ModuleOp]:
        """The module that a pass gets: the root, or one that holds nothing but the op and has the root's attributes. The op,
        or what took its place, is back where it was afterwards, whatever happened in between."""
        if isinstance(self.op, ModuleOp):
            yield self.op
            return
        if not self.ops:
            yield ModuleOp([], attributes=dict(self.root.attributes))
            return
        block, following = self.ops[-1].parent, self.ops[-1].next_op
        assert block is not None
        for op in self.ops:
            op.detach()
        inner = ModuleOp(self.ops, attributes=dict(self.root.attributes))
        try:
            yield inner
        finally:
            self.ops = list(inner.body.block.ops)
            for moved in self.ops:
                moved.detach()
                if following is None:
                    block.add_op(moved)
                else:
                    block.insert_op_before(moved, following)


def children(op: Operation, name: str, root: ModuleOp) -> list[Anchor]:
    """The anchors called `name` (`any`: every op that can be one) directly inside an op, in order. Raises LLMC0207 where an op of
    that name uses values from outside, and so can't stand alone."""
    found: list[Anchor] = []
    for region in op.regions:
        for block in region.blocks:
            for inner in block.ops:
                if name not in (ANY, inner.name):
                    continue
                if inner.has_trait(IsolatedFromAbove) and inner.regions:
                    found.append(Anchor(inner, root))
                elif name != ANY:
                    raise LlmcError(
                        "LLMC0207",
                        f"passes can't run on {name}",
                        inner,
                        why="it may use values from outside of it, which a pass on it alone would not see",
                        fix="anchor the passes on an op that is isolated from above, such as func.func",
                    )
    return found
