"""The example inputs of `llmc.compile`, and which of their dimensions vary: checked before anything is captured."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ...dialects.ir.diagnostics import LlmcError
from ..request import article
from .importer import Port


def bind(
    signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments in one form, whichever of them were named."""
    try:
        found = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise LlmcError(
            "LLMC0241", "the arguments are not those of forward", "the call", why=str(error), fix=f"forward takes {signature}"
        ) from None
    return found.args, found.kwargs


def check_examples(example_inputs: object, kwargs: object) -> None:
    """Raise LLMC0241 unless the examples come as torch.export takes them: a tuple or list, and a dict by name; LLMC0242 for arrays
    and sparse tensors."""
    fix = "give positional examples as a tuple, (x, y), and those by name as kwargs={…}; a dict that is one argument as ({…},)"
    if not isinstance(example_inputs, tuple | list):
        what = f"the example inputs are no tuple but {article(type(example_inputs).__name__)}"
        raise LlmcError("LLMC0241", what, "the argument example_inputs", fix=fix)
    if not isinstance(kwargs, Mapping):
        raise LlmcError("LLMC0241", f"kwargs is no dict but {article(type(kwargs).__name__)}", "the argument kwargs", fix=fix)
    for leaf in pytree.tree_leaves((example_inputs, kwargs)):
        if isinstance(leaf, np.ndarray | np.generic):
            kind = article(type(leaf).__name__)
            raise LlmcError(
                "LLMC0242", f"an example input is {kind} of numpy", "the example inputs", fix="use torch.from_numpy"
            )
        if isinstance(leaf, torch.Tensor):
            refuse_sparse(leaf, "the example inputs")


def refuse_sparse(tensor: torch.Tensor, where: str) -> None:
    """Raise LLMC0242 for a tensor that does not hold each of its elements."""
    if tensor.layout != torch.strided:
        kind = str(tensor.layout).removeprefix("torch.")
        raise LlmcError(
            "LLMC0242", f"a tensor is {kind}", where, why="kernels read strided memory", fix="call .to_dense() on it"
        )


def by_place(
    signature: inspect.Signature, dynamic: Mapping[int | str, Mapping[int, str]], args: Sequence[Any]
) -> dict[int | str, Mapping[int, str]]:
    """`dynamic` with the names of positional arguments as their places."""
    order = list(signature.parameters)
    return {order.index(k) if isinstance(k, str) and k in order[: len(args)] else k: v for k, v in dynamic.items()}


def check_dynamic(
    signature: inspect.Signature,
    dynamic: Mapping[int | str, Mapping[int, str]],
    bound: tuple[Sequence[Any], Mapping[str, Any]],
    limits: Mapping[str, int],
    max_sizes: Mapping[str, int],
) -> None:
    """Raise for a dimension that can't vary: LLMC0268 where the examples have none such, LLMC0704 where others come before it."""
    unknown = next((name for name in max_sizes if name not in limits), None)
    if unknown is not None:
        what = f"max_sizes bounds {unknown!r}, which dynamic does not name"
        raise LlmcError("LLMC0268", what, "the argument max_sizes", fix="name it in dynamic")
    names = [n for n, p in signature.parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    tensors = {key: value for key, value in [*enumerate(bound[0]), *bound[1].items()] if isinstance(value, torch.Tensor)}
    for key, axes in dynamic.items():
        name = names[key] if isinstance(key, int) and key < len(names) else key
        if key not in tensors:
            fix = "name an argument that is a tensor, by its place or its name"
            what = f"dynamic names {name!r}, which is no tensor of the example inputs"
            raise LlmcError("LLMC0268", what, "the argument dynamic", fix=fix)
        for axis, size in axes.items():
            _check_axis(name, tensors[key].shape, axis, size, limits)


def _check_axis(name: object, shape: Sequence[int], axis: int, size: str, limits: Mapping[str, int]) -> None:
    shown = f"{name}, which has the shape {list(shape)}"
    if not 0 <= axis < len(shape):
        fix = f"give a dimension from 0 to {len(shape) - 1}"
        raise LlmcError("LLMC0268", f"dynamic names dimension {axis} of {shown}", "the argument dynamic", fix=fix)
    if shape[axis] > limits[size]:
        what = f"{size}, dimension {axis} of {name}, is {shape[axis]} in the example, and may be up to {limits[size]}"
        raise LlmcError("LLMC0268", what, "the argument max_sizes", fix=f'raise the bound: max_sizes={{"{size}": …}}')
    if any(extent != 1 for extent in shape[:axis]):
        raise LlmcError(
            "LLMC0704",
            f"{size}, dimension {axis} of {shown}, cannot vary",
            "the argument dynamic",
            why="buffers have fixed strides, so that only the first dimension (of those that are not 1) may vary",
            fix="keep it static, make the dimensions before it 1 (one sequence at a time), or let the module work with it first",
        )


def example_sizes(inputs: Sequence[Port], examples: Sequence[Any], limits: Mapping[str, int]) -> dict[str, int]:
    """The sizes that vary, as the examples have them."""
    tensors = [e for e in examples if isinstance(e, torch.Tensor)]
    pairs = [(str(d), n) for port, tensor in zip(inputs, tensors, strict=True) for d, n in zip(port.dims, tensor.shape)]
    return {name: extent for name, extent in pairs if name in limits}
