"""What the instruments of commands add to those of the framework: a beginning and a last word."""

from __future__ import annotations

from typing import Any

from xdsl.dialects.builtin import ModuleOp

from ....passes.framework.instrument import Instrument
from ....passes.framework.pass_ import PassContext


class CommandInstrument(Instrument):
    """An instrument of one command."""

    def enter(self, anchor: Any) -> None:
        """The passes up to `leave` run on `anchor.op`."""

    def leave(self, anchor: Any) -> None: ...

    def start(self, context: PassContext, root: ModuleOp) -> None:
        """Before the first pass: what passes write to, and the module that the pipeline runs on."""

    def finish(self) -> None:
        """After the last pass, also after a failure."""
