"""`--mlir-print-ir-…`: the IR before and after passes, to stderr or into a tree of files (`--mlir-print-ir-tree-dir`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ....dialects.ir.diagnostics import LlmcError
from ....dialects.ir.hashing import structural_hash
from ....dialects.ir.symbols import symbol_name
from ....passes.framework.pass_ import Pass, PassContext
from .base import CommandInstrument
from .form import Anchors, PrintForm, form_of
from .tree import TreeFiles


class Sink(Protocol):
    """Where dumps go: `ran` counts an application of a pass, `put` takes one dump of it. `path` leads from the root to the anchor."""

    def ran(self, path: Sequence[Operation]) -> None: ...

    def put(self, moment: str, pass_: Pass, path: Sequence[Operation], shown: Operation, form: PrintForm) -> None: ...


@dataclass
class ToStderr:
    """Dumps behind mlir-opt's headings."""

    color: str = "auto"

    def ran(self, path: Sequence[Operation]) -> None: ...

    def put(self, moment: str, pass_: Pass, path: Sequence[Operation], shown: Operation, form: PrintForm) -> None:
        moment, failed = (moment.removesuffix(" Failed"), " Failed") if moment.endswith(" Failed") else (moment, "")
        place = ""
        if shown is not path[-1]:
            name = symbol_name(path[-1])
            place = f" ('{path[-1].name}' operation" + (f": @{name})" if name else ")")
        print(f"// -----// IR Dump {moment} {type(pass_).__name__}{failed} ({pass_.name}){place} //----- //", file=sys.stderr)
        text = form.text(shown)
        if self.color != "never":
            from ..colour import paint_ir, wanted

            text = paint_ir(text) if wanted(self.color, sys.stderr) else text
        print(text, file=sys.stderr)


@dataclass
class PrintIr(CommandInstrument):
    """Prints what a pass is anchored on before or after passes (`None`: every pass). `on_change`: after only where the pass changed
    something; `module_scope`: the whole module, whatever the anchor is."""

    before_names: frozenset[str] | None
    after_names: frozenset[str] | None
    on_change: bool
    on_failure: bool
    module_scope: bool
    form: PrintForm
    sink: Sink
    anchors: Anchors = field(default_factory=Anchors)
    _hashes: list[str] = field(default_factory=list[str])

    def start(self, context: PassContext, root: ModuleOp) -> None:
        self.anchors.root = root

    def enter(self, anchor: Any) -> None:
        self.anchors.enter(anchor.op)

    def leave(self, anchor: Any) -> None:
        self.anchors.leave()

    def _put(self, moment: str, pass_: Pass, module: Operation) -> None:
        path = self.anchors.path(module)
        if self.module_scope and len(path) > 1:
            with self.anchors.in_place(module) as whole:
                self.sink.put(moment, pass_, path, whole, self.form)
        else:
            self.sink.put(moment, pass_, path, path[-1], self.form)

    def before(self, pass_: Pass, module: Operation) -> None:
        if self.on_change:
            self._hashes.append(structural_hash(module, digits=64) if self._prints_after(pass_) else "")
        self.sink.ran(self.anchors.path(module))
        if self.before_names is None or pass_.name in self.before_names:
            self._put("Before", pass_, module)

    def _prints_after(self, pass_: Pass) -> bool:
        return self.after_names is None or pass_.name in self.after_names

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        before = self._hashes.pop() if self.on_change else ""
        if self._prints_after(pass_) and not (self.on_change and structural_hash(module, digits=64) == before):
            self._put("After", pass_, module)

    @property
    def shows_failures(self) -> bool:
        return self.on_failure

    def failed(self, pass_: Pass, module: Operation, error: BaseException) -> None:
        if self.on_change:
            self._hashes.pop()
        if self.on_failure:
            self._put("After Failed", pass_, module)


def names_of(values: Iterable[str]) -> frozenset[str]:
    """The passes that a flag names, in comma lists or one at a time."""
    return frozenset(name.strip() for value in values for name in value.split(",") if name.strip())


def check_names(arguments: argparse.Namespace, find: Callable[[str], object]) -> None:
    """Look the passes up that flags name; what `find` raises for one that there is none of leaves with the flag on it."""
    for flag, values in (
        ("--mlir-print-ir-before", arguments.mlir_print_ir_before),
        ("--mlir-print-ir-after", arguments.mlir_print_ir_after),
    ):
        for name in sorted(names_of(values)):
            try:
                find(name)
            except LlmcError as error:
                error.where = flag
                raise


def from_arguments(arguments: argparse.Namespace) -> list[CommandInstrument]:
    before = names_of(arguments.mlir_print_ir_before)
    after = names_of(arguments.mlir_print_ir_after)
    tree: str | None = arguments.mlir_print_ir_tree_dir
    change, failure = arguments.mlir_print_ir_after_change, arguments.mlir_print_ir_after_failure
    before_all, after_all = arguments.mlir_print_ir_before_all, arguments.mlir_print_ir_after_all
    named = bool(before or after or before_all or after_all)
    if not (named or change or failure or tree is not None):
        return []
    # a flag that only says when or where to print stands for "after every pass"
    every_after = after_all or (not (before or before_all or after) and (change or (tree is not None and not failure)))
    return [
        PrintIr(
            None if before_all else before,
            None if every_after else after,
            change,
            failure,
            arguments.mlir_print_ir_module_scope,
            form_of(arguments),
            TreeFiles(Path(tree)) if tree is not None else ToStderr(arguments.color),
        )
    ]
