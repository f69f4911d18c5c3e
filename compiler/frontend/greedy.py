"""What PyTorch itself generates, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def greedy_tokens(directory: Path, ids: Sequence[int], count: int) -> tuple[list[int], list[float]]:
    """The next `count` greedy tokens of a checkpoint under transformers on the CPU, in the checkpoint's precision, and how far
    apart the best two logits were at each."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto")
    made: list[int] = []
    margins: list[float] = []
    with torch.no_grad():
        step = torch.tensor([list(ids)])
        past = None
        for _ in range(count):
            out = model(step, past_key_values=past, use_cache=True)
            past = out.past_key_values
            best = torch.topk(out.logits[0, -1].float(), 2)
            made.append(int(best.indices[0]))
            margins.append(float(best.values[0] - best.values[1]))
            step = torch.tensor([[made[-1]]])
    return made, margins
