"""The table that the files of this folder fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

    from ..importer import Importer

Handler: TypeAlias = "Callable[[Importer, torch.fx.Node], Any]"

TABLE: dict[str, Handler] = {}
"""`aten.view.default` → what imports it: a Value, or a list of them for an op with several results."""


def row(*names: str) -> Callable[[Handler], Handler]:
    """Enter a handler for these overloads."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return enter


def argument(node: torch.fx.Node, index: int, name: str, default: Any = None) -> Any:
    """An argument that torch passes by position or by name."""
    return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)
