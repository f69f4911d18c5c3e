"""llmc.load of several architectures: greedy tokens on the emulator are Hugging Face's, wherever its margin is clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import llmc
import tiny_models
from llmc.compiler.build import Settings
from llmc.compiler.knobs import Knobs

PROMPT = [3, 17, 99, 5, 64, 22, 8, 31, 44, 90, 12, 7]  # longer than the window of the tiny mistral
TOKENS = 6


@pytest.mark.parametrize(("arch", "dtype"), [("mistral", "bfloat16"), ("llama", "float32")])
def test_greedy_tokens_are_those_of_hugging_face(arch: str, dtype: str, tmp_path: Path) -> None:
    directory = tiny_models.tiny_checkpoint(arch, tmp_path / "model", "bfloat16")
    exact = tiny_models.tiny_model(arch)
    exact.load_state_dict({k: v.float() for k, v in tiny_models.tiny_model(arch, "bfloat16").state_dict().items()})
    settings = Settings(knobs=Knobs(cache_dir=tmp_path / "cache"))
    model = llmc.load(directory, device="emulator", dtype=dtype, max_context=64, settings=settings)

    def wanted(ids: list[int]) -> np.ndarray:
        with torch.no_grad():
            return exact(torch.tensor([ids]), use_cache=False).logits[0, -1].numpy()

    first = wanted(PROMPT)
    error = np.abs(model.logits(PROMPT) - first).mean() / np.abs(first).mean()
    assert error < (1e-5 if dtype == "float32" else 0.02)
    ids = list(PROMPT)
    for token in model.generate(PROMPT, TOKENS):
        logits = wanted(ids)
        assert logits.max() - logits[token] <= 0.1 * error * np.abs(logits).mean() + (
            0 if dtype == "float32" else 0.05 * logits.std()
        )
        ids.append(token)
    assert len(ids) == len(PROMPT) + TOKENS
