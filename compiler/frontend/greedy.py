"""What PyTorch itself generates, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Logits = np.ndarray[Any, Any]


def greedy_tokens(directory: Path, ids: Sequence[int], count: int) -> tuple[list[int], list[Logits]]:
    """The next `count` greedy tokens of a checkpoint under transformers on the CPU, in the checkpoint's precision, and the logits
    (f32 [vocabulary]) that each is the largest of."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto")
    made: list[int] = []
    logits: list[Logits] = []
    with torch.no_grad():
        step = torch.tensor([list(ids)])
        past = None
        for _ in range(count):
            out = model(step, past_key_values=past, use_cache=True)
            past = out.past_key_values
            logits.append(out.logits[0, -1].float().numpy())
            made.append(int(logits[-1].argmax()))
            step = torch.tensor([[made[-1]]])
    return made, logits


def first_difference(made: Sequence[int], expected: Sequence[int], logits: Sequence[Logits]) -> tuple[int, float] | None:
    """Where two greedy continuations part, and by how much the logit of `expected`'s token exceeds that of `made`'s there; None
    where they are the same. After that place the two continue different texts, which says nothing."""
    for index, (ours, theirs) in enumerate(zip(made, expected, strict=True)):
        if ours != theirs:
            return index, float(logits[index][theirs] - logits[index][ours])
    return None
