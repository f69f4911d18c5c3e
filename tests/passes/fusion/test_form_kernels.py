"""Fusion: few distinct kernels whatever the depth, one anchor each, norms placed by regime, decisions told as remarks."""

import re

import pytest
from decoder_graphs import Shape, decoder
from llmc.codegen.targets import find_target
from llmc.dialects.fusion.ops import KernelOp, LaunchOp
from llmc.dialects.ir.locations import coverage
from llmc.dialects.nn import ops as nn
from llmc.passes.fusion.cost import Costs
from llmc.passes.fusion.dataflow import Grouping
from running import function, run_passes
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.linalg.ops import GenericOp

NN = "canonicalize,recognise,introduce-state,select-token,choose-precision,add-sampling,merge-linears,canonicalize,specialise-sizes"
FUSION = "generalise,form-kernels,outline-kernels"
ANCHORS = (nn.LinearOp, nn.AttentionOp, nn.RmsNormOp, nn.LayerNormOp, nn.EmbeddingOp, nn.SampleOp, nn.SelectTokenOp)


def kernels(module: ModuleOp, regime: str) -> list[KernelOp]:
    """The distinct kernels that a regime launches, in order."""
    table = {op.sym_name.data: op for op in module.body.block.ops if isinstance(op, KernelOp)}
    names = [op.kernel.root_reference.data for op in function(module, regime).walk() if isinstance(op, LaunchOp)]
    return [table[n] for n in dict.fromkeys(names)]


def lowered(shape: Shape) -> ModuleOp:
    module = decoder(shape)
    run_passes(module, f"{NN},{FUSION}")
    return module


@pytest.mark.parametrize("shape", [Shape(), Shape(qk_norm=True), Shape(bias=True), Shape(gelu=True)])
def test_layers_share_kernels_and_no_op_is_left_outside(shape: Shape) -> None:
    shallow, deep = lowered(shape), lowered(Shape(**{**vars(shape), "layers": 6}))
    for regime in ("prefill", "decode"):
        assert [k.sym_name.data for k in kernels(shallow, regime)] == [k.sym_name.data for k in kernels(deep, regime)]
        assert len(kernels(deep, regime)) <= 15
        outside = {op.name for op in function(deep, regime).body.block.ops}
        assert outside == {"nn.param", "fusion.launch", "func.return"}


def test_a_decode_layer_is_five_launches_with_norms_inside() -> None:
    module = lowered(Shape(layers=2))
    launches = [op for op in function(module, "decode").walk() if isinstance(op, LaunchOp)]
    families = [op.kernel.root_reference.data.split("_")[0] for op in launches]
    layer = ["linear", "attention", "linear", "linear", "linear"]
    assert families == ["gather", "pointwise", *layer, *layer, "linear", "sample"]
    assert not any(k.family.data == "row" for k in kernels(module, "decode"))
    assert sum(k.family.data == "row" for k in kernels(module, "prefill")) == 1


def test_a_kernel_has_one_anchor_besides_its_prologue() -> None:
    for shape in (Shape(), Shape(qk_norm=True, bias=True)):
        module = lowered(shape)
        for kernel in (op for op in module.body.block.ops if isinstance(op, KernelOp)):
            anchors = [op for op in kernel.body.block.ops if isinstance(op, ANCHORS)]
            if kernel.family.data == "row":
                assert all(isinstance(op, nn.RmsNormOp) for op in anchors)
            elif len(anchors) == 2:
                assert isinstance(anchors[0], nn.RmsNormOp) and isinstance(anchors[1], nn.LinearOp)
                assert anchors[1].x is anchors[0].result
            else:
                assert len(anchors) == 1 or kernel.family.data == "pointwise"


def test_the_qkv_kernel_ropes_and_appends() -> None:
    module = lowered(Shape())
    qkv = next(k for k in kernels(module, "decode") if any(isinstance(op, nn.AppendOp) for op in k.walk()))
    assert qkv.family.data == "linear"
    assert sum(isinstance(op, nn.RopeOp) for op in qkv.walk()) == 2
    assert [r.name for r in qkv.function_type.outputs] == ["tensor", "nn.state"]


