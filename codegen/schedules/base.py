"""What a schedule is, and the one list of them.

A schedule turns one `layout.kernel` into one CTA program. It is three pure functions: which parameters could be tried
(`candidates`), what the program around the kernel has to provide (`abi`), and the program (`build`). Its parameters stand in the
IR as `#layout.schedule<"skinny", {m = 16, warps = 8}>`; a reader of a dump may edit them and compile on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from xdsl.ir import Attribute

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout.mem import MemLayout
from ...dialects.layout.tensor_map import TensorMap
from ...dialects.layout.types import Dim, ScheduleAttr

if TYPE_CHECKING:
    from ...dialects.layout.ops import KernelOp
    from ...dialects.tile.ops import KernelOp as TileKernelOp
    from ..targets import Target


@dataclass(frozen=True)
class Workspace:
    """Memory that a launch needs besides its arguments: appended to the kernel's buffers after the outputs, effect `rw`."""

    name: str
    dims: tuple[Dim, ...]
    elem: Attribute


@dataclass(frozen=True)
class Launch:
    """A further launch on the same arguments, right after the first: `combine` after a split attention.

    The kernel is cloned under `<name>_<suffix>` with this schedule and grid.
    """

    suffix: str
    schedule: ScheduleAttr
    grid: tuple[str, str, str]
    warps: int


@dataclass(frozen=True)
class Abi:
    """What a schedule asks of the program around the kernel.

    `grid`: size expressions. `operand_layouts`: by argument index, the memory layout it wants (weight images); every schedule that
    can serve the same weight asks for the same one. `then`: launches that follow. `maps`: tensor maps over arguments, which the
    kernel gets after its buffers.
    """

    grid: tuple[str, str, str]
    warps: int
    operand_layouts: Mapping[int, MemLayout] = field(default_factory=dict[int, MemLayout])
    workspace: tuple[Workspace, ...] = ()
    then: tuple[Launch, ...] = ()
    maps: tuple[TensorMap, ...] = ()


class Schedule(Protocol):
    """See the module docstring. `name` is the first word of the schedule attribute."""

    name: str
    family: str

    def accepts(self, kernel: KernelOp) -> str | None:
        """None if this schedule can run the kernel at all, else the reason why not, for remarks."""
        ...

    def candidates(self, kernel: KernelOp, target: Target) -> list[ScheduleAttr]:
        """Parameters to try, best first; empty when the schedule does not suit the kernel or the target."""
        ...

    def abi(self, kernel: KernelOp, schedule: ScheduleAttr) -> Abi:
        """What the schedule needs; LLMC0501 for parameters that make no sense."""
        ...

    def build(self, kernel: KernelOp, schedule: ScheduleAttr, target: Target) -> TileKernelOp:
        """The CTA program."""
        ...


# family → modules of this folder, in order of preference; each exports SCHEDULE. "generic" is the last resort of all.
FAMILIES: dict[str, tuple[str, ...]] = {
    "linear": ("skinny", "gemm_tma", "gemm_wgmma", "gemm"),
    "attention": ("attention_decode", "attention_prefill"),
    "row": ("row",),
    "pointwise": ("pointwise",),
    "gather": ("gather",),
    "select": ("gather",),
    "sample": ("sampling",),
    "advance": ("advance",),
    "generic": (),
}
# launched by other schedules only, or not chosen by default
AUXILIARY: tuple[str, ...] = ("attention_combine", "skinny_ring")
LAST_RESORT = "generic"


def load_schedule(module: str) -> Schedule:
    """The schedule that a module of this folder exports."""
    return import_module(f".{module}", __package__).SCHEDULE


@dataclass(frozen=True)
class Schedules:
    """The schedules that a compilation may choose from: those of this folder, and `extra` ones from plugins, which are tried
    first in their family."""

    extra: tuple[Schedule, ...] = ()

    def names(self) -> tuple[str, ...]:
        """The names of all schedules; every schedule of this folder is called as its module is."""
        own = [m for modules in FAMILIES.values() for m in modules]
        return tuple(dict.fromkeys([*(s.name for s in self.extra), *own, *AUXILIARY, LAST_RESORT]))

    def of(self, family: str) -> list[Schedule]:
        """The schedules of a kernel family, best first, the last resort included."""
        own = (*FAMILIES.get(family, ()), LAST_RESORT)
        return [*(s for s in self.extra if s.family == family), *(load_schedule(name) for name in dict.fromkeys(own))]

    def named(self, name: str, where: object = None) -> Schedule:
        """The schedule whose attribute starts with `name`; LLMC0502, at the kernel `where`, when there is none."""
        for schedule in self.extra:
            if schedule.name == name:
                return schedule
        known = self.names()
        if name not in known:
            raise LlmcError("LLMC0502", f"no schedule is called {name!r}", where, fix=f"known are {', '.join(known)}")
        return load_schedule(name)

    def candidates(self, kernel: KernelOp, target: Target) -> list[tuple[Schedule, ScheduleAttr]]:
        """Everything that could run `kernel` on `target`, best first."""
        found: list[tuple[Schedule, ScheduleAttr]] = []
        for schedule in self.of(kernel.family.data):
            if schedule.accepts(kernel) is None:
                found += [(schedule, attribute) for attribute in schedule.candidates(kernel, target)]
        return found


BUILTIN = Schedules()
"""The schedules of this folder alone."""


def schedule_named(name: str) -> Schedule:
    """One of this folder's schedules; LLMC0502 when there is none of that name."""
    return BUILTIN.named(name)


@dataclass(frozen=True)
class Parameter:
    """An integer parameter of a schedule: what it means and which values it takes."""

    name: str
    meaning: str
    allowed: Sequence[int]
    default: int


def checked_parameters(schedule: ScheduleAttr, table: Iterable[Parameter], kernel: KernelOp | None = None) -> dict[str, int]:
    """The integer parameters of a schedule attribute with defaults filled in; LLMC0501 for unknown names and bad values."""
    rows = {row.name: row for row in table}
    family = schedule.family.data
    for key in schedule.entries.data:
        if key not in rows:
            raise bad_parameter(kernel, f"schedule {family} has no parameter {key}", f"it takes {', '.join(rows)}")
    values: dict[str, int] = {}
    for row in rows.values():
        value = schedule.get(row.name, row.default)
        if not isinstance(value, int) or int(value) not in row.allowed:
            shown = (
                f"{row.allowed.start}..{row.allowed.stop - 1}"
                if isinstance(row.allowed, range)
                else ", ".join(map(str, row.allowed))
            )
            raise bad_parameter(kernel, f"{row.name} = {value} in schedule {family}: {row.meaning}", f"one of {shown}")
        values[row.name] = int(value)
    return values


def bad_parameter(kernel: KernelOp | None, what: str, fix: str) -> LlmcError:
    """The error for a schedule attribute that its schedule cannot build."""
    return LlmcError("LLMC0501", what, kernel, fix=fix)
