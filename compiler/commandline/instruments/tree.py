"""`--mlir-print-ir-tree-dir`: dumps as numbered files, in mlir-opt's layout, written as the passes run.

    DIR/builtin_module_no-symbol-name/0_canonicalize.mlir
    DIR/builtin_module_no-symbol-name/func_func_main/0_0_cse.mlir

A folder stands for an op that passes are anchored on; a file's numbers count the passes of each op around its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.ir import Operation

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.ir.symbols import symbol_name
from ....passes.framework.pass_ import Pass
from .form import PrintForm


@dataclass
class TreeFiles:
    """Counts the passes of every op and writes the files."""

    directory: Path
    counts: dict[Operation, int] = field(default_factory=dict[Operation, int])

    def ran(self, path: Sequence[Operation]) -> None:
        for op in path[:-1]:
            self.counts.setdefault(op, 0)
        self.counts[path[-1]] = self.counts.get(path[-1], -1) + 1

    def put(self, moment: str, pass_: Pass, path: Sequence[Operation], shown: Operation, form: PrintForm) -> None:
        numbers = "_".join(str(self.counts.get(op, 0)) for op in path)
        folder = self.directory.joinpath(*(_folder(op) for op in path))
        suffix = {"Before": "_before", "After Failed": "_failed"}.get(moment, "")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{numbers}_{pass_.name}{suffix}.mlir").write_text(form.text(shown), encoding="utf-8")
        except OSError as error:
            raise LlmcError(
                "LLMC0250",
                f"can't write the IR of passes into {self.directory}",
                "--mlir-print-ir-tree-dir",
                why=error.strerror or str(error),
                fix="choose a folder with room and permission",
            ) from None


def _folder(op: Operation) -> str:
    name = symbol_name(op) or "no-symbol-name"
    return re.sub(r"[^\w.\-]", "_", f"{op.name.replace('.', '_')}_{name}")
