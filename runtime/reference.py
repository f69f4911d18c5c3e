"""The `reference` device: host programs and kernels of the `layout` level, interpreted in numpy. Slow, and what the rest is
compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ..dialects.ir.interpret import Fn, Interpreter, Observer, Options
from ..dialects.layout.semantics import Buffer
from ..dialects.layout.types import BufferType
from ..dialects.rt.ops import ProgramOp
from .engine import Capacity, io_types, module_programs, paging


def reference_semantics(plugins: Mapping[type[Operation], Fn] | None = None) -> dict[type[Operation], Fn]:
    """The meaning of everything that stands at the `layout` level or above; `plugins`: of what llmc itself gives none."""
    from ..dialects.fusion.semantics import SEMANTICS as FUSION
    from ..dialects.ir.builtin_semantics import SEMANTICS as BUILTIN
    from ..dialects.layout.semantics import SEMANTICS as LAYOUT
    from ..dialects.nn.semantics import SEMANTICS as NN
    from ..dialects.quantized.semantics import SEMANTICS as QUANTIZED
    from ..dialects.rt.semantics import SEMANTICS as RT

    return {**(plugins or {}), **BUILTIN, **NN, **FUSION, **QUANTIZED, **LAYOUT, **RT}


@dataclass
class ReferenceEngine:
    """Programs of `module`, interpreted. See `engine.Engine`. `observer` sees every op that runs; `semantics` is what ops of plugins
    mean (`Registry.semantics`)."""

    module: ModuleOp
    capacity: Capacity = field(default_factory=Capacity)
    options: Options = field(default_factory=Options)
    observer: Observer | None = None
    semantics: Mapping[type[Operation], Fn] = field(default_factory=dict[type[Operation], Fn])

    @property
    def asynchronous(self) -> bool:
        return False

    def __post_init__(self) -> None:
        self.programs: Mapping[str, ProgramOp] = module_programs(self.module)
        self.page_size, self.max_pages = paging(self.module)
        self._types = {label: type_ for label, (type_, _) in io_types(self.programs, self.capacity).items()}
        sizes = self.capacity.sizes
        self._io = {label: Buffer.empty(type_, sizes, self.options) for label, type_ in self._types.items()}
        self._interpreter = Interpreter(
            self.module,
            reference_semantics(self.semantics),
            self.options,
            {"io": self._io, "weights": {}, "checkpoint": {}},
            self.observer,
        )

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        self._interpreter.environment["checkpoint"] = checkpoint
        if "load" in self.programs:
            self.run("load", {})

    def type_of(self, label: str) -> BufferType | None:
        return self._types.get(label)

    def write(self, label: str, array: np.ndarray[Any, Any]) -> None:
        if label in self._io:
            memory = self._io[label].memory
            memory[: array.size] = array.reshape(-1).astype(memory.dtype, copy=False)

    def read(self, label: str, count: int) -> np.ndarray[Any, Any]:
        return self._io[label].memory[:count].copy()

    def run(self, program: str, sizes: Mapping[str, int]) -> None:
        self._interpreter.call(program, (), {"P": self.capacity.pages, **sizes})

    def capture(self, program: str, sizes: Mapping[str, int]) -> Callable[[], None]:
        return lambda: self.run(program, sizes)
