"""Locations that point into a dump, so that what comes later can be traced to a line of it."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from xdsl.dialects.builtin import ArrayAttr, FileLineColLoc, FusedLoc, IntAttr, ModuleOp, NoneAttr, StringAttr
from xdsl.ir import Operation

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.locations import is_known
from ...dialects.ir.printer import IrPrinter, collect_aliases
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class SnapshotLocations(Pass):
    """Write the module to `file` and give every op the place where it stands there; with `keep` its own location stays beside it.

    A profiler that reads line information, or an error of a later pass, then points at a line of IR instead of a line of PyTorch.
    """

    name: ClassVar[str] = "snapshot-locations"
    required: ClassVar[bool] = False
    file: str = "snapshot.mlir"
    keep: bool = False

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        printer = _LinePrinter(stream=StringIO(), aliases=collect_aliases(module))
        printer.print_aliases()
        printer.print_op(module)
        text = printer.text()
        try:
            Path(self.file).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise LlmcError(
                "LLMC0005", f"can't write {self.file}", self.file, why=error.strerror or str(error), fix="give another file"
            ) from None
        for op, line in printer.lines.items():
            place = FileLineColLoc(StringAttr(self.file), IntAttr(line), IntAttr(1))
            op.location = (
                FusedLoc(ArrayAttr([place, op.location]), NoneAttr()) if self.keep and is_known(op.location) else place
            )
        ctx.count("located", len(printer.lines))


class _LinePrinter(IrPrinter):
    """Notes the line that each op begins at."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.lines: dict[Operation, int] = {}

    def text(self) -> str:
        stream = self.stream
        assert isinstance(stream, StringIO)
        return stream.getvalue()

    def print_op(self, op: Operation) -> None:
        self.lines[op] = self.text().count("\n") + 1
        super().print_op(op)
