"""What a pass is made of and run by: the Pass base class, the registry, the pass manager, remarks, instruments.

What the author of a pass needs comes from here, `from llmc.passes.framework import Pass, PassContext`, and is imported when it is
asked for: this file is on the way to `--help`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversion import ConversionPattern, ConversionTarget, TypeConverter, convert
    from .instrument import Instrument
    from .manager import PassManager
    from .named_pipeline import NamedPipeline
    from .numerics import Numerics
    from .pass_ import Pass, PassContext
    from .patterns import Pattern, PatternSet
    from .pipeline import parse_pipeline
    from .registry import Registry
    from .rewriter import IrRewriter
    from .rewriting import apply_patterns

__all__ = [
    "ConversionPattern",
    "ConversionTarget",
    "Instrument",
    "IrRewriter",
    "NamedPipeline",
    "Numerics",
    "Pass",
    "PassContext",
    "PassManager",
    "Pattern",
    "PatternSet",
    "Registry",
    "TypeConverter",
    "apply_patterns",
    "convert",
    "parse_pipeline",
]

# name → the file that it is in
_HOMES = {
    **dict.fromkeys(("ConversionPattern", "ConversionTarget", "TypeConverter", "convert"), "conversion"),
    "Instrument": "instrument",
    "IrRewriter": "rewriter",
    "NamedPipeline": "named_pipeline",
    "Numerics": "numerics",
    **dict.fromkeys(("Pass", "PassContext"), "pass_"),
    "PassManager": "manager",
    **dict.fromkeys(("Pattern", "PatternSet"), "patterns"),
    "Registry": "registry",
    "apply_patterns": "rewriting",
    "parse_pipeline": "pipeline",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
