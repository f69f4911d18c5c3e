"""Kernels of a real model mean the same as tile programs in numpy and as PTX on the emulator."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from compiled_kernels import find_kernel, random_arrays, run_both
from kernel_cases import batch_of
from model_runs import Imported


@dataclass(frozen=True)
class Choice:
    """A kernel by its schedule and its ops, and the ragged batch that it runs on: tokens in the cache, new tokens."""

    schedule: str
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    lengths: list[int] = field(default_factory=lambda: [70, 1, 33])
    new: list[int] = field(default_factory=lambda: [1, 1, 1])


CHOICES = {
    "skinny, with norm, rope and append": Choice("skinny", ("nn.rms_norm", "nn.rope", "nn.append")),
    "skinny, gate and up": Choice("skinny", ("nn.rms_norm", "nn.slice"), ("nn.append",)),
    "attention, split over the cache": Choice("attention_decode", ("nn.attention",)),
    "attention of a prefill": Choice("attention_prefill", lengths=[100, 90, 70], new=[98, 90, 68]),
    "gemm with rope and append": Choice("gemm_tma", ("nn.rope", "nn.append"), lengths=[100, 90, 70], new=[98, 90, 68]),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_kernel_is_the_same_as_tile_and_as_ptx(name: str, storyteller: Imported) -> None:
    compiled, choice = storyteller.compile(), CHOICES[name]
    kernel = find_kernel(compiled, choice.schedule, choice.has, choice.lacks)
    batch = batch_of(choice.lengths, choice.new, page_table_width=2)
    sizes = {"T": sum(choice.new), "B": len(choice.lengths), "P": int(batch["page_table"].max()) + 1}
    arrays = random_arrays(kernel, sizes, batch)
    wanted, got = run_both(compiled, kernel, arrays, sizes)
    written = [n for n, effect in zip(arrays, kernel.arg_effects.data, strict=True) if effect.data != "r"]
    assert any((wanted[n] != arrays[n]).any() for n in written)
    for buffer in arrays:
        a, b = (np.nan_to_num(x[buffer].astype(np.float64), neginf=-1e9) for x in (wanted, got))
        if buffer not in written:
            np.testing.assert_array_equal(b, arrays[buffer].astype(np.float64))
            continue
        scale = np.abs(a).max()
        assert np.abs(a - b).max() <= 2**-7 * scale, buffer  # one bfloat16 rounding apart, at most
        assert np.abs(a - b).mean() <= 2e-4 * scale, buffer


def test_tokens_are_drawn_alike_as_tile_and_as_ptx(storyteller: Imported) -> None:
    compiled = storyteller.compile()
    kernel = find_kernel(compiled, "sampling")
    cases = [(0.0, 0, 1.0), (0.7, 0, 1.0), (1.3, 5, 1.0), (1.0, 0, 0.6), (0.9, 50, 0.8), (1.0, 1, 1.0)]
    temperature, top_k, top_p = (np.array(c) for c in zip(*cases, strict=True))
    rows = np.arange(len(cases))
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": 17 * rows, "kv_len": 9 + rows}
    arrays = random_arrays(kernel, {"B": len(cases), "T": len(cases)}, given)
    wanted, got = run_both(compiled, kernel, arrays, {"B": len(cases), "T": len(cases)})
    assert wanted["y0"].tolist() == got["y0"].tolist()
    assert len(set(got["y0"].tolist())) > 1
