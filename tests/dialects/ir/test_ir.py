"""Dominance, hashing, aliases, locations, interpreting: what every dialect shares."""

import numpy as np
import pytest
from llmc.dialects.ir import hashing, locations
from llmc.dialects.ir.builtin_semantics import SEMANTICS
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError, describe_location
from llmc.dialects.ir.dominance import verify_dominance
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module

ADD = """
func.func @f(%x: f32, %y: f32) -> f32 {
  %s = arith.addf %x, %y : f32 loc("model.add"("m.py":3:1))
  func.return %s : f32
}
"""


def parse(text):
    return parse_module(make_context(), text)


def test_a_use_before_its_definition_is_refused():
    module = parse("""
func.func @f(%x: f32) -> f32 {
  %b = arith.addf %a, %x : f32
  %a = arith.addf %x, %x : f32
  func.return %b : f32
}""")
    module.verify()
    with pytest.raises(LlmcError, match="used before it is defined"):
        verify_dominance(module)


def test_a_value_defined_on_one_path_only_does_not_dominate_the_join():
    module = parse("""
func.func @f(%c: i1, %x: f32) -> f32 {
  cf.cond_br %c, ^a, ^b
^a:
  %y = arith.addf %x, %x : f32
  cf.br ^b
^b:
  func.return %y : f32
}""")
    with pytest.raises(LlmcError):
        verify_dominance(module)


def test_loops_and_nested_regions_verify():
    verify_dominance(
        parse("""
func.func @f(%n: index, %x: f32) -> f32 {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %r = scf.for %i = %zero to %n step %one iter_args(%acc = %x) -> (f32) {
    %s = arith.addf %acc, %x : f32
    scf.yield %s : f32
  }
  func.return %r : f32
}""")
    )


def test_structural_hash_ignores_names_and_locations():
    renamed = ADD.replace("%x", "%left").replace('loc("model.add"("m.py":3:1))', "").replace("@f", "@g")
    functions = [next(iter(parse(text).body.block.ops)) for text in (ADD, renamed, ADD.replace("addf", "mulf"))]
    same, other, different = (hashing.structural_hash(f) for f in functions)
    assert same == other != different


def test_locations_survive_printing_and_parsing():
    text = print_module(parse(ADD), locations=True)
    assert '"model.add"("m.py":3:1)' in text
    assert print_module(parse(text), locations=True) == text


def test_fused_locations_drop_doubles_and_unknown_ones():
    a, b = locations.named("a"), locations.named("b")
    assert locations.fused([a, locations.UNKNOWN, a]) == a
    assert locations.module_path(locations.fused([a, b])) == "a"


def test_interpreter_runs_scalars_loops_and_generics():
    module = parse(
        """
#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
func.func @rowsum(%x: tensor<2x3xf32>, %init: tensor<2xf32>) -> tensor<2xf32> {
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<2x3xf32>) outs(%init : tensor<2xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %sq = arith.mulf %a, %a : f32
    %s = arith.addf %sq, %acc : f32
    linalg.yield %s : f32
  } -> tensor<2xf32>
  func.return %r : tensor<2xf32>
}""".replace("#id = affine_map<(i, j) -> (i, j)>\n#row = affine_map<(i, j) -> (i)>\n", "")
    )
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (result,) = Interpreter(module, SEMANTICS).call("rowsum", (x, np.zeros(2, np.float32)))
    np.testing.assert_allclose(result, (x * x).sum(1))


def test_errors_read_as_a_paragraph_with_place_and_cure():
    with pytest.raises(LlmcError) as caught:
        parse("func.func @f( {")
    text = caught.value.render()
    assert text.startswith("error[LLMC0001]") and "<text>:1:15" in text


def test_located_ops_have_their_place_in_the_text_before_the_location_that_they_carry():
    text = """func.func @f(%x: f32) {
  %0 = arith.negf %x : f32
  %1 = arith.negf %x : f32 loc("model.act"("model.py":3:0))
  func.return
}"""
    module = parse_module(make_context(), text, "f.mlir", locate=True)
    places = [describe_location(op.location) for op in module.walk() if op.name == "arith.negf"]
    assert places == ["f.mlir:2", "f.mlir:3, model.act (model.py:3)"]


def test_result_types_of_linalg_generic_may_stand_in_parentheses():
    """As xdsl-opt and mlir-opt print them."""
    maps = ", ".join(["affine_map<(i) -> (i)>"] * 3)
    text = f"""func.func @f(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {{
  %0, %1 = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel"]}}
    ins(%x : tensor<4xf32>) outs(%x, %x : tensor<4xf32>, tensor<4xf32>) {{
  ^bb0(%a: f32, %b: f32, %c: f32):
    linalg.yield %a, %a : f32, f32
  }} -> (tensor<4xf32>, tensor<4xf32>)
  func.return %0, %1 : tensor<4xf32>, tensor<4xf32>
}}
"""
    module = parse(text)
    assert str(parse(str(module))) == str(module)  # str() is xDSL's own printer
    assert print_module(parse(print_module(module))) == print_module(module)
