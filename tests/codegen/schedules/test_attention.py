"""The attention schedules against numpy, one CTA after the other in logical coordinates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llmc.codegen.schedules.base import load_schedule
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.layout.types import ScheduleAttr
from llmc.runtime.emulator.device import EmulatorDevice
from xdsl.dialects.builtin import bf16, f32, i1

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from kernel_cases import Case, attention_case
from kernel_runs import run


def reference(a: dict[str, np.ndarray], window: int | None, soft_cap: float | None, causal: bool = True) -> np.ndarray:
    """The attention of every token, in f64."""
    q = a["q"].astype(np.float64)
    tokens, heads, width = q.shape
    out = np.zeros_like(q)
    for t in range(tokens):
        if causal:
            position = int(a["positions"][t])
            pages = a["page_table"][a["sequence"][t]]
            low = 0 if window is None else max(0, position + 1 - window)
            at = np.arange(low, position + 1)
            k, v = (a[n][pages[at // 64], :, at % 64].astype(np.float64) for n in ("k_pages", "v_pages"))
        else:
            k, v = a["k"].astype(np.float64), a["v"].astype(np.float64)
        group = heads // k.shape[1]
        for h in range(heads):
            s = k[:, h // group] @ q[t, h] * width**-0.5
            if soft_cap is not None:
                s = np.tanh(s / soft_cap) * soft_cap
            if "mask" in a:
                mask = a["mask"] if a["mask"].ndim == 3 else a["mask"][None]
                row = mask[h // (heads // len(mask)), t % mask.shape[1]]
                s = np.where(row, s, -np.inf) if row.dtype == np.bool_ else s + row.astype(np.float64)
            p = np.exp(s - s.max())
            out[t, h] = p @ v[:, h // group] / p.sum()
    return out


def check(case: Case, name: str, parameters: dict[str, int], causal: bool = True, device: Any = None, **options: Any) -> None:
    after = run(case, ScheduleAttr.of(name, **parameters), device)
    wanted = reference(after, options.get("window"), options.get("soft_cap"), causal)
    got = after["o"].astype(np.float64)
    assert np.abs(got - wanted).mean() / np.abs(wanted).mean() < 6e-3


DECODE = {"warps": 2, "splits": 1, "keys": 32}


@pytest.mark.parametrize("width", [32, 64, 80])
def test_decode_follows_the_page_table(width: int) -> None:
    check(attention_case([70, 1, 200], [1, 1, 1], (8, 2, width)), "attention_decode", DECODE)


def test_decode_splits_long_sequences() -> None:
    check(attention_case([70, 1, 700], [1, 1, 1], (4, 2, 32)), "attention_decode", {**DECODE, "splits": 3})


@pytest.mark.parametrize("options", [{"window": 50}, {"soft_cap": 2.0}])
def test_decode_takes_windows_and_score_regions(options: Any) -> None:
    check(attention_case([170, 33], [1, 1], (4, 4, 32), **options), "attention_decode", {**DECODE, "keys": 64}, **options)


def test_decode_takes_groups_of_more_than_sixteen_heads() -> None:
    check(attention_case([70], [1], (20, 1, 32)), "attention_decode", {**DECODE, "keys": 16})


def test_decode_takes_several_tokens_of_a_sequence() -> None:
    check(attention_case([70, 40], [3, 2], (4, 2, 32)), "attention_decode", DECODE)


def test_parameters_are_checked() -> None:
    case = attention_case([70], [1], (4, 2, 32))
    with pytest.raises(LlmcError, match="warps = 3"):
        load_schedule("attention_decode").abi(case.kernel, ScheduleAttr.of("attention_decode", warps=3))


PREFILL = {"queries": 32, "keys": 32}


@pytest.mark.parametrize("width", [32, 64, 80])
def test_prefill_of_a_ragged_batch(width: int) -> None:
    check(attention_case([70, 5, 40], [70, 5, 20], (4, 2, width)), "attention_prefill", PREFILL)


@pytest.mark.parametrize("options", [{"window": 20}, {"soft_cap": 2.0}])
def test_prefill_takes_windows_and_score_regions(options: Any) -> None:
    check(attention_case([70, 90], [30, 33], (4, 2, 32), **options), "attention_prefill", PREFILL, **options)


def test_prefill_of_whole_pages_at_a_time() -> None:
    check(attention_case([150], [130], (2, 1, 64)), "attention_prefill", {"queries": 64, "keys": 64})


def test_prefill_without_state_sees_both_ways() -> None:
    check(attention_case([75], [75], (4, 2, 32), stateful=False), "attention_prefill", PREFILL, causal=False)


MASKS: list[tuple[tuple[int | str, ...], Any]] = [
    (("T", "T"), i1), ((1, "T"), i1), ((2, 1, "T"), i1), ((4, "T", "T"), i1), ((1, "T", "T"), f32), ((2, 1, "T"), bf16),
]  # fmt: skip


@pytest.mark.parametrize("tokens", [75, 64])
@pytest.mark.parametrize("mask", MASKS)
def test_prefill_takes_mask_tensors(mask: Any, tokens: int) -> None:
    case = attention_case([tokens], [tokens], (4, 2, 32), stateful=False, mask=mask)
    check(case, "attention_prefill", PREFILL, causal=False)


@pytest.mark.parametrize("mask", [MASKS[0], MASKS[2], MASKS[4]])
@pytest.mark.parametrize("soft_cap", [None, 2.0])
def test_ptx_takes_mask_tensors(mask: Any, soft_cap: float | None) -> None:
    case = attention_case([75], [75], (4, 2, 32), stateful=False, soft_cap=soft_cap, mask=mask)
    device = EmulatorDevice(capacity=1 << 26)
    check(case, "attention_prefill", PREFILL, causal=False, device=device, soft_cap=soft_cap)


ON_EMULATOR: list[tuple[str, dict[str, int], Any, dict[str, Any]]] = [
    ("attention_decode", {"warps": 2, "splits": 2, "keys": 32}, ([70, 1, 300], [1, 1, 1], (8, 2, 32)), {}),
    ("attention_decode", {"warps": 4, "splits": 1, "keys": 64}, ([170], [1], (4, 1, 80)), {"window": 90}),
    ("attention_prefill", PREFILL, ([70, 5, 40], [70, 5, 20], (4, 2, 64)), {}),
    ("attention_prefill", PREFILL, ([70, 60], [40, 33], (2, 1, 32)), {"window": 20, "soft_cap": 2.0}),
]


@pytest.mark.parametrize("name,parameters,shape,options", ON_EMULATOR)
def test_ptx_computes_the_same(name: str, parameters: dict[str, int], shape: Any, options: dict[str, Any]) -> None:
    check(attention_case(*shape, **options), name, parameters, device=EmulatorDevice(capacity=1 << 26), **options)
