"""The before and after of every nn, fusion and quant pass's docstring, and expand-rings', is what the pass does."""

import re

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.hashing import structural_text
from llmc.passes import fusion, ir, nn, quant
from llmc.passes.framework.registry import lookup_pass
from running import run_passes
from xdsl.parser import Parser

WRITES_A_FILE = "snapshot-locations"
NAMES = (*(n for n in ir.PASSES if n != WRITES_A_FILE), *nn.PASSES, *fusion.PASSES, *quant.PASSES, "expand-rings")


@pytest.mark.parametrize("name", NAMES)
def test_example(name: str) -> None:
    found = dict(re.findall(r"```mlir (before|after)\n(.*?)```", lookup_pass(name).__doc__ or "", re.DOTALL))
    module, wanted = (Parser(make_context(), found[k]).parse_module() for k in ("before", "after"))
    run_passes(module, name)
    assert structural_text(module) == structural_text(wanted)
