"""Tags: what follows ops through a pass, unseen by it."""

from __future__ import annotations

from llmc.compiler.trace.tags import attach, detach
from llmc.dialects.ir import locations
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import describe_location
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module
from llmc.dialects.ir.rewriting import replace
from xdsl.dialects.arith import NegfOp

TEXT = """
func.func @f(%x: f32 loc("arg"(unknown))) -> f32 {
  %0 = arith.addf %x, %x : f32 loc("a"("m.py":1:0))
  %1 = arith.addf %0, %x : f32 loc(fused["a"("m.py":1:0), "b"("m.py":2:0)])
  %2 = arith.addf %1, %x : f32
  func.return %2 : f32
}
"""


def parse():
    return parse_module(make_context(), TEXT)


def test_a_tagged_location_means_what_it_meant():
    for op in parse().walk():
        tagged = locations.tagged(op.location, (7,))
        assert describe_location(tagged) == describe_location(op.location)
        assert locations.is_known(tagged) == locations.is_known(op.location)
        assert locations.module_path(tagged) == locations.module_path(op.location)
        assert locations.untagged(tagged) == op.location
        assert locations.tags_of(tagged) == {7}


def test_fusing_keeps_every_tag_and_no_more_parts_than_without():
    plain = [locations.named(str(i)) for i in range(9)]
    fused = locations.fused(locations.tagged(place, (i,)) for i, place in enumerate(plain))
    assert locations.tags_of(fused) == set(range(9))
    assert locations.untagged(fused) == locations.fused(plain)


def test_fusing_unknown_places_keeps_their_tags():
    fused = locations.fused([locations.tagged(locations.UNKNOWN, (1,)), locations.tagged(locations.UNKNOWN, (2,))])
    assert locations.tags_of(fused) == {1, 2} and locations.untagged(fused) == locations.UNKNOWN


def test_nothing_prints_tags():
    module = parse()
    text = print_module(module, locations=True)
    attach(list(module.walk()), 100)
    assert print_module(module, locations=True) == text
    assert print_module(module, locations=True, aliases=False) == print_module(parse(), locations=True, aliases=False)


def test_taking_the_tags_off_leaves_the_module_as_it_was():
    module = parse()
    ops = list(module.walk())
    before = [op.location for op in ops]
    attach(ops, 100)
    origins = detach(module, {op: 100 + i for i, op in enumerate(ops)})
    assert [op.location for op in ops] == before
    assert origins == {op: (100 + i,) for i, op in enumerate(ops)}


def test_a_replacement_derives_from_what_it_replaced():
    module = parse()
    ops = list(module.walk())
    attach(ops, 0)
    old = next(op for op in ops if op.name == "arith.addf")
    new = NegfOp(old.operands[0])
    number = ops.index(old)
    replace(old, [new])
    assert detach(module, {op: i for i, op in enumerate(ops)})[new] == (number,)
