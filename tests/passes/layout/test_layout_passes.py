"""From launches on tensors to launches on buffers: bufferise, the decode loop, weights, the arena."""

from __future__ import annotations

import pytest
from fusion_modules import tiny_decoder
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.locations import coverage
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout.ops import KernelOp
from llmc.dialects.rt.ops import ArenaOp, LaunchOp, ProgramOp, TempOp, ViewOp
from llmc.passes.framework.pass_ import Pass, PassContext
from llmc.passes.layout.bufferise import Bufferise
from llmc.passes.layout.close_decode_loop import CloseDecodeLoop
from llmc.passes.layout.plan_arena import PlanArena
from xdsl.dialects.builtin import ModuleOp

CONTEXT = make_context()


def run(text: str, *passes: Pass) -> ModuleOp:
    module = parse_module(CONTEXT, text)
    for each in passes:
        each.run(PassContext(CONTEXT, running=each.name), module)
        module.verify()
    text = str(module)
    assert str(parse_module(CONTEXT, text)) == text
    return module


def kernel(module: ModuleOp, name: str) -> KernelOp:
    return next(op for op in module.walk() if isinstance(op, KernelOp) and op.sym_name.data == name)


def program(module: ModuleOp, name: str) -> ProgramOp:
    return next(op for op in module.walk() if isinstance(op, ProgramOp) and op.sym_name.data == name)


def launched(op: ProgramOp) -> list[str]:
    return [o.kernel.root_reference.data for o in op.block.ops if isinstance(o, LaunchOp)]


def test_kernels_take_inputs_batch_outputs_sizes_in_this_order():
    module = run(tiny_decoder(), Bufferise(page_size=4, max_context=64))
    attend = kernel(module, "attend_prefill_prefill")
    names = [a.name_hint for a in attend.block.args]
    assert names == [
        "x0",
        "k_pages1",
        "v_pages1",
        "positions",
        "sequence",
        "query_start",
        "kv_len",
        "page_table",
        "y0",
        "B",
        "P",
        "T",
    ]
    assert [e.data for e in attend.arg_effects.data] == ["r"] * 8 + ["w"]
    append = kernel(module, "qkv_prefill_prefill")
    assert [append.effect(b) for b in append.buffers if (b.name_hint or "").endswith("pages3")] == ["rw", "rw"]
    assert not any((b.name_hint or "") == "query_start" for b in append.buffers)


def test_regimes_keep_their_ranges():
    module = run(tiny_decoder(), Bufferise())
    assert kernel(module, "out_k_prefill").range_of("T") == (1, 8192)
    assert kernel(module, "out_k_decode").range_of("T") == (1, 64)


def test_decoding_samples_and_advances_by_itself():
    module = run(tiny_decoder(), Bufferise(), CloseDecodeLoop())
    assert launched(program(module, "decode"))[-2:] == ["sample_kernel", "advance_kernel"]
    assert launched(program(module, "sample")) == ["sample_kernel"]
    assert "sample_kernel" not in launched(program(module, "prefill"))


def test_intermediates_share_slots_when_their_lives_are_apart():
    module = run(tiny_decoder(), Bufferise(), PlanArena())
    decode = program(module, "decode")
    assert not any(isinstance(op, TempOp) for op in decode.walk())
    arena = next(op for op in decode.walk() if isinstance(op, ArenaOp))
    views = [op for op in decode.walk() if isinstance(op, ViewOp)]
    assert len(views) == 4 and len(arena.slots.data) == 3
    order = {op: i for i, op in enumerate(decode.block.ops)}
    assert all(order[arena] < order[view] for view in views)


def test_ops_outside_kernels_become_kernels():
    text = """
    func.func @main(%x: tensor<?x8xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>> {
      %0 = nn.softmax %x {axis = 1 : i64} : (tensor<?x8xbf16, #nn.dims<["T", "_"]>>) -> tensor<?x8xbf16, #nn.dims<["T", "_"]>>
      func.return %0 : tensor<?x8xbf16, #nn.dims<["T", "_"]>>
    }"""
    module = run(text, Bufferise())
    assert launched(program(module, "main")) == ["nn_softmax_main"]


def test_a_tensor_with_two_dynamic_sizes_is_refused():
    text = """
    func.func @main(%x: tensor<?x?xbf16, #nn.dims<["B", "T"]>>) -> tensor<?x?xbf16, #nn.dims<["B", "T"]>> {
      func.return %x : tensor<?x?xbf16, #nn.dims<["B", "T"]>>
    }"""
    with pytest.raises(LlmcError, match=r"LLMC0704.*dimension 1 of argument %x varies \(T\)") as caught:
        run(text, Bufferise())
    assert "argument %x: tensor<" in caught.value.render() and "static" in caught.value.fix


def test_ops_keep_locations():
    text = tiny_decoder()
    module = run(text, Bufferise(), CloseDecodeLoop(), PlanArena())
    assert coverage(kernel(module, "sample_kernel")) == 1.0
