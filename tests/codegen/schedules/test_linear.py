"""The linear schedules against numpy, one CTA after the other in logical coordinates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llmc.codegen.schedules.base import load_schedule
from llmc.codegen.schedules.body import Unsupported, analyse_linear
from llmc.codegen.schedules.images import weight_image
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.types import ScheduleAttr
from llmc.runtime.emulator.device import EmulatorDevice
from xdsl.dialects.builtin import bf16, i8

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from kernel_cases import linear_case
from kernel_runs import image_of, programs_of, run

Heads = tuple[int, int, int] | None


def reference(arrays: dict[str, np.ndarray], epilogue: str, heads: Heads) -> dict[str, np.ndarray]:
    """What the kernel should leave in its outputs, in f64."""
    a = {k: v.astype(np.float64) if v.dtype.kind not in "iu" or k == "w" else v for k, v in arrays.items()}
    x = a["x"].reshape(len(a["x"]), -1)
    if "gamma" in a:
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * a["gamma"]
    y = x @ a["w"].T
    y = y * a.get("scale", 1.0) + a.get("bias", 0.0)
    if epilogue == "none":
        return {"y": y}
    if epilogue == "residual":
        return {"y": y + a["residual"]}
    if epilogue == "silu_mul":
        gate, up = np.split(y, 2, axis=1)
        return {"y": gate / (1 + np.exp(-gate)) * up}
    assert heads is not None
    hq, hk, d = heads
    q, k, v = np.split(y, [hq * d, (hq + hk) * d], axis=1)
    q, k, v = (t.reshape(len(y), -1, d) for t in (q, k, v))

    def rope(t: np.ndarray) -> np.ndarray:
        turned = np.concatenate([-t[..., d // 2 :], t[..., : d // 2]], -1)
        return t * a["cos"][:, None] + turned * a["sin"][:, None]

    pages = {"k_pages": a["k_pages"].copy(), "v_pages": a["v_pages"].copy()}
    for t, (s, position) in enumerate(zip(a["sequence"], a["positions"], strict=True)):
        page = a["page_table"][s, position // 64]
        pages["k_pages"][page, :, position % 64] = rope(k)[t]
        pages["v_pages"][page, :, position % 64] = v[t]
    return {"q": rope(q), **pages}


def check(name: str, parameters: dict[str, int], epilogue: str, heads: Heads = None, device: Any = None, **shape: Any) -> None:
    case = linear_case(epilogue=epilogue, heads=heads, **shape)
    before = case.arrays()
    after = run(case, ScheduleAttr.of(name, **parameters), device)
    for output, wanted in reference(before, epilogue, heads).items():
        got = after[output].astype(np.float64)
        if output.endswith("pages"):
            got, wanted = got[1:], wanted[1:]  # page 0 is scratch
        error = np.abs(got - wanted).mean() / np.abs(wanted).mean()
        assert error < 6e-3, (output, error)


SKINNY = {"m": 16, "n": 8, "warps": 4, "unroll": 2}


@pytest.mark.parametrize(
    "parameters", [SKINNY, {**SKINNY, "m": 32, "warps": 2, "unroll": 3}, {**SKINNY, "prefetch": 1, "unroll": 1}]
)
def test_skinny_multiplies_whatever_the_split_of_k(parameters: dict[str, int]) -> None:
    check("skinny", parameters, "none", T=3, N=64, K=256)


def test_skinny_takes_more_tokens_than_its_tile() -> None:
    check("skinny", {**SKINNY, "n": 16}, "residual", T=37, N=48, K=128, bias=True)


def test_skinny_pads_rows() -> None:
    check("skinny", {**SKINNY, "m": 32}, "none", T=2, N=72, K=128)


def test_skinny_splits_the_norm() -> None:
    check("skinny", SKINNY, "residual", T=5, N=32, K=256, norm=True)


@pytest.mark.parametrize("m", [16, 32])
def test_skinny_joins_gate_and_up(m: int) -> None:
    check("skinny", {**SKINNY, "m": m}, "silu_mul", T=4, N=128, K=128, norm=True)


def test_skinny_rotates_and_appends() -> None:
    check("skinny", SKINNY, "qkv", (4, 2, 32), T=3, N=256, K=128, norm=True, lengths=[70, 5, 130])


def test_skinny_takes_int8_weights() -> None:
    check("skinny", SKINNY, "residual", T=3, N=64, K=128, weight="int8")


GEMM = {"m": 32, "n": 32, "k": 64, "stages": 3, "warps_m": 2, "warps_n": 2, "group": 2}


@pytest.mark.parametrize("parameters", [GEMM, {**GEMM, "k": 32, "stages": 2, "warps_n": 1, "group": 1}])
def test_gemm_multiplies(parameters: dict[str, int]) -> None:
    check("gemm", parameters, "residual", T=70, N=96, K=256)


def test_gemm_pads_rows() -> None:
    check("gemm", GEMM, "none", T=33, N=72, K=128, bias=True)


def test_gemm_joins_gate_and_up() -> None:
    check("gemm", GEMM, "silu_mul", T=40, N=128, K=128)


def test_gemm_rotates_and_appends() -> None:
    check("gemm", GEMM, "qkv", (4, 2, 32), T=40, N=256, K=128, lengths=[100])


def test_gemm_takes_int8_weights() -> None:
    check("gemm", GEMM, "none", T=33, N=64, K=128, weight="int8")


@pytest.mark.parametrize("pair", [0, 8, 32])
@pytest.mark.parametrize("elem", [bf16, i8])
def test_weight_images_hold_every_element_once(pair: int, elem: Any) -> None:
    layout = weight_image(64, 96, elem, pair)
    assert sorted(layout.all_offsets((64, 96)).reshape(-1)) == list(range(64 * 96))


def test_the_plain_image_is_the_documented_one() -> None:
    layout = weight_image(32, 64, bf16)
    row, k = 16 + 2 * 5 + 1, 32 + 8 * 3 + 4 + 2 + 1
    assert layout.offset((row, k)) == (1 * 2 + 1) * 512 + 1 + 2 + 4 + 8 * (3 ^ 2) + 32 * 5 + 256


def test_decode_swizzles_its_lane_once() -> None:
    case = linear_case(T=8, N=256, K=4096, epilogue="residual")
    (program,) = programs_of(case, ScheduleAttr.of("skinny", m=16, n=8, warps=4, unroll=4))
    text = image_of(program).ptx
    assert text.count("xor.b32") == 1
    assert text.index("xor.b32") < text.index("mma.sync")
    assert text.count("ld.global.nc.L1::no_allocate.v4.b32") == 8


def test_schedules_of_one_weight_agree_on_its_image() -> None:
    case = linear_case(T=8, N=256, K=128, epilogue="qkv", heads=(4, 2, 32))
    images = [
        load_schedule(name).abi(case.kernel, ScheduleAttr.of(name, **parameters)).operand_layouts
        for name, parameters in (("skinny", SKINNY), ("gemm", GEMM))
    ]
    assert images[0] == images[1]


def test_bad_parameters_are_explained() -> None:
    case = linear_case(T=8, N=256, K=128, epilogue="qkv", heads=(4, 2, 32))
    skinny = load_schedule("skinny")
    for parameters, word in (
        ({"m": 64}, "cut"),
        ({"warps": 3}, "divide"),
        ({"rows": 3}, "no parameter"),
        ({"m": 17}, "m = 17"),
    ):
        with pytest.raises(LlmcError, match=word):
            skinny.abi(case.kernel, ScheduleAttr.of("skinny", **parameters))


def test_bodies_that_no_schedule_takes_say_why() -> None:
    case = linear_case(T=8, N=64, K=40)
    with pytest.raises(Unsupported, match="multiple of 32"):
        analyse_linear(case.kernel)


ON_EMULATOR: list[tuple[str, dict[str, int], str, Heads, dict[str, Any]]] = [
    ("skinny", {**SKINNY, "prefetch": 1, "unroll": 1}, "none", None, {"T": 3, "N": 40, "K": 256, "bias": True}),
    ("skinny", {**SKINNY, "m": 32, "n": 16}, "silu_mul", None, {"T": 11, "N": 64, "K": 256, "norm": True}),
    ("skinny", SKINNY, "qkv", (2, 1, 32), {"T": 3, "N": 128, "K": 128, "norm": True, "lengths": [70, 5, 130]}),
    ("skinny", SKINNY, "residual", None, {"T": 3, "N": 32, "K": 256, "weight": "int8"}),
    ("gemm", GEMM, "residual", None, {"T": 70, "N": 40, "K": 256}),
    ("gemm", GEMM, "qkv", (2, 1, 32), {"T": 40, "N": 128, "K": 128, "lengths": [100]}),
    ("gemm", GEMM, "none", None, {"T": 33, "N": 64, "K": 128, "weight": "int8"}),
]


@pytest.mark.parametrize("name,parameters,epilogue,heads,shape", ON_EMULATOR)
def test_ptx_computes_the_same(
    name: str, parameters: dict[str, int], epilogue: str, heads: Heads, shape: dict[str, Any]
) -> None:
    check(name, parameters, epilogue, heads, EmulatorDevice(capacity=1 << 26), **shape)


RING = {"m": 16, "n": 8, "warps": 4, "unroll": 1, "stages": 3, "ctas": 3}


def test_a_ring_feeds_several_tiles_to_each_cta() -> None:
    check("skinny_ring", RING, "residual", T=3, N=80, K=256)
    check("skinny_ring", {**RING, "m": 32, "warps": 2}, "silu_mul", T=3, N=128, K=256, norm=True)
