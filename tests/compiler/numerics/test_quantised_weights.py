"""A pass that changes weights: these are held to their own error, and what is computed with them to rounding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import pytest
from checked import caught, checked, passes_of, standing_at
from llmc.compiler.numerics.units import with_weights_of
from llmc.dialects.ir.context import make_context
from llmc.dialects.nn import ops as nn
from llmc.passes.framework.manager import PassManager, verify
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.framework.pipeline import Element
from llmc.passes.nn.quantise_linears import QuantiseLinears
from planted.wrong_rewrites import DropScale
from xdsl.dialects.builtin import ModuleOp


@dataclass(frozen=True)
class QuantiseNegated(QuantiseLinears):
    """`quantise-linears` of one weight with the wrong sign."""

    name: ClassVar[str] = "planted-negated"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        weight = next(op for op in module.body.block.ops if isinstance(op, nn.WeightOp) and "q_proj" in op.sym_name.data)
        end = weight.body.block.last_op
        assert end is not None
        negated = nn.NegOp(end.operands[0])
        weight.body.block.insert_op_before(negated, end)
        end.operands[0] = negated.result
        super().run(ctx, module)


@dataclass(frozen=True)
class QuantiseAndDropScale(QuantiseLinears):
    """`quantise-linears` that also changes the scale of an attention."""

    name: ClassVar[str] = "planted-quantise-and-drop-scale"

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        super().run(ctx, module)
        DropScale().run(ctx, module)


@lru_cache(maxsize=1)
def _before() -> tuple[ModuleOp, Element]:
    module = standing_at("import", "bf16", "int8")
    passes = passes_of("nn", module)
    index = [getattr(p, "name", "") for p in passes].index("quantise-linears")
    PassManager(PassContext(make_context())).run(passes[:index], module)
    return module, passes[index]


def before() -> ModuleOp:
    """A decoder whose linears are about to be quantised."""
    return _before()[0].clone()


def test_the_error_of_int8_is_that_of_its_weights() -> None:
    ((name, outcome),) = checked([_before()[1]], before()).summary.outcomes
    assert name == "quantise-linears" and outcome.notes == ()
    assert outcome.ratio is not None and 1.0 < outcome.ratio < 2.0


@pytest.mark.parametrize(("pass_", "where"), [(QuantiseNegated(), "q_proj"), (QuantiseAndDropScale(), "nn.attention")])
def test_a_mistake_beside_the_quantisation_is_found(pass_: Pass, where: str) -> None:
    assert where in caught([pass_], before()).render()


def test_the_module_before_gets_the_weights_of_the_one_after() -> None:
    old, new = before(), before()
    PassManager(PassContext(make_context())).run([_before()[1]], new)
    joined = with_weights_of(old, new)
    verify(joined)
    assert str(old) == str(before())
    assert str(joined).count("quantized.dequantize") == str(new).count("quantized.quantize") > 0
