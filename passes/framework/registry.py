"""Which passes there are, by name, without importing one before it is asked for."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules

from ...dialects.ir.diagnostics import LlmcError
from .pass_ import Pass

# In the order of the levels; a folder's modules are its passes, `pass_name.py` holds `pass-name`.
FOLDERS = ("ir", "nn", "fusion", "quant", "layout", "tile", "ptx")


def pass_files() -> dict[str, str]:
    """Pass name → module path, read off the folders: a pass is the class in `passes/<phase>/<pass_name>.py` whose `name` is
    `pass-name`. Nothing is imported."""
    found: dict[str, str] = {}
    root = __name__.rsplit(".", 2)[0]
    for folder in FOLDERS:
        package = import_module(f"{root}.{folder}")
        for info in iter_modules(package.__path__):
            found[info.name.replace("_", "-")] = f"{root}.{folder}.{info.name}"
    return found


def lookup_pass(name: str) -> type[Pass]:
    """The class of pass `name`. Raises LLMC0201 for an unknown one, with the nearest names."""
    files = pass_files()
    path = files.get(name)
    found = pass_in(path, name) if path is not None else None
    if found is None:
        near = get_close_matches(name, list_passes(), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "llmc-opt --list-passes shows all"
        raise LlmcError("LLMC0201", f"unknown pass '{name}'", fix=hint)
    return found


def pass_in(path: str, name: str) -> type[Pass] | None:
    """The pass class called `name` in a module, or None when the module is no pass."""
    module = import_module(path)
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Pass) and getattr(value, "name", None) == name:
            return value
    return None


def list_passes() -> dict[str, type[Pass]]:
    """Every pass by name, imported."""
    found: dict[str, type[Pass]] = {}
    for name, path in pass_files().items():
        cls = pass_in(path, name)
        if cls is not None:
            found[name] = cls
    return found
