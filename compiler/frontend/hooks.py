"""What is swapped while a model is captured, and put back after: attention, masks, rotary embedding, RMSNorm.

Each swap is earned by trying: a norm is replaced where its forward computes an RMS norm on random numbers (which also tells
Gemma's 1 + w), a rotary function where it computes the rotation that we mean. What does not fit stays as it is and arrives
as plain ATen ops.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...dialects.ir.diagnostics import LlmcError

IMPLEMENTATION = "llmc"
"""The name under which attention and masks stand in Hugging Face's registries during a capture."""


@contextmanager
def replaced(target: Any, name: str, value: Any) -> Generator[None]:
    """Set an attribute for a while; an attribute that was not the object's own is deleted again."""
    own = name in vars(target)
    old = vars(target).get(name)
    setattr(target, name, value)
    try:
        yield
    finally:
        if own:
            setattr(target, name, old)
        else:
            delattr(target, name)


@contextmanager
def no_graph_dumps() -> Generator[None]:
    """Keep torch.export from writing to stderr the graph it had when it failed, the traceback of an op that takes no such shapes, and
    that it can't tell which line a value is from: our error says what is wrong and where. Whatever else is printed or logged comes
    through."""
    from torch.export import _trace

    def keep(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(("Unable to find user code", "failed while attempting to run meta"))

    def nothing(*args: Any, **kwargs: Any) -> None:
        return None

    logs = [logging.getLogger(name) for name in ("torch.fx.experimental.symbolic_shapes", "torch._subclasses.fake_tensor")]
    for log in logs:
        log.addFilter(keep)
    try:
        with replaced(_trace, "print", nothing):  # the one call of `print` in that file
            yield
    finally:
        for log in logs:
            log.removeFilter(keep)


# -- RMS norm ---------------------------------------------------------------------------------------------------------


def rms_norm_form(module: nn.Module) -> tuple[float, float] | None:
    """(eps, offset) if this module computes x / √(mean(x²) + eps) · (offset + w), found by running a copy on random numbers."""
    weight = getattr(module, "weight", None)
    eps = next(
        (getattr(module, n) for n in ("variance_epsilon", "eps", "epsilon") if isinstance(getattr(module, n, None), float)),
        None,
    )
    if not isinstance(weight, Tensor) or weight.ndim != 1 or eps is None or len(list(module.parameters())) != 1:
        return None
    width = weight.shape[0]
    generator = torch.Generator().manual_seed(width)
    trial = copy.copy(module)
    random = nn.Parameter(torch.randn(width, generator=generator), requires_grad=False)
    vars(trial)["_parameters"] = {"weight": random}
    x = torch.randn(2, 3, width, generator=generator)
    try:
        with torch.no_grad(), torch.device("cpu"):
            found = type(trial).forward(cast(Any, trial), x)
            normal = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
            for offset in (0.0, 1.0):
                if isinstance(found, Tensor) and torch.allclose(found, normal * (offset + random), rtol=1e-4, atol=1e-5):
                    return eps, offset
    except Exception:
        return None
    return None


@contextmanager
def swapped_norms(model: nn.Module) -> Generator[None]:
    """Give every RMS norm of the model `llmc::rms_norm` as its forward."""
    from .custom_ops import rms_norm

    forms: dict[Any, tuple[float, float] | None] = {}
    swapped: list[nn.Module] = []
    for module in model.modules():
        if "RMSNorm" not in type(module).__name__ or "forward" in vars(module):
            continue
        key = type(module), getattr(module, "variance_epsilon", getattr(module, "eps", None)), module.training
        if key not in forms:
            forms[key] = rms_norm_form(module)
        form = forms[key]
        if form is None:
            continue

        def forward(x: Tensor, *more: Any, module: nn.Module = module, form: tuple[float, float] = form, **named: Any) -> Any:
            if more or named:  # such as a gate, which is another computation
                return type(module).forward(cast(Any, module), x, *more, **named)
            return rms_norm(x, cast(Tensor, module.weight), *form)

        module.forward = forward  # type: ignore[method-assign]
        swapped.append(module)
    try:
        yield
    finally:
        for module in swapped:
            del module.forward


# -- activations ------------------------------------------------------------------------------------------------------


@contextmanager
def swapped_gelu(model: nn.Module) -> Generator[None]:
    """Give modules that spell out the tanh form of GELU (`NewGELUActivation`) torch's own op as their forward."""

    def forward(x: Tensor) -> Tensor:
        return nn.functional.gelu(x, approximate="tanh")

    forms: dict[type, bool] = {}
    swapped: list[nn.Module] = []
    x = torch.linspace(-6, 6, 101, device="cpu")
    for module in model.modules():
        kind = type(module)
        if "GELU" not in kind.__name__.upper() or list(module.parameters()) or "forward" in vars(module):
            continue
        if kind not in forms:
            try:
                with torch.no_grad():
                    forms[kind] = bool(torch.allclose(module(x), forward(x), atol=1e-6)) and not isinstance(module, nn.GELU)
            except Exception:
                forms[kind] = False
        if forms[kind]:
            module.forward = forward  # type: ignore[method-assign]
            swapped.append(module)
    try:
        yield
    finally:
        for module in swapped:
            del module.forward


# -- rotary embedding -------------------------------------------------------------------------------------------------


def rope_form(function: Callable[..., Any]) -> bool | None:
    """False for half-split rotation, True for interleaved, None where `function(q, k, cos, sin)` is something else."""
    from .custom_ops import rope

    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(1, 4, 3, 8, generator=generator), torch.randn(1, 2, 3, 8, generator=generator)
    angles = torch.randn(1, 3, 4, generator=generator)
    for interleaved in (False, True):
        both = angles.repeat_interleave(2, -1) if interleaved else torch.cat((angles, angles), -1)
        cos, sin = both.cos(), both.sin()
        try:
            found = function(q, k, cos, sin)
        except Exception:
            return None
        wanted = (rope(q, cos, sin, interleaved), rope(k, cos, sin, interleaved))
        if len(found) == 2 and all(a.shape == b.shape and torch.allclose(a, b, atol=1e-5) for a, b in zip(found, wanted)):
            return interleaved
    return None


@contextmanager
def swapped_rope(model: nn.Module) -> Generator[None]:
    """Replace `apply_rotary_pos_emb` in the Python modules that define the model's classes."""
    from .custom_ops import rope

    modules = {name: sys.modules[name] for name in {type(m).__module__ for m in model.modules()} if name in sys.modules}
    originals: list[tuple[Any, Any]] = []
    for module in modules.values():
        original = vars(module).get("apply_rotary_pos_emb")
        if not callable(original):
            continue
        with torch.no_grad(), torch.device("cpu"):
            interleaved = rope_form(original)
        if interleaved is None:
            continue

        def apply(
            q: Tensor,
            k: Tensor,
            cos: Tensor,
            sin: Tensor,
            *args: Any,
            original: Any = original,
            form: bool = interleaved,
            unsqueeze_dim: int = 1,
            **kwargs: Any,
        ) -> Any:
            positional = args[-1] if args and isinstance(args[-1], int) else unsqueeze_dim
            if positional != 1 or kwargs or q.ndim != 4 or cos.ndim != 3:
                return original(q, k, cos, sin, *args, unsqueeze_dim=unsqueeze_dim, **kwargs)
            return rope(q, cos, sin, form), rope(k, cos, sin, form)

        originals.append((module, original))
        vars(module)["apply_rotary_pos_emb"] = apply
    try:
        yield
    finally:
        for module, original in originals:
            vars(module)["apply_rotary_pos_emb"] = original


# -- attention and masks of Hugging Face ------------------------------------------------------------------------------


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function registered as `llmc`: one custom op."""
    from .custom_ops import attention

    for unsupported in ("s_aux", "position_bias", "sinks", "cache"):
        if kwargs.get(unsupported) is not None:
            what = f"attention with {unsupported} is not supported"
            raise LlmcError(
                "LLMC0320",
                what,
                where=type(module).__name__,
                fix="compile the model with its eager attention, through llmc.compile",
            )
    causal = bool(getattr(module, "is_causal", False)) if is_causal is None else bool(is_causal)
    scale = float(query.shape[-1] ** -0.5 if scaling is None else scaling)
    result = attention(query, key, value, attention_mask, scale, causal, int(sliding_window or 0), float(softcap or 0.0))
    return result, None


_REFUSED_MASKS = ("chunked", "blockwise")


def _mask_functions(function: Any, depth: int = 0) -> Iterator[Any]:
    """A mask function and all that its closure holds."""
    yield function
    for cell in getattr(function, "__closure__", None) or ():
        members = cell.cell_contents if isinstance(cell.cell_contents, tuple | list) else (cell.cell_contents,)
        for member in cast("tuple[Any, ...]", members):
            if callable(member) and depth < 8:
                yield from _mask_functions(member, depth + 1)


def _mask(*args: Any, attention_mask: Tensor | None = None, mask_function: Any = None, **kwargs: Any) -> Tensor | None:
    """The mask function registered as `llmc`: padding passes through; causality and windows reach attention by its arguments."""
    for function in _mask_functions(mask_function):
        module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
        if module != "transformers.masking_utils" or name.startswith(_REFUSED_MASKS):
            raise LlmcError(
                "LLMC0321",
                f"the attention mask {name} is not supported",
                where=module,
                why="only causal, windowed and padding masks are recognised",
                fix="use a causal, windowed or padding mask",
            )
    return attention_mask


def takes_attention(model: nn.Module) -> bool:
    """Whether this is a Hugging Face model whose layers look their attention up in the registry."""
    transformers = sys.modules.get("transformers")
    if transformers is None or not isinstance(model, transformers.PreTrainedModel):
        return False
    return bool(getattr(model, "_supports_attention_backend", True))


@contextmanager
def huggingface_attention(model: nn.Module) -> Generator[None]:
    """Make a Hugging Face model (`takes_attention`) attend through `llmc::attention`."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    found: list[Any] = [getattr(m, "config", None) for m in model.modules()]
    configs = {id(c): c for c in found if hasattr(c, "_attn_implementation")}
    before = [(c, c._attn_implementation) for c in configs.values()]
    registries: list[tuple[Any, Any]] = [(ALL_ATTENTION_FUNCTIONS, _attention), (ALL_MASK_ATTENTION_FUNCTIONS, _mask)]
    for registry, function in registries:
        type(registry).register(IMPLEMENTATION, function)
    try:
        for config in configs.values():
            config._attn_implementation = IMPLEMENTATION
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation = implementation
        for registry, _ in registries:
            type(registry)._global_mapping.pop(IMPLEMENTATION, None)


class ListsAsSlices(TorchFunctionMode):
    """x[..., [2, 3]] with a list of neighbours is x[..., 2:4]. Torch makes an index tensor of a list on the device of x, and on `meta`
    its numbers are lost."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == "__getitem__" and isinstance(args[0], Tensor):
            index = _without_lists(args[0], args[1])
            return func(*args) if index is None else func(args[0], index).clone()  # a list copies, a slice would share memory
        return func(*args, **(kwargs or {}))


def _without_lists(x: Tensor, index: Any) -> Any:
    """An index whose only list counts neighbours up, with a slice instead of it; None for any other."""
    items = list(cast("tuple[Any, ...]", index)) if isinstance(index, tuple) else [index]
    lists = [n for n, i in enumerate(items) if isinstance(i, list)]
    if len(lists) != 1 or not all(isinstance(i, slice | list) or i is Ellipsis for i in items):
        return None
    (place,) = lists
    before = place if Ellipsis not in items[:place] else x.ndim - (len(items) - place)
    size, numbers = x.shape[before], items[place]
    if type(size) is not int or not numbers or not all(type(n) is int and -size <= n < size for n in numbers):
        return None
    start = numbers[0] % size
    if [n % size for n in numbers] != list(range(start, start + len(numbers))):
        return None
    items[place] = slice(start, start + len(numbers))
    return tuple(items)


@contextmanager
def one_sequence() -> Generator[None]:
    """Say that positions count up one by one, so that masks keep no packed sequences apart: a checkpoint is captured on one sequence,
    and who runs it keeps sequences apart."""
    masks = sys.modules.get("transformers.masking_utils")
    if masks is None or not hasattr(masks, "find_packed_sequence_indices"):
        yield
        return

    def no_packing(position_ids: Tensor) -> None:
        return None

    with replaced(masks, "find_packed_sequence_indices", no_packing):
        yield


@contextmanager
def plain_torch_layers() -> Generator[None]:
    """Keep torch.nn's fused encoder kernels out of the graph."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
