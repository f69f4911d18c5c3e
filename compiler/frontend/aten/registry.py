"""The table that the files of this folder fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..call import Call
from ..importer import Importer

Handler: TypeAlias = Callable[[Importer, Call], Any]

TABLE: dict[str, Handler] = {}
"""`aten.view.default` → what imports it: a Value, or a list of them for an op with several results."""


def row(*names: str) -> Callable[[Handler], Handler]:
    """Enter a handler for these overloads."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return enter


def argument(call: Call, index: int, name: str, default: Any = None) -> Any:
    """An argument that torch passes by position or by name."""
    return call.args[index] if len(call.args) > index else call.kwargs.get(name, default)
