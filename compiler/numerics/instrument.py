"""The instrument: compares the module before and after every pass, and stops at the first that changes the numbers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.printer import print_module
from ...passes.framework.anchor import Anchor
from ...passes.framework.instrument import Instrument
from ...passes.framework.pass_ import Pass
from ...passes.framework.pipeline import print_pass
from ..files import make_folder, write_text
from .compare import Runs, compare_modules
from .outcome import NumericsOptions
from .report import Summary, error_of


@dataclass
class NumericsCheck(Instrument):
    """Raises LLMC0263 after the first pass whose module computes something else than the module it was given. `dump`: a folder where
    the module before and after every pass that was compared is written, numbered. `words`: what an llmc-opt command needs besides to
    compare the same again (plugins, seeds). `prints`: whether the command at work can print the IR around a pass."""

    options: NumericsOptions = field(default_factory=NumericsOptions)
    dump: Path | None = None
    words: Sequence[str] = ("--check-numerics",)
    prints: bool = True
    summary: Summary = field(default_factory=Summary)
    runs: Runs = field(default_factory=Runs)
    number: int = 0
    _before: ModuleOp | None = None
    _anchors: list[Anchor] = field(default_factory=list[Anchor])

    def enter(self, anchor: Anchor) -> None:
        self._anchors.append(anchor)

    def leave(self, anchor: Anchor) -> None:
        self._anchors.pop()

    def _whole(self, module: ModuleOp) -> ModuleOp:
        """A copy of the module that a pass works on; of one that holds a symbol alone, with the symbols around it, which it may use."""
        copy = module.clone()
        if len(self._anchors) == 1 and module is not self._anchors[0].root:
            copy.body.block.add_ops([op.clone() for op in self._anchors[0].root.body.block.ops])
        return copy

    def before(self, pass_: Pass, module: Operation) -> None:
        self._before = self._whole(module) if isinstance(module, ModuleOp) else None

    def failed(self, pass_: Pass, module: Operation, error: BaseException) -> None:
        self._before = None

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        before, self._before = self._before, None
        if before is None or not isinstance(module, ModuleOp):
            return
        after = self._whole(module) if self._anchors else module
        try:
            outcome = compare_modules(before, after, self.options, contract=pass_.numerics, runs=self.runs)
        except LlmcError as error:
            error.passes = (*error.passes, f"pass '{pass_.name}'")
            self._write(pass_, before, after)
            raise
        self.summary.outcomes.append((pass_.name, outcome))
        if outcome.unchanged:
            return
        written = self._write(pass_, before, after)
        if outcome.difference is not None:
            raise error_of(pass_.name, outcome.difference, self._see(pass_, written))

    def _write(self, pass_: Pass, before: ModuleOp, after: ModuleOp) -> tuple[Path, Path] | None:
        if self.dump is None:
            return None
        make_folder(self.dump)
        paths = [self.dump / f"{self.number:03d}_{pass_.name}.{when}.mlir" for when in ("before", "after")]
        for path, module in zip(paths, (before, after), strict=True):
            write_text(str(path), print_module(module, locations=True))
        self.number += 1
        return paths[0], paths[1]

    def _see(self, pass_: Pass, written: tuple[Path, Path] | None) -> str:
        """The command that shows the IR before and after."""
        if written is not None:
            pipeline = print_pass(pass_)
            for anchor in reversed(self._anchors):
                pipeline = f"{anchor.op.name}({pipeline})"
            again = shlex.join(["llmc-opt", str(written[0]), f"--pass-pipeline={pipeline}", *self.words])
            return f"compare {written[0]} with {written[1]}; {again} runs this pass alone"
        if not self.prints:
            return "run again with --check-numerics-dump DIR to keep both modules"
        flags = f"--mlir-print-ir-before={pass_.name} --mlir-print-ir-after={pass_.name}"
        return f"run again with {flags} to see the IR, or with --check-numerics-dump DIR to keep both modules"
