"""The greedy driver: fixpoints, fuel, locations, counters, dead ops; patterns named when they fail."""

from __future__ import annotations

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError, describe_location
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.actions import Actions, Counter
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.framework.patterns import Pattern, PatternSet, RulePattern, XdslPattern, kebab
from llmc.passes.framework.rewriter import IrRewriter
from llmc.passes.framework.rewriting import apply_patterns
from xdsl.dialects import arith
from xdsl.dialects.builtin import IntegerAttr, i32
from xdsl.ir import Operation
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

CHAIN = """
func.func @f(%x: i32) -> i32 {
  %z = arith.constant 0 : i32
  %0 = arith.addi %x, %z : i32 loc("model.layers.0"("model.py":3:1))
  %1 = arith.addi %0, %z : i32 loc("model.layers.1"("model.py":4:1))
  %2 = arith.muli %1, %1 : i32 loc("model.layers.2"("model.py":5:1))
  %3 = arith.muli %2, %z : i32
  func.return %2 : i32
}
"""


def load(text: str = CHAIN):
    return parse_module(make_context(), text)


def context() -> PassContext:
    return PassContext(make_context(), running="test")


def names(module: Operation) -> list[str]:
    return [op.name for op in module.walk() if op.name.startswith("arith")]


class AddZero(Pattern):
    """x + 0 is x."""

    name = "add-zero"
    roots = (arith.AddiOp,)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        right = op.operands[1].owner
        if isinstance(right, arith.ConstantOp) and right.value == IntegerAttr(0, i32):
            rewriter.replace(op, [], [op.operands[0]])


class Square(Pattern):
    """x * x is x + x, which it is not, in two new ops."""

    name = "square"
    roots = (arith.MuliOp,)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        if op.operands[0] is op.operands[1]:
            one = arith.ConstantOp(IntegerAttr(1, i32))
            rewriter.replace(op, [one, arith.AddiOp(op.operands[0], one.result)])


class Swap(Pattern):
    """Never ends."""

    name = "swap"
    roots = (arith.MuliOp,)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        rewriter.replace(op, arith.MuliOp(op.operands[1], op.operands[0]))


class Broken(Pattern):
    name = "broken"
    roots = (arith.MuliOp,)

    def rewrite(self, op: Operation, rewriter: IrRewriter) -> None:
        raise KeyError("lost")


class Insert(RewritePattern):
    """An xDSL pattern that inserts and modifies in place."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: arith.MuliOp, rewriter: PatternRewriter, /) -> None:
        if isinstance(op.lhs.owner, arith.SubiOp):
            return
        new = rewriter.insert(arith.SubiOp(op.lhs, op.rhs))
        op.operands[0] = new.result
        rewriter.notify_op_modified(op)


def test_patterns_run_to_a_fixpoint_and_dead_ops_go() -> None:
    module, ctx = load(), context()
    assert apply_patterns(module, [AddZero()], ctx) == 2
    assert names(module) == ["arith.muli"]
    assert ctx.statistics["test"] == {"add-zero": 2, "erased": 2}


def test_new_ops_get_the_location_of_what_they_replace() -> None:
    module = load()
    apply_patterns(module, [Square()], context())
    made = [op for op in module.walk() if op.name == "arith.addi"][-1]
    assert describe_location(made.location) == "model.layers.2 (model.py:5)"
    assert describe_location(made.operands[1].owner.location) == "model.layers.2 (model.py:5)"


def test_a_cyclic_pattern_ends_in_an_error_that_names_it_and_its_count() -> None:
    with pytest.raises(LlmcError) as e:
        apply_patterns(load(), [AddZero(), Swap()], context(), max_iterations=3)
    error = e.value
    assert error.code == "LLMC0280" and "'swap' fired 277 times on 7 ops" in error.what, error
    assert "add-zero fired 2 times" in (error.why or "") and "pattern 'swap'" in error.passes
    assert "arith.muli" in error.render()


def test_a_failing_pattern_is_named_with_its_op() -> None:
    with pytest.raises(LlmcError) as e:
        apply_patterns(load(), [Broken()], context())
    assert e.value.code == "LLMC0281" and "'broken' failed: KeyError: 'lost'" in e.value.what
    assert "model.layers.2" in e.value.render()


@pytest.mark.parametrize(("counter", "left"), [(Counter(0, 0), 2), (Counter(1), 1), (Counter(0, 1), 1), (Counter(), 0)])
def test_a_counter_cuts_off_single_rewrites_and_leaves_no_trace(counter: Counter, left: int) -> None:
    module, ctx = load(), context()
    ctx.actions = Actions({"add-zero": counter})
    assert apply_patterns(module, [AddZero()], ctx) == 2 - left
    assert names(module).count("arith.addi") == left
    module.verify()


def test_a_refused_rewrite_drops_the_uses_of_the_ops_it_made() -> None:
    module, ctx = load(), context()
    ctx.actions = Actions({"square": Counter(0, 0)})
    apply_patterns(module, [Square()], ctx)
    function = next(iter(module.body.block.ops))
    square = next(op for op in function.walk() if op.name == "arith.muli")
    assert len(list(square.operands[0].uses)) == 2


def test_patterns_of_xdsl_run_too() -> None:
    module = load()
    apply_patterns(module, [XdslPattern(Insert(), (arith.MuliOp,))], context())
    (made,) = (op for op in module.walk() if op.name == "arith.subi")
    assert describe_location(made.location) == "model.layers.2 (model.py:5)"


def test_the_best_pattern_comes_first_and_roots_count_subclasses() -> None:
    low, high = RulePattern(lambda op: None, name="low"), RulePattern(lambda op: None, (Operation,), benefit=2, name="high")
    other = RulePattern(lambda op: None, (arith.MuliOp,), name="other")
    op = next(op for op in load().walk() if op.name == "arith.addi")
    assert [p.name for p in PatternSet.of([low, other, high]).of_op(op)] == ["high", "low"]


def test_names_of_patterns() -> None:
    assert [kebab(n) for n in ("AddZeroPattern", "_fold", "simplify_2d")] == ["add-zero-pattern", "fold", "simplify-2d"]


def test_a_pattern_is_asked_about_ops_of_its_roots_only() -> None:
    asked: list[str] = []
    pattern = RulePattern(lambda op: asked.append(op.name), (arith.MuliOp,), name="asked")
    apply_patterns(load(), [pattern], context())
    assert asked and set(asked) == {"arith.muli"}
