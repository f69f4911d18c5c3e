"""Buffers, schedules and kernels: text, verifiers, numpy meaning."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.interpret import Interpreter
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout import expressions
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.ops import AdvanceOp, KernelOp
from llmc.dialects.layout.semantics import SEMANTICS, Buffer, PagedBatch, PagedState, run_kernel
from llmc.dialects.layout.types import BufferType, ScheduleAttr
from llmc.dialects.nn.semantics import SEMANTICS as NN
from llmc.passes.layout.close_decode_loop import advance_types
from xdsl.dialects.builtin import ModuleOp, bf16, f32, i32
from xdsl.utils.exceptions import VerifyException

KERNEL = """
layout.kernel @k(%x: !layout.buffer<["T", 64], bf16>, %w: !layout.buffer<[32, 64], bf16, #layout.mem<[[32, 1]], [[64, 32]]>>,
                 %p: !layout.buffer<["T"], i32>, %y: !layout.buffer<["T", 96], bf16>, %T: i32) attributes {
    family = "pointwise", arg_effects = ["r", "r", "r", "w"], sizes = ["T"], grid = ["4", "ceildiv(T, 2)", "1"],
    schedule = #layout.schedule<"skinny", {warps = 8, kind = "a", tile = [1, 2], wide = true}>, ranges = {T = [1 : i64, 4 : i64]}} {
  %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
  %1 = layout.batch positions = %p : (!layout.buffer<["T"], i32>) -> !nn.batch<"T", "B">
  layout.write %0, %y at [0, 32] : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 96], bf16>
  layout.return
}
"""


def parse(text: str) -> ModuleOp:
    module = parse_module(make_context(), text)
    module.verify()
    return module


def first_kernel(module: ModuleOp) -> KernelOp:
    kernel = next(iter(module.body.block.ops))
    assert isinstance(kernel, KernelOp)
    return kernel


def test_a_kernel_prints_as_it_was_read():
    text = str(parse(KERNEL))
    assert str(parse(text)) == text
    assert '#layout.schedule<"skinny", {warps = 8, kind = "a", tile = [1, 2], wide = true}>' in text
    assert '%x: !layout.buffer<["T", 64], bf16>,' in text


def test_a_kernel_answers_what_schedules_ask():
    kernel = first_kernel(parse(KERNEL))
    assert kernel.range_of("T") == (1, 4) and kernel.range_of("B") is None
    assert list(kernel.size_args) == ["T"]
    assert [kernel.effect(b) for b in kernel.buffers] == ["r", "r", "r", "w"]
    assert kernel.schedule is not None and kernel.schedule.integer("warps") == 8 and kernel.schedule["tile"] == [1, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('sizes = ["T"]', 'sizes = ["B"]', "uses? the sizes|use the sizes"),
        ('["r", "r", "r", "w"]', '["r", "w"]', "effects"),
        ('["r", "r", "r", "w"]', '["r", "r", "r", "x"]', "none of r, w, rw"),
        ("at [0, 32]", "at [0, 40]", "leaves the buffer"),
        ("at [0, 32]", "at [1, 32]", "written whole"),
        ('["4", "ceildiv(T, 2)", "1"]', '["4", "T +", "1"]', "no size expression"),
        ("  layout.return\n", "", "layout.return|terminator|empty"),
        ("[[32, 1]], [[64, 32]]", "[[16, 1]], [[64, 32]]", "its layout holds"),
    ],
)
def test_a_malformed_kernel_is_refused(old: str, new: str, message: str):
    with pytest.raises((VerifyException, LlmcError), match=message):
        parse(KERNEL.replace(old, new))


def test_size_expressions():
    assert expressions.evaluate("max(2 * T, ceildiv(T + 1, 4)) - 1", {"T": 7}) == 13
    assert expressions.names("ceildiv(8*T, B)") == {"T", "B"}
    with pytest.raises(LlmcError, match="LLMC0702"):
        expressions.evaluate("T + 1", {})
    with pytest.raises(LlmcError, match="LLMC0701"):
        expressions.evaluate("__import__('os')", {})


def test_buffer_bytes():
    type_ = BufferType.of(("T", 64), bf16)
    assert type_.num_bytes({"T": 3}) == 384
    assert expressions.evaluate(type_.bytes_expression(), {"T": 3}) == 384
    padded = BufferType.of((10, 32), bf16, MemLayout((((16, 32),), ((32, 1),))))
    assert padded.num_elements({}) == 512


def test_buffers_hold_tensors_in_their_layout():
    type_ = BufferType.of((4, 6), f32, MemLayout((((2, 1), (2, 12)), ((6, 2),))))
    value = np.arange(24, dtype=np.float32).reshape(4, 6)
    buffer = Buffer.empty(type_, {})
    buffer.write(value[2:, 1:4], (2, 1))
    assert np.array_equal(buffer.read()[2:, 1:4], value[2:, 1:4])
    assert buffer.memory[12 + 2 * 1 + 0] == value[2, 1]
    assert np.count_nonzero(buffer.memory) == 6


def test_schedules_compare_by_value():
    one, other = ScheduleAttr.of("gemm", m=128, n=64), ScheduleAttr.of("gemm", m=128).updated(n=64)
    assert one == other and one.get("k", 32) == 32


def test_a_kernel_runs_on_buffers():
    module = parse(KERNEL)
    kernel, sizes = first_kernel(module), {"T": 3}
    buffers = [Buffer.empty(b.type, sizes) for b in kernel.buffers]  # pyright: ignore
    value = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    buffers[0].write(value)
    interpreter = Interpreter(module, {**NN, **SEMANTICS})
    from llmc.dialects.ir.interpret import Frame

    run_kernel(kernel, buffers, sizes, Frame(interpreter, dict(sizes)))
    result = buffers[3].read().astype(np.float32)
    assert np.array_equal(result[:, 32:], buffers[0].read().astype(np.float32)) and not result[:, :32].any()


def test_states_live_in_pages():
    pool = BufferType.of(("P", 1, 2, 3), f32)
    sizes = {"P": 4}
    state = PagedState(Buffer.empty(pool, sizes), Buffer.empty(pool, sizes))
    table = np.array([[3, 1], [2, 0]], np.int32)
    positions, sequence = np.array([0, 1, 2, 0], np.int32), np.array([0, 0, 0, 1], np.int32)
    batch = PagedBatch(np.array([0, 3, 4], np.int32), np.array([3, 1], np.int32), positions, sequence, table)
    k = np.arange(12, dtype=np.float32).reshape(4, 1, 3)
    state.append(k, -k, batch)
    plain = state.gathered(batch)
    assert np.array_equal(plain.keys[0], k[:3]) and np.array_equal(plain.values[1], -k[3:])
    assert np.array_equal(state.keys.read()[1, 0, 0], k[2, 0])


def test_advance_moves_live_sequences_only():
    types = advance_types()
    sizes = {"B": 4}
    buffers = {name: Buffer.empty(type_, sizes) for name, type_ in types.items()}
    start = {
        "tokens": [5, 6, 7, 8],
        "limit": [9, 9, 3, 9],
        "alive": [1, 1, 1, 0],
        "step": [2, 2, 2, 2],
        "positions": [10] * 4,
        "kv_len": [11] * 4,
    }
    for name, values in start.items():
        buffers[name].write(np.array(values, np.int32))
    stops = np.full((4, 8), -1, np.int32)
    stops[:, 3] = 6
    buffers["eos"].write(stops)
    SEMANTICS[AdvanceOp](None, tuple(buffers.values()), None)  # pyright: ignore
    found = {name: buffer.read().tolist() for name, buffer in buffers.items()}
    assert found["alive"] == [1, 0, 0, 0]  # goes on, stop token, limit, was dead
    assert found["step"] == [3, 3, 3, 2]
    assert found["positions"] == [11, 10, 10, 10] and found["kv_len"] == [12, 11, 11, 11]
    assert [row[2] for row in found["ring"]] == [5, 6, 7, 0]
    assert found["ids"] == [5, 6, 7, 0]
    assert types["ids"].element_type == i32
