"""The pipeline keeps the numbers, and the check does not cry wolf: what is legal stays far below the tolerance."""

from __future__ import annotations

import pytest
from checked import checked, passes_of, standing_at
from llmc.compiler.numerics import NumericsOptions, compare_modules
from llmc.compiler.numerics.inputs import Source
from llmc.compiler.numerics.scenario import plan
from llmc.passes.framework.numerics import Numerics
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp

TO_LAYOUT = ("nn", "fusion", "quant", "layout")


@pytest.mark.parametrize(("elem", "scheme"), [("f32", "none"), ("bf16", "none"), ("bf16", "int8")])
def test_every_pass_down_to_host_programs_is_compared_and_legal(elem: str, scheme: str) -> None:
    module = standing_at("import", elem, scheme)
    check = checked([p for phase in TO_LAYOUT for p in passes_of(phase, module)], module)
    assert [n for n, o in check.summary.outcomes if o.not_compared is not None] == []
    assert max(o.ratio or 0.0 for _, o in check.summary.outcomes) < 2.5


def test_every_kernel_is_compared_as_tile_and_on_the_emulator() -> None:
    module = standing_at("layout")
    check = checked([p for phase in ("tile", "ptx") for p in passes_of(phase, module)], module)
    notes = {note for _, o in check.summary.outcomes for note in o.notes}
    assert all("second half of a split kernel" in note for note in notes)
    ratios = {n: o.ratio for n, o in check.summary.outcomes}
    assert ratios["layout-to-tile"] is not None and 0 < ratios["layout-to-tile"] < 2.5
    assert ratios["tile-to-ptx"] is not None and ratios["assign-registers"] == 0.0


def test_import_and_layout_are_compared_directly() -> None:
    outcome = compare_modules(standing_at("import"), standing_at("layout"))
    assert outcome.difference is None and outcome.ratio is not None and outcome.ratio < 2.5


def test_quantising_is_no_rounding_and_has_to_be_declared() -> None:
    plain, quantised = standing_at("nn", "f32"), standing_at("nn", "f32", "int8")
    assert compare_modules(plain, quantised).difference is not None


def test_another_seed_is_another_input() -> None:
    before, after = standing_at("nn"), standing_at("fusion")
    ratios = {compare_modules(before, after, NumericsOptions(seed=seed)).ratio for seed in (0, 0, 7)}
    assert len(ratios) == 2


def test_sizes_that_are_asked_for_are_those_that_run() -> None:
    scenario = plan(Source(NumericsOptions(sizes={"T": 9, "B": 2})), past=False, steps=True, single=False, ranges={})
    assert scenario.sequences == 2 and sum(scenario.steps[0]) == 9


def test_equal_modules_are_not_run() -> None:
    outcome = compare_modules(standing_at("nn"), standing_at("nn"))
    assert outcome.unchanged and outcome.ratio == 0.0


def test_a_pass_says_what_it_renames_and_what_can_not_be_compared() -> None:
    before, after = standing_at("import"), standing_at("import")
    for op in after.body.block.ops:
        if isinstance(op, FuncOp):
            op.properties["sym_name"] = StringAttr("serve")
    extra = before.clone()
    for module in (before, after):
        module.body.block.add_op(func_of(extra, "helper"))
    assert compare_modules(before, after).notes == ("@main: the module after has no counterpart",)
    renamed = compare_modules(before, after, contract=Numerics(entries={"serve": "main"}))
    assert renamed.ratio == 0.0 and renamed.notes == ()
    said = compare_modules(before, after, contract=Numerics(incomparable="it draws at random"))
    assert said.not_compared == "it draws at random"


def func_of(module: ModuleOp, name: str) -> FuncOp:
    """A copy of the module's function under another name, without what it has in common with the first."""
    found = next(op for op in module.body.block.ops if isinstance(op, FuncOp)).clone()
    found.properties["sym_name"] = StringAttr(name)
    return found
