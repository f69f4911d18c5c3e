"""Mistakes in passes are found, and named with the pass, the op and its location, at every level."""

from __future__ import annotations

import re

import pytest
from checked import caught, checked, passes_of, standing_at
from llmc.compiler.numerics import NumericsOptions
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.pass_ import Pass
from planted.lost_dependencies import IntroduceStateReadingEarly, LaunchTooLate, ReadBeforeAppend
from planted.wrong_rewrites import (
    AddInsteadOfMul,
    AddInsteadOfMultiply,
    DivideInsteadOfRsqrt,
    DropScale,
    LayoutToTileWithMaximum,
    MaximumInsteadOfSum,
    TileToPtxWithAdd,
)
from xdsl.dialects.builtin import ModuleOp

SMALL = """
func.func @main(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = nn.rsqrt %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = nn.mul %0, %y : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = nn.relu %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  func.return %2 : tensor<4x8xf32>
}
"""


def small() -> ModuleOp:
    return parse_module(make_context(), SMALL, "small.mlir", locate=True)


def before_abi() -> ModuleOp:
    """A host program whose intermediates have no place in an arena yet."""
    module = standing_at("quant")
    checked(passes_of("layout", module)[:4], module)
    return module


ATTENTION = "model.layers.1.self_attn"
CASES: dict[str, tuple[Pass, ModuleOp | str, str, str]] = {
    # pass, module or phase, the op named, its location
    "a wrong rewrite in a file of three ops": (DivideInsteadOfRsqrt(), "small", "nn.div", "small.mlir:4"),
    "a dropped scale before state": (DropScale(), "import", "nn.attention", ATTENTION),
    "a dropped scale in prefill and decode": (DropScale(), "nn", "nn.attention", ATTENTION),
    "a dropped scale in a fused kernel": (DropScale(), "fusion", "nn.attention", "model.layers.0.self_attn"),
    "a dropped scale under a host program": (DropScale(), "layout", "nn.attention", "model.layers.0.self_attn"),
    "a sum for a product in a fused epilogue": (AddInsteadOfMultiply(), "fusion", "linalg.generic", "model.rotary_emb"),
    "a state read before its append": (ReadBeforeAppend(), "nn", "nn.attention", ATTENTION),
    "a wrong convention, stateless before and stateful after": (
        IntroduceStateReadingEarly(), "import", "nn.attention", ATTENTION,
    ),
    "a launch behind its reader": (LaunchTooLate(), "before the ABI", "layout.read", "lm_head"),
    "a maximum for a sum in a tile": (MaximumInsteadOfSum(), "tile", "tile.reduce", "model.layers.0."),
    "a wrong lowering to tiles": (LayoutToTileWithMaximum(), "layout", "tile.store", "model.layers.0."),
    "a wrong lowering to instructions": (TileToPtxWithAdd(), "tile", "ptx.st", "model.rotary_emb"),
    "a wrong instruction": (AddInsteadOfMul(), "ptx", "ptx.add", "model.rotary_emb"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_pass_the_op_its_location_and_both_values_are_named(name: str) -> None:
    pass_, where, op, location = CASES[name]
    module = small() if where == "small" else before_abi() if where == "before the ABI" else standing_at(str(where))
    error = caught([pass_], module)
    text = error.render()
    assert f"pass '{pass_.name}' changes the numbers of @" in text
    assert re.search(rf"--> .*{re.escape(op)}\(", text), text
    assert location in text
    assert re.search(r"was -?[\d.e+-]+ and is (-?[\d.e+-]+|nan)", text)


def test_the_first_of_several_passes_is_named() -> None:
    module = standing_at("import")
    passes = passes_of("nn", module)
    error = caught([*passes[:4], DropScale(), *passes[4:]], module)
    assert error.passes == ("pass 'planted-drop-scale'",)


def test_the_values_before_and_after_are_those_of_the_op() -> None:
    text = caught([DivideInsteadOfRsqrt()], small()).render()
    found = re.search(r"there, \[(\d), (\d)\] was (\S+) and is (\S+)", text)
    assert found is not None
    assert "it stands for" in text and "nn.mul" in text
    before, after = float(found[3]), float(found[4])
    assert after != pytest.approx(before, rel=0.05)


def test_a_mistake_that_only_some_inputs_show_is_found_with_those() -> None:
    import numpy as np

    ones = NumericsOptions(inputs={"x": np.ones((4, 8)), "ids": np.ones((4, 8))})
    assert checked([DivideInsteadOfRsqrt()], small(), ones).summary.outcomes[0][1].difference is None
    caught([DivideInsteadOfRsqrt()], small())
