"""Instruments: what sees every pass run, and may keep one from running. The manager calls them; commands make them."""

from __future__ import annotations

from xdsl.ir import Operation

from .anchor import Anchor
from .pass_ import Pass


class Instrument:
    """Sees every application of a pass; subclasses override what they need.

    `module` is what the pass works on: the whole module, or a module that holds nothing but the op that the pass is anchored on.
    `enter` tells which op that is. Required passes always run: `wants` is asked about the others.
    """

    def enter(self, anchor: Anchor) -> None:
        """The passes up to `leave` run on this op. Not called for those that run on the whole module."""

    def leave(self, anchor: Anchor) -> None: ...

    def wants(self, pass_: Pass, module: Operation) -> bool:
        """Whether the pass may run; one instrument that says no is enough."""
        return True

    def skipped(self, pass_: Pass, module: Operation) -> None:
        """The pass was kept from running, by another instrument or by a debug counter."""

    def before(self, pass_: Pass, module: Operation) -> None: ...

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        """The pass ran `seconds`, and the module verifies if the manager verifies after each pass."""

    @property
    def shows_failures(self) -> bool:
        """Whether `failed` shows the IR to the user, who need not be told how to see it."""
        return False

    def failed(self, pass_: Pass, module: Operation, error: BaseException) -> None:
        """The pass, or the verification after it, raised `error`; the module is as it was left."""
