"""Capture: a torch module becomes an ExportedProgram whose attention, rope and norms are single ops.

    build on `meta` → swap (hooks.py) → torch.export.export(strict=False) → swap back

The user's model and Hugging Face's registries are left as they were found.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._ops import OpOverload

from ...dialects.ir.diagnostics import LlmcError
from . import custom_ops, hooks, refusals
from .aten import TABLE
from .captured import Captured
from .failures import not_captured
from .graph import live_calls, tensors_of

CUSTOM_OPS = (custom_ops.rms_norm, custom_ops.rope, custom_ops.attention)
"""What a captured graph may hold besides ATen ops; importing their module registers them with torch."""

EXAMPLE_TOKENS = 7
"""Tokens of the example input; a prime, so that no other size is a multiple of it by chance."""


@contextmanager
def _parameters_on_meta() -> Generator[None]:
    """Modules built here have parameters without memory, but real buffers (`inv_freq` is in no checkpoint)."""
    register = nn.Module.register_parameter

    def on_meta(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and param.device.type != "meta":
            param = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)
        register(self, name, param)

    def nothing(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return tensor

    with ExitStack() as stack:
        stack.enter_context(hooks.replaced(nn.Module, "register_parameter", on_meta))
        for name in dir(nn.init):
            if name.endswith("_") and not name.startswith("_") and callable(getattr(nn.init, name)):
                stack.enter_context(hooks.replaced(nn.init, name, nothing))
        yield


def build_huggingface(directory: str | Path, dtype: torch.dtype) -> nn.Module:
    """The model that a directory's config.json describes, in eval mode, parameters on `meta`, buffers on the CPU."""
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(str(directory), trust_remote_code=False)
        names = getattr(config, "architectures", None) or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[Any]", names)):
            raise ValueError(f"architectures is {names!r}, no list of names")
        kind = getattr(transformers, names[0], None) if names else None
        if names and kind is None:
            raise ValueError(f"transformers has no class {names[0]}, which architectures names")
        with _parameters_on_meta(), torch.no_grad():
            if kind is not None:
                model = kind._from_config(config, dtype=dtype, attn_implementation="eager")
            else:
                model = transformers.AutoModel.from_config(config, dtype=dtype, attn_implementation="eager")
    except Exception as error:  # what a wrong value meets first is anywhere in transformers or torch
        fix = "check model_type and the value that is named, or update transformers"
        place, why = str(Path(directory) / "config.json"), " ".join(f"{type(error).__name__}: {error}".split())[:400]
        raise LlmcError("LLMC0310", "transformers makes no model of config.json", where=place, why=why, fix=fix) from error
    model.eval()
    return cast(nn.Module, model)


@contextmanager
def _swapped(model: nn.Module, attention: bool) -> Generator[None]:
    with ExitStack() as stack:
        if attention:
            stack.enter_context(hooks.huggingface_attention(model))
        for swap in (hooks.swapped_norms, hooks.swapped_gelu, hooks.swapped_rope):
            stack.enter_context(swap(model))
        stack.enter_context(hooks.plain_torch_layers())
        stack.enter_context(hooks.ListsAsSlices())
        yield


def export(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dynamic_shapes: Any,
    symbol_names: Sequence[str] = (),
    any_mode: bool = True,
) -> Captured:
    """Export a module, as it is in eval mode, with its attention, rope and norms swapped. Raises LLMC0311, LLMC0323 or LLMC0326
    where it cannot be, LLMC0248 where it works as in training. Without `any_mode` also where it would do so in its present mode."""
    training = {id(m): m.training for m in model.modules()}
    model.eval()

    def put_back() -> None:
        for module in model.modules():
            module.training = training[id(module)]

    def run(attention: bool) -> torch.export.ExportedProgram:
        with torch.no_grad(), _swapped(model, attention), hooks.no_graph_dumps():
            return torch.export.export(model, args, kwargs, dynamic_shapes=dynamic_shapes, strict=False)

    try:
        attends = hooks.takes_attention(model)
        program = run(attends)
        if attends and not any("llmc.attention" in str(node.target) for node in program.graph.nodes):
            attends = False
            program = run(False)  # its layers ignore the registry, so they need the masks of their own attention
        refusals.refuse_training(program, model)
        if not any_mode and any(training.values()):
            put_back()
            refusals.refuse_other_modes(program, run(attends), model)
        program = decomposed(program)
    except LlmcError:
        raise
    except Exception as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, LlmcError):
            raise cause from error
        raise not_captured(model, args, kwargs, error) from error
    finally:
        put_back()
    return Captured(program, model, _symbol_names(program, symbol_names))


def decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program with ops that the ATen table lacks taken apart by PyTorch's own decompositions, and nothing written in place."""
    from torch._decomp import decomposition_table

    whole, seen = program, set[str]()
    for _ in range(8):
        unknown = {t for t in _live_targets(program) if str(t) not in TABLE} | _writing_targets(program)
        if {str(t) for t in unknown} <= seen:
            break
        seen |= {str(t) for t in unknown}
        simple = {t: decomposition_table[t] for t in unknown if t in decomposition_table and not _composite(t)}
        usual = torch.export.default_decompositions()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # from torch, about itself
                program = program.run_decompositions({**simple, **{t: usual[t] for t in unknown if t in usual}})
        except Exception:
            break
    written = _writing_targets(program)
    if written:
        what = f"{', '.join(sorted(map(str, written)))} writes in place"
        raise LlmcError(
            "LLMC0322",
            what,
            "forward",
            why="torch cannot rewrite it without the write",
            fix="use the form of the op that returns a new tensor",
        )
    known = all(str(t) in TABLE for t in _live_targets(program))
    return program if known or _writing_targets(whole) else whole  # the import names the op that it lacks


def _writing_targets(program: torch.export.ExportedProgram) -> set[OpOverload]:
    """The ops that write in place, whoever uses their results."""
    targets = {n.target for n in program.graph.nodes if isinstance(n.target, OpOverload)}
    return {t for t in targets if cast(Any, t)._schema.is_mutable}


def _live_targets(program: torch.export.ExportedProgram) -> set[OpOverload]:
    """The ops that results depend on."""
    return {n.target for n in live_calls(program) if tensors_of(n) and isinstance(n.target, OpOverload)}


def _composite(op: OpOverload) -> bool:
    """Whether an op is defined by other ops, for all devices."""
    return cast(Any, torch)._C._dispatch_has_kernel_for_dispatch_key(op.name(), "CompositeImplicitAutograd")


def _symbol_names(program: torch.export.ExportedProgram, wanted: Sequence[str]) -> dict[Any, str]:
    """The name of each symbol of the inputs' sizes, in order of appearance: the wanted ones, then N0, N1, …"""
    names: dict[Any, str] = {}
    free = [*wanted]
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if node.op != "placeholder" or not isinstance(value, Tensor):
            continue
        for size in value.shape:
            if isinstance(size, torch.SymInt):
                for symbol in sorted(size.node.expr.free_symbols, key=str):
                    if symbol not in names:
                        names[symbol] = free.pop(0) if free else f"N{len(names) - len(wanted)}"
    return names


def capture_huggingface(model: nn.Module, first_position: int = 0) -> Captured:
    """Capture a Hugging Face model as (input_ids [1, T], position_ids [1, T]) → outputs. Positions count from 0 in the program,
    and from `first_position` in the model."""
    import inspect

    names = inspect.signature(model.forward).parameters
    device = torch.device("meta")
    ids = torch.zeros(1, EXAMPLE_TOKENS, dtype=torch.int64, device=device)
    kwargs: dict[str, Any] = {"input_ids": ids}
    if "position_ids" in names:
        kwargs["position_ids"] = torch.zeros_like(ids)
    config = cast(Any, model).config

    def up_to(longest: int | None) -> Captured:
        tokens = torch.export.Dim("T", min=1, max=longest)
        return replace(export(model, (), kwargs, {name: {1: tokens} for name in kwargs}, ["T"]), natural=frozenset(kwargs))

    with ExitStack() as stack:
        if "use_cache" in vars(config):
            stack.enter_context(hooks.replaced(config, "use_cache", False))
        stack.enter_context(_buffers_on(model, device))
        stack.enter_context(hooks.one_sequence())
        if first_position:
            stack.callback(model.register_forward_pre_hook(_counting_from(first_position), with_kwargs=True).remove)
        try:
            return up_to(None)
        except LlmcError as error:
            longest = getattr(config, "max_position_embeddings", None)
            if error.code == "LLMC0326" and isinstance(longest, int) and longest > EXAMPLE_TOKENS:
                return up_to(longest)  # such as one that makes another table of positions beyond
            if error.code == "LLMC0323":  # the inputs are not the user's
                error.what = f"{type(model).__name__} fails on token ids alone"
                error.fix = "llmc.compile(model, example_inputs) takes the torch module with all of its inputs"
            raise


def _counting_from(first: int) -> Callable[..., Any]:
    def shifted(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, {**kwargs, "position_ids": kwargs["position_ids"] + first}

    return shifted


@contextmanager
def _buffers_on(model: nn.Module, device: torch.device) -> Generator[None]:
    """Move buffers to a device for the export; the program's own constants are read from the originals by name."""
    moved: list[tuple[nn.Module, str, Tensor]] = []
    for module in model.modules():
        for name, buffer in vars(module)["_buffers"].items():
            if buffer is not None and buffer.device != device:
                moved.append((module, name, buffer))
                vars(module)["_buffers"][name] = buffer.to(device)
    try:
        yield
    finally:
        for module, name, buffer in moved:
            vars(module)["_buffers"][name] = buffer
