"""A model in our hands: the `nn` module, where its weights are, and how to speak with it.

imported = load_checkpoint("path/to/Llama-3.2-1B")
imported.module                     # nn.weight … and func.func @main(%ids, %positions) -> logits
imported.weights["model.norm.weight"]
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module as import_module_by_name
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute

from ...dialects.ir.diagnostics import LlmcError
from ...runtime.safetensors import TensorInfo
from .checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch

    from .captured import Captured
    from .importer import Entry, Port

RENAMES: tuple[tuple[str, str], ...] = (
    # a suffix that models use → the one that old checkpoints have
    ("LayerNorm.weight", "LayerNorm.gamma"),
    ("LayerNorm.bias", "LayerNorm.beta"),
    ("lm_head.weight", "embed_out.weight"),  # GPT-NeoX
)
LEFTOVERS = (r"(^|\.)inv_freq$", r"(^|\.)position_ids$", r"(^|\.)(attn|attention)\.(masked_)?bias$")
"""Buffers that older versions of transformers saved, and that models compute by now."""


@dataclass
class ImportedModel:
    """An imported model. `weights` and `sidecar` map entry names to arrays, read when they are asked for."""

    module: ModuleOp
    kind: str
    """"decoder" (ids, positions → logits), "encoder" (→ hidden states) or "module" (what the torch module does)."""
    config: dict[str, Any]
    weights: Mapping[str, np.ndarray]
    inputs: list[Port]
    outputs: list[Port]
    sidecar: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])
    tokenizer_path: Path | None = None
    eos_ids: tuple[int, ...] = ()
    checkpoint: Checkpoint | None = None
    unused: Sequence[str] = ()
    """Tensors of the checkpoint that the model has no place for."""
    first_position: int = 0
    """What the model calls the position of a sequence's first token; it is 0 for `module`."""

    @property
    def environment(self) -> dict[str, Any]:
        """What the reference interpreter needs to run the module."""
        return {"weights": self.weights, "sidecar": self.sidecar}


def load_checkpoint(directory: str | Path, dtype: str | None = None) -> ImportedModel:
    """Import a Hugging Face checkpoint directory, in the dtype it states or the one given ("bfloat16", "float32", …).

    Raises LlmcError for damaged or incomplete checkpoints and for models that cannot be captured or imported.
    """
    checkpoint = Checkpoint.open(directory)
    config, weights, eos_ids = checkpoint.config, checkpoint.weights, checkpoint.eos_ids
    _check_layers(checkpoint)
    torch, capture, import_program = _torch()
    from .failures import refuse_other_inputs
    from .positions import first_position

    with _at(checkpoint.directory):
        chosen = _dtype(torch, dtype, config, weights.info(next(iter(weights))))
        model = capture.build_huggingface(checkpoint.directory, chosen)
        refuse_other_inputs(model, str(checkpoint.directory))
        entries = _bind(model, weights.info, set(weights))
        unused = _unused(model, weights)
    decoder = bool(getattr(model, "can_generate", lambda: False)())
    first = 0 if decoder else first_position(model)
    with _written_by_others():
        captured = capture.capture_huggingface(model, first)
        imported = import_program.import_captured(captured, entries, outputs=[0], wide_outputs=decoder)
    return ImportedModel(
        module=imported.module,
        kind="decoder" if decoder else "encoder",
        config=config,
        weights=weights,
        inputs=imported.inputs,
        outputs=imported.outputs,
        sidecar=imported.sidecar,
        tokenizer_path=checkpoint.tokenizer_path,
        eos_ids=eos_ids,
        checkpoint=checkpoint,
        unused=unused,
        first_position=first,
    )


