"""From a checkpoint to code: captured and compiled, or found in the cache; and whether an artefact suits the GPU at hand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..codegen.targets import Targets
from ..dialects.ir.diagnostics import LlmcError
from ..runtime.device import Device
from ..runtime.tokenizer import open_tokenizer
from .artefact import Model, open_weights
from .build import Compiled, Settings, compile_module
from .model_cache import find_model, keep_model, model_key
from .phases import CompileOptions

if TYPE_CHECKING:
    from .frontend.model import ImportedModel

PREFILL_ROWS = 4096
"""Tokens of one prefill: enough that the last wave of CTAs of a GEMM costs little, and that activations take less than half a GiB."""


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
