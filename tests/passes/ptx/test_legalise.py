"""Legalise: copies, equal and dead instructions go; a form the target lacks is refused by name."""

import pytest
from llmc.codegen.targets import find_target
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ptx.build import Addr, PtxBuilder, Sreg
from llmc.dialects.ptx.ops import KernelOp
from llmc.passes.ptx.legalise import legalise


def kernel() -> tuple[KernelOp, PtxBuilder]:
    k = KernelOp.make("k", {"x": "u64", "n": "u32"}, 32)
    return k, PtxBuilder(k.body.block)


def names(k: KernelOp) -> list[str]:
    return [op.name for block in k.body.blocks for op in block.ops]


def test_equal_dead_and_copied_values_go() -> None:
    k, b = kernel()
    x = b.param("x")
    n = b.emit("mov.b32", b.param("n"))
    again = b.param("n")
    b.emit("add.s32", n, 1)  # dead
    b.emit("st.global.v2.b32", Addr(x), [n, again])
    b.ret()
    assert legalise(k) == 3
    assert names(k) == ["ptx.ld", "ptx.ld", "ptx.st", "ptx.ret"]
    k.verify()


def test_clocks_and_loads_are_not_shared() -> None:
    k, b = kernel()
    x = b.param("x")
    for _ in range(2):
        b.emit("st.global.b32", Addr(x), b.emit("mov.u32", Sreg("%clock")))
        b.emit("st.global.b32", Addr(x), b.emit("ld.global.b32", Addr(x)))
    b.ret()
    assert legalise(k) == 0


def test_an_instruction_that_the_target_lacks_is_named() -> None:
    k, b = kernel()
    b.emit("wgmma.fence.sync.aligned")
    b.ret()
    legalise(k, find_target("sm_90a"))
    with pytest.raises(LlmcError) as e:
        legalise(k, find_target("sm_90"))
    assert "wgmma.fence" in e.value.render() and "sm_90a" in e.value.render()
