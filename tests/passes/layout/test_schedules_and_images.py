"""Choosing schedules and weight images, finishing the ABI, the program that loads weights."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from fusion_modules import expected_logits, tiny_checkpoint, tiny_decoder
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout.ops import KernelOp, WriteOp
from llmc.dialects.layout.ranges import decode_ranges
from llmc.dialects.layout.types import BufferType, ScheduleAttr
from llmc.dialects.rt.ops import LaunchOp, ParamOp, ProgramOp, UploadOp, WeightOp
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.layout.bufferise import Bufferise
from llmc.passes.layout.choose_schedules import ChooseSchedules
from llmc.passes.layout.choose_weight_images import ChooseWeightImages
from llmc.passes.layout.finalise_abi import FinaliseAbi
from llmc.passes.layout.lower_weights import LowerWeights
from llmc.passes.layout.plan_arena import PlanArena
from llmc.runtime.engine import Capacity
from llmc.runtime.generate import Session
from llmc.runtime.reference import ReferenceEngine
from xdsl.dialects.builtin import ModuleOp

CONTEXT = make_context()
PROMPT = [3, 17, 99, 5, 64, 22, 8]


@cache
def compiled() -> ModuleOp:
    module = parse_module(CONTEXT, tiny_decoder())
    steps = (Bufferise(max_context=128), ChooseSchedules(), ChooseWeightImages(), LowerWeights(), FinaliseAbi(), PlanArena())
    for each in steps:
        each.run(PassContext(CONTEXT, running=each.name), module)
        module.verify()
    text = str(module)
    again = parse_module(CONTEXT, text)
    assert str(again) == text
    return again


def kernels() -> dict[str, KernelOp]:
    return {op.sym_name.data: op for op in compiled().walk() if isinstance(op, KernelOp)}


def program(name: str) -> ProgramOp:
    return next(op for op in compiled().walk() if isinstance(op, ProgramOp) and op.sym_name.data == name)


def launches(name: str) -> list[LaunchOp]:
    return [op for op in program(name).block.ops if isinstance(op, LaunchOp)]


def test_every_kernel_has_a_schedule_and_a_grid():
    assert all(k.schedule is not None and k.grid is not None for k in kernels().values())
    assert all(op.grid is not None for name in ("prefill", "decode", "load") for op in launches(name))


def test_each_size_takes_exactly_one_variant_of_a_kernel():
    stem = "out_k_decode"
    for tokens in (1, 8, 9, 33, 64):
        sizes = {"T": tokens, "B": tokens, "P": 4}
        taken = [op.kernel.root_reference.data for op in launches("decode") if op.happens(sizes)]
        assert len([name for name in taken if name.startswith(stem)]) == 1
    small = next(k for n, k in kernels().items() if n == stem)
    assert decode_ranges(small.ranges)["T"][0] == 1


def test_a_weight_has_one_image_for_all_its_uses():
    types: dict[str, set[BufferType]] = {}
    for op in compiled().walk():
        if isinstance(op, ParamOp):
            types.setdefault(op.weight.root_reference.data, set()).add(op.result.type)  # pyright: ignore
    for weight in (op for op in compiled().walk() if isinstance(op, WeightOp)):
        assert types[weight.sym_name.data] == {weight.type}
    assert not next(iter(types["qkv"])).is_row_major
    named = kernels()
    for name in ("prefill", "decode", "load"):
        for op in launches(name):
            kernel = named[op.kernel.root_reference.data]
            for operand, argument in zip(op.buffers, kernel.buffers, strict=True):
                if isinstance(operand.owner, ParamOp):
                    assert operand.type == argument.type


def test_loading_uploads_and_packs():
    ops = list(program("load").block.ops)
    uploads = [op.entry.data for op in ops if isinstance(op, UploadOp)]
    assert sorted(uploads) == ["embed", "k", "norm", "o", "q", "v"]
    starts = [
        w.start for k in kernels().values() if k.sym_name.data.startswith("pack") for w in k.walk() if isinstance(w, WriteOp)
    ]
    assert {(0, 0), (64, 0), (96, 0)} <= set(starts)


def test_split_attention_is_two_launches_on_the_same_buffers():
    split = [k for k in kernels().values() if k.sym_name.data.endswith("_combine")]
    assert split
    first = kernels()[split[0].sym_name.data.removesuffix("_combine")]
    assert [a.type for a in first.block.args] == [a.type for a in split[0].block.args]
    assert first.arg_effects.data[-1].data == "rw" and first.grid != split[0].grid


def test_a_pinned_schedule_stays():
    module = parse_module(CONTEXT, tiny_decoder())
    Bufferise().run(PassContext(CONTEXT), module)
    kernel = next(op for op in module.walk() if isinstance(op, KernelOp) and op.family.data == "linear")
    kernel.properties["schedule"] = ScheduleAttr.of("generic")
    ChooseSchedules().run(PassContext(CONTEXT), module)
    assert kernel.schedule == ScheduleAttr.of("generic")


def test_a_pinned_schedule_that_does_not_exist_is_refused_at_its_kernel():
    module = parse_module(CONTEXT, tiny_decoder())
    Bufferise().run(PassContext(CONTEXT), module)
    kernel = next(op for op in module.walk() if isinstance(op, KernelOp) and op.family.data == "linear")
    kernel.properties["schedule"] = ScheduleAttr.of("gemmm")
    ChooseSchedules().run(PassContext(CONTEXT), module)
    with pytest.raises(LlmcError, match=r"LLMC0502.*'gemmm'") as caught:
        ChooseWeightImages().run(PassContext(CONTEXT), module)
    assert caught.value.where is kernel


def test_the_result_means_what_it_meant():
    engine = ReferenceEngine(compiled(), Capacity(16, 2, 8))
    engine.load(tiny_checkpoint())
    found = Session(engine, buckets=(1,)).logits(PROMPT)
    expected = expected_logits(PROMPT, tiny_checkpoint())[-1]
    assert np.abs(found - expected).mean() < 0.02 * np.abs(expected).mean()
