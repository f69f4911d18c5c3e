"""The xDSL context that knows every dialect of llmc and the builtin ones it uses; dialects are imported on first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from xdsl.context import Context
from xdsl.ir import Dialect

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


def _loader(module: str, attribute: str) -> Callable[[], Dialect]:
    def load() -> Dialect:
        return getattr(import_module(module), attribute)

    return load


def make_context() -> Context:
    """A context with llmc's dialects and builtin, func, arith, math, scf, linalg, tensor and cf, each loaded lazily."""
    context = Context()
    for name, (module, attribute) in BUILTIN.items():
        context.register_dialect(name, _loader(f"xdsl.dialects.{module}", attribute))
    package = __name__.rsplit(".", 2)[0]
    for name, (module, attribute) in OWN.items():
        context.register_dialect(name, _loader(f"{package}.{module}", attribute))
    context.load_registered_dialect("builtin")
    return context
