"""Where errors of the text stand: at what is wrong, not at what the parser read next."""

from __future__ import annotations

import pytest
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.passes.framework.registry import Registry

OTHER = "func.func @g(%z: i32) {\n  func.return\n}\n"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        (
            f"{OTHER}func.func @f() {{\n  // %z\n  %1 = arith.addi %z, %z : i32\n  func.return\n}}",
            "t:6:19",
            "%z is used but never",
        ),
        ("%1 = arith.addi %a, %b : i32", "t:1:17", "%a, %b are used but never defined"),
        ("func.func @f() {\n  garbage\n  func.return\n}", "t:2:3", "garbage is not registered"),
        ("%0:2, %1 = nn.sil %a : i32", "t:1:12", "nn.sil is not registered"),
    ],
)
def test_a_mistake_is_marked_where_it_stands(text: str, place: str, what: str) -> None:
    with pytest.raises(LlmcError) as error:
        parse_module(Registry().context(), text, "t")
    assert what in error.value.what
    assert str(error.value.where).startswith(f"{place}\n")
