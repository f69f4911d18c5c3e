"""The xDSL context that knows every dialect of llmc and the builtin ones it uses; dialects are imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

from xdsl.context import Context
from xdsl.dialects.builtin import UnregisteredAttr, UnregisteredOp
from xdsl.ir import Attribute, Dialect, Operation, TypeAttribute

# dialect name → (module relative to `dialects`, name of the Dialect object)
OWN: dict[str, tuple[str, str]] = {
    "nn": ("nn", "NN"),
    "fusion": ("fusion", "Fusion"),
    "quantized": ("quantized", "Quantized"),
    "layout": ("layout", "Layout"),
    "rt": ("rt", "Rt"),
    "tile": ("tile", "Tile"),
    "ptx": ("ptx", "Ptx"),
}
BUILTIN: dict[str, tuple[str, str]] = {
    "builtin": ("builtin", "Builtin"),
    "func": ("func", "Func"),
    "arith": ("arith", "Arith"),
    "math": ("math", "Math"),
    "scf": ("scf", "Scf"),
    "linalg": ("linalg", "Linalg"),
    "tensor": ("tensor", "Tensor"),
    "cf": ("cf", "Cf"),
}


T = TypeVar("T")
Loaders = Mapping[str, Callable[[], Dialect]]


def _loader(module: str, attribute: str) -> Callable[[], Dialect]:
    def load() -> Dialect:
        return getattr(import_module(module), attribute)

    return load


def dialect_loaders() -> dict[str, Callable[[], Dialect]]:
    """llmc's dialects and the builtin ones it uses, by name; calling a value imports the dialect."""
    package = __name__.rsplit(".", 2)[0]
    own = {name: _loader(f"{package}.{module}", attribute) for name, (module, attribute) in OWN.items()}
    return own | {name: _loader(f"xdsl.dialects.{module}", attribute) for name, (module, attribute) in BUILTIN.items()}


@dataclass
class GrowingContext(Context):
    """A context that asks once for more dialects, when it meets one that it does not know. Where unregistered things are allowed,
    those of registered dialects are not."""

    more: Callable[[], Loaders] | None = None

    def clone(self) -> Context:
        return GrowingContext(
            self.allow_unregistered,
            self._loaded_dialects.copy(),
            self._loaded_ops.copy(),
            self._loaded_attrs.copy(),
            self._loaded_types.copy(),
            self._registered_dialects.copy(),
            self.more,
        )

    def _look_for(self, dialect: str) -> None:
        if self.more is not None and dialect not in self._registered_dialects:
            more, self.more = self.more, None
            for name, load in more().items():
                self.register_dialect(name, load)

    def _but_mistyped(self, name: str, found: type[T] | None) -> type[T] | None:
        """What was found, but no stand-in for an unregistered thing of a dialect that is registered, which would have it."""
        stands_in = found is not None and issubclass(found, UnregisteredOp | UnregisteredAttr)
        return None if stands_in and name.split(".", 1)[0] in self._registered_dialects else found

    def get_optional_op(self, name: str, *, dialect_stack: Sequence[str] = ()) -> type[Operation] | None:
        if name not in self._loaded_ops and "." in name:
            self._look_for(name.split(".", 1)[0])
        return self._but_mistyped(name, super().get_optional_op(name, dialect_stack=dialect_stack))

    def get_optional_type(self, name: str) -> type[TypeAttribute] | None:
        self._look_for(name.split(".", 1)[0])
        return self._but_mistyped(name, super().get_optional_type(name))

    def get_optional_attr(self, name: str) -> type[Attribute] | None:
        self._look_for(name.split(".", 1)[0])
        return self._but_mistyped(name, super().get_optional_attr(name))

    def get_optional_dialect(self, name: str) -> Dialect | None:
        self._look_for(name)
        return super().get_optional_dialect(name)


def make_context(more: Callable[[], Loaders] | None = None) -> Context:
    """A context with llmc's dialects and builtin, func, arith, math, scf, linalg, tensor and cf, each loaded lazily. `more` gives
    further ones; it is called when a dialect is met that is none of these."""
    context = GrowingContext(more=more)
    for name, load in dialect_loaders().items():
        context.register_dialect(name, load)
    context.load_registered_dialect("builtin")
    return context
