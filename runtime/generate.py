"""Sessions: prompts in, tokens out. Prefill in chunks, decode by replaying captured programs several steps ahead of the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..dialects.ir.diagnostics import LlmcError
from ..dialects.layout import expressions
from ..dialects.layout.ranges import decode_ranges
from .engine import Engine, io_type, known_tokens, select_program
from .pages import PagePool, Pages

Tokens = Sequence[int]
STEPS_AHEAD = 8
"""Decode steps that are launched before the host looks at their tokens, where launches are asynchronous."""


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are drawn: temperature 0 is greedy; top_k 0 and top_p 1 leave all tokens in. `seed` makes draws repeatable."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


def check_length(tokens: int, new: int, context: int, name: str) -> None:
    """Raise LLMC0851 for a prompt of no tokens, LLMC0852 for one that has no room for `new` ones in the context."""
    if tokens == 0:
        fix = "give at least one token, such as the model's BOS"
        raise LlmcError("LLMC0851", f"{name} is empty", name, why="it has no token", fix=fix)
    if tokens + new > context:
        raise LlmcError(
            "LLMC0852",
            f"{name} has {tokens} tokens; with {new} new ones that is more than {context}",
            name,
            why="the context of a sequence is limited by the size of its page table and by the model",
            fix="shorten the prompt, ask for fewer tokens, or compile with a larger max-context",
        )


@dataclass
class Request:
    """One sequence in flight: its tokens so far, its pages, and how many tokens the KV pool holds for it."""

    index: int
    tokens: list[int]
    prompt: int
    limit: int
    pages: Pages
    sampling: SamplingParams
    stored: int = 0
    emitted: int = 0
    done: bool = False

    @property
    def generated(self) -> int:
        return len(self.tokens) - self.prompt


@dataclass
class Session:
    """Generation on an engine. `buckets` are the batch sizes for which decoding is captured; `steps_ahead` how many steps are
    replayed before the host looks (by default 8 where launches are asynchronous; elsewhere 1, since more would only hold tokens back);
    `eos` ends sequences."""

    engine: Engine
    eos: Tokens = ()
    buckets: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    steps_ahead: int | None = None
    max_context: int | None = None
    pool: PagePool = field(init=False)
    chunk: int = field(init=False)
    width: int = field(init=False)
    ring: int = field(init=False)
    ahead: int = field(init=False)
    vocabulary: int | None = field(init=False)
    """How many tokens the model knows; None where neither its embedding nor its logits tell."""
    graphs: dict[int, Callable[[], None]] = field(default_factory=dict[int, Callable[[], None]])
    placed: list[Request] | None = None
    """The sequences whose state the device's rows hold: streams that take turns on one engine put theirs back first."""

    def __post_init__(self) -> None:
        engine = self.engine
        self.vocabulary = known_tokens(engine.programs)
        if self.vocabulary is None and self._program("prefill") is not None:
            self.vocabulary = self._logit_width()
        self.pool = PagePool(engine.capacity.pages, engine.page_size)
        compiled = engine.page_size * engine.max_pages
        self.max_context = min(self.max_context or compiled, compiled)
        stops = self._row_size("eos", 8)
        if len(self.eos) > stops:
            raise LlmcError(
                "LLMC0850",
                f"{len(self.eos)} stop tokens",
                "eos",
                why=f"a sequence can have {stops}",
                fix="give fewer stop tokens",
            )
        self.ring = self._row_size("ring", 256)
        wanted = self.steps_ahead or (STEPS_AHEAD if engine.asynchronous else 1)
        self.ahead = max(1, min(wanted, self.ring))
        self.chunk = min(engine.capacity.tokens, self._largest("prefill", "T"))
        self.width = min(engine.capacity.sequences, self._largest("prefill", "B"), self._largest("decode", "T"))
        self.buckets = tuple(sorted({min(b, self.width) for b in self.buckets}))

    def _largest(self, stem: str, size: str) -> int:
        """The largest value of a size that the programs `@stem…` were compiled for."""
        found = [
            decode_ranges(p.ranges).get(size, (1, 1 << 30))[1] for n, p in self.engine.programs.items() if n.startswith(stem)
        ]
        return max(found, default=1 << 30)

    def _row_size(self, label: str, default: int) -> int:
        type_ = self.engine.type_of(label)
        return int(type_.dims[1]) if type_ is not None else default

    # Public -----------------------------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Sequence[Tokens],
        max_new_tokens: int = 32,
        sampling: SamplingParams | Sequence[SamplingParams] | None = None,
    ) -> list[list[int]]:
        """The new tokens of each prompt, the stop token included."""
        found: list[list[int]] = [[] for _ in prompts]
        for index, token in self.stream(prompts, max_new_tokens, sampling):
            found[index].append(token)
        return found

    def stream(
        self,
        prompts: Sequence[Tokens],
        max_new_tokens: int = 32,
        sampling: SamplingParams | Sequence[SamplingParams] | None = None,
    ) -> Iterator[tuple[int, int]]:
        """(prompt's index, token) as tokens are made. More prompts than the engine has room for run one group after another."""
        each = list(sampling) if isinstance(sampling, Sequence) else [sampling or SamplingParams()] * len(prompts)
        self.check(prompts, max_new_tokens)
        if max_new_tokens == 0:
            return
        width = self.width
        for start in range(0, len(prompts), width):
            group = [
                Request(i, list(prompts[i]), len(prompts[i]), max_new_tokens, Pages(self.pool), each[i])
                for i in range(start, min(start + width, len(prompts)))
            ]
            try:
                yield from self._run(group)
            finally:
                for sequence in group:
                    sequence.pages.release()

    def logits(self, ids: Tokens, every: bool = False, chunk: int | None = None) -> np.ndarray[Any, Any]:
        """Logits after the last token of `ids`, f32 [V]; with `every` after each token, [T, V] (a prefill a token, unless the
        program gives logits for all). `chunk`: most tokens of one prefill; as many as the engine has room for by default."""
        if self._program("prefill") is None:
            return self._encode(ids, every)
        self.check([ids], 0)
        sequence = Request(0, list(ids), len(ids), 0, Pages(self.pool), SamplingParams())
        rows: list[np.ndarray[Any, Any]] = []
        try:
            while sequence.stored < len(ids):
                count = min(len(ids) - sequence.stored, chunk or self.chunk, self.chunk)
                if every and not self._all_rows():
                    count = 1
                self._step([sequence], [count])
                rows.append(self._logit_rows(count))
        finally:
            sequence.pages.release()
        return np.concatenate(rows) if every else rows[-1][-1]

    # Checks -----------------------------------------------------------------------------------------------------------

    def check(self, prompts: Sequence[Tokens], max_new_tokens: int) -> None:
        """Raise for prompts that can't be continued: LLMC0851 empty, LLMC0852 too long, LLMC0853 unknown tokens."""
        assert self.max_context is not None
        for index, prompt in enumerate(prompts):
            check_length(len(prompt), max_new_tokens, self.max_context, f"prompt {index}")
            self._check_known(prompt, f"prompt {index}")

    def _check_known(self, ids: Tokens, name: str) -> None:
        known = self.vocabulary if self.vocabulary is not None else 1 << 31
        bad = next((t for t in ids if not 0 <= t < known), None)
        if bad is not None:
            raise LlmcError(
                "LLMC0853",
                f"{name} contains token {bad}",
                name,
                why=f"the model knows tokens 0 to {known} exclusive",
                fix="use the model's own tokenizer",
            )

    def _program(self, stem: str) -> str | None:
        return next((n for n in self.engine.programs if n.startswith(stem)), None)

    # Prefill ----------------------------------------------------------------------------------------------------------

    def _step(self, sequences: Sequence[Request], counts: Sequence[int]) -> None:
        """One prefill of the next `counts[i]` tokens of each sequence; logits rows follow the order of `sequences`."""
        engine = self.engine
        self.placed = None
        for sequence, count in zip(sequences, counts, strict=True):
            sequence.pages.reserve(sequence.stored + count)
        ids = [t for s, n in zip(sequences, counts, strict=True) for t in s.tokens[s.stored : s.stored + n]]
        positions = [p for s, n in zip(sequences, counts, strict=True) for p in range(s.stored, s.stored + n)]
        engine.write("ids", np.array(ids, np.int32))
        engine.write("positions", np.array(positions, np.int32))
        engine.write("sequence", np.repeat(np.arange(len(sequences), dtype=np.int32), counts))
        engine.write("query_start", np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
        engine.write("kv_len", np.array([s.stored + n for s, n in zip(sequences, counts, strict=True)], np.int32))
        engine.write("page_table", np.stack([s.pages.row(engine.max_pages) for s in sequences]))
        self._write_sampling(sequences, len(sequences))
        sizes = {"T": len(ids), "B": len(sequences)}
        engine.run(select_program(engine.programs, "prefill", sizes), sizes)
        for sequence, count in zip(sequences, counts, strict=True):
            sequence.stored += count

    def _write_sampling(self, sequences: Sequence[Request], width: int) -> None:
        pad = [SamplingParams()] * (width - len(sequences))
        params = [s.sampling for s in sequences] + pad
        self.engine.write("temperature", np.array([p.temperature for p in params], np.float32))
        self.engine.write("top_k", np.array([p.top_k for p in params], np.int32))
        self.engine.write("top_p", np.array([p.top_p for p in params], np.float32))
        self.engine.write("seed", np.array([p.seed & 0xFFFFFFFF for p in params], np.uint32).view(np.int32))

    def _prefill(self, group: list[Request]) -> Iterator[tuple[int, int]]:
        """Run all prompts, as many tokens a step as fit; a sequence's first token is sampled when its prompt ends."""
        waiting = list(group)
        while waiting:
            room = self.chunk
            batch: list[Request] = []
            counts: list[int] = []
            for sequence in waiting:
                count = min(sequence.prompt - sequence.stored, room)
                if count > 0:
                    batch.append(sequence)
                    counts.append(count)
                    room -= count
            self._step(batch, counts)
            tokens = self._sampled(len(batch))
            for sequence, token in zip(batch, tokens, strict=True):
                if sequence.stored == sequence.prompt:
                    yield from self._emit(sequence, [int(token)])
            waiting = [s for s in waiting if s.stored < s.prompt]

    def _sampled(self, rows: int) -> np.ndarray[Any, Any]:
        if "sample" in self.engine.programs:
            self.engine.run("sample", {"B": rows})
        return self.engine.read("tokens", rows)

    def _emit(self, sequence: Request, tokens: Sequence[int]) -> Iterator[tuple[int, int]]:
        for token in tokens:
            sequence.tokens.append(token)
            sequence.done = token in self.eos or sequence.generated >= sequence.limit
            yield sequence.index, token

    # Decode -----------------------------------------------------------------------------------------------------------

    def _run(self, group: list[Request]) -> Iterator[tuple[int, int]]:
        yield from self._prefill(group)
        live = [s for s in group if not s.done]
        while live:
            yield from self._decode(live)
            live = [s for s in live if not s.done]

    def _decode(self, live: list[Request]) -> Iterator[tuple[int, int]]:
        """Decode until a smaller bucket would do; the device advances itself, the host only reads."""
        width = min((b for b in self.buckets if b >= len(live)), default=len(live))
        replay = self._graph(width)
        self._place(live, width)
        while True:
            if self.placed is not live:  # another stream or `logits` used the rows
                self._place(live, width)
            steps = min(self.ahead, max(s.limit - s.generated for s in live if not s.done))
            before = [s.generated for s in live]
            if self._reserve(live, steps):
                self._write_pages(live, width)
            for _ in range(steps):
                replay()
            counts = self.engine.read("step", width)
            ring = self.engine.read("ring", width * self.ring).reshape(width, self.ring)
            for row, sequence in enumerate(live):
                new = [int(ring[row, n % self.ring]) for n in range(before[row], int(counts[row]))]
                sequence.stored += len(new)
                yield from self._emit(sequence, new)
            left = sum(not s.done for s in live)
            if left == 0 or any(left <= b < width for b in self.buckets):
                return

    def _reserve(self, live: list[Request], steps: int) -> bool:
        owned = [len(s.pages.pages) for s in live]
        for sequence in live:
            if not sequence.done:
                sequence.pages.reserve(min(len(sequence.tokens) + steps, sequence.prompt + sequence.limit))
        return owned != [len(s.pages.pages) for s in live]

    def _place(self, live: list[Request], width: int) -> None:
        """Write the state of every sequence to the device; padding rows are dead and use the scratch page."""
        self.placed = live
        pad = width - len(live)

        def rows(values: list[int], fill: int) -> np.ndarray[Any, Any]:
            return np.array(values + [fill] * pad, np.int32)

        write = self.engine.write
        write("ids", rows([s.tokens[-1] for s in live], 0))
        write("positions", rows([len(s.tokens) - 1 for s in live], 0))
        write("kv_len", rows([len(s.tokens) for s in live], 1))
        write("sequence", np.arange(width, dtype=np.int32))
        write("query_start", np.arange(width + 1, dtype=np.int32))
        write("step", rows([s.generated for s in live], 0))
        write("limit", rows([s.limit for s in live], 0))
        write("alive", rows([int(not s.done) for s in live], 0))
        stops = np.full((width, self._row_size("eos", 8)), -1, np.int32)
        stops[:, : len(self.eos)] = list(self.eos)
        write("eos", stops)
        self._write_sampling(live, width)
        self._write_pages(live, width)

    def _write_pages(self, live: list[Request], width: int) -> None:
        table = np.zeros((width, self.engine.max_pages), np.int32)
        for row, sequence in enumerate(live):
            table[row] = sequence.pages.row(self.engine.max_pages)
        self.engine.write("page_table", table)

    def _graph(self, width: int) -> Callable[[], None]:
        if width not in self.graphs:
            sizes = {"T": width, "B": width}
            self.graphs[width] = self.engine.capture(select_program(self.engine.programs, "decode", sizes), sizes)
        return self.graphs[width]

    # Logits -----------------------------------------------------------------------------------------------------------

    def _all_rows(self) -> bool:
        """Whether the prefill gives a row of logits for every token."""
        name = self._program("prefill")
        type_ = io_type(self.engine.programs[name], "logits") if name is not None else None
        return type_ is not None and "T" in expressions.names(type_.dims[0])

    def _logit_width(self) -> int | None:
        type_ = self.engine.type_of("logits")
        return int(type_.dims[-1]) if type_ is not None else None

    def _logit_rows(self, tokens: int) -> np.ndarray[Any, Any]:
        width = self._logit_width()
        assert width is not None
        rows = tokens if self._all_rows() else 1
        return self.engine.read("logits", rows * width).astype(np.float32).reshape(rows, width)

    def _encode(self, ids: Tokens, every: bool) -> np.ndarray[Any, Any]:
        """An encoder's output for each token."""
        engine = self.engine
        length = len(ids)
        longest = min(engine.capacity.tokens, self._largest("encode", "T"))
        if length == 0:
            raise LlmcError("LLMC0851", "the text is empty", "the text", fix="give at least one token")
        if length > longest:
            why = "an encoder sees a text whole, and was compiled for that many tokens"
            raise LlmcError(
                "LLMC0852",
                f"the text has {length} tokens; that is more than {longest}",
                "the text",
                why=why,
                fix="shorten it, or compile with a larger max-context",
            )
        self._check_known(ids, "the text")
        engine.write("ids", np.array(ids, np.int32))
        engine.write("input.1", np.arange(length, dtype=np.int32))
        engine.write("positions", np.arange(length, dtype=np.int32))
        engine.write("sequence", np.zeros(length, np.int32))
        engine.write("query_start", np.array([0, length], np.int32))
        engine.write("kv_len", np.array([length], np.int32))
        sizes = {"T": length, "B": 1}
        engine.run(select_program(engine.programs, "encode", sizes), sizes)
        type_ = engine.type_of("logits")
        assert type_ is not None
        shape = type_.extents(sizes)
        values = engine.read("logits", int(np.prod(shape))).astype(np.float32).reshape(shape)
        return values if every else values[-1]


__all__ = ["SamplingParams", "Session", "check_length"]
