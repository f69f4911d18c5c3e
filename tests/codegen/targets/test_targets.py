"""Targets: looked up by name, asked for features."""

import pytest
from llmc.codegen.targets import TARGETS, find_target, set_target, target_of
from llmc.dialects.ir.diagnostics import LlmcError
from xdsl.dialects.builtin import ModuleOp


def test_features_grow_with_the_target() -> None:
    assert TARGETS["sm_80"].features < TARGETS["sm_89"].features < TARGETS["sm_90"].features < TARGETS["sm_90a"].features
    assert find_target("sm_90a").has("wgmma") and not find_target("sm_90").has("wgmma")


def test_an_unknown_target_lists_the_known() -> None:
    with pytest.raises(LlmcError) as e:
        find_target("sm90a")
    assert "sm_90a" in e.value.render()


def test_the_module_names_its_target() -> None:
    module = ModuleOp([])
    with pytest.raises(LlmcError):
        target_of(module)
    set_target(module, "sm_80")
    assert target_of(module).name == "sm_80"


def test_occupancy() -> None:
    target = find_target("sm_90a")
    assert target.ctas_per_sm(128, 227 * 1024) == 1
    assert target.ctas_per_sm(128, 0, 128) == 4
    assert target.ctas_per_sm(1024, 0) == 2
