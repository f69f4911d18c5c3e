"""Random structured programs whose branches and loops depend on the thread, against one thread at a time in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from llmc.runtime.device import KernelImage
from llmc.runtime.emulator.device import EmulatorDevice

THREADS, CTAS = 96, 3
MASK = 0xFFFF_FFFF
Step = Callable[[int], int]


@dataclass
class Program:
    """PTX lines on `%r1` (the value) beside the same steps in Python."""

    lines: list[str] = field(default_factory=list)
    labels: int = 0

    def label(self) -> str:
        self.labels += 1
        return f"L{self.labels}"


def emit(program: Program, tree: object) -> Step:
    match tree:
        case ("add", int(amount)):
            program.lines.append(f"add.s32 %r1, %r1, {amount};")
            return lambda x: (x + amount) & MASK
        case ("mul", int(amount)):
            program.lines.append(f"mul.lo.s32 %r1, %r1, {amount};")
            return lambda x: (x * amount) & MASK
        case ("if", int(mask), then, other):
            otherwise, join = program.label(), program.label()
            program.lines += [f"and.b32 %r2, %r1, {mask};", "setp.eq.u32 %p1, %r2, 0;", f"@%p1 bra {otherwise};"]
            yes = emit(program, then)
            program.lines += [f"bra {join};", f"{otherwise}:"]
            no = emit(program, other)
            program.lines.append(f"{join}:")
            return lambda x: yes(x) if x & mask else no(x)
        case ("loop", int(mask), body):
            # the counter lives in a register of its own depth; the trip count comes from the value
            head, done = program.label(), program.label()
            counter = f"%c{program.labels}"
            program.lines += [
                f"and.b32 {counter}, %r1, {mask};",
                f"{head}:",
                f"setp.eq.u32 %p1, {counter}, 0;",
                f"@%p1 bra {done};",
            ]
            step = emit(program, body)
            program.lines += [f"sub.s32 {counter}, {counter}, 1;", f"bra {head};", f"{done}:"]

            def run(x: int) -> int:
                for _ in range(x & mask):
                    x = step(x)
                return x

            return run
        case ("barrier",):
            program.lines += ["bar.warp.sync 0xffffffff;", "shfl.sync.idx.b32 %r3, %r1, 0, 31, 0xffffffff;"]
            return lambda x: x
        case list():
            steps = [emit(program, part) for part in tree]

            def sequence(x: int) -> int:
                for step in steps:
                    x = step(x)
                return x

            return sequence
    raise AssertionError(tree)


LEAF = st.one_of(st.tuples(st.just("add"), st.integers(1, 99)), st.tuples(st.just("mul"), st.sampled_from([3, 5, 7])))
TREE = st.recursive(
    st.lists(LEAF, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.tuples(st.just("if"), st.sampled_from([1, 2, 4, 32, 64]), inner, inner),
        st.tuples(st.just("loop"), st.sampled_from([1, 3, 34]), inner),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(TREE, min_size=1, max_size=3))
def test_divergent_threads_compute_what_each_would_alone(parts: list[object]) -> None:
    program = Program()
    steps: list[Step] = []
    for part in parts:  # warps come together between the parts
        steps.append(emit(program, part))
        emit(program, ("barrier",))
    body = "\n".join(program.lines)
    text = f"""
.version 7.8
.target sm_80
.address_size 64
.visible .entry k(.param .u64 out)
.reqntid {THREADS}, 1, 1
{{
.reg .pred %p<2>;
.reg .b32 %r<6>;
.reg .b32 %c<{program.labels + 1}>;
.reg .b64 %rd<4>;
mov.u32 %r1, %tid.x;
mov.u32 %r4, %ctaid.x;
mad.lo.s32 %r1, %r4, {THREADS}, %r1;
mov.u32 %r5, %r1;
{body}
ld.param.u64 %rd1, [out];
mul.wide.u32 %rd2, %r5, 4;
add.s64 %rd3, %rd1, %rd2;
st.global.u32 [%rd3], %r1;
ret;
}}
"""
    device = EmulatorDevice(capacity=1 << 24)
    out = device.alloc(4 * THREADS * CTAS)
    device.launch(device.load(KernelImage("k", text, threads=THREADS)), (CTAS, 1, 1), [out.ptr])

    def alone(x: int) -> int:
        for step in steps:
            x = step(x)
        return x

    assert device.download(out, out.nbytes).view(np.uint32).tolist() == [alone(i) for i in range(THREADS * CTAS)]


COUNTED = """\
.version 8.0
.target sm_80
.address_size 64
.visible .entry k() .reqntid 96
{
    .reg .b32 %r<2>;
    .reg .pred %p<2>;
    mov.u32 %r1, %tid.x;
    setp.ge.u32 %p1, %r1, 48;
    @%p1 bra done;
    add.s32 %r1, %r1, 1;
    add.s32 %r1, %r1, 1;
done:
    ret;
}
"""


def test_an_instruction_counts_once_for_each_warp_with_a_thread_in_it() -> None:
    device = EmulatorDevice(capacity=1 << 20)
    device.launch(device.load(KernelImage("k", COUNTED, threads=96)), (2, 1, 1), [])
    all_three, first_two = 3 + 1, 2  # mov, setp, bra and ret; the additions, which half of the second warp skips
    assert device.instructions == 2 * (3 * all_three + 2 * first_two)
