"""How instruments print IR (the flags of the group "how IR is printed"), and which op a pass is anchored on."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from ....dialects.ir.printer import print_module


@dataclass(frozen=True)
class PrintForm:
    """Locations, generic form, constants elided, no aliases: as on the command's own output."""

    locations: bool = False
    generic: bool = False
    elide: int | None = None
    local_scope: bool = False

    def text(self, op: Operation) -> str:
        return print_module(op, locations=self.locations, generic=self.generic, elide=self.elide, aliases=not self.local_scope)


def form_of(arguments: argparse.Namespace) -> PrintForm:
    return PrintForm(
        arguments.mlir_print_debuginfo,
        arguments.mlir_print_op_generic,
        arguments.mlir_elide_elementsattrs_if_larger,
        arguments.mlir_print_local_scope,
    )


@dataclass
class Anchors:
    """Which ops the passes run on: the stack of nested anchors, with where each stands in the module while it is taken out of it."""

    root: Operation | None = None
    stack: list[tuple[Operation, Block | None, Operation | None]] = field(
        default_factory=list[tuple[Operation, Block | None, Operation | None]]
    )

    def enter(self, op: Operation) -> None:
        self.stack.append((op, op.parent, op.next_op))

    def leave(self) -> None:
        self.stack.pop()

    def path(self, module: Operation) -> list[Operation]:
        """The ops from the root down to the anchor of a pass that works on `module`."""
        if self.root is None or module is self.root:
            return [module]
        inner = list(module.body.block.ops) if isinstance(module, ModuleOp) else []
        nested = [op for op, _, _ in self.stack] or inner[:1] or [module]
        return [self.root, *nested]

    @contextmanager
    def in_place(self, module: Operation) -> Generator[Operation]:
        """The whole module, with what the pass works on back where it stands in it."""
        block, following = (self.stack[-1][1], self.stack[-1][2]) if self.stack else (None, None)
        if self.root is None or module is self.root or block is None or not isinstance(module, ModuleOp):
            yield module
            return
        inner = module.body.block
        ops = list(inner.ops)
        for op in ops:
            op.detach()
            if following is None:
                block.add_op(op)
            else:
                block.insert_op_before(op, following)
        try:
            yield self.root
        finally:
            for op in ops:
                op.detach()
                inner.add_op(op)
