"""Whether the indices that a call gives are inside what they look up: kernels read where an index points to, without a question.

Only indices that are inputs or constants, or such a tensor in another shape or plus a number, are known before a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch

from ...dialects.ir.diagnostics import LlmcError
from .captured import Captured
from .graph import live_calls, node_location, tensors_of

KEEPING = frozenset({
    "alias", "clone", "contiguous", "detach", "expand", "expand_as", "flatten", "permute", "reshape", "repeat", "squeeze", "t", "to",
    "_to_copy", "transpose", "unflatten", "unsqueeze", "view", "_unsafe_view",
})  # fmt: skip
"""Ops whose result holds the numbers of their first operand, each of them at least once."""
INTEGERS = (torch.int64, torch.int32)


@dataclass(frozen=True)
class Lookup:
    """A tensor of indices, `source` + `offset`, into a dimension of a node's operand."""

    node: torch.fx.Node
    source: torch.fx.Node
    offset: int
    extent: Any
    """The size of the dimension: an int or a SymInt."""
    from_end: bool
    """Whether negative indices count from the end."""


def lookups(captured: Captured) -> list[Lookup]:
    """The lookups of a program whose indices are known before a call."""
    return [found for node in live_calls(captured.program) for found in _of_node(node)]


def refuse_outside(
    known: list[Lookup],
    interval: Callable[[torch.fx.Node], tuple[int, int] | None],
    size: Callable[[Any], int],
    module: torch.nn.Module,
) -> None:
    """Raise LLMC0328 for an index that is outside; `interval` gives the smallest and largest number of a source, where it knows them."""
    for lookup in known:
        given, extent = interval(lookup.source), size(lookup.extent)
        if given is None:
            continue
        low, high = (end + lookup.offset for end in given)
        lowest = -extent if lookup.from_end else 0
        if low < lowest or high >= extent:
            raise LlmcError(
                "LLMC0328",
                f"index {low if low < lowest else high} of {lookup.node.target} is out of range",
                node_location(lookup.node, module),
                why=f"it looks up one of {extent}",
                fix=f"give indices from {lowest} to {extent - 1}",
            )


def _of_node(node: torch.fx.Node) -> Iterator[Lookup]:
    for index, extent, from_end in _indices(node):
        source = _source(index)
        if source is not None:
            yield Lookup(node, *source, extent, from_end)


def _indices(node: torch.fx.Node) -> Iterator[tuple[torch.fx.Node, Any, bool]]:
    """(indices, size of what they look up, whether they may count from the end)."""
    args: Any = node.args
    match str(node.target):
        case "aten.embedding.default":
            yield args[1], _shape(args[0])[0], False
        case "aten.index_select.default" | "aten.gather.default":
            yield args[2], (_shape(args[0]) or (1,))[args[1]], False
        case "aten.index.Tensor":
            for extent, index in zip(_shape(args[0]), args[1]):
                if index is not None:
                    yield index, extent, True
        case _:
            return


def _source(node: torch.fx.Node) -> tuple[torch.fx.Node, int] | None:
    """(an input or constant, a number) whose sum a tensor of integers is."""
    offset = 0
    while tensors_of(node) and tensors_of(node)[0].dtype in INTEGERS:
        if node.op == "placeholder":
            return node, offset
        name, args = str(node.target).removeprefix("aten.").split(".")[0], cast("Any", node.args)
        if name == "add" and isinstance(args[1], int) and not node.kwargs:
            offset += args[1]
        elif name not in KEEPING:
            return None
        node = args[0]
    return None


def _shape(node: torch.fx.Node) -> torch.Size:
    return tensors_of(node)[0].shape
