"""Running passes with their numbers checked, on small decoders at any level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pytest
from decoder_graphs import Shape, decoder
from llmc.compiler.numerics import NumericsOptions
from llmc.compiler.numerics.instrument import NumericsCheck
from llmc.compiler.phases import PHASES, CompileOptions, lower, pipeline_between
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.passes.framework.manager import PassManager, expand
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.framework.pipeline import Element
from xdsl.dialects.builtin import ModuleOp, bf16, f32


@lru_cache(maxsize=32)
def _standing(phase: str, elem: str, scheme: str) -> ModuleOp:
    module = decoder(Shape(elem={"bf16": bf16, "f32": f32}[elem], bias=True, qk_norm=True))
    CompileOptions(max_sequences=4, max_context=64, max_batch_tokens=16, scheme=scheme, target="sm_80").attach(module)
    lower(PassManager(PassContext(make_context())), module, "import", phase)
    return module


def standing_at(phase: str, elem: str = "bf16", scheme: str = "none") -> ModuleOp:
    """A decoder of two layers at a phase (`import`: before any pass)."""
    return _standing(phase, elem, scheme).clone()


def passes_of(phase: str, module: ModuleOp) -> tuple[Element, ...]:
    """The passes of a phase, with the options that stand on a module."""
    before = ("import", *PHASES)[PHASES.index(phase)]
    return expand(pipeline_between(before, phase)[0], module, PassContext(make_context()))


def checked(passes: Sequence[Element], module: ModuleOp, options: NumericsOptions = NumericsOptions()) -> NumericsCheck:
    """Run passes under the check; it has the outcome of each."""
    check = NumericsCheck(options)
    PassManager(PassContext(make_context()), instruments=[check]).run(passes, module)
    return check


def caught(passes: Sequence[Element], module: ModuleOp, options: NumericsOptions = NumericsOptions()) -> LlmcError:
    """The LLMC0263 that passes end in."""
    with pytest.raises(LlmcError) as raised:
        checked(passes, module, options)
    assert raised.value.code == "LLMC0263", raised.value.render()
    return raised.value
