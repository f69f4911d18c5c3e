"""What `llmc.load` gives: a model that generates and says its logits."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ..dialects.ir.diagnostics import LlmcError
from ..dialects.rt.ops import WeightOp
from ..runtime.engine import Engine
from ..runtime.executor import DeviceEngine
from ..runtime.generate import SamplingParams, Session
from ..runtime.tokenizer import open_tokenizer
from .artefact import Model
from .build import Compiled
from .request import checked_count, checked_flag, checked_ids, checked_prompts, checked_sampling, checked_text

if TYPE_CHECKING:
    pass

WINDOW = 8
"""Tokens before a new one that are decoded with it."""


@dataclass
class Timings:
    """What the last generation took: seconds to the first token, seconds for the tokens after it (of all prompts of a batch); and on a device that counts them
    (the emulator) the instructions, each once for every warp that runs it."""

    first_token: float = 0.0
    later_tokens: float = 0.0
    tokens: int = 0
    first_instructions: int = 0
    later_instructions: int = 0

    @property
    def per_token(self) -> float:
        """Seconds per output token after the first (TPOT)."""
        return self.later_tokens / max(self.tokens - 1, 1)

    @property
    def instructions_per_token(self) -> float:
        """Warp instructions per output token after the first."""
        return self.later_instructions / max(self.tokens - 1, 1)


@dataclass
class LanguageModel:
    """A model on a device. `compiled` holds its IR, kernels and remarks; nothing in it is hidden."""

    compiled: Compiled
    model: Model
    engine: Engine
    device: str
    session: Session
    tokenizer: Any = None
    timings: Timings = field(default_factory=Timings)
    closed: bool = False

    def __repr__(self) -> str:
        """On one line; `compiled` has the rest."""
        name, options = str(self.model.checkpoint or "a model"), self.compiled.options
        parts = [repr(name), self.model.kind, f"device={self.device}", f"dtype={weight_type(self.compiled.module)}"]
        parts += [f"quant={options.scheme}"] if options.scheme != "none" else []
        parts += [f"inputs=ids of up to {self.model.context} tokens", f"sequences={options.max_sequences}"]
        return f"LanguageModel({', '.join([*parts, 'closed'] if self.closed else parts)})"

    def encode(self, text: str) -> list[int]:
        """Token ids of a text. Raises LLMC0230 without a tokenizer, LLMC0231 and LLMC0235 for what is no Unicode text."""
        checked = checked_text(text)
        if self.tokenizer is None:
            self.tokenizer = open_tokenizer((self.model.checkpoint or Path()) / "tokenizer.json")
        return list(self.tokenizer.encode(checked).ids)

    def generate(
        self,
        prompt: str | Sequence[int],
        max_tokens: int = 64,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Iterator[Any]:
        """Stream the continuation: pieces of text for a text, token ids for token ids (a list, a 1-dimensional array or tensor).
        Stops at a stop token or after `max_tokens`. Temperature 0 is greedy; the same seed (0 to 2³²-1) draws the same tokens.

        Raises LLMC0231 for an argument that can't be used, LLMC0851 to LLMC0853 for a prompt that this model can't continue.
        """
        self._check_open()
        count, sampling = checked_count(max_tokens), checked_sampling(temperature, top_k, top_p, seed)
        ids = self._continued([prompt], count)
        tokens = (token for _, token in self._stream(ids, count, sampling))
        return self._pieces(ids[0], tokens) if isinstance(prompt, str) else tokens

    def generate_batch(
        self,
        prompts: Sequence[str | Sequence[int]],
        max_tokens: int = 64,
        *,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> list[Any]:
        """The continuation of each prompt, as long as it gets: a text for a text, a list of token ids for token ids.

        As many are decoded together as `max_sequences` of `llmc.load` says, one such group after another. The arguments and errors
        are those of `generate`; each prompt is drawn with the same seed.
        """
        self._check_open()
        count, sampling = checked_count(max_tokens), checked_sampling(temperature, top_k, top_p, seed)
        each = checked_prompts(prompts)
        ids = self._continued(each, count)
        made: list[list[int]] = [[] for _ in ids]
        for index, token in self._stream(ids, count, sampling):
            made[index].append(token)
        return [
            "".join(self._pieces(i, iter(tokens))) if isinstance(prompt, str) else tokens
            for prompt, i, tokens in zip(each, ids, made, strict=True)
        ]

    def _continued(self, prompts: Sequence[object], count: int) -> list[list[int]]:
        """The token ids of prompts that this model can continue by `count` tokens."""
        if self.model.kind != "decoder":
            what = f"{self.model.checkpoint} is a model of kind {self.model.kind}: it has no next token"
            raise LlmcError("LLMC0227", what, str(self.model.checkpoint), fix="llmc.load(…).logits gives what it computes")
        ids = [self.encode(prompt) if isinstance(prompt, str) else checked_ids(prompt) for prompt in prompts]
        self.session.check(ids, count)
        return ids

    def _stream(self, prompts: list[list[int]], max_tokens: int, sampling: SamplingParams) -> Iterator[tuple[int, int]]:
        """(prompt's index, token) as tokens are made, timed."""
        self._check_open()
        self.timings = Timings()
        start = first = time.perf_counter()
        begun = self._instructions()
        for index, token in self.session.stream(prompts, max_tokens, sampling):
            now, done = time.perf_counter(), self._instructions()
            if self.timings.tokens == 0:
                self.timings.first_token, self.timings.first_instructions = now - start, done - begun
                first, begun = now, done
            else:
                self.timings.later_tokens, self.timings.later_instructions = now - first, done - begun
            self.timings.tokens += 1
            yield index, token
            self._check_open()

    def _instructions(self) -> int:
        return self.engine.device.instructions if isinstance(self.engine, DeviceEngine) else 0

    def _pieces(self, ids: list[int], tokens: Iterator[int]) -> Iterator[str]:
        """Text as it grows; a piece is held back while its last character is incomplete. Stop tokens are not text."""
        window = ids[-WINDOW:]  # how a token is spelt depends on those before it
        shown = text = self.tokenizer.decode(window)
        for token in tokens:
            if token in self.model.eos:
                break
            window.append(token)
            text = self.tokenizer.decode(window)
            if not text.endswith("�"):
                yield text[len(shown) :]
                if len(window) > 8 * WINDOW:
                    window = window[-WINDOW:]
                    text = self.tokenizer.decode(window)
                shown = text
        if len(text) > len(shown):
            yield text[len(shown) :]

    def __enter__(self) -> LanguageModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the model's device memory back; it can't run after that (LLMC0254). `with llmc.load(…) as model:` does it too."""
        self.closed = True
        self.session.graphs.clear()
        if isinstance(self.engine, DeviceEngine):
            self.engine.close()

    def logits(self, token_ids: Sequence[int], every: bool = False) -> np.ndarray[Any, Any]:
        """f32 logits after the last token, [vocabulary]; with `every` after each token, [tokens, vocabulary].

        Raises LLMC0231 for ids that are none, LLMC0851 to LLMC0853 for ids that this model can't take.
        """
        self._check_open()
        return self.session.logits(checked_ids(token_ids), checked_flag("every", every))

    def _check_open(self) -> None:
        if self.closed:
            raise LlmcError("LLMC0254", "the model is closed", f"{self.model.checkpoint or 'the model'}", fix="load it again")


def weight_type(module: ModuleOp) -> str:
    """The floating-point type of most of a compiled model's weights, in PyTorch's words."""
    counts: Counter[str] = Counter()
    for op in module.body.block.ops:
        if isinstance(op, WeightOp):
            counts[str(op.type.element_type)] += op.type.num_elements({})
    return max((counts[kind], name) for kind, name in (("bf16", "bfloat16"), ("f16", "float16"), ("f32", "float32")))[1]
