"""llmc's dialects and passes for stock xDSL: where llmc is installed, `xdsl-opt -f mlir model.nn -p recognise` has them.

xDSL reads the entry point `xdsl.universe` of every distribution. Nothing is imported here before xDSL asks for it. It refuses names
that two universes have, so passes that it has itself under the same name (`canonicalize`, `cse`, `dce`) are its own there, and llmc's
are `llmc-canonicalize` and so on.
"""

from __future__ import annotations

from collections.abc import Callable

from xdsl.passes import ModulePass
from xdsl.universe import XDSL_UNIVERSE, Universe

from ..dialects.ir.context import OWN, dialect_loaders
from ..passes.framework.registry import lookup_pass, pass_names


def _door(name: str) -> tuple[str, Callable[[], type[ModulePass]]]:
    """A pass of llmc under the name that it has in xDSL."""
    if name not in XDSL_UNIVERSE.all_passes:
        return name, lambda: lookup_pass(name)
    theirs = f"llmc-{name}"
    return theirs, lambda: type(lookup_pass(name).__name__, (lookup_pass(name),), {"name": theirs})


UNIVERSE = Universe(
    all_dialects={name: load for name, load in dialect_loaders().items() if name in OWN},
    all_passes=dict(_door(name) for name in pass_names()),
)
