"""The before and after of every pass's docstring is what the pass does, and computes the same."""

import re

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.hashing import structural_text
from llmc.passes import fusion, ir, nn, quant
from llmc.passes.framework.registry import list_passes, lookup_pass
from running import run_passes
from xdsl.parser import Parser

WRITES_A_FILE = "snapshot-locations"
NAMES = [name for name, cls in list_passes().items() if "```mlir before" in (cls.__doc__ or "") and name != WRITES_A_FILE]


def test_every_pass_on_values_has_an_example() -> None:
    assert {*ir.PASSES, *nn.PASSES, *fusion.PASSES, *quant.PASSES} <= {*NAMES, WRITES_A_FILE}


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str) -> None:
    found = dict(re.findall(r"```mlir (before|after)\n(.*?)```", lookup_pass(name).__doc__ or "", re.DOTALL))
    module, wanted = (Parser(make_context(), found[k]).parse_module() for k in ("before", "after"))
    run_passes(module, name)
    assert structural_text(module) == structural_text(wanted)
