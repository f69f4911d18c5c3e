"""`--mlir-print-ir-…`: the IR before and after passes, to stderr."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from xdsl.ir import Operation

from ....dialects.ir.printer import print_module
from ....passes.framework.pass_ import Pass
from .base import CommandInstrument


@dataclass
class PrintIr(CommandInstrument):
    """Prints the module before or after passes (`None`: every pass)."""

    before_names: frozenset[str] | None
    after_names: frozenset[str] | None
    on_failure: bool
    elide: int | None

    def _print(self, moment: str, pass_: Pass, module: Operation) -> None:
        print(f"// -----// IR Dump {moment} {pass_.name} //----- //", file=sys.stderr)
        print(print_module(module, elide=self.elide), file=sys.stderr)

    def before(self, pass_: Pass, module: Operation) -> None:
        if self.before_names is None or pass_.name in self.before_names:
            self._print("Before", pass_, module)

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        if self.after_names is None or pass_.name in self.after_names:
            self._print("After", pass_, module)

    def failed(self, pass_: Pass, module: Operation, error: Exception) -> None:
        if self.on_failure:
            self._print("After Failure of", pass_, module)


def from_arguments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    before = None if arguments.mlir_print_ir_before_all else frozenset[str](arguments.mlir_print_ir_before)
    after = None if arguments.mlir_print_ir_after_all else frozenset[str](arguments.mlir_print_ir_after)
    if before == frozenset() and after == frozenset() and not arguments.mlir_print_ir_after_failure:
        return []
    return [PrintIr(before, after, arguments.mlir_print_ir_after_failure, arguments.mlir_elide_elementsattrs_if_larger)]
