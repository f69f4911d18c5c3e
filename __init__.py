"""llmc: a multi-level compiler for transformer inference.

The public API is three functions, imported lazily so that ``import llmc`` costs nothing:

- ``llmc.compile(module, example_inputs)``: a callable that runs any ``torch.nn.Module`` forward on llmc's kernels;
- ``llmc.load(checkpoint_dir)``: a language model with ``generate(...)`` and ``logits(...)``;
- ``llmc.run_pipeline(module, "canonicalize,fusion-phase")``: passes on IR.

What they raise for bad input is ``llmc.LlmcError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["LlmcError", "__version__", "compile", "load", "run_pipeline"]

if TYPE_CHECKING:
    from .compiler.api import compile, load
    from .compiler.run_pipeline import run_pipeline
    from .dialects.ir.diagnostics import LlmcError


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name in ("compile", "load"):
        from .compiler import api

        return getattr(api, name)
    if name == "run_pipeline":
        from .compiler.run_pipeline import run_pipeline

        return run_pipeline
    if name == "LlmcError":
        from .dialects.ir.diagnostics import LlmcError

        return LlmcError
    raise AttributeError(f"module 'llmc' has no attribute {name!r}")
