"""Pipelines as text, the pass manager, remarks."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework import pipeline
from llmc.passes.framework.actions import Counter
from llmc.passes.framework.instrument import Instrument
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.framework.plugin import Plugin
from llmc.passes.framework.registry import Registry
from xdsl.dialects import math
from xdsl.dialects.builtin import i32

TEXT = """
func.func @f(%x: f32) -> f32 {
  %y = arith.addf %x, %x : f32
  func.return %y : f32
}
"""


@dataclass(frozen=True)
class Renumber(Pass):
    """A pass with options of every kind."""

    name = "renumber"
    start: int = 0
    label: str = "n"
    fast: bool = False
    sizes: tuple[int, ...] = ()

    def run(self, ctx, module):
        ctx.count("runs")
        ctx.remark("analysis", "test", next(iter(module.body.block.ops)), f"starts at {self.start}")


@dataclass(frozen=True)
class Crash(Pass):
    """A pass that fails."""

    name = "crash"

    def run(self, ctx, module):
        raise KeyError("lost")


@dataclass(frozen=True)
class Keep(Pass):
    """Claims to consume arith, and does not."""

    name = "keep"
    consumes: ClassVar[tuple[str, ...]] = ("arith",)

    def run(self, ctx, module):
        pass


@dataclass(frozen=True)
class Bring(Pass):
    """Brings in an op of math, and says what it is told to say."""

    name = "bring"
    produces: ClassVar[tuple[str, ...] | None] = ("tensor",)

    def run(self, ctx, module):
        add = next(op for op in module.walk() if op.name == "arith.addf")
        exp = math.ExpOp(add.results[0])
        exp.location = add.location
        add.parent.insert_op_after(exp, add)


@dataclass(frozen=True)
class BringSaid(Bring):
    """Says it."""

    name = "bring-said"
    produces: ClassVar[tuple[str, ...] | None] = ("math",)


@dataclass(frozen=True)
class BringUnsaid(Bring):
    """Says nothing."""

    name = "bring-unsaid"
    produces: ClassVar[tuple[str, ...] | None] = None


@dataclass(frozen=True)
class Optional(Renumber):
    """A pass that may be left out."""

    name = "optional"
    required: ClassVar[bool] = False


@dataclass(frozen=True)
class Swap(Pass):
    """Puts the return before the addition."""

    name = "swap"

    def run(self, ctx, module):
        add = next(op for op in module.walk() if op.name == "arith.addf")
        use = next(op for op in module.walk() if op.name == "func.return")
        extra = add.clone()
        add.parent.insert_op_before(extra, add)
        add.operands[0] = extra.results[0]
        extra.operands[0] = add.results[0]
        del use


REGISTRY = Registry([Plugin("these tests", passes=(Renumber, Crash, Keep, Swap))])


def parse(text):
    return pipeline.parse_pipeline(text, REGISTRY)


def module():
    return parse_module(make_context(), TEXT)


def manager(**kwargs):
    return PassManager(PassContext(make_context()), **kwargs)


@pytest.mark.parametrize(
    "text", ["renumber", "renumber{start=3 label=x fast=true sizes=1,2}", "func.func(renumber,crash),keep"]
)
def test_pipelines_round_trip(text):
    elements = parse(f"builtin.module({text})")
    assert parse(pipeline.print_elements(elements)) == elements


@pytest.mark.parametrize(
    "text, message",
    [
        ("renumber{", "ends too early"),
        ("renumber,,crash", "expected the name of a pass"),
        ("renumber{strat=1}", "no option 'strat'"),
        ("renumber{start=many}", "expected an integer"),
        ("renumber{fast=perhaps}", "true or false"),
        ("renumber)", r"unexpected '\)'"),
        ("no-such-pass", "unknown pass"),
        ("renumber;crash", "unexpected character"),
    ],
)
def test_a_wrong_pipeline_says_what_is_wrong(text, message):
    with pytest.raises(LlmcError, match=message):
        parse(text)


def test_passes_run_in_order_on_their_anchors_and_leave_remarks():
    m = manager()
    m.run(parse("renumber{start=2},func.func(renumber{start=5})"), module())
    assert m.context.statistics["renumber"]["runs"] == 2
    assert [r.message for r in m.context.remarks.of("test")] == ["starts at 2", "starts at 5"]


def test_a_nested_pass_leaves_the_function_where_it_was():
    m, ir = manager(), module()
    m.run(parse("func.func(renumber)"), ir)
    assert [op.name for op in ir.body.block.ops] == ["func.func"]


def test_a_failing_pass_is_named():
    with pytest.raises(LlmcError, match="pass 'crash' failed: KeyError"):
        manager().run([Crash()], module())


def test_what_a_pass_says_it_consumes_must_be_gone():
    with pytest.raises(LlmcError, match=r"arith\.addf remains after pass 'keep'"):
        manager().run([Keep()], module())


def test_a_dialect_that_a_pass_brings_in_must_be_one_that_it_produces():
    ir = parse_module(make_context(), TEXT, "f.mlir", locate=True)
    with pytest.raises(LlmcError, match=r"math\.exp came in with pass 'bring'") as caught:
        manager().run([Bring()], ir)
    assert caught.value.code == "LLMC0213" and "f.mlir:3" in caught.value.render()
    for silent in (BringSaid(), BringUnsaid()):
        manager().run([silent], module())
    ir = module()
    manager().run([BringSaid(), Bring()], ir)  # it was there before


def test_only_optional_passes_are_left_out_and_counted():
    skipped = []

    class Refuse(Instrument):
        def wants(self, pass_, module):
            return False

        def skipped(self, pass_, module):
            skipped.append(pass_.name)

    m = manager(instruments=[Refuse()])
    m.run([Renumber(), Optional()], module())
    assert list(m.context.statistics) == ["renumber"] and skipped == ["optional"]
    m = manager()
    m.context.actions.counters["pass"] = Counter(count=1)
    m.run([Renumber(), Optional(), Renumber(), Optional()], module())
    assert m.context.statistics["renumber"]["runs"] == 2 and m.context.statistics["optional"]["runs"] == 1


def test_dominance_is_checked_after_each_pass():
    with pytest.raises(LlmcError, match="before it is defined"):
        manager().run([Swap()], module())


def test_every_error_that_a_pass_leaves_names_it():
    class Narrow(Pass):
        name = "narrow"

        def run(self, ctx, module):
            for op in [op for op in module.walk() if op.name == "arith.addf"]:
                op.results[0]._type = i32  # pyright: ignore

    text = TEXT.replace("  %y", "  %z = arith.addf %x, %x : f32\n  %y")
    with pytest.raises(LlmcError) as caught:
        manager().run([Narrow()], parse_module(make_context(), text))
    errors = [caught.value, *caught.value.others]
    assert [error.where.name for error in errors] == ["arith.addf", "arith.addf", "func.return"]
    assert all(error.passes == ("pass 'narrow'",) for error in errors)


def test_instruments_see_every_pass():
    seen = []

    class Log(Instrument):
        def before(self, pass_, module):
            seen.append(("before", pass_.name))

        def after(self, pass_, module, seconds):
            seen.append(("after", pass_.name))

    manager(instruments=[Log()]).run([Renumber()], module())
    assert seen == [("before", "renumber"), ("after", "renumber")]
