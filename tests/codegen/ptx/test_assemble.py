"""ptxas: fields of its log, the cache, refusals, absence."""

from pathlib import Path

import pytest
from llmc.codegen.ptx import assemble as module
from llmc.codegen.ptx.assemble import assemble, find_ptxas, find_tool, read_log
from llmc.codegen.ptx.sass import sass
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ptx.build import Addr, PtxBuilder
from llmc.dialects.ptx.ops import KernelOp
from llmc.dialects.ptx.text import module_to_ptx
from llmc.passes.ptx.assign_registers import assign_registers
from tools import needs_ptxas


def text(value: float = 1.0) -> str:
    kernel = KernelOp.make("k", {"x": "u64"}, 32)
    b = PtxBuilder(kernel.body.block)
    x = b.param("x")
    b.emit("st.global.f32", Addr(x), b.emit("mul.f32", b.emit("ld.global.f32", Addr(x)), value))
    b.ret()
    assign_registers(kernel)
    return module_to_ptx(kernel, "sm_80")


@needs_ptxas
def test_the_log_is_read() -> None:
    done = assemble(text(), "sm_80")
    assert done.cubin[:4] == b"\x7fELF"
    assert done.kernels["k"].registers > 0 and done.spills == 0 and not done.warnings


@needs_ptxas
def test_a_second_build_comes_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ptxas = find_ptxas()
    first = assemble(text(), "sm_80", ptxas=ptxas, cache=tmp_path)
    monkeypatch.setattr(module.subprocess, "run", lambda *a, **k: pytest.fail("ptxas was started"))
    second = assemble(text(), "sm_80", ptxas=ptxas, cache=tmp_path)
    assert second.cached and second.cubin == first.cubin and second.kernels == first.kernels
    assert not [p for p in tmp_path.rglob("tmp*")]


@needs_ptxas
def test_a_refusal_shows_the_line_and_where_it_came_from() -> None:
    bad = text().replace("\tmul.f32", "\t.loc 1 7 0 // model.layers.3.mlp\n\tmul.q32")
    with pytest.raises(LlmcError) as e:
        assemble(bad, "sm_80", where="kernel @k")
    shown = e.value.render()
    assert "mul.q32" in shown and "model.layers.3.mlp" in shown and "kernel @k" in shown
    assert "--device emulator --target sm_80 writes to OUT/ptx" in shown and "the dump" not in shown


@pytest.mark.parametrize("name", ["KILL", "SEGV"])
def test_a_ptxas_that_a_signal_ends_is_not_taken_for_a_refusal(name: str, tmp_path: Path) -> None:
    ptxas = tmp_path / "ptxas"
    ptxas.write_text(f'#!/bin/sh\n[ "$1" = --version ] || kill -{name} $$\n')
    ptxas.chmod(0o755)
    with pytest.raises(LlmcError, match=rf"LLMC0845.*SIG{name} ended it") as e:
        assemble("\n" * 7, "sm_80", ptxas=ptxas)
    shown = e.value.render()
    assert "7 lines of PTX" in shown and "more memory" in shown and "mistake in llmc" not in shown


def test_a_missing_ptxas_says_how_to_get_it() -> None:
    with pytest.raises(LlmcError, match="not found"):
        find_ptxas([Path("/nonexistent")])


def test_warnings_become_codes() -> None:
    log = (
        "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async instructions are serialized due to …\n"
        "ptxas info    : Compiling entry function 'k' for 'sm_90a'\n"
        "    8 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads\n"
        "ptxas info    : Used 168 registers, used 2 barriers, 1024 bytes smem\n"
    )
    done = read_log(b"", log)
    assert done.codes == ("C7510",) and done.serialised
    assert (done.spills, done.registers, done.smem, done.kernels["k"].barriers) == (40, 168, 1024, 2)


@pytest.mark.skipif(find_tool("nvdisasm") is None or find_tool("ptxas") is None, reason="nvdisasm or ptxas is not installed")
def test_sass_is_counted() -> None:
    listing = sass(assemble(text(3.0), "sm_80").cubin)
    assert listing.counts["FMUL"] == 1 and listing.counts["LDG"] == 1 and listing.highest_register >= 0
