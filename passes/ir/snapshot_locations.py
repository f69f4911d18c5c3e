"""Locations that point into a dump, so that what comes later can be traced to a line of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, FileLineColLoc, FusedLoc, IntAttr, ModuleOp, NoneAttr, StringAttr

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.locations import is_known
from ...dialects.ir.printer import print_with_spans
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class SnapshotLocations(Pass):
    """Write the module to `file` and give every op the place where it stands there; with `keep` its own location stays beside it.

    A profiler that reads line information, or an error of a later pass, then points at a line of IR instead of a line of PyTorch.

    ```mlir before
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32> loc("model.layers.0")
      func.return %0 : tensor<4xf32>
    }
    ```
    ```mlir after
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = nn.exp %x : (tensor<4xf32>) -> tensor<4xf32> loc("snapshot.mlir":3:1)
      func.return %0 : tensor<4xf32> loc("snapshot.mlir":4:1)
    } loc("snapshot.mlir":2:1)
    ```
    """

    name: ClassVar[str] = "snapshot-locations"
    produces: ClassVar[tuple[str, ...] | None] = ()
    required: ClassVar[bool] = False
    file: str = "snapshot.mlir"
    keep: bool = False

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        printed = print_with_spans(module)
        try:
            Path(self.file).write_text(printed.text, encoding="utf-8")
        except OSError as error:
            raise LlmcError(
                "LLMC0005", f"can't write {self.file}", self.file, why=error.strerror or str(error), fix="give another file"
            ) from None
        for op, (line, _) in printed.spans.items():
            place = FileLineColLoc(StringAttr(self.file), IntAttr(line + 1), IntAttr(1))
            op.location = (
                FusedLoc(ArrayAttr([place, op.location]), NoneAttr()) if self.keep and is_known(op.location) else place
            )
        ctx.count("located", len(printed.spans))
