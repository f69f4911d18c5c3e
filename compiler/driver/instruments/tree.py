"""`--mlir-print-ir-tree-dir`: a numbered file after every pass, written as it goes."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from xdsl.ir import Operation

from ....dialects.ir.printer import print_module
from ....passes.framework.pass_ import Pass
from .base import CommandInstrument


@dataclass
class IrTree(CommandInstrument):
    """Writes the module after every pass as `NNN_pass-name.mlir` in a folder."""

    directory: Path
    number: int = 0

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / f"{self.number:03d}_{pass_.name}.mlir").write_text(print_module(module, locations=True))
        self.number += 1


def from_arguments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    return [IrTree(Path(arguments.mlir_print_ir_tree_dir))] if arguments.mlir_print_ir_tree_dir is not None else []
