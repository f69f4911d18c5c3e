"""What passes tell about their decisions: why kernels are apart, what conversions cost, what bounds a kernel."""

from __future__ import annotations

from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from running import run_passes
from tile_kernels import start
from xdsl.dialects.builtin import ModuleOp, bf16

CHAIN = """
builtin.module attributes {llmc.target = "sm_90a"} {
  nn.weight @a { %0 = nn.entry "a" : tensor<64x64xbf16> nn.yield %0 : tensor<64x64xbf16> }
  nn.weight @b { %0 = nn.entry "b" : tensor<64x64xbf16> nn.yield %0 : tensor<64x64xbf16> }
  func.func @main(%x: tensor<256x64xbf16>) -> tensor<256x64xbf16> {
    %a = nn.param @a : tensor<64x64xbf16>
    %b = nn.param @b : tensor<64x64xbf16>
    %0 = nn.linear %x, %a {acc = f32} : (tensor<256x64xbf16>, tensor<64x64xbf16>) -> tensor<256x64xbf16>
    %1 = nn.linear %0, %b {acc = f32} : (tensor<256x64xbf16>, tensor<64x64xbf16>) -> tensor<256x64xbf16>
    func.return %1 : tensor<256x64xbf16>
  }
}
"""


def test_form_kernels_says_why_two_linears_are_two_launches() -> None:
    context = run_passes(parse_module(make_context(), CHAIN), "generalise,form-kernels")
    (missed,) = (r for r in context.remarks.of("fusion") if r.kind == "missed")
    assert "nn.linear → nn.linear are two launches" in missed.message.replace(" (nn.linear)", "")
    assert "both are built around an op that fills a CTA" in missed.message and missed.symbol == "main"


def test_choose_schedules_gives_each_kernel_its_least_time() -> None:
    module = parse_module(make_context(), CHAIN)
    context = run_passes(module, "generalise,form-kernels,outline-kernels,bufferise,choose-schedules")
    found = [r.message for r in context.remarks.of("roofline")]
    assert len(found) == 1 and "bound by memory: 0.07 MB, 0.00 GFLOP" in found[0]  # two equal kernels are one


def test_quantise_linears_counts_the_bytes_and_names_what_keeps_a_weight_wide() -> None:
    text = CHAIN.replace(
        "%b = nn.param @b : tensor<64x64xbf16>",
        "%b = nn.param @b : tensor<64x64xbf16>\n    %z = nn.add %b, %b : (tensor<64x64xbf16>, tensor<64x64xbf16>) -> tensor<64x64xbf16>",
    )
    context = run_passes(parse_module(make_context(), text), "quantise-linears")
    passed, missed = sorted(context.remarks.of("quantisation"), key=lambda r: r.kind, reverse=True)
    assert "@a in int8 with a scale for each of 64 rows" in passed.message
    assert "@b stays in 16 bits: nn.add reads it too" in missed.message and missed.suggestion


def test_select_access_tells_what_a_layout_conversion_costs() -> None:
    b = start("turn", [BufferType.of([32, 64], bf16)] * 2, ["r", "w"], warps=2)
    x = b.load(b.arg(0), [0, 0], Tv.blocked((32, 64), 8, None, 2))
    b.store(b.relayout(x, Tv.blocked((32, 64), 8, (0, 1), 2)), b.arg(1), [0, 0])
    context = run_passes(ModuleOp([b.finish()]), "select-access")
    narrow, costly = sorted(context.remarks.items, key=lambda r: r.kind, reverse=True)
    assert costly.category == "layout" and costly.symbol == "turn"
    assert "layout conversion of 32x64xbf16 through" in costly.message and "bytes of shared memory" in costly.message
    assert narrow.category == "access" and "one at a time" in narrow.message
