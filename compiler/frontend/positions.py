"""From which number a model counts positions: most from 0, RoBERTa and its kin from the one after their padding token's id."""

from __future__ import annotations

import copy
import inspect
import warnings
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...dialects.ir.diagnostics import LlmcError

TOKENS = 7
VOCABULARY = 64
LAST = 16
"""The last number that is tried."""


def first_position(model: nn.Module) -> int:
    """The position that a Hugging Face model gives a sequence's first token when it is told none.

    Found by running one layer of it with random weights: with its own positions, and with those from 0, 1, 2, … Raises LLMC0327
    where none of them gives what its own do.
    """
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return 0
    small = _one_layer(model)
    if small is None:
        return 0
    padding = getattr(cast(Any, model).config, "pad_token_id", None)
    ids = torch.tensor([[t for t in range(VOCABULARY) if t != padding][-TOKENS:]])
    own = _output(small, ids)
    for first in range(LAST + 1):
        given = torch.arange(first, first + TOKENS)[None]
        try:
            found = _output(small, ids, position_ids=given)
        except IndexError:  # beyond its table
            break
        if torch.allclose(found, own, rtol=1e-4, atol=1e-6):
            return first
    name = type(model).__name__
    raise LlmcError(
        "LLMC0327", f"the positions of {name} are not counted token by token", name,
        why=f"given positions from 0 to {LAST} on, it computes something else than without",
        fix="choose a model whose positions follow each other",
    )  # fmt: skip


def _one_layer(model: nn.Module) -> nn.Module | None:
    """The same kind of model with one layer, few tokens and random weights in f32; None where its config can't be changed so."""
    config = copy.deepcopy(cast(Any, model).config)
    try:
        config.num_hidden_layers = 1
        config.vocab_size = max(VOCABULARY, (config.pad_token_id or 0) + 1)
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            small = cast(Any, type(model))._from_config(config, dtype=torch.float32, attn_implementation="eager")
            small.eval()
            small(input_ids=torch.ones(1, TOKENS, dtype=torch.int64))
            return cast(nn.Module, small)
    except Exception:
        return None


def _output(model: nn.Module, ids: Tensor, **more: Tensor) -> Tensor:
    with torch.no_grad():
        return cast(Tensor, model(input_ids=ids, **more)[0])
