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

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..passes.framework.registry import Registry
from ..runtime.device import Device
from ..runtime.devices import open_device
from ..runtime.engine import Capacity
from ..runtime.generate import Session
from ..runtime.tokenizer import open_tokenizer
from ..runtime.weights import Layered
from .artefact import Model, is_artefact, open_weights, read_artefact
from .build import Compiled, Progress, Settings, silent
from .build_checkpoint import build_or_find, check_target
from .engines import Watched, make_engine, settings_for
from .knobs import read_knobs
from .language_model import LanguageModel
from .options import check_arguments, check_fixed, check_options, check_place, check_scheme, check_sizes, checked_device

if TYPE_CHECKING:
    from .compiled_module import CompiledModule


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
    Parameters are copied; `reload()` on the result reads those that the module has then.

    Numbers are PyTorch's: float64 may be moved and cast, and is refused where it is computed with (LLMC0339). int64 has 32 bits on the
    device; a call whose integers may lead to larger ones is refused (LLMC0244, LLMC0249), as are indices out of range (LLMC0328). A float
    that is cast to int64 is taken to lie within ±2²⁴. What works as in training is refused (LLMC0248): call `.eval()` first.
    """
    from .compiled_module import compile_torch

    check_arguments(dynamic=dynamic, max_sizes=max_sizes, device=device, quant=quant, settings=settings)
    check_sizes(dynamic or {}, max_sizes or {})
    check_scheme(quant)
    settings = settings or Settings(knobs=read_knobs())
    kind = checked_device(device or settings.knobs.device)
    return compile_torch(
        module, example_inputs, {} if kwargs is None else kwargs, dynamic or {}, max_sizes or {}, kind, quant, settings
    )
