"""A node of a captured graph as the import of its op sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, overload

if TYPE_CHECKING:
    import torch

UNREAD = frozenset({
    "dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "copy", "output_size", "implicit", "start_dim",
    "end_dim",
    "padding_idx", "scale_grad_by_freq", "sparse", "sparse_grad", "momentum", "cudnn_enable", "cudnn_enabled",
    "sorted", "stable", "dropout_p", "enable_gqa",
})  # fmt: skip
"""Arguments that no handler needs: torch's result has their shape and type, gradients or training alone depend on them, or they choose
among equal results."""


class Call:
    """A node of the graph as its handler sees it. It notes which arguments are read: one that is given and never read changes the
    result in PyTorch alone."""

    def __init__(self, node: torch.fx.Node) -> None:
        self.target, self.meta, self.node = node.target, node.meta, node
        self._schema: list[Any] = cast(Any, node.target)._schema.arguments
        self._read: set[str] = set()
        self.args = _Positional(node.args, [a.name for a in self._schema], self._read)
        self.kwargs = _Named(node.kwargs, self._read)

    def unread(self) -> dict[str, Any]:
        """Arguments that are given, are not their default, and were not read."""
        given = {a.name: value for a, value in zip(self._schema, self.node.args)} | dict(self.node.kwargs)
        defaults = {a.name: a.default_value for a in self._schema if a.has_default_value()}
        names = defaults.keys() & given.keys() - self._read - UNREAD
        return {name: given[name] for name in names if given[name] != defaults[name]}


class _Positional(Sequence[Any]):
    def __init__(self, values: Sequence[Any], names: Sequence[str], read: set[str]) -> None:
        self._values, self._names, self._read = values, names, read

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        self._read.update(self._names[index] if isinstance(index, slice) else [self._names[index]])
        return self._values[index]

    def __len__(self) -> int:
        return len(self._values)


class _Named(Mapping[str, Any]):
    def __init__(self, values: Mapping[str, Any], read: set[str]) -> None:
        self._values, self._read = values, read

    def __getitem__(self, name: str) -> Any:
        self._read.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
