"""Every pass from the front end's module to outlined kernels keeps the logits; state keeps them in any split and any batch."""

import numpy as np
import pytest
from decoder_graphs import Shape, decoder, weights
from running import empty_states, forward, relative_error, run_passes, step
from xdsl.dialects.builtin import f32

STATEFUL = "canonicalize,introduce-state"
KERNELS = "generalise,form-kernels,outline-kernels"
STEPS = (
    "canonicalize",
    "select-token",
    "choose-precision",
    "add-sampling",
    "merge-linears",
    "canonicalize",
    "specialise-sizes",
    "generalise",
    "form-kernels",
    "outline-kernels",
)
SHAPES = {
    "llama": Shape(elem=f32),
    "qk_norm": Shape(elem=f32, qk_norm=True, bias=True),
    "gelu": Shape(elem=f32, gelu=True, layers=1),
}
IDS = np.random.default_rng(1).integers(0, 128, 11).astype(np.int32)


@pytest.mark.parametrize("name", SHAPES)
def test_prefill_at_once_in_chunks_and_token_by_token_agree(name: str) -> None:
    module = decoder(SHAPES[name])
    values = weights(module)
    wanted = forward(module, values, IDS)
    run_passes(module, STATEFUL)
    for cuts in ([11], [4, 5, 2], [1] * 11):
        states, past, rows = empty_states(module, "main", 1), 0, []
        for n in cuts:
            (logits,), states = step(module, values, "main", [IDS[past : past + n]], [past], states)
            rows.append(logits)
            past += n
        assert relative_error(np.concatenate(rows), wanted) < 1e-4


def test_a_ragged_batch_is_its_members_alone() -> None:
    module = decoder(SHAPES["llama"])
    values = weights(module)
    members = [IDS[:5], IDS[2:9], IDS[7:8]]
    wanted = [forward(module, values, m) for m in members]
    run_passes(module, STATEFUL)
    (first,), states = step(module, values, "main", [m[:1] for m in members], [0, 0, 0], empty_states(module, "main", 3))
    (second,), _ = step(module, values, "main", [m[1:] for m in members], [1, 1, 1], states)
    start = 0
    for i, member in enumerate(members):
        got = np.concatenate([first[i : i + 1], second[start : start + len(member) - 1]])
        start += len(member) - 1
        assert relative_error(got, wanted[i]) < 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_every_pass_keeps_the_last_logits(name: str) -> None:
    module = decoder(SHAPES[name])
    values = weights(module)
    wanted = forward(module, values, IDS)[-1:]
    run_passes(module, STATEFUL)
    for pass_ in STEPS:
        run_passes(module, pass_)
        regimes = [op.sym_name.data for op in module.body.block.ops if op.name == "func.func"]  # pyright: ignore
        for regime in regimes:
            states = empty_states(module, regime, 1)
            if regime == "decode":
                _, states = step(module, values, "prefill", [IDS[:-1]], [0], states)
                results, _ = step(module, values, "decode", [IDS[-1:]], [len(IDS) - 1], states)
            else:
                results, _ = step(module, values, regime, [IDS], [0], states)
            assert relative_error(results[0][-1:], wanted) < 1e-4, (pass_, regime)
            if len(results) > 1:
                assert results[1] == np.argmax(wanted)


def test_int8_weights_stay_within_their_rounding() -> None:
    module = decoder(SHAPES["llama"])
    values = weights(module)
    wanted = forward(module, values, IDS)[-1:]
    run_passes(module, f"{STATEFUL},select-token,choose-precision{{scheme=int8}},quantise-linears")
    (unmerged,), _ = step(module, values, "main", [IDS], [0], empty_states(module, "main", 1))
    assert 1e-5 < relative_error(unmerged, wanted) < 0.1
    run_passes(module, "merge-linears,canonicalize,specialise-sizes")
    (merged,), _ = step(module, values, "prefill", [IDS], [0], empty_states(module, "prefill", 1))
    assert relative_error(merged, unmerged) < 1e-4
    run_passes(module, f"expand-quantised,{KERNELS}")
    (split,), _ = step(module, values, "prefill", [IDS], [0], empty_states(module, "prefill", 1))
    assert relative_error(split, unmerged) < 1e-4
