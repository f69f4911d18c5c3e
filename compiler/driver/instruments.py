"""Instruments of the commands: printing IR around passes, numbered files, times. All output goes to stderr or files."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.ir import Operation

from ...dialects.ir.printer import print_module
from ...passes.framework.manager import Instrument
from ...passes.framework.pass_ import Pass


class CommandInstrument(Instrument):
    """An instrument with something to say at the end."""

    def finish(self) -> None: ...


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


@dataclass
class IrTree(CommandInstrument):
    """Writes the module after every pass as `NNN_pass-name.mlir` in a folder, as it goes."""

    directory: Path
    number: int = 0

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / f"{self.number:03d}_{pass_.name}.mlir").write_text(print_module(module, locations=True))
        self.number += 1


@dataclass
class Timing(CommandInstrument):
    """The wall time of every pass, printed at the end."""

    rows: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        self.rows.append((pass_.name, seconds))

    def finish(self) -> None:
        total = sum(seconds for _, seconds in self.rows) or 1e-9
        print("===- Pass execution timing -===", file=sys.stderr)
        for name, seconds in self.rows:
            print(f"  {seconds:9.4f} s  {100 * seconds / total:5.1f} %  {name}", file=sys.stderr)
        print(f"  {total:9.4f} s  100.0 %  total", file=sys.stderr)


def printing_instruments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    """The instruments that a command's flags ask for."""
    found: list[CommandInstrument] = []
    before = None if arguments.mlir_print_ir_before_all else frozenset[str](arguments.mlir_print_ir_before)
    after = None if arguments.mlir_print_ir_after_all else frozenset[str](arguments.mlir_print_ir_after)
    if before != frozenset() or after != frozenset() or arguments.mlir_print_ir_after_failure:
        found.append(
            PrintIr(before, after, arguments.mlir_print_ir_after_failure, arguments.mlir_elide_elementsattrs_if_larger)
        )
    if arguments.mlir_print_ir_tree_dir is not None:
        found.append(IrTree(Path(arguments.mlir_print_ir_tree_dir)))
    if arguments.mlir_timing:
        found.append(Timing())
    return found