def test_norms_of_heads_rope_and_append_in_one_row_kernel() -> None:
    module = lowered(Shape(qk_norm=True))
    (row,) = [k for k in kernels(module, "decode") if k.family.data == "row"]
    assert [type(op) for op in row.walk() if isinstance(op, (*ANCHORS, nn.RopeOp, nn.AppendOp))].count(nn.RmsNormOp) == 2
    assert [r.name for r in row.function_type.outputs] == ["tensor", "nn.state"]
    launches = [op for op in function(module, "decode").walk() if isinstance(op, LaunchOp)]
    assert len(launches) == 2 + 2 * 6 + 2


def test_cosines_and_sines_are_one_pointwise_op_with_two_results() -> None:
    module = lowered(Shape())
    (kernel,) = [k for k in kernels(module, "decode") if k.family.data == "pointwise"]
    (generic,) = [op for op in kernel.walk() if isinstance(op, GenericOp)]
    assert len(generic.results) == 2
    assert not any(isinstance(op, nn.ConcatOp) for op in kernel.walk())


def test_decisions_are_remarks_and_locations_survive() -> None:
    module = decoder(Shape())
    context = run_passes(module, f"{NN},{FUSION}")
    told = [r.message for r in context.remarks.of("fusion")]
    assert any("prologue" in m for m in told)
    assert any("stays a kernel" in m for m in told)
    assert coverage(module) > 0.95


def test_prologues_can_be_forbidden() -> None:
    module = decoder(Shape())
    run_passes(module, f"{NN},generalise,form-kernels{{prologue=never}},outline-kernels")
    assert any(k.family.data == "row" for k in kernels(module, "decode"))


def test_a_prologue_pays_for_few_rows_only() -> None:
    costs = Costs(find_target("sm_90a"))
    assert costs.prologue_saves(1, 4096, 1000) > 0 > costs.prologue_saves(512, 4096, 1000)


def test_costs_are_those_of_the_target() -> None:
    """A norm in front of 108 blocks is read again 108 times, at an A100's pace; tensors leave its smaller L2 sooner."""
    ampere, hopper = Costs(find_target("sm_80")), Costs(find_target("sm_90a"))
    assert ampere.pass_over(1e6) > hopper.pass_over(1e6)
    assert ampere.pass_over(36e6) / ampere.pass_over(1e6) > 36.5 > hopper.pass_over(36e6) / hopper.pass_over(1e6)
    module = decoder(Shape(hidden=2048))
    run_passes(module, f"{NN},generalise", unchecked="large weights")
    remarks: dict[str, list[str]] = {}
    for target in ("sm_80", "sm_90a"):
        context = run_passes(module.clone(), f"form-kernels{{target={target}}}", unchecked="large weights")
        remarks[target] = [r.message for r in context.remarks.of("fusion")]
    assert remarks["sm_80"] != remarks["sm_90a"]


def test_names_follow_structure() -> None:
    first, second = lowered(Shape()), lowered(Shape(hidden=128))
    names = [{k.sym_name.data for k in kernels(m, "decode")} for m in (first, second)]
    assert all(re.fullmatch(r"[a-z]+_[0-9a-f]{8}", n) for n in names[0])
    assert names[0] != names[1]
    assert names[0] == {k.sym_name.data for k in kernels(lowered(Shape()), "decode")}


def test_groups_that_would_wait_for_each_other_do_not_form() -> None:
    from xdsl.dialects.builtin import i32
    from xdsl.dialects.test import TestOp

    a = TestOp(result_types=[i32])
    b = TestOp(operands=[a.results[0]], result_types=[i32])
    c = TestOp(operands=[b.results[0], a.results[0]], result_types=[i32])
    d = TestOp(operands=[a.results[0]], result_types=[i32])
    grouping = Grouping([a, b, c, d])
    assert not grouping.can_merge([a, c])
    assert grouping.can_merge([a, d]) and grouping.can_merge([b, d])
    grouping.merge([b, d])
    assert [[grouping.number[op] for op in g] for g in grouping.groups()] == [[0], [1, 3], [2]]
