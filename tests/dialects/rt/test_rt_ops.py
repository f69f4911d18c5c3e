"""Host programs: text, verifiers, when launches happen."""

from __future__ import annotations

import pytest
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.rt.ops import ArenaOp, LaunchOp, ProgramOp
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import VerifyException

PROGRAM = """
rt.weight @embed : !layout.buffer<[512, 64], bf16>
rt.weight @half : !layout.buffer<[2], f32> = dense<[1.0, 2.0]> : tensor<2xf32>
rt.program @decode attributes {sizes = ["B", "T"], ranges = {T = [1 : i64, 8 : i64]}} {
  %ids = rt.io "ids" : !layout.buffer<["T"], i32>
  %0 = rt.param @embed : !layout.buffer<[512, 64], bf16>
  %1 = rt.temp : !layout.buffer<[512, 64], bf16>
  rt.upload "model.embed.weight" to %1 : !layout.buffer<[512, 64], bf16>
  %arena = rt.arena ["128 * T", "max(128 * T, 100)"]
  %2 = rt.view %arena[1] : !layout.buffer<["T", 64], bf16>
  %3 = rt.reinterpret %2 : !layout.buffer<["T", 64], bf16> -> !layout.buffer<["T", 2, 32], bf16>
  rt.launch @gather(%ids, %0, %2) grid ["1", "ceildiv(T, 2)", "1"] sizes ["T"] for "T" in [2, 4] : (!layout.buffer<["T"], i32>, !layout.buffer<[512, 64], bf16>, !layout.buffer<["T", 64], bf16>)
  rt.return
}
"""


def parse(text: str) -> ModuleOp:
    module = parse_module(make_context(), text)
    module.verify()
    return module


def test_a_program_prints_as_it_was_read():
    text = str(parse(PROGRAM))
    assert str(parse(text)) == text
    assert 'rt.launch @gather(%ids, %0, %2) grid ["1", "ceildiv(T, 2)", "1"] sizes ["T"] for "T" in [2, 4]' in text


def test_launches_know_when_and_where():
    launch = next(op for op in parse(PROGRAM).walk() if isinstance(op, LaunchOp))
    assert [launch.happens({"T": t}) for t in (1, 2, 4, 5)] == [False, True, True, False]
    assert launch.grid_of({"T": 3}) == (1, 2, 1)


def test_slots_follow_each_other_aligned():
    arena = next(op for op in parse(PROGRAM).walk() if isinstance(op, ArenaOp))
    assert arena.offsets({"T": 3}) == ([0, 512], 1024)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("%arena[1]", "%arena[2]", "slot 2 of an arena of 2"),
        ('"128 * T"', '"128 T"', "no size expression"),
        ("  rt.return\n", "", "rt.return|terminator"),
        (
            "rt.weight @embed : !layout.buffer<[512, 64], bf16>",
            'rt.weight @embed : !layout.buffer<["T"], bf16>',
            "static sizes",
        ),
    ],
)
def test_a_malformed_program_is_refused(old: str, new: str, message: str):
    with pytest.raises((VerifyException, LlmcError), match=message):
        parse(PROGRAM.replace(old, new))


def test_programs_hold_their_sizes():
    program = next(op for op in parse(PROGRAM).walk() if isinstance(op, ProgramOp))
    assert [s.data for s in program.sizes.data] == ["B", "T"]
