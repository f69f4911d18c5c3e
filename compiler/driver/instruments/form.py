"""How instruments print IR: the flags of the group "how IR is printed"."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

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


def anchor_of(module: Operation, root: Operation | None) -> Operation:
    """The op that a pass is anchored on: `module`, or what stands alone in it where it holds one op of `root`."""
    if module is root or not isinstance(module, ModuleOp):
        return module
    ops = list(module.body.block.ops)
    return ops[0] if len(ops) == 1 and not module.attributes else module


def top_of(op: Operation) -> Operation:
    """The outermost op around another."""
    parent = op.parent_op()
    while parent is not None:
        op, parent = parent, parent.parent_op()
    return op


def symbol_of(op: Operation) -> str | None:
    """The name of an op that has one."""
    attribute = op.properties.get("sym_name") or op.attributes.get("sym_name")
    return getattr(attribute, "data", None)
