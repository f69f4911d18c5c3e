"""The passes of the layout phase share one symbol table, which none of them leaves untrue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from checked import passes_of, standing_at
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.symbols import SymbolTable, defined_symbols
from llmc.dialects.rt.ops import ProgramOp, ReturnOp
from llmc.passes.framework.instrument import Instrument
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.framework.pipeline import Element
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

SHARING = ("bufferise", "close-decode-loop", "choose-schedules", "choose-weight-images", "lower-weights", "finalise-abi")


@dataclass(frozen=True)
class AddProgram(Pass):
    """Adds a program behind the table's back."""

    name: ClassVar[str] = "add-program"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        program = ProgramOp("load_1", [])
        program.block.add_op(ReturnOp())
        module.body.block.add_op(program)


class Compared(Instrument):
    """Compares the shared table with the module after every pass that shares it."""

    def __init__(self, context: PassContext) -> None:
        self.context = context
        self.seen: list[str] = []

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        table = self.context.analyses.known.get((SymbolTable, module))
        if table is not None:
            assert table.by_name == defined_symbols(module), pass_.name
            self.seen.append(pass_.name)


def lowered(module: ModuleOp, passes: list[Element]) -> tuple[PassContext, list[str]]:
    context = PassContext(make_context())
    compared = Compared(context)
    PassManager(context, instruments=[compared]).run(passes, module)
    return context, compared.seen


def computed(context: PassContext) -> list[str]:
    """The passes in which the table was computed."""
    passes = context.timing.root.children
    return [name for name, scope in passes.items() if "(analysis) SymbolTable" in scope.children]


@pytest.mark.parametrize("scheme", ["none", "int8"])
def test_one_table_is_computed_and_true_after_every_pass(scheme: str) -> None:
    module = standing_at("quant", scheme=scheme)
    context, seen = lowered(module, list(passes_of("layout", module)))
    assert tuple(seen) == SHARING
    assert computed(context) == ["bufferise"]


def test_a_pass_that_does_not_keep_the_table_ends_it() -> None:
    module = standing_at("quant")
    passes = list(passes_of("layout", module))
    context, seen = lowered(module, [*passes[:4], AddProgram(), *passes[4:]])
    assert tuple(seen) == SHARING
    assert computed(context) == ["bufferise", "lower-weights"]


def test_the_next_run_of_the_manager_looks_at_the_module_again() -> None:
    module = standing_at("quant")
    passes = list(passes_of("layout", module))
    context = PassContext(make_context())
    manager = PassManager(context)
    manager.run(passes[:4], module)
    AddProgram().run(context, module)
    manager.run(passes[4:], module)
    assert computed(context) == ["bufferise", "lower-weights"]
