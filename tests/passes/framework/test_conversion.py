"""Dialect conversion: legality, types, casts, and errors that say which op remains and why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.verifying import verify
from llmc.passes.framework.conversion import ConversionPattern, ConversionTarget, TypeConverter, convert
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.framework.rewriter import IrRewriter
from xdsl.dialects import arith, func, math
from xdsl.dialects.builtin import f32, f64
from xdsl.ir import Operation, SSAValue

TEXT = """
func.func @f(%x: f64, %y: f64) -> f64 {
  %0 = arith.addf %x, %y : f64 loc("model.add"("m.py":1:1))
  %1 = math.exp %0 : f64 loc("model.exp"("m.py":2:1))
  func.return %1 : f64
}
"""
NARROW = TypeConverter([lambda t: f32 if t == f64 else None])


class NarrowAdd(ConversionPattern):
    name = "narrow-add"
    roots = (arith.AddfOp,)

    def convert(self, op: Operation, operands: Sequence[SSAValue], rewriter: IrRewriter) -> None:
        rewriter.replace(op, arith.AddfOp(operands[0], operands[1]))


class NarrowExp(ConversionPattern):
    name = "narrow-exp"
    roots = (math.ExpOp,)

    def convert(self, op: Operation, operands: Sequence[SSAValue], rewriter: IrRewriter) -> None:
        rewriter.replace(op, math.ExpOp(operands[0]))


class ExpToAdd(ConversionPattern):
    """Makes an op that is itself to be converted."""

    name = "exp-to-add"
    roots = (math.ExpOp,)

    def convert(self, op: Operation, operands: Sequence[SSAValue], rewriter: IrRewriter) -> None:
        rewriter.replace(op, arith.AddfOp(op.operands[0], op.operands[0]))


def goal(full: bool = False) -> ConversionTarget:
    return ConversionTarget(dynamic=[(Operation, NARROW.is_legal)], full=full)


def run(patterns: Sequence[ConversionPattern], target: ConversionTarget, text: str = TEXT, types: TypeConverter = NARROW):
    module = parse_module(make_context(), text)
    ctx = PassContext(make_context(), running="test")
    count = convert(module, target, patterns, ctx, types)
    verify(module)
    return module, count, ctx


def test_types_of_functions_values_and_returns_convert_and_no_cast_is_left() -> None:
    module, count, ctx = run([NarrowAdd(), NarrowExp()], goal(full=True))
    function = next(op for op in module.walk() if isinstance(op, func.FuncOp))
    assert count == 2 and list(function.function_type.inputs) == [f32, f32] and list(function.function_type.outputs) == [f32]
    assert [op.name for op in function.body.block.ops] == ["arith.addf", "math.exp", "func.return"]
    assert all(v.type == f32 for op in function.body.block.ops for v in (*op.operands, *op.results))
    assert ctx.statistics["test"] == {"narrow-add": 1, "narrow-exp": 1, "converted": 2}


def test_what_a_pattern_makes_is_converted_too() -> None:
    module, count, _ = run([NarrowAdd(), ExpToAdd()], goal(full=True))
    assert count == 3 and [op.name for op in module.walk() if op.name.startswith(("arith", "math"))] == ["arith.addf"] * 2


def test_an_illegal_op_that_remains_is_an_error_with_its_location() -> None:
    with pytest.raises(LlmcError) as e:
        run([NarrowAdd()], ConversionTarget(illegal_dialects=("math",)), types=TypeConverter())
    assert e.value.code == "LLMC0282" and "illegal op remains: math.exp" in e.value.what
    assert "model.exp (m.py:2)" in e.value.render() and "no pattern has it as a root" in (e.value.why or "")


def test_a_partial_conversion_casts_between_old_and_new() -> None:
    target = ConversionTarget(dynamic=[(arith.AddfOp, NARROW.is_legal)])
    module, count, _ = run([NarrowAdd()], target)
    assert count == 1 and any(op.name == "builtin.unrealized_conversion_cast" for op in module.walk())
    with pytest.raises(LlmcError) as e:
        run(
            [NarrowAdd()],
            ConversionTarget(dynamic=[(arith.AddfOp, NARROW.is_legal)], legal_dialects=("math", "func"), full=True),
        )
    assert e.value.code == "LLMC0283" and "f64 meets arith.addf, which wants f32" in e.value.what


def test_legality_of_a_class_outranks_that_of_its_dialect() -> None:
    target = ConversionTarget(illegal_dialects=("arith",), legal_ops=(arith.AddfOp,))
    assert run([], target, types=TypeConverter())[1] == 0


def test_a_conversion_that_goes_round_is_refused() -> None:
    class Again(ConversionPattern):
        name = "again"
        roots = (math.ExpOp,)

        def convert(self, op: Operation, operands: Sequence[SSAValue], rewriter: IrRewriter) -> None:
            rewriter.replace(op, math.ExpOp(op.operands[0]))

    with pytest.raises(LlmcError) as e:
        run([Again()], ConversionTarget(illegal_dialects=("math",)), types=TypeConverter())
    assert e.value.code == "LLMC0284" and "'again'" in e.value.what
