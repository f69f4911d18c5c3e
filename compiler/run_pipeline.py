"""Passes from Python, in three lines.

import llmc
module = llmc.run_pipeline(text, "canonicalize,fusion-phase")
print(module)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from ..dialects.ir.parsing import parse_module
from ..dialects.ir.verifying import verify
from ..passes.framework.instrument import Instrument
from ..passes.framework.manager import PassManager
from ..passes.framework.pass_ import PassContext
from ..passes.framework.pipeline import parse_pipeline
from .phases import make_registry


def run_pipeline(
    module: ModuleOp | str,
    pipeline: str,
    *,
    plugins: Iterable[str | Path] = (),
    verify_each: bool = True,
    instruments: Sequence[Instrument] = (),
) -> ModuleOp:
    """Run passes on a module, or on the one in a text, and return it; a module is changed in place.

    `pipeline` is what `llmc-opt --pass-pipeline` takes: passes, nested anchors, named pipelines. `plugins` are files to load first;
    those of installed distributions are found. Raises LlmcError for IR that is not valid, for a pipeline that is not, and for what
    a pass refuses.
    """
    registry = make_registry(plugins)
    context = PassContext(registry.context(), registry=registry)
    if isinstance(module, str):
        module = parse_module(context.xdsl, module)
        verify(module)
    PassManager(context, verify_each, instruments).run(parse_pipeline(pipeline, registry), module)
    return module
