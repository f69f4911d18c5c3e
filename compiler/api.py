"""The Python API: `llmc.load` and `llmc.compile`.

model = llmc.load("path/to/checkpoint")
for piece in model.generate("Once upon a time", max_tokens=100):
    print(piece, end="")
model.logits([1, 2, 3])                      # f32 [vocabulary]
model.generate_batch(["Once", "Far away"])   # needs max_sequences=2 to decode them together

fast = llmc.compile(torch_module, (example,))
fast(example)
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ..codegen.targets import Targets
from ..dialects.ir.diagnostics import LlmcError
from ..dialects.rt.ops import WeightOp
from ..passes.framework.registry import Registry
from ..runtime.device import Device
from ..runtime.devices import open_device
from ..runtime.engine import Capacity, Engine
from ..runtime.executor import DeviceEngine
from ..runtime.generate import SamplingParams, Session
from ..runtime.reference import ReferenceEngine
from ..runtime.tokenizer import open_tokenizer
from ..runtime.weights import Layered
from .artefact import Model, is_artefact, open_weights, read_artefact
from .build import Compiled, Progress, Settings, compile_module, silent
from .knobs import read_knobs
from .model_cache import find_model, keep_model, model_key
from .options import check_arguments, check_fixed, check_options, check_place, check_scheme, check_sizes, checked_device
from .phases import CompileOptions
from .request import checked_count, checked_flag, checked_ids, checked_prompts, checked_sampling, checked_text

if TYPE_CHECKING:
    from .frontend.compiled_module import CompiledModule
    from .frontend.model import ImportedModel

WINDOW = 8
"""Tokens before a new one that are decoded with it."""
PREFILL_ROWS = 4096
"""Tokens of one prefill: enough that the last wave of CTAs of a GEMM costs little, and that activations take less than half a GiB."""


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


def load(
    path: str | Path,
    *,
    device: str | None = None,
    quant: str = "none",
    dtype: str | None = None,
    max_sequences: int = 1,
    max_context: int | None = None,
    settings: Settings | None = None,
    random_weights: Mapping[str, Any] | None = None,
    strict: bool = False,
) -> LanguageModel:
    """A model ready to run, from a Hugging Face directory or from what `llmc build` wrote.

    device: auto (a GPU where there is one, else the emulator), cuda, emulator, or reference (numpy on the `layout` level).
    quant: `none` or `int8` (weights, a scale for each output channel). dtype: `bfloat16`, `float16` or `float32` instead of the checkpoint's.
    max_sequences: prompts that `generate_batch` decodes together. max_context: the longest context, prompt and new tokens; the model's own limit, at most 4096, by default.
    strict: the emulator also names races and reads of memory that nobody wrote.

    Raises LLMC0278 for an argument of the wrong type; LLMC0232 to LLMC0236, LLMC0313 and LLMC0420 for one out of range.
    """
    check_arguments(
        path=path, device=device, quant=quant, dtype=dtype, max_sequences=max_sequences, max_context=max_context,
        settings=settings, random_weights=random_weights, strict=strict,
    )  # fmt: skip
    place = Path(path)
    settings = settings or Settings(knobs=read_knobs())
    kind = checked_device(device or settings.knobs.device)
    check_options(quant, dtype, max_sequences, max_context)
    check_place(place)
    opened = open_device(kind, strict=strict) if kind != "reference" else None
    target = opened.target if opened is not None else "sm_90a"
    if is_artefact(place):
        compiled, model = read_artefact(place, settings.registry.context())
        check_target(compiled, opened, place, settings.registry.targets)
        check_fixed(compiled.options, place, quant, dtype, max_sequences, max_context)
        weights = open_weights(model, place) if random_weights is None else {}
    else:
        compiled, model, weights = build_or_find(
            place, target, quant, dtype, max_sequences, max_context, settings_for(settings, opened)
        )
    if random_weights is not None:
        weights = random_weights
    return start(compiled, model, weights, opened, settings.registry, settings.progress)


def settings_for(settings: Settings, device: Device | None) -> Settings:
    """The emulator needs no cubins, the reference no code, unless it is dumped."""
    if device is None:
        return replace(settings, assemble=False, codegen=settings.codegen and settings.dumps)
    return replace(settings, assemble=False) if device.name == "emulator" else settings


def check_target(compiled: Compiled, device: Device | None, place: Path, targets: Targets) -> None:
    """Raise LLMC0223 when an artefact was built for another GPU than the one at hand."""
    if device is None or device.name == "emulator":
        return
    wanted = compiled.options.target
    here, there = targets.find(device.target), targets.find(wanted)
    if here.sm // 10 != there.sm // 10 or there.sm > here.sm or (there.arch_specific and there.arch != here.arch):
        raise LlmcError(
            "LLMC0223",
            f"{place} was built for {wanted}, this GPU is {device.target}",
            str(place),
            fix=f"build it again with --target {device.target}",
        )
    missing = [n for n, c in compiled.kernels.items() if c.cubin is None]
    if missing:
        raise LlmcError(
            "LLMC0223",
            f"{place} holds no cubin for @{missing[0]}",
            str(place),
            why="it was built without ptxas",
            fix="build it again where ptxas is installed",
        )


def build(
    place: Path, target: str, quant: str, dtype: str | None, max_sequences: int, max_context: int | None, settings: Settings
) -> tuple[Compiled, Model, Mapping[str, Any]]:
    """Capture and compile a checkpoint; returns code, model and the mapping that gives its weights."""
    from .frontend.model import load_checkpoint

    settings.progress("import", "", 0, 1)
    if (place / "tokenizer.json").exists():
        open_tokenizer(place / "tokenizer.json")  # a damaged one is better known before minutes of work
    start = time.perf_counter()
    imported = load_checkpoint(place, dtype=dtype)
    if imported.unused:
        settings.warn(
            f"{place}: the model has no place for {len(imported.unused)} of the checkpoint's {len(imported.weights)} tensors, such as "
            f"{imported.unused[-1]}; config.json and the weights must belong together"
        )
    seconds = time.perf_counter() - start
    compiled, model = compile_imported(imported, target, quant, max_sequences, max_context, settings, place)
    compiled.seconds = {"import": seconds, **compiled.seconds}
    return compiled, model, imported.weights


def build_or_find(
    place: Path, target: str, quant: str, dtype: str | None, max_sequences: int, max_context: int | None, settings: Settings
) -> tuple[Compiled, Model, Mapping[str, Any]]:
    """`build`, or what an earlier build of the same left in the cache. Dumps and plain references are always built."""
    options = (target, quant, dtype, max_sequences, max_context, settings.assemble)
    usable = settings.cache and settings.codegen and not settings.dumps and not settings.instruments and settings.trace is None
    key = model_key(place, options, settings.registry.fingerprint) if usable else None
    found = find_model(settings.knobs.cache_dir, key, settings.registry.context()) if key is not None else None
    if found is not None:
        try:
            return *found, open_weights(found[1], settings.knobs.cache_dir / "models" / str(key))
        except LlmcError:
            pass  # the weights changed or moved since: build again, which says what is wrong with them
    compiled, model, weights = build(place, target, quant, dtype, max_sequences, max_context, settings)
    if key is not None:
        keep_model(settings.knobs.cache_dir, key, compiled, model)
    return compiled, model, weights


def compile_imported(
    imported: ImportedModel,
    target: str,
    quant: str,
    max_sequences: int,
    max_context: int | None,
    settings: Settings,
    place: Path | None,
) -> tuple[Compiled, Model]:
    """Compile what the front end imported."""
    context = context_of(imported.config, imported.first_position, max_context, place)
    options = CompileOptions(
        target=target,
        scheme=quant,
        max_sequences=max_sequences,
        max_context=context,
        max_batch_tokens=min(max(context, 64) * max_sequences, PREFILL_ROWS) if imported.kind == "decoder" else context,
        kind=imported.kind,
    )
    compiled = compile_module(imported.module, options, settings)
    model = Model(place, imported.sidecar, imported.tokenizer_path, imported.eos_ids, imported.kind, context)
    return compiled, model


def context_of(config: Mapping[str, Any], first_position: int, max_context: int | None, place: Path | None) -> int:
    """The longest sequence that a model is compiled for: what was asked for, else what it knows, at most 4096. Raises LLMC0236
    for more than it knows."""
    limit = position_limit(config) - first_position
    if max_context is not None and max_context > limit:
        raise LlmcError(
            "LLMC0236",
            f"a context of {max_context} tokens is more than the model has",
            str(place or ""),
            why=f"the model's positions end at {limit}",
            fix=f"ask for one of at most {limit}",
        )
    return max_context or min(limit, 4096)


def position_limit(config: Mapping[str, Any]) -> int:
    """The positions that a model knows, from its config.json; 4096 where that says nothing."""
    nested = config.get("text_config")
    for source in (config, nested if isinstance(nested, Mapping) else {}):
        for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
            value = source.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                if value < 1:
                    raise LlmcError(
                        "LLMC0318",
                        f"{name} in config.json is {value}",
                        why="a model knows at least one position",
                        fix="correct config.json",
                    )
                return value
    return 4096


def make_engine(compiled: Compiled, device: Device | None, capacity: Capacity, registry: Registry) -> Engine:
    """What runs a compiled model on a device; None is the reference, which needs to know what ops of plugins mean."""
    if device is None:
        return ReferenceEngine(compiled.module, capacity, semantics=registry.semantics)
    functions = {name: device.load(code.image) for name, code in compiled.kernels.items()}
    return DeviceEngine(compiled.module, device, functions, capacity)


class Watched(Mapping[str, Any]):
    """A mapping that tells how many of its entries were asked for."""

    def __init__(self, source: Mapping[str, Any], progress: Progress) -> None:
        self._source, self._progress, self._done, self._total = source, progress, 0, len(source)

    def __getitem__(self, name: str) -> Any:
        value = self._source[name]
        self._done += 1
        self._progress("load", name, min(self._done, self._total), self._total)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._source

    def __iter__(self) -> Iterator[str]:
        return iter(self._source)

    def __len__(self) -> int:
        return self._total


def start(
    compiled: Compiled,
    model: Model,
    weights: Mapping[str, Any],
    device: Device | None,
    registry: Registry,
    progress: Progress = silent,
) -> LanguageModel:
    """Put a compiled model on a device and load its weights."""
    progress("load", "", 0, 1)
    options = compiled.options
    pages = -(-options.max_context // options.page_size) * options.max_sequences + 1
    capacity = Capacity(tokens=options.max_batch_tokens, sequences=options.max_sequences, pages=pages)
    engine = make_engine(compiled, device, capacity, registry)
    engine.load(Watched(Layered((weights, model.sidecar)), progress))
    session = Session(engine, eos=model.eos, max_context=model.context)
    tokenizer = open_tokenizer(model.tokenizer) if model.tokenizer is not None else None
    return LanguageModel(compiled, model, engine, device.name if device is not None else "reference", session, tokenizer)


def compile(
    module: Any,
    example_inputs: Sequence[Any],
    *,
    kwargs: Mapping[str, Any] | None = None,
    dynamic: Mapping[int | str, Mapping[int, str]] | None = None,
    max_sizes: Mapping[str, int] | None = None,
    device: str | None = None,
    quant: str = "none",
    settings: Settings | None = None,
) -> CompiledModule:
    """A callable with the signature of `module.forward` (a `torch.nn.Module`, in eval mode), on llmc's kernels: torch tensors in
    and out, in forward's own structure.

    `example_inputs` is the tuple (or list) of positional arguments, `kwargs` the dict of those by name, as for `torch.export.export`: an
    argument that is itself a dict goes into the tuple, `({"ids": ids},)`.

    Sizes are those of the examples. `dynamic` names dimensions that vary: `{0: {0: "N"}}` for the first dimension of argument 0
    (keyword arguments by name); only the first dimension that is not 1 can. `max_sizes` bounds them, 1024 by default.
    Parameters are copied; `reload()` on the result reads them from the module again.

    Numbers are PyTorch's: float64 may be moved and cast, and is refused where it is computed with (LLMC0339). int64 has 32 bits on the
    device; a call whose integers may lead to larger ones is refused (LLMC0244, LLMC0249). A float that is cast to int64 is taken to lie
    within ±2²⁴. What works as in training is refused (LLMC0248): call `.eval()` first.
    """
    from .frontend.compiled_module import compile_torch

    check_arguments(dynamic=dynamic, max_sizes=max_sizes, device=device, quant=quant, settings=settings)
    check_sizes(dynamic or {}, max_sizes or {})
    check_scheme(quant)
    settings = settings or Settings(knobs=read_knobs())
    kind = checked_device(device or settings.knobs.device)
    return compile_torch(
        module, example_inputs, {} if kwargs is None else kwargs, dynamic or {}, max_sizes or {}, kind, quant, settings
    )