def import_module(
    module: torch.nn.Module,
    example_inputs: Sequence[Any],
    dynamic: Mapping[int | str, Mapping[int, str]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> ImportedModel:
    """Import any torch module, captured on example inputs; see `capture_module`. Weights are read from the module itself, when
    they are needed."""
    return import_captured_module(capture_module(module, example_inputs, dynamic, kwargs))


def capture_module(
    module: torch.nn.Module,
    example_inputs: Sequence[Any],
    dynamic: Mapping[int | str, Mapping[int, str]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    largest: Mapping[str, int] | None = None,
    any_mode: bool = True,
) -> Captured:
    """Export a module on example inputs, as it is in eval mode; without `any_mode` only if that is what it computes now.

    `dynamic` names the dimensions that vary: `{0: {1: "T"}}` for dimension 1 of the first positional argument, by name for
    keyword arguments; `largest` bounds them.
    """
    torch, capture, _ = _torch()
    limits = dict(largest or {})
    named = dict(kwargs or {})
    given = dict(dynamic or {})
    dims: dict[str, Any] = {}

    def spec(key: int | str, value: Any) -> Any:
        if key not in given or not isinstance(value, torch.Tensor):
            return None
        for name in given[key].values():
            dims.setdefault(name, torch.export.Dim(name, min=1, max=limits.get(name)))
        return {axis: dims[name] for axis, name in given[key].items()}

    shapes = _shapes(module, example_inputs, named, spec) if given else None
    return capture.export(module, tuple(example_inputs), named, shapes, list(dims), any_mode)


def import_captured_module(
    captured: Captured, outputs: Sequence[int] | None = None, entries: Mapping[str, Entry] | None = None
) -> ImportedModel:
    """Import an exported module; `outputs` keeps only these of its tensors."""
    _, _, import_program = _torch()
    from .importer import to_numpy

    module = captured.module
    imported = import_program.import_captured(captured, entries, outputs)
    config = getattr(module, "config", None)
    state = _ModuleWeights(module, to_numpy)
    return ImportedModel(
        module=imported.module,
        kind="module",
        config=cast("dict[str, Any]", config.to_dict()) if hasattr(config, "to_dict") else {},  # pyright: ignore
        weights=state,
        inputs=imported.inputs,
        outputs=imported.outputs,
        sidecar=imported.sidecar,
    )


def _check_layers(checkpoint: Checkpoint) -> None:
    """Raise LLMC0319 for more layers than there are tensors, before transformers builds them all."""
    nested = checkpoint.config.get("text_config")
    for config in (checkpoint.config, cast("dict[str, Any]", nested) if isinstance(nested, dict) else {}):
        for name in ("num_hidden_layers", "n_layer", "num_layers"):
            layers = config.get(name)
            if isinstance(layers, int | float) and layers > max(len(checkpoint.weights), 1):
                what = f"{name} in config.json is {layers}, and the checkpoint has {len(checkpoint.weights)} tensors"
                fix = "config.json and the weights must belong together"
                raise LlmcError("LLMC0319", what, str(checkpoint.directory / "config.json"), fix=fix)


@contextmanager
def _at(directory: Path) -> Generator[None]:
    """Errors that name no place of their own get the checkpoint's."""
    try:
        yield
    except LlmcError as error:
        error.where = error.where or str(directory)
        raise


@contextmanager
def _written_by_others() -> Generator[None]:
    """Errors that advise to write a line of the model otherwise say what a checkpoint's user can do, who did not write it."""
    try:
        yield
    except LlmcError as error:
        if error.code in ("LLMC0335", "LLMC0336", "LLMC0338"):
            error.fix = (
                f"choose a checkpoint of another architecture, or report this line to llmc; in code of your own: {error.fix}"
            )
        raise


def _shapes(
    module: Any, args: Sequence[Any], kwargs: Mapping[str, Any], spec: Callable[[int | str, Any], Any]
) -> dict[str, Any]:
    """Which dimensions vary, by the names of forward's parameters, as torch.export wants it."""
    import inspect

    signature = inspect.signature(module.forward)
    names = [n for n, p in signature.parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    shapes: dict[str, Any] = {}
    for index, value in enumerate(args):
        if index < len(names) and signature.parameters[names[index]].kind != inspect.Parameter.KEYWORD_ONLY:
            shapes[names[index]] = spec(index, value)
        else:
            rest = next(n for n, p in signature.parameters.items() if p.kind == p.VAR_POSITIONAL)
            shapes[rest] = (*shapes.get(rest, ()), spec(index, value))
    return shapes | {name: spec(name, value) for name, value in kwargs.items()}


class _ModuleWeights(Mapping[str, np.ndarray]):
    """The parameters and buffers that a live torch module has now, under the names that it had when this was made. A tensor put in
    another's place must be like it: LLMC0314 where there is none, LLMC0315 for another shape, LLMC0316 for another dtype."""

    def __init__(self, module: torch.nn.Module, convert: Callable[[Any], np.ndarray]) -> None:
        self._module, self._convert = module, convert
        named = (*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False))
        self._kinds = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in named}

    def __getitem__(self, name: str) -> np.ndarray:
        shape, dtype = self._kinds[name]
        found, fix = _tensor_of(self._module, name), "compile the module again"
        if found is None:
            raise LlmcError("LLMC0314", f"the module has no tensor {name!r} any more", name, fix=fix)
        if tuple(found.shape) != shape:
            why = f"it is {list(found.shape)}, and the module was compiled with {list(shape)}"
            raise LlmcError("LLMC0315", f"tensor {name!r} has the wrong shape", name, why=why, fix=fix)
        if found.dtype != dtype:
            why = f"the module was compiled with {dtype}"
            raise LlmcError("LLMC0316", f"tensor {name!r} is stored as {found.dtype}", name, why=why, fix=fix)
        return self._convert(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def _tensor_of(module: torch.nn.Module, name: str) -> torch.Tensor | None:
    """A parameter or buffer by its name."""
    path, _, last = name.rpartition(".")
    try:
        found = getattr(module.get_submodule(path), last, None)
    except AttributeError:
        return None
    return found if hasattr(found, "dtype") else None


def _torch() -> tuple[Any, Any, Any]:
    """(torch, capture, import_program), imported now; LLMC0312 when torch or transformers is not installed."""
    try:
        import torch

        import_module_by_name("transformers")
    except ImportError as error:
        fix = "pip install llmc[torch]"
        raise LlmcError("LLMC0312", "reading models needs torch and transformers", why=str(error), fix=fix) from error
    from . import capture, import_program

    return torch, capture, import_program


def _dtype(torch: Any, wanted: str | None, config: Mapping[str, Any], first: TensorInfo) -> Any:
    """The torch dtype of the model: asked for, stated in config.json, or that of the first tensor."""
    nested = cast("dict[str, Any]", config.get("text_config") or {})
    stated = wanted or config.get("dtype") or config.get("torch_dtype") or nested.get("dtype") or nested.get("torch_dtype")
    name = str(stated or {"float16": "float16", "float32": "float32"}.get(first.dtype.name, "bfloat16")).removeprefix("torch.")
    dtype = getattr(torch, name, None)
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        fix = "use float32, float16 or bfloat16"
        raise LlmcError("LLMC0313", f"a model cannot be computed in {name!r}", fix=fix)
    return dtype


def _bind(model: Any, info: Callable[[str], TensorInfo], known: set[str]) -> dict[str, Entry]:
    """Checkpoint tensor of each parameter of the model; ties share one. LLMC0314 for missing tensors, LLMC0315 for shapes."""
    from xdsl.dialects.builtin import bf16, f16, f32, f64

    from .importer import Entry

    elems: dict[str, Attribute] = {"bfloat16": bf16, "float16": f16, "float32": f32, "float64": f64}
    prefix = getattr(model, "base_model_prefix", "") or ""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    parameters |= {n: b for n, b in model.named_buffers(remove_duplicate=False) if b is not None and n in known}
    groups: dict[int, list[str]] = {}
    for name, parameter in parameters.items():
        groups.setdefault(id(parameter), []).append(name)
    entries: dict[str, Entry] = {}
    missing: list[str] = []
    for names in groups.values():
        found = next((c for name in names for c in _candidates(name, prefix) if c in known), None)
        if found is None:
            missing.append(names[0])
            continue
        tensor, wanted = info(found), tuple(parameters[names[0]].shape)
        if tensor.shape != wanted:
            why = f"the checkpoint has {list(tensor.shape)}, config.json makes it {list(wanted)}"
            raise LlmcError(
                "LLMC0315",
                f"tensor {found!r} has the wrong shape",
                why=why,
                fix="config.json and the weights must belong together",
            )
        if tensor.dtype.name not in elems:
            if tensor.dtype.kind in "iub" and not parameters[names[0]].is_floating_point():
                continue  # integer buffers are constants of the model
            raise LlmcError(
                "LLMC0316",
                f"tensor {found!r} is stored as {tensor.dtype.name}",
                why="only plain floating-point weights are read",
                fix="convert the checkpoint to BF16, F16 or F32; --quant int8 quantises it here",
            )
        for name in names:
            entries[name] = Entry(found, elems[tensor.dtype.name])
    if any(".experts." in name for name in missing):
        what = f"mixture-of-experts checkpoints are not read yet: {missing[0]}"
        raise LlmcError(
            "LLMC0317",
            what,
            why="their experts are stored one by one and computed by grouped products",
            fix="choose a dense model",
        )
    if missing:
        what = f"the checkpoint lacks {len(missing)} tensor{'s' if len(missing) > 1 else ''} of the model: {', '.join(missing[:4])}"
        raise LlmcError("LLMC0314", what, fix="download the whole checkpoint; check `architectures` in config.json")
    return entries


def _unused(model: Any, known: Iterable[str]) -> list[str]:
    """The tensors that the model has no place for, but for what older checkpoints of it are known to hold."""
    prefix = getattr(model, "base_model_prefix", "") or ""
    names = [n for n, _ in (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))]
    placed = {candidate for name in names for candidate in _candidates(name, prefix)}
    harmless = (*LEFTOVERS, *(getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ()))
    return [n for n in known if n not in placed and not any(re.search(pattern, n) for pattern in harmless)]


def _candidates(name: str, prefix: str) -> Iterator[str]:
    """The names under which checkpoints keep a parameter, likeliest first."""
    plain = [name]
    if prefix and name.startswith(prefix + "."):
        plain.append(name[len(prefix) + 1 :])
    elif prefix:
        plain.append(f"{prefix}.{name}")
    for candidate in plain:
        yield candidate
        for ours, theirs in RENAMES:
            if candidate.endswith(ours):
                yield candidate[: -len(ours)] + theirs
