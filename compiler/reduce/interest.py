"""What a reduction must keep. Each test remembers the failure of the input, and takes no other failure for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from xdsl.ir import Operation

from ...codegen.ptx.assemble import REFUSALS, assemble
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.parsing import parse_module
from ...passes.framework.instrument import Instrument
from ...passes.framework.pipeline import parse_pipeline
from ...passes.framework.registry import Registry
from ..bisect.verdicts import CommandTest, comparison
from ..build import ptxas_of
from ..kernels import ptx_texts
from ..knobs import read_knobs
from ..phases import CompileOptions
from ..replay import Replay

Interest = Callable[[str], "str | None"]
"""The failure that IR shows, as a text that is equal for equal failures; None for IR without one."""
RAISED = ("LLMC0204", "LLMC0281")  # errors whose message names a Python exception


def signature(error: LlmcError) -> str:
    """Code, passes and pattern; of exceptions their type, of other errors the name of the op that they point at."""
    passes = [re.sub(r" on .*", "", name) for name in error.passes]
    detail = ":".join(error.what.split(":")[:2]) if error.code in RAISED else ""
    op = error.where.name if isinstance(error.where, Operation) else ""
    return " ".join([error.code, *passes, detail, op])


@dataclass(frozen=True)
class PassFails:
    """A pass of the pipeline fails. `checks` as in `Replay`: with a comparison of numbers, a pass that changes them fails."""

    pipeline: str
    registry: Registry
    verify_each: bool = True
    checks: Callable[[], Sequence[Instrument]] = tuple
    alone: bool = False

    def hardened(self, text: str) -> PassFails:
        """This, with tests in processes of their own if the failure of `text` is that the process ends."""
        return replace(self, alone=self._replay(text).hardened().alone)

    def __call__(self, text: str) -> str | None:
        error = self._replay(text).run().error
        return signature(error) if error is not None else None

    def _replay(self, text: str) -> Replay:
        elements = parse_pipeline(self.pipeline, self.registry)
        return Replay(text, "case", elements, self.registry, self.verify_each, checks=self.checks, alone=self.alone)


@dataclass(frozen=True)
class PipelinesDisagree:
    """Two pipelines, both of which run, give modules that compute something else."""

    pipelines: Sequence[str]
    registry: Registry

    def __call__(self, text: str) -> str | None:
        compare, results = comparison(self.registry), [""] * 2
        for i, pipeline in enumerate(self.pipelines):
            result = Replay(text, "case", parse_pipeline(pipeline, self.registry), self.registry).run()
            if result.error is not None:
                return None
            results[i] = result.text
        context = self.registry.context()
        outcome = compare(parse_module(context, results[0], "first"), parse_module(context, results[1], "second"))
        return "differ" if outcome.difference is not None else None


@dataclass(frozen=True)
class PtxasRejects:
    """ptxas refuses the PTX of a kernel with the same message, but for names and numbers. `accepted`: PTX that it took before."""

    registry: Registry
    accepted: set[str] = field(default_factory=set[str])

    def __call__(self, text: str) -> str | None:
        ptxas, _ = ptxas_of(read_knobs())
        module = parse_module(self.registry.context(), text, "case")
        target = self.registry.targets.find(CompileOptions.of(module).target)
        for ptx in dict(ptx_texts(module, target.arch)).values():
            if ptx in self.accepted:
                continue
            try:
                assemble(ptx, target.name, ptxas=ptxas)
            except LlmcError as error:
                if error.code in REFUSALS:
                    return re.sub(r"'[^']*'|%?\w*\d\w*", "_", error.what)
                raise
            self.accepted.add(ptx)
        return None


@dataclass(frozen=True)
class CommandSays:
    """A command exits with 0 on the IR's file: it is interesting."""

    test: CommandTest

    def __call__(self, text: str) -> str | None:
        return "interesting" if self.test.text(text) else None
