"""Models as the front end imports them: logits stay those of the imported module through every phase down to kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from llmc.dialects.fusion.ops import KernelOp
from llmc.dialects.ir.interpret import Interpreter
from running import SEMANTICS, empty_states, relative_error, run_passes, step
from tiny_models import tiny_checkpoint

pytest.importorskip("transformers")

NN = "canonicalize,recognise,introduce-state,select-token,add-sampling,choose-precision,merge-linears,specialise-sizes,canonicalize"
FUSION = "generalise,form-kernels,outline-kernels,expand-quantised"
IDS = np.random.default_rng(3).integers(0, 128, 13).astype(np.int32)


@pytest.mark.parametrize("arch", ["llama", "qwen3", "mistral", "gpt2"])
def test_prefill_and_decode_give_the_imported_modules_logits(arch: str, tmp_path: Path) -> None:
    from llmc.compiler.frontend import load_checkpoint

    imported = load_checkpoint(tiny_checkpoint(arch, tmp_path, "float32"))
    module, values = imported.module, imported.environment
    plain = Interpreter(module, SEMANTICS, environment=dict(values))
    wanted = plain.call("main", (IDS, np.arange(len(IDS), dtype=np.int32)), {"T": len(IDS)})[0]
    run_passes(module, f"{NN},{FUSION}")
    assert sum(isinstance(op, KernelOp) for op in module.body.block.ops) <= 24
    weights = values["weights"]
    results, states = step(module, weights, "prefill", [IDS[:9]], [0], empty_states(module, "prefill", 1))
    assert relative_error(results[0], wanted[8:9]) < 1e-4
    for i in range(9, len(IDS)):
        results, states = step(module, weights, "decode", [IDS[i : i + 1]], [i], states)
        assert relative_error(results[0], wanted[i : i + 1]) < 1e-4
        assert results[1][0] == np.argmax(wanted[i])


def test_an_encoder_keeps_its_hidden_states_in_a_ragged_batch(tmp_path: Path) -> None:
    from llmc.compiler.frontend import load_checkpoint

    imported = load_checkpoint(tiny_checkpoint("bert", tmp_path, "float32"))
    module, values = imported.module, imported.environment
    members = [IDS[:5], IDS[5:]]
    wanted = [
        Interpreter(module, SEMANTICS, environment=dict(values)).call(
            "main", (m, np.arange(len(m), dtype=np.int32)), {"T": len(m)}
        )[0]
        for m in members
    ]
    run_passes(module, f"{NN},{FUSION}")
    (got,), _ = step(module, values["weights"], "encode", members, [0, 0], [])
    assert relative_error(got, np.concatenate(wanted)) < 1e-4
