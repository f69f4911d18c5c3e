"""What the instruments of commands add to those of the framework: a last word."""

from __future__ import annotations

from ....passes.framework.instrument import Instrument


class CommandInstrument(Instrument):
    """An instrument with something to say at the end, also after a failure."""

    def finish(self) -> None: ...
