"""Aliases, spans, elision: what our printer adds to xDSL's."""

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.hashing import structural_hash
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.ir.printer import print_module, print_with_spans
from llmc.dialects.ir.surroundings import surroundings

DIMS = 'tensor<?x4xf32, #nn.dims<["T", "_"]>>'
PLACE = 'loc(fused["a"("m.py":1:0), "b"("m.py":2:0)])'
TEXT = f"""
func.func @f(%x: {DIMS}) -> {DIMS} {{
  %0 = nn.neg %x : ({DIMS}) -> {DIMS} {PLACE}
  %1 = nn.neg %0 : ({DIMS}) -> {DIMS} {PLACE}
  %2 = nn.exp %1 : ({DIMS}) -> {DIMS} loc("a"("m.py":1:0))
  func.return %2 : {DIMS}
}}
"""
RING = "!tile.ring<4, 512xbf16, #layout.mem<[[512, 1]]>>"


def parse(text):
    return parse_module(make_context(), text)


def test_locations_get_aliases_whose_parts_are_defined_first():
    text = print_module(parse(TEXT), locations=True)
    lines = text.split("\n")
    assert 'loc("a"("m.py":1:0))' in text and text.count('"m.py":1:0') == 1
    fused = next(i for i, line in enumerate(lines) if "fused[" in line)
    part = next(i for i, line in enumerate(lines) if line.endswith('= loc("a"("m.py":1:0))'))
    assert part < fused and lines[part].split(" ")[0] in lines[fused]


def test_a_dump_with_locations_reads_back_with_the_same_locations():
    module = parse(TEXT)
    text = print_module(module, locations=True)
    again = parse(text)
    assert [op.location for op in again.walk()] == [op.location for op in module.walk()]
    assert print_module(again, locations=True) == text


def test_without_aliases_everything_stands_where_it_is_used():
    text = print_module(parse(TEXT), locations=True, aliases=False)
    assert "#dims" not in text and "#loc" not in text and text.count(PLACE) == 2


def test_nothing_is_defined_that_is_used_once_or_not_at_all():
    once = parse('func.func private @f(tensor<?xf32, #nn.dims<["T"]>>) -> ()')
    assert "#dims" not in print_module(once)
    unlocated = print_module(parse(TEXT))
    assert "loc" not in unlocated


def test_affine_maps_are_aliases():
    generic = """
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%x : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<4xf32>
  func.return %0 : tensor<4xf32>
}"""
    text = print_module(parse(generic))
    assert text.startswith("#map = affine_map<(d0) -> (d0)>\n") and "[#map, #map]" in text
    assert structural_hash(parse(text)) == structural_hash(parse(generic))


def test_types_get_aliases():
    text = print_module(parse(f"func.func private @f({RING}, {RING}) -> ()"))
    assert "!ring = !tile.ring<4," in text and "(!ring, !ring)" in text
    assert print_module(parse(text)) == text


def test_spans_are_the_lines_of_the_ops():
    printed = print_with_spans(parse(TEXT), locations=True)
    lines = printed.text.split("\n")
    for op, (first, last) in printed.spans.items():
        assert op.name in lines[first]
        assert last > first if op.regions else last == first


def test_surroundings_call_values_as_the_dump_does():
    module = parse(TEXT)
    dump = print_module(module, aliases=False)
    op = next(op for op in module.walk() if op.name == "nn.exp")
    shown = surroundings(op, around=1)
    assert [line[:2] for line in shown] == ["  ", "> ", "  "]
    assert all(line[2:] in dump for line in shown)


def test_surroundings_of_an_op_in_no_block_are_empty():
    op = next(op for op in parse(TEXT).walk() if op.name == "nn.exp")
    op.detach()
    assert surroundings(op) == []


@pytest.mark.parametrize("locations", [False, True])
def test_printing_twice_gives_the_same_text(locations):
    module = parse(TEXT)
    assert print_module(module, locations=locations) == print_module(module, locations=locations)
