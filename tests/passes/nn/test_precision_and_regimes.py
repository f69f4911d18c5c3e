"""Logits stay in f32 wherever sampling stands; regimes bound their sizes; int8 leaves ties and the head alone."""

import pytest
from decoder_graphs import Shape, decoder
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.nn import ops as nn
from llmc.dialects.nn.types import elem_of
from llmc.dialects.quantized.types import ElemType
from running import function, run_passes
from xdsl.dialects.builtin import f32

STATE = "canonicalize,introduce-state,select-token"


@pytest.mark.parametrize("order", ["choose-precision,add-sampling", "add-sampling,choose-precision"])
def test_logits_keep_the_accumulators_type(order: str) -> None:
    module = decoder(Shape(layers=1))
    run_passes(module, f"{STATE},{order},canonicalize")
    logits = function(module, "main").body.block.last_op.operands[0]  # pyright: ignore
    assert isinstance(logits.owner, nn.LinearOp) and elem_of(logits) == f32
    (sample,) = [op for op in module.walk() if isinstance(op, nn.SampleOp)]
    assert sample.logits is logits


def test_decode_has_no_second_size_name() -> None:
    module = decoder(Shape(layers=1))
    run_passes(module, f"{STATE},specialise-sizes{{sequences=4 tokens=100}}")
    decode, prefill = (str(function(module, n)) for n in ("decode", "prefill"))
    assert '"B"' not in decode and "select_token" not in decode
    assert "T = [1 : i64, 4 : i64]" in decode
    assert "B = [1 : i64, 4 : i64], T = [1 : i64, 100 : i64]" in prefill


def test_int8_skips_the_head_and_whatever_is_no_linears_weight() -> None:
    module = decoder(Shape(layers=1))
    run_passes(module, f"{STATE},choose-precision{{scheme=int8}},quantise-linears")
    weights = {op.sym_name.data: op.yielded.type for op in module.body.block.ops if isinstance(op, nn.WeightOp)}
    quantised = {n for n, t in weights.items() if isinstance(t.element_type, ElemType)}  # pyright: ignore
    assert len(quantised) == 7
    assert not any("lm_head" in n or "embed" in n or "norm" in n for n in quantised)


def test_an_unknown_scheme_is_an_error() -> None:
    with pytest.raises(LlmcError, match="LLMC0420"):
        run_passes(decoder(Shape(layers=1)), "choose-precision{scheme=int3}")
