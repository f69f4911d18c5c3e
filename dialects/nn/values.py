"""What `!nn.batch`, `!nn.state` and `!nn.sampling` are while the reference semantics run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Batch:
    """T tokens of B sequences. Rows query_start[b] … query_start[b+1]-1 are sequence b's, in order of position.

    `kv_len[b]` counts the tokens of b that are remembered after this step; `positions[t]` is absolute in the sequence.
    """

    query_start: np.ndarray
    kv_len: np.ndarray
    positions: np.ndarray
    sequence: np.ndarray

    @staticmethod
    def of(lengths: Sequence[int], past: Sequence[int] | None = None) -> Batch:
        """`lengths[b]` new tokens of sequence b after `past[b]` remembered ones (none by default)."""
        before = list(past) if past is not None else [0] * len(lengths)
        start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        positions = [np.arange(p, p + n) for p, n in zip(before, lengths)]
        return Batch(
            query_start=start,
            kv_len=np.asarray(before, np.int32) + np.asarray(lengths, np.int32),
            positions=np.concatenate([np.zeros(0, np.int64), *positions]).astype(np.int32),
            sequence=np.repeat(np.arange(len(lengths)), lengths).astype(np.int32),
        )

    @property
    def tokens(self) -> int:
        return len(self.positions)

    @property
    def sequences(self) -> int:
        return len(self.kv_len)

    def rows(self, sequence: int) -> slice:
        return slice(int(self.query_start[sequence]), int(self.query_start[sequence + 1]))


@dataclass(frozen=True)
class StateValue:
    """Per sequence, keys and values [tokens, heads, head size]. Updates return a new state and leave the old one alone."""

    keys: tuple[np.ndarray, ...]
    values: tuple[np.ndarray, ...]

    @staticmethod
    def empty(sequences: int, heads: int, head_size: int, dtype: Any = np.float32) -> StateValue:
        nothing = tuple(np.zeros((0, heads, head_size), dtype) for _ in range(sequences))
        return StateValue(nothing, nothing)

    def append(self, k: np.ndarray, v: np.ndarray, batch: Batch) -> StateValue:
        """The state with rows k, v [T, heads, head size] at the tokens' sequences and positions."""
        keys, values = list(self.keys), list(self.values)
        for sequence in range(batch.sequences):
            rows = batch.rows(sequence)
            positions = batch.positions[rows]
            if len(positions) == 0:
                continue
            for store, new in ((keys, k[rows]), (values, v[rows])):
                old = store[sequence]
                longer = np.zeros((max(len(old), int(positions.max()) + 1), *old.shape[1:]), new.dtype)
                longer[: len(old)] = old
                longer[positions] = new
                store[sequence] = longer
        return StateValue(tuple(keys), tuple(values))


@dataclass(frozen=True)
class Sampling:
    """How each sequence draws: temperature 0 is argmax; top_k 0 and top_p 1 leave everything in."""

    temperature: np.ndarray
    top_k: np.ndarray
    top_p: np.ndarray
    seed: np.ndarray

    @staticmethod
    def greedy(sequences: int) -> Sampling:
        return Sampling.of(sequences, temperature=0.0)

    @staticmethod
    def of(sequences: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0) -> Sampling:
        return Sampling(
            np.full(sequences, temperature, np.float32),
            np.full(sequences, top_k, np.int32),
            np.full(sequences, top_p, np.float32),
            np.full(sequences, seed, np.uint32),
        )


def random_bits(seed: int, position: int, index: np.ndarray) -> np.ndarray:
    """32 random bits for (seed, position, index): rounds of MurmurHash3's finaliser, so that a GPU thread makes its own.

    Depends on nothing but its arguments, so a draw is the same alone and in a batch.
    """
    word = np.asarray(index, np.uint32)
    with np.errstate(over="ignore"):
        for key in (np.uint32(position & 0xFFFFFFFF), np.uint32(seed & 0xFFFFFFFF)):
            word = (word ^ key) + np.uint32(0x9E3779B9)
            word = (word ^ (word >> np.uint32(16))) * np.uint32(0x85EBCA6B)
            word = (word ^ (word >> np.uint32(13))) * np.uint32(0xC2B2AE35)
            word = word ^ (word >> np.uint32(16))
    return word


def draw(logits: np.ndarray, position: int, temperature: float, top_k: int, top_p: float, seed: int) -> int:
    """One token from logits [V]: the Gumbel-max trick over what top-k and top-p leave."""
    logits = logits.astype(np.float32)
    if temperature <= 0:
        return int(np.argmax(logits))
    scaled = logits / np.float32(temperature)
    kept = np.ones(len(scaled), bool)
    if 0 < top_k < len(scaled):
        kept &= scaled >= np.sort(scaled)[-top_k]
    if top_p < 1:
        order = np.argsort(-np.where(kept, scaled, -np.inf), kind="stable")
        weights = np.where(kept, np.exp(scaled - scaled.max()), 0)[order]
        before = np.cumsum(weights) - weights
        kept[order[before >= top_p * weights.sum()]] = False
    uniform = (random_bits(seed, position, np.arange(len(scaled))) >> np.uint32(8)).astype(np.float32) + np.float32(0.5)
    gumbel = -np.log(-np.log(uniform * np.float32(2**-24)))
    return int(np.argmax(np.where(kept, scaled + gumbel, -np.inf)))
