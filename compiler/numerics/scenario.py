"""Token scenarios: sequences that are fed in steps, as a server would feed them. The same scenario runs a stateless @main (each
sequence whole), a function with state (ragged batches), the @prefill and @decode made of it, and their host programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.ir import Attribute

from ...dialects.ir.numeric import dtype_of
from ...dialects.nn.values import Batch, Sampling
from .inputs import Array, Source, Use
from .results import Row

PAST, FIRST, CHUNK = (3, 0, 2), (4, 1, 3), (2, 3, 1)


@dataclass(frozen=True)
class Scenario:
    """`past[s]`: tokens that sequence s remembers at the start; `steps[i][s]`: tokens that step i feeds it."""

    source: Source
    past: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    tables: dict[str, list[Array]] = field(default_factory=dict[str, "list[Array]"])

    @property
    def sequences(self) -> int:
        return len(self.past)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence at the end."""
        return [p + sum(step[s] for step in self.steps) for s, p in enumerate(self.past)]

    @property
    def most_tokens(self) -> int:
        """Tokens of the largest step."""
        return max(sum(step) for step in self.steps)

    def before(self, step: int) -> list[int]:
        """Tokens that each sequence remembers before a step."""
        return [p + sum(done[s] for done in self.steps[:step]) for s, p in enumerate(self.past)]

    def batch(self, step: int) -> Batch:
        return Batch.of(self.steps[step], self.before(step))

    def rows(self, step: int) -> list[Row]:
        """The token of each row of a step."""
        return [(s, p + i) for s, (p, n) in enumerate(zip(self.before(step), self.steps[step])) for i in range(n)]

    def last_rows(self, step: int) -> list[Row]:
        """The last token of each sequence in a step."""
        return [(s, p + n - 1) for s, (p, n) in enumerate(zip(self.before(step), self.steps[step]))]

    def per_token(self, label: str, index: int, rows: Sequence[Row], shape: Sequence[int], elem: Attribute, use: Use) -> Array:
        """A per-token input: one row of `shape` for each token, the same wherever that token is fed."""
        if label not in self.tables:
            given = self.source.given(label, str(index))
            if given is not None:
                split = given if given.ndim == 2 + len(shape) else given[None]
                self.tables[label] = [np.asarray(split[s]).astype(dtype_of(elem)) for s in range(self.sequences)]
            else:
                self.tables[label] = [
                    self.source.random(("token", label, s), (n, *shape), elem, use) for s, n in enumerate(self.lengths)
                ]
        picked = [self.tables[label][s][p] for s, p in rows]
        return np.stack(picked) if picked else np.zeros((0, *shape), dtype_of(elem))

    def remembered(self, state: int, part: str, sequence: int, heads: int, size: int, elem: Attribute) -> Array:
        """What state number `state` holds of a sequence at the start: [past, heads, size]."""
        return self.source.random(("state", state, part, sequence), (self.past[sequence], heads, size), elem)

    def sampling(self) -> Sampling:
        """Greedy for the first sequence, then a temperature, then a temperature among the likeliest five."""
        kinds = [(0.0, 0, 1.0), (0.8, 0, 1.0), (1.1, 5, 1.0)]
        chosen = [kinds[s % len(kinds)] for s in range(self.sequences)]
        return Sampling(
            np.array([c[0] for c in chosen], np.float32),
            np.array([c[1] for c in chosen], np.int32),
            np.array([c[2] for c in chosen], np.float32),
            np.arange(17, 17 + self.sequences, dtype=np.uint32),
        )


def plan(source: Source, *, past: bool, steps: bool, single: bool, ranges: dict[str, int]) -> Scenario:
    """A scenario for what two modules can do. past: both begin with state. steps: state is kept between steps. single: only one
    token a step and sequence. ranges: the most tokens a step and sequences (`T`, `B`) that both were made for."""
    options = source.options
    given = source.given("ids", "0")
    if given is not None and given.ndim in (1, 2) and not single:
        lengths = [given.shape[-1]] * (len(given) if given.ndim == 2 else 1)
        cut = [(n - 1, 1) if steps and n > 1 else (n,) for n in lengths]
        return Scenario(source, (0,) * len(lengths), tuple(zip(*cut)))
    if source.simple:
        return Scenario(source, (0,), ((1 if single else min(FIRST[0], ranges.get("T", 1 << 30)),),))
    sequences = options.sizes.get("B", min(len(FIRST), ranges.get("B", 3), ranges.get("T", 1 << 30)))
    if single and "T" in options.sizes:
        sequences = options.sizes["T"]
    most = options.sizes.get("T", ranges.get("T", 1 << 30))
    kinds = range(sequences)
    first = [FIRST[s % 3] for s in kinds]
    if "T" in options.sizes and not single:
        first = _divided(options.sizes["T"], sequences)
    while sum(first) > max(most, sequences):
        first[first.index(max(first))] -= 1
    begin = tuple(PAST[s % 3] if past else 0 for s in kinds)
    ones = (1,) * sequences
    if single:
        return Scenario(source, begin, (ones, ones))
    if not steps:
        return Scenario(source, begin, (tuple(first),))
    chunk = [CHUNK[s % 3] for s in kinds]
    while sum(chunk) > max(most, sequences):
        chunk[chunk.index(max(chunk))] -= 1
    return Scenario(source, begin, (tuple(first), tuple(chunk), ones))


def _divided(tokens: int, sequences: int) -> list[int]:
    """`tokens` in `sequences` parts, each at least one."""
    parts = [max(tokens // sequences, 1)] * sequences
    parts[0] += max(tokens - sum(parts), 0)
    return parts


def sampling_arrays(sampling: Sampling) -> dict[str, Any]:
    """Sampling parameters as the buffers of a program hold them."""
    return {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "seed": sampling.seed.view(np.int32),
    }
