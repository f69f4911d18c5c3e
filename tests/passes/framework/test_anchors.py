"""Nested pipelines: which ops they run on, what a pass sees of them, and that the module stays whole."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module
from llmc.dialects.ir.symbols import symbol_name
from llmc.passes.framework.instrument import Instrument
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.framework.pipeline import parse_pipeline
from llmc.passes.framework.plugin import Plugin
from llmc.passes.framework.registry import Registry
from xdsl.dialects.builtin import StringAttr, UnitAttr

TEXT = """
builtin.module attributes {llmc.target = "sm_80"} {
  nn.weight @w {
    %0 = nn.entry "w" : tensor<4xf32>
    nn.yield %0 : tensor<4xf32>
  }
  func.func @f() -> tensor<4xf32> {
    %0 = nn.param @w : tensor<4xf32>
    func.return %0 : tensor<4xf32>
  }
  builtin.module @inner {
    func.func @h(%x: f32) -> f32 {
      func.return %x : f32
    }
  }
  func.func @g(%x: f32) -> f32 {
    %y = arith.addf %x, %x : f32
    func.return %y : f32
  }
}
"""


@dataclass(frozen=True)
class Mark(Pass):
    """Mark what it runs on, and the target it sees."""

    name = "mark"
    word: str = "seen"

    def run(self, ctx, module):
        for op in module.body.block.ops:
            op.attributes[self.word] = module.attributes.get("llmc.target", UnitAttr())
            ctx.count("marked")


@dataclass(frozen=True)
class FailOnG(Pass):
    """Rename what it runs on; fail on @g."""

    name = "fail-on-g"

    def run(self, ctx, module):
        (op,) = module.body.block.ops
        op.attributes["touched"] = UnitAttr()
        if symbol_name(op) == "g":
            raise ValueError("no")


@dataclass(frozen=True)
class Erase(Pass):
    """Erase what it runs on."""

    name = "erase"

    def run(self, ctx, module):
        for op in list(module.body.block.ops):
            op.detach()
            op.erase()


@dataclass(frozen=True)
class Lose(Pass):
    """Make the parameter name a weight that is none."""

    name = "lose"

    def run(self, ctx, module):
        for op in list(module.walk()):
            if op.name == "arith.addf":
                op.operands[0] = op.results[0]


@dataclass(frozen=True)
class Whole(Pass):
    """Runs on the whole module alone."""

    name = "whole"
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx, module):
        ctx.count("runs")


REGISTRY = Registry([Plugin("these tests", passes=(Mark, FailOnG, Erase, Lose, Whole))])


def run(text, instruments=()):
    module = parse_module(make_context(), TEXT)
    context = PassContext(make_context(), registry=REGISTRY)
    PassManager(context, instruments=instruments).run(parse_pipeline(text, REGISTRY), module)
    return module, context


def marked(module, word="seen"):
    return [symbol_name(op) for op in module.walk() if word in op.attributes]


@pytest.mark.parametrize(
    "text, names",
    [
        ("func.func(mark)", ["f", "g"]),
        ("nn.weight(mark)", ["w"]),
        ("any(mark)", ["w", "f", "h", "g"]),
        ("builtin.module(builtin.module(func.func(mark)))", ["h"]),
        ("builtin.module(builtin.module(any(mark)),func.func(mark))", ["f", "h", "g"]),
        ("func.func()", []),
        ("fusion.kernel(mark)", []),
    ],
)
def test_a_nested_pipeline_runs_on_the_ops_of_its_anchor_directly_inside(text, names):
    before = [symbol_name(op) for op in parse_module(make_context(), TEXT).body.block.ops]
    module, _ = run(text)
    assert marked(module) == names
    assert [symbol_name(op) for op in module.body.block.ops] == before


def test_a_pass_on_an_anchor_sees_the_attributes_of_the_module():
    module, _ = run("func.func(mark)")
    assert all(op.attributes["seen"] == StringAttr("sm_80") for op in module.walk() if "seen" in op.attributes)


def test_passes_of_one_anchor_run_before_those_of_the_next():
    seen = []

    class Log(Instrument):
        def enter(self, anchor):
            seen.append(f"enter {anchor}")

        def leave(self, anchor):
            seen.append(f"leave {anchor}")

        def before(self, pass_, module):
            seen.append(f"{pass_.name}{{{pass_.word}}}")

    run("func.func(mark{word=a},mark{word=b})", [Log()])
    each = ["mark{a}", "mark{b}"]
    assert seen == ["enter func.func @f", *each, "leave func.func @f", "enter func.func @g", *each, "leave func.func @g"]


def test_a_failure_names_the_anchor_and_leaves_the_module_whole():
    module = parse_module(make_context(), TEXT)
    failed = []

    class Log(Instrument):
        def failed(self, pass_, inner, error):
            failed.append(symbol_name(inner.body.block.first_op))

    manager = PassManager(PassContext(make_context(), registry=REGISTRY), instruments=[Log()])
    with pytest.raises(LlmcError, match=r"in pass 'fail-on-g' on func\.func @g"):
        manager.run(parse_pipeline("func.func(fail-on-g)", REGISTRY), module)
    assert failed == ["g"]
    assert marked(module, "touched") == ["f", "g"]
    for op in module.walk():
        op.attributes.pop("touched", None)
    assert print_module(module) == print_module(parse_module(make_context(), TEXT))


def test_what_a_pass_leaves_on_an_anchor_is_verified():
    with pytest.raises(LlmcError, match="before it is defined"):
        run("func.func(lose)")


def test_nothing_more_runs_on_an_anchor_that_a_pass_erased():
    module, context = run("builtin.module(func.func(erase,mark))")
    assert [symbol_name(op) for op in module.body.block.ops] == ["w", "inner"]
    assert "mark" not in context.statistics


def test_statistics_are_kept_by_pass_and_by_anchor():
    _, context = run("mark,func.func(mark)")
    assert context.statistics["mark"] == {"marked": 6}
    assert context.anchored["mark", "builtin.module"] == {"marked": 4}
    assert context.anchored["mark", "func.func @g"] == {"marked": 1}


def test_nested_pipelines_stand_in_the_tree_of_times():
    _, context = run("func.func(mark)")
    node = context.timing.root.children["'func.func' pipeline"]
    assert node.entries == 2 and node.children["mark"].entries == 2


def test_a_pass_that_says_where_it_runs_runs_nowhere_else():
    with pytest.raises(LlmcError, match=r"pass 'whole' can't run on func\.func") as caught:
        run("func.func(mark,whole)")
    assert "      func.func(mark,whole)\n                     ^" in caught.value.render()
    with pytest.raises(LlmcError, match=r"pass 'whole' can't run on nn\.weight"):
        run("any(whole)")
    assert run("builtin.module(whole,builtin.module(whole))")[1].statistics["whole"] == {"runs": 2}


def test_an_op_that_sees_what_is_around_it_is_no_anchor():
    module = parse_module(
        make_context(),
        """
        func.func @f(%n: index) {
          scf.for %i = %n to %n step %n {
          }
          func.return
        }
        """,
    )
    manager = PassManager(PassContext(make_context(), registry=REGISTRY))
    with pytest.raises(LlmcError, match=r"passes can't run on scf\.for"):
        manager.run(parse_pipeline("func.func(scf.for(mark))", REGISTRY), module)
