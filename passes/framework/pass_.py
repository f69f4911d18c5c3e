"""The base class of every pass, and what a pass may use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from .actions import Actions
from .analysis import Analyses, Op
from .numerics import Numerics
from .options import changed_options
from .remarks import Kind, Remarks
from .timing import Timing

if TYPE_CHECKING:
    from .registry import Registry

T = TypeVar("T")


def builtin_registry() -> Registry:
    """A registry without plugins."""
    from .registry import Registry  # which needs Pass

    return Registry()


@dataclass
class PassContext:
    """What a pass may use besides the IR: xDSL's context, the registry (targets and schedules above all), remarks, the
    statistics it counts, analyses, actions that may be cut off, and the tree of times.

    `running` and `anchor` say which pass runs on what (`func.func @main`; `builtin.module` for the whole), `pipelines` in which named
    pipelines, outermost first. `statistics` is by
    pass, `anchored` by pass and anchor.
    """

    xdsl: Context
    remarks: Remarks = field(default_factory=Remarks)
    statistics: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    running: str = ""
    actions: Actions = field(default_factory=Actions)
    timing: Timing = field(default_factory=Timing)
    registry: Registry = field(default_factory=builtin_registry)
    anchor: str = "builtin.module"
    pipelines: tuple[str, ...] = ()
    anchored: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict[tuple[str, str], dict[str, int]])
    analyses: Analyses = field(init=False)

    def __post_init__(self) -> None:
        self.analyses = Analyses(self.timing)

    @overload
    def remark(self, kind: Literal["missed"], category: str, op: Operation | None, message: str, suggestion: str) -> None: ...

    @overload
    def remark(
        self, kind: Literal["passed", "analysis"], category: str, op: Operation | None, message: str, suggestion: str = ""
    ) -> None: ...

    def remark(self, kind: Kind, category: str, op: Operation | None, message: str, suggestion: str = "") -> None:
        """Leave a remark in the name of the pass that runs. What was missed comes with what the user can do about it, or with
        `nothing: why`."""
        self.remarks.add(kind, category, self.running, op, message, suggestion)

    def count(self, statistic: str, amount: int = 1) -> None:
        """Add to one of the running pass's statistics."""
        whole = self.statistics.setdefault(self.running, {})
        here = self.anchored.setdefault((self.running, self.anchor), {})
        for table in (whole, here):
            table[statistic] = table.get(statistic, 0) + amount

    def analysis(self, analysis: Callable[[Op], T], op: Op) -> T:
        """`analysis(op)`, from an earlier pass where no pass since may have changed it."""
        return self.analyses.get(analysis, op)

    def preserve(self, *analyses: Callable[..., Any]) -> None:
        """Say that what the running pass does leaves these analyses true; without arguments: all, because it changed nothing."""
        self.analyses.preserve(*analyses)


@dataclass(frozen=True)
class Pass(ModulePass):
    """A rewrite of a module. Subclasses are frozen dataclasses: fields are the options that a pipeline may set
    (`quantise-linears{scheme=int8}`), the docstring shows IR before and after.

    `consumes` names dialects whose ops must be gone from the module after the pass, `produces` those whose ops it may bring in;
    None says nothing, () that it brings in none. Both are checked. A `required` pass can't be left out without breaking what
    follows, so that debug counters and bisection leave it alone; an optional one only costs speed. `anchors` are the ops that
    the pass can run on, alone in a module of their own; () is any op.

    `position` puts a pass of a plugin into the compiler's pipeline: "start of PHASE", "end of PHASE", "before PASS" or
    "after PASS". `numerics` tells `--check-numerics` what the pass changes besides rounding, and the
    names that it changes.
    """

    name: ClassVar[str]
    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[tuple[str, ...] | None] = None
    required: ClassVar[bool] = True
    anchors: ClassVar[tuple[str, ...]] = ()
    position: ClassVar[str | None] = None
    numerics: ClassVar[Numerics] = Numerics()

    @abstractmethod
    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        """Rewrite `module` in place. Raise `LlmcError` for what the user can mend."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """xDSL's entry point, so that `xdsl-opt` runs our passes too."""
        self.run(PassContext(ctx, running=self.name), op)

    def options(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return changed_options(self)
