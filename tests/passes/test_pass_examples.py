"""The before and after of every pass's docstring is what the pass does, and computes the same."""

import re
from pathlib import Path

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.hashing import structural_text
from llmc.dialects.ir.locations import is_known
from llmc.passes.framework.registry import list_passes, lookup_pass, pass_names
from running import run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser


def example(name: str) -> dict[str, str]:
    return dict(re.findall(r"```mlir (before|after)\n(.*?)```", lookup_pass(name).__doc__ or "", re.DOTALL))


def parsed(text: str) -> ModuleOp:
    return Parser(make_context(), text).parse_module()


def locations(module: ModuleOp) -> list[str]:
    """The locations of the ops that have one, in order."""
    return [str(op.location) for op in module.walk() if op is not module and is_known(op.location)]


def test_every_registered_pass_has_an_example() -> None:
    assert list(list_passes()) == list(pass_names())
    assert [name for name in pass_names() if set(example(name)) != {"before", "after"}] == []


@pytest.mark.parametrize("name", pass_names())
def test_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a pass may write a file
    found = example(name)
    module, wanted = parsed(found["before"]), parsed(found["after"])
    run_passes(module, name)
    assert structural_text(module) == structural_text(wanted)
    if "loc(" in found["before"]:
        assert locations(module) == locations(wanted)
