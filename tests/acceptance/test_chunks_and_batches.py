"""A prompt at once, in chunks, token by token, alone or in a ragged batch: the same logits and the same tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from llmc.runtime.generate import Session
from model_runs import Imported, batch_encodings, batch_logits

RANDOM = np.random.default_rng(5)
PROMPTS: list[list[int]] = [RANDOM.integers(3, 128, n).tolist() for n in (1, 7, 33, 70)]
FILLING: list[list[int]] = [RANDOM.integers(3, 128, n).tolist() for n in (100, 45)]
CASES = [
    *((arch, "float32", "reference", 1e-5) for arch in ("llama", "qwen3", "mistral", "gpt2", "torchnn")),
    *((arch, "bfloat16", "emulator", 0.01) for arch in ("llama", "gpt2")),
]


@pytest.mark.parametrize(("arch", "dtype", "device", "tolerance"), CASES)
def test_chunks_tokens_and_batches_are_one(
    arch: str, dtype: str, device: str, tolerance: float, model: Callable[[str, str], Imported]
) -> None:
    session = model(arch, dtype).session(device)
    whole = np.stack([session.logits(p) for p in PROMPTS])

    def chunked(size: int) -> Session:
        other = Session(session.engine, max_context=128)
        other.chunk = size
        return other

    others = {
        "in chunks": np.stack([chunked(16).logits(p) for p in PROMPTS]),
        "token by token": np.stack([chunked(1).logits(p) for p in PROMPTS[:3]]),
        "in a batch": batch_logits(session, PROMPTS),
    }
    errors = {
        name: float(np.abs(logits - whole[: len(logits)]).mean() / np.abs(whole).mean()) for name, logits in others.items()
    }
    large = [*PROMPTS, *FILLING]  # 256 tokens: the kernels of long prefills
    errors["in a large batch"] = float(
        np.abs(batch_logits(session, large)[: len(PROMPTS)] - whole).mean() / np.abs(whole).mean()
    )
    assert max(errors.values()) <= tolerance, errors
    together = session.generate(PROMPTS, 5)
    assert together == [session.generate([p], 5)[0] for p in PROMPTS]
    assert together == chunked(16).generate(PROMPTS, 5)


@pytest.mark.parametrize(("dtype", "device", "tolerance"), [("float32", "reference", 1e-5), ("bfloat16", "emulator", 0.01)])
def test_an_encoder_reads_a_batch_as_it_reads_its_members(
    dtype: str, device: str, tolerance: float, model: Callable[[str, str], Imported]
) -> None:
    session = model("bert", dtype).session(device)
    alone = [session.logits(p, every=True) for p in PROMPTS]
    together = batch_encodings(session, PROMPTS)
    assert [rows.shape for rows in together] == [rows.shape for rows in alone]
    errors = [float(np.abs(a - b).mean() / np.abs(a).mean()) for a, b in zip(alone, together, strict=True)]
    assert max(errors) <= tolerance, errors
