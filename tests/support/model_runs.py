"""Whole models, compiled once: through the front end, all phases, and a session on the emulator or the reference.

small = tiny("llama", "bfloat16", directory, options)
session = small.session("emulator")
batch_logits(session, [[1, 2, 3], [4]])              # one ragged batch → [2, vocabulary]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
from llmc.compiler.build import Compiled, Settings, compile_module
from llmc.compiler.frontend import ImportedModel, import_module, load_checkpoint
from llmc.compiler.phases import CompileOptions
from llmc.runtime.devices import open_device
from llmc.runtime.engine import Capacity, select_program
from llmc.runtime.executor import DeviceEngine
from llmc.runtime.generate import Request, SamplingParams, Session
from llmc.runtime.pages import Pages
from llmc.runtime.reference import ReferenceEngine
from llmc.runtime.weights import Layered
from xdsl.dialects.builtin import ModuleOp

STORYTELLER = Path(__file__).parents[2] / "examples" / "storyteller" / "checkpoint"
SETTINGS = Settings(assemble=False, cache=False)


@dataclass
class Imported:
    """A model as the front end hands it over, the name of its torch twin, and what was compiled from it."""

    model: ImportedModel
    arch: str
    dtype: str
    options: CompileOptions
    compiled: Compiled | None = None
    sessions: dict[str, Session] = field(default_factory=dict[str, Session])

    def compile(self, settings: Settings = SETTINGS) -> Compiled:
        """All phases, once."""
        if self.compiled is None:
            self.compiled = compile_module(self.model.module.clone(), self.options, settings)
        return self.compiled

    def session(self, device: str) -> Session:
        """The model on `emulator` or `reference`, loaded once for each."""
        if device not in self.sessions:
            self.sessions[device] = start(self.compile(), self.model, device)
        return self.sessions[device]

    def eager(self, prompts: Sequence[Sequence[int]], dtype: str) -> list[np.ndarray[Any, Any]]:
        """What PyTorch computes in `dtype` from the same (rounded) weights: [tokens, vocabulary] for each prompt."""
        import torch

        module = tiny_models.tiny_model(self.arch, self.dtype).to(getattr(torch, dtype))
        found: list[np.ndarray[Any, Any]] = []
        with torch.no_grad():
            for prompt in prompts:
                output = module(torch.tensor([list(prompt)]))
                rows = output if isinstance(output, torch.Tensor) else output[0]
                found.append(rows[0].float().numpy())
        return found


def tiny(arch: str, dtype: str, directory: Path, options: CompileOptions) -> Imported:
    """Import one of the tiny models; `torchnn` from the live module, the others from a checkpoint."""
    if arch == "torchnn":
        import torch

        module = tiny_models.tiny_model(arch, dtype)
        return Imported(import_module(module, [torch.zeros(1, 9, dtype=torch.int64)], {0: {1: "T"}}), arch, dtype, options)
    model = load_checkpoint(tiny_models.tiny_checkpoint(arch, directory, dtype))
    return Imported(model, arch, dtype, replace(options, kind=model.kind))


def capacity_of(options: CompileOptions) -> Capacity:
    pages = -(-options.max_context // options.page_size) * options.max_sequences + 1
    return Capacity(options.max_batch_tokens, options.max_sequences, pages)


def start_reference(module: ModuleOp, model: ImportedModel, options: CompileOptions) -> Session:
    """A module at `layout` with its weights in the numpy reference."""
    engine = ReferenceEngine(module, capacity_of(options))
    engine.load(Layered((model.weights, model.sidecar)))
    return Session(engine, max_context=options.max_context)


def start(compiled: Compiled, model: ImportedModel, device: str) -> Session:
    """A compiled model with its weights on `emulator` or `reference`; no token stops a sequence."""
    if device == "reference":
        return start_reference(compiled.module, model, compiled.options)
    opened = open_device(device)
    functions = {name: opened.load(code.image) for name, code in compiled.kernels.items()}
    engine = DeviceEngine(compiled.module, opened, functions, capacity_of(compiled.options))
    engine.load(Layered((model.weights, model.sidecar)))
    return Session(engine, max_context=compiled.options.max_context)


def batch_logits(session: Session, prompts: Sequence[Sequence[int]]) -> np.ndarray[Any, Any]:
    """Logits after the last token of each prompt, which run together as one ragged batch: [prompts, vocabulary]."""
    batch = [Request(i, list(p), len(p), 0, Pages(session.pool), SamplingParams()) for i, p in enumerate(prompts)]
    try:
        session._step(batch, [len(p) for p in prompts])
        type_ = session.engine.type_of("logits")
        assert type_ is not None and isinstance(type_.dims[-1], int)
        vocabulary = type_.dims[-1]
        return session.engine.read("logits", len(prompts) * vocabulary).astype(np.float32).reshape(len(prompts), vocabulary)
    finally:
        for request in batch:
            request.pages.release()


def batch_encodings(session: Session, texts: Sequence[Sequence[int]]) -> list[np.ndarray[Any, Any]]:
    """An encoder's rows for each text, which run together as one ragged batch: [tokens, hidden] each."""
    engine = session.engine
    lengths = [len(t) for t in texts]
    positions = np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])
    starts = np.cumsum([0, *lengths]).astype(np.int32)
    engine.write("ids", np.concatenate([np.array(t, np.int32) for t in texts]))
    engine.write("input.1", positions)
    engine.write("positions", positions)
    engine.write("sequence", np.repeat(np.arange(len(texts), dtype=np.int32), lengths))
    engine.write("query_start", starts)
    engine.write("kv_len", np.array(lengths, np.int32))
    sizes = {"T": sum(lengths), "B": len(texts)}
    engine.run(select_program(engine.programs, "encode", sizes), sizes)
    type_ = engine.type_of("logits")
    assert type_ is not None
    shape = type_.extents(sizes)
    rows = engine.read("logits", int(np.prod(shape))).astype(np.float32).reshape(shape)
    return [rows[a:b] for a, b in pairwise(starts)]


def error_ratio(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], exact: Sequence[np.ndarray]) -> float:
    """Our mean absolute error over theirs, over all rows."""
    mine = np.mean([np.abs(a - e).mean() for a, e in zip(ours, exact, strict=True)])
    return float(mine / np.mean([np.abs(a - e).mean() for a, e in zip(theirs, exact, strict=True)]))
