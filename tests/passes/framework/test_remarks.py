"""Remarks: chosen by subject and kind, told once for all layers, written as LLVM's records."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.remarks import Remark, Remarks, Selection, grouped, to_yaml

TEXT = """
func.func @decode(%x: f32) -> f32 {
  %0 = arith.addf %x, %x : f32 loc("model.layers.0.mlp"("model.py":12:3))
  %1 = arith.addf %0, %x : f32 loc("model.layers.1.mlp"("model.py":12:3))
  %2 = arith.mulf %1, %x : f32 loc(fused["model.norm"("norm.py":7:1), unknown])
  func.return %2 : f32
}
"""


@pytest.fixture
def remarks() -> Remarks:
    module = parse_module(make_context(), TEXT)
    first, second, third = (op for op in module.walk() if op.name.startswith("arith"))
    found = Remarks()
    found.add("missed", "fusion", "form-kernels", first, "model.layers.0.mlp stays alone", "merge it")
    found.add("passed", "schedule", "choose-schedules", third, 'chosen: a "generic" one')
    found.add("missed", "fusion", "form-kernels", second, "model.layers.1.mlp stays alone", "merge it")
    found.add("analysis", "cache", "ptxas", None, "nothing cached")
    return found


def messages(remarks: list[Remark]) -> list[str]:
    return [r.message for r in remarks]


@pytest.mark.parametrize(
    ("categories", "kinds", "count"),
    [
        ("all", None, 4),
        ("fusion", None, 2),
        ("fusion,cache", None, 3),
        ("all", "missed", 2),
        ("all", "passed,analysis", 2),
        ("cache", "missed", 0),
    ],
)
def test_a_selection_takes_categories_and_kinds(remarks: Remarks, categories: str, kinds: str | None, count: int) -> None:
    selection = Selection.parse(categories, kinds)
    assert selection is not None and len(remarks.select(selection)) == count


@pytest.mark.parametrize(
    ("categories", "kinds", "word"), [("gossip", None, "gossip"), ("fusion,x", None, "x"), ("all", "lost", "lost")]
)
def test_unknown_words_are_refused(categories: str, kinds: str | None, word: str) -> None:
    with pytest.raises(LlmcError) as e:
        Selection.parse(categories, kinds)
    assert e.value.code == "LLMC0238" and f"'{word}'" in e.value.what


def test_layers_that_say_the_same_are_told_once(remarks: Remarks) -> None:
    groups = grouped(remarks.items)
    assert [len(g) for g in groups] == [2, 1, 1]
    first, *others = groups[0]
    text = first.render(others)
    assert "in @decode at model.layers.0.mlp (model.py:12)" in text
    assert "and 1 more like it, to model.layers.1.mlp" in text and "try: merge it" in text


def test_the_records_are_yaml_with_locations(remarks: Remarks) -> None:
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):
        pass

    def tagged(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
        return {"Kind": suffix, **loader.construct_mapping(node, deep=True)}

    Loader.add_multi_constructor("!", tagged)
    first, second, _, last = yaml.load_all(to_yaml(remarks.items), Loader)
    assert first == {
        "Kind": "Missed", "Pass": "form-kernels", "Name": "fusion", "Function": "decode",
        "DebugLoc": {"File": "model.py", "Line": 12, "Column": 3},
        "Args": [{"String": "model.layers.0.mlp stays alone"}, {"Module": "model.layers.0.mlp"}, {"Suggestion": "merge it"}],
    }  # fmt: skip
    assert second["Args"][0] == {"String": 'chosen: a "generic" one'} and second["DebugLoc"]["File"] == "norm.py"
    assert "DebugLoc" not in last and last["Function"] == ""


def test_what_was_missed_comes_with_what_to_do():
    with pytest.raises(TypeError, match="needs a suggestion: alone"):
        Remarks().add("missed", "fusion", "form-kernels", None, "alone")


def test_every_missed_remark_in_the_code_has_a_suggestion():
    root = Path(__file__).resolve().parents[3]
    files = [f for folder in ("passes", "compiler", "codegen") for f in (root / folder).rglob("*.py")]
    bare = [
        f"{file.name}:{node.lineno}"
        for file in files
        if '"missed"' in (text := file.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == "missed"
        and (len(node.args) < 5 or ast.unparse(node.args[4]) == "''")
    ]
    assert bare == []


def test_a_remark_on_a_function_names_it_and_one_inside_says_where_it_is():
    module = parse_module(make_context(), TEXT)
    function = module.body.block.first_op
    assert function is not None
    found = Remarks()
    found.add("passed", "fusion", "form-kernels", function, "made")
    found.add("passed", "fusion", "form-kernels", function.regions[0].block.first_op, "made")
    assert [r.where.split(" at ")[0] for r in found.items] == ["func.func @decode", "arith.addf in @decode"]
