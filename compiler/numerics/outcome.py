"""What a comparison is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.ir import Operation

from ...dialects.ir.interpret import Fn
from ...passes.framework.registry import Registry
from ...runtime.reference import reference_semantics

DEFAULT_TOLERANCE = 4.0


@dataclass(frozen=True)
class NumericsOptions:
    """How two modules are compared.

    seed: of the random inputs and weights. sizes: values of size names (`{"T": 5, "B": 2}`). inputs: arrays by argument name or index
    in place of random ones. weights: checkpoint entries by name; those it lacks are random. tolerance: by how much the error after may
    exceed the error before, both against an f64 run. registry: the targets and schedules that there are, and what ops of plugins mean.
    """

    seed: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict[str, int])
    inputs: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict[str, np.ndarray[Any, Any]])
    weights: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tolerance: float = DEFAULT_TOLERANCE
    registry: Registry = field(default_factory=Registry)

    @property
    def semantics(self) -> dict[type[Operation], Fn]:
        """What ops mean at every level down to `layout`."""
        return reference_semantics(self.registry.semantics)


@dataclass(frozen=True)
class Place:
    """An op that is at fault: its text in short, its location in words, the symbol that it stands in, and how it was found."""

    op: str
    name: str
    location: str
    symbol: str
    how: str


@dataclass(frozen=True)
class Difference:
    """Where two modules part.

    entry: the function, program or kernel that was run; output: its result. ratio: error after over error before (and over the floor).
    coordinates: of the largest error; before, after, exact: the numbers there; errors: (before, after) against the f64 run.
    first: coordinates of the first elements that differ. token: (sequence, position) of the row, where rows are tokens'. place: the first op whose value differs, `counterpart` the op of the module
    before that it was compared with, and the values there.
    """

    entry: str
    output: str
    ratio: float
    coordinates: tuple[int, ...]
    before: float
    after: float
    exact: float
    errors: tuple[float, float]
    count: int
    total: int
    first: tuple[tuple[int, ...], ...] = ()
    token: tuple[int, int] | None = None
    place: Place | None = None
    counterpart: Place | None = None
    at_place: tuple[tuple[int, ...], float, float] | None = None


@dataclass(frozen=True)
class Outcome:
    """`difference`: None when the modules agree as far as they were compared. `ratio`: the worst error ratio, None when nothing was
    compared; `not_compared` then says why. `unchanged`: the modules are the same but for locations. `notes`: parts that were left out, each with its reason."""

    difference: Difference | None = None
    ratio: float | None = None
    not_compared: str | None = None
    unchanged: bool = False
    notes: tuple[str, ...] = ()
