"""The base class of every pass."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from .actions import Actions
from .remarks import Kind, Remarks
from .timing import Timing


@dataclass
class PassContext:
    """What a pass may use besides the IR: xDSL's context, remarks, the statistics it counts, actions that may be cut off, and the
    tree of times."""

    xdsl: Context
    remarks: Remarks = field(default_factory=Remarks)
    statistics: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    running: str = ""
    actions: Actions = field(default_factory=Actions)
    timing: Timing = field(default_factory=Timing)

    def remark(self, kind: Kind, category: str, op: Operation | None, message: str, suggestion: str = "") -> None:
        """Leave a remark in the name of the pass that runs."""
        self.remarks.add(kind, category, self.running, op, message, suggestion)

    def count(self, statistic: str, amount: int = 1) -> None:
        """Add to one of the running pass's statistics."""
        table = self.statistics.setdefault(self.running, {})
        table[statistic] = table.get(statistic, 0) + amount


@dataclass(frozen=True)
class Pass(ModulePass):
    """A rewrite of a module. Subclasses are frozen dataclasses: fields are the options that a pipeline may set
    (`quantise-linears{scheme=int8}`), the docstring shows IR before and after.

    `consumes` names dialects whose ops must be gone from the module after the pass, `produces` those it may add (empty: says
    nothing). A `required` pass can't be left out without breaking what follows; an optional one only costs speed.
    """

    name: ClassVar[str]
    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[bool] = True

    @abstractmethod
    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        """Rewrite `module` in place. Raise `LlmcError` for what the user can mend."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """xDSL's entry point, so that `xdsl-opt` runs our passes too."""
        self.run(PassContext(ctx, running=self.name), op)

    def options(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
