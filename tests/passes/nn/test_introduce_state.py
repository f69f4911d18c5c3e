"""introduce-state: refuses what mixes tokens, naming op and place; finds positions however they are made."""

import pytest
from decoder_graphs import Shape, decoder
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.nn import ops as nn
from running import function, run_passes
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.parser import Parser

TD = 'tensor<?x8xf32, #nn.dims<["T", "_"]>>'
DT = 'tensor<8x?xf32, #nn.dims<["_", "T"]>>'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"%y = nn.cumsum %x {{axis = 0 : i64}} : ({TD}) -> {TD}", "accumulates along the tokens"),
        (f'%y = nn.reduce %x {{kind = "add", axes = array<i64: 0>}} : ({TD}) -> tensor<8xf32>', "reduces along the tokens"),
        (f"%y = nn.softmax %x {{axis = 0 : i64}} : ({TD}) -> {TD}", "normalises along the tokens"),
        (
            f"%t = nn.transpose %x {{perm = array<i64: 1, 0>}} : ({TD}) -> {DT}\n"
            "%w = nn.constant dense<1.0> : tensor<8x8x3xf32>\n"
            f"%y = nn.conv1d %t, %w {{padding = 1 : i64, groups = 1 : i64}} : ({DT}, tensor<8x8x3xf32>) -> {DT}",
            "convolves along the tokens",
        ),
        (f'%y = nn.reshape %x : ({TD}) -> tensor<?xf32, #nn.dims<["8*T"]>>', "merges tokens"),
        (
            f"%t = nn.transpose %x {{perm = array<i64: 1, 0>}} : ({TD}) -> {DT}\n%y = nn.matmul %t, %x : ({DT}, {TD}) -> tensor<8x8xf32>",
            "sums over tokens",
        ),
    ],
)
def test_ops_that_mix_tokens_are_refused_with_op_module_and_line(line: str, reason: str) -> None:
    import re

    result = re.findall(r"-> (.*)$", line)[-1]
    located = line + ' loc("model.layers.3.mixer"("modeling_new.py":41:0))'
    text = f"func.func @main(%x: {TD}) -> {result} {{\n{located}\nfunc.return %y : {result}\n}}"
    module = Parser(make_context(), text).parse_module()
    with pytest.raises(LlmcError) as caught:
        run_passes(module, "introduce-state")
    error = caught.value
    assert error.code == "LLMC0410"
    assert reason in error.render() or reason.replace("merges", "pairs or merges") in error.render()
    assert "model.layers.3.mixer (modeling_new.py:41)" in error.render()


def test_positions_are_those_that_the_front_end_named() -> None:
    module = decoder(Shape(layers=1))
    main = function(module, "main")
    main.attributes["nn.inputs"] = ArrayAttr([StringAttr("ids"), StringAttr("positions")])
    run_passes(module, "introduce-state")
    assert [a.type.name for a in main.args] == ["tensor", "nn.batch", "nn.state"]
    assert main.attributes["nn.inputs"] == ArrayAttr([StringAttr("ids")])
    assert sum(isinstance(op, nn.PositionsOp) for op in module.walk()) == 1


def test_every_state_is_updated_once_and_returned_through_its_donation() -> None:
    module = decoder(Shape(layers=3))
    run_passes(module, "introduce-state")
    main = function(module, "main")
    last = main.body.block.last_op
    assert isinstance(last, ReturnOp)
    for pair in main.attributes["nn.donates"]:  # pyright: ignore
        result, argument = (i.value.data for i in pair)
        append = last.operands[result].owner
        assert isinstance(append, nn.AppendOp)
        assert append.kv is main.args[argument]
        assert [u.operation for u in append.kv.uses] == [append]


def test_attention_that_reads_ahead_in_a_causal_model_is_refused() -> None:
    module = decoder(Shape(layers=2))
    second = [op for op in module.walk() if isinstance(op, nn.AttentionOp)][1]
    second.properties["mask"] = nn.MaskAttr.of(causal=False)
    with pytest.raises(LlmcError, match="LLMC0411"):
        run_passes(module, "introduce-state")


def test_an_encoder_gets_a_batch_but_no_state() -> None:
    module = decoder(Shape(layers=2))
    for op in module.walk():
        if isinstance(op, nn.AttentionOp):
            op.properties["mask"] = nn.MaskAttr.of(causal=False)
    run_passes(module, "introduce-state,select-token,add-sampling,specialise-sizes")
    encode = function(module, "encode")
    assert [a.type.name for a in encode.args] == ["tensor", "nn.batch"]
    assert all(op.batch is not None for op in module.walk() if isinstance(op, nn.AttentionOp))
