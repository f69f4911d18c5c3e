"""Running `rt.program`s on a device: buffers allocated once, launches prepared once for each set of sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from ..dialects.ir.diagnostics import LlmcError
from ..dialects.ir.numeric import dtype_of
from ..dialects.layout.semantics import Buffer
from ..dialects.layout.types import BufferType
from ..dialects.rt.ops import (
    ArenaOp,
    IoOp,
    LaunchOp,
    ParamOp,
    ProgramOp,
    ReinterpretOp,
    ReturnOp,
    UploadOp,
    ViewOp,
    WeightOp,
)
from ..dialects.rt.semantics import checkpoint_array, constant_array
from .device import Allocation, Argument, Device, Function, Grid
from .engine import Capacity, io_types, largest_sizes, module_programs, paging
from .tensor_map import tensor_map


@dataclass(frozen=True)
class Place:
    """An address in an allocation."""

    allocation: Allocation
    offset: int = 0

    @property
    def pointer(self) -> int:
        return self.allocation.ptr + self.offset


@dataclass(frozen=True)
class PreparedLaunch:
    """One launch with everything evaluated."""

    function: Function
    grid: Grid
    args: tuple[Argument, ...]


@dataclass
class DeviceEngine:
    """Programs of `module` on `device`; `functions` holds the loaded kernels by symbol name. See `engine.Engine`.

    Memory: one allocation per weight and per named buffer (for the largest sizes of `capacity`), one arena that all programs share.
    """

    module: ModuleOp
    device: Device
    functions: Mapping[str, Function]
    capacity: Capacity = field(default_factory=Capacity)

    def __post_init__(self) -> None:
        self.programs: Mapping[str, ProgramOp] = module_programs(self.module)
        self.page_size, self.max_pages = paging(self.module)
        self._weights: dict[str, Allocation] = {}
        self._prepared: dict[tuple[str, tuple[tuple[str, int], ...]], list[PreparedLaunch]] = {}
        self._definitions = {op.sym_name.data: op for op in self.module.body.block.ops if isinstance(op, WeightOp)}
        found = io_types(self.programs, self.capacity)
        self._io_types = {label: type_ for label, (type_, _) in found.items()}
        self._io = {label: self._zeros(nbytes) for label, (_, nbytes) in found.items()}
        self._arena: Allocation | None = None

    @property
    def asynchronous(self) -> bool:
        return self.device.asynchronous

    # Memory -----------------------------------------------------------------------------------------------------------

    def _zeros(self, nbytes: int) -> Allocation:
        allocation = self.device.alloc(max(nbytes, 16))
        self.device.memset(allocation, 0)
        return allocation

    def _weight(self, name: str) -> Allocation:
        """A weight's image; zero, or the constant that its definition gives, before `load` fills it."""
        found = self._weights.get(name)
        if found is None:
            definition = self._definitions.get(name)
            if definition is None:
                raise LlmcError(
                    "LLMC0101", f"no rt.weight @{name} in the module", f"rt.param @{name}", fix="define it, or correct the name"
                )
            found = self._weights[name] = self._zeros(definition.type.num_bytes({}))
            if definition.value is not None:
                buffer = Buffer.empty(definition.type, {})
                buffer.write(constant_array(definition.value, definition.type.element_type, buffer.extents))
                self.device.upload(found, buffer.memory)
        return found

    def _arena_for(self, program: ProgramOp, sizes: Mapping[str, int]) -> tuple[list[int], Allocation] | None:
        arena = next((op for op in program.block.ops if isinstance(op, ArenaOp)), None)
        if arena is None:
            return None
        offsets, nbytes = arena.offsets(sizes)
        if self._arena is None:
            largest = [256]
            for other in self.programs.values():
                if other.sym_name.data == "load":
                    continue
                for op in other.block.ops:
                    if isinstance(op, ArenaOp):
                        largest.append(op.offsets(largest_sizes(other, self.capacity))[1])
            self._arena = self.device.alloc(max(largest))
        if nbytes > self._arena.nbytes:
            raise LlmcError(
                "LLMC0872",
                f"@{program.sym_name.data} needs an arena of {nbytes} bytes, the engine has {self._arena.nbytes}",
                program,
                why=f"it runs with sizes {dict(sizes)}, the engine was made for {self.capacity}",
                fix="make the engine with a larger capacity",
            )
        return offsets, self._arena

    def type_of(self, label: str) -> BufferType | None:
        return self._io_types.get(label)

    def write(self, label: str, array: np.ndarray[Any, Any]) -> None:
        if label in self._io:
            elem = dtype_of(self._io_types[label].element_type)
            self.device.upload(self._io[label], np.ascontiguousarray(array.astype(elem, copy=False)))

    def read(self, label: str, count: int) -> np.ndarray[Any, Any]:
        elem = dtype_of(self._io_types[label].element_type)
        return self.device.download(self._io[label], count * elem.itemsize).view(elem)

    def close(self) -> None:
        """Free every allocation; the engine can't run after that."""
        self._prepared.clear()
        for allocation in (*self._weights.values(), *self._io.values(), *([self._arena] if self._arena is not None else [])):
            if allocation.live:
                allocation.free()

    # Programs ---------------------------------------------------------------------------------------------------------

    def prepare(self, name: str, sizes: Mapping[str, int]) -> list[PreparedLaunch]:
        """The launches of a program for these sizes."""
        sizes = self._sizes(sizes)
        key = (name, tuple(sorted(sizes.items())))
        if key not in self._prepared:
            program = self.programs[name]
            places = self._places(program, sizes)
            self._prepared[key] = [
                self._launch(op, places, sizes) for op in program.block.ops if isinstance(op, LaunchOp) and op.happens(sizes)
            ]
        return self._prepared[key]

    def _sizes(self, sizes: Mapping[str, int]) -> dict[str, int]:
        return {"P": self.capacity.pages, **sizes}

    def _places(self, program: ProgramOp, sizes: Mapping[str, int]) -> dict[SSAValue, Place]:
        places: dict[SSAValue, Place] = {}
        arena = self._arena_for(program, sizes)
        for op in program.block.ops:
            match op:
                case IoOp():
                    places[op.result] = Place(self._io[op.label.data])
                case ParamOp():
                    places[op.result] = Place(self._weight(op.weight.root_reference.data))
                case ViewOp():
                    assert arena is not None
                    places[op.result] = Place(arena[1], arena[0][op.slot.value.data])
                case ReinterpretOp():
                    places[op.result] = places[op.source]
                case ArenaOp() | LaunchOp() | UploadOp() | ReturnOp():
                    pass
                case _:
                    raise LlmcError("LLMC0873", f"{op.name} can't be executed", op, fix="run plan-arena")
        return places

    def _launch(self, op: LaunchOp, places: Mapping[SSAValue, Place], sizes: Mapping[str, int]) -> PreparedLaunch:
        name = op.kernel.root_reference.data
        function = self.functions.get(name)
        if function is None:
            raise LlmcError(
                "LLMC0874", f"kernel @{name} was not compiled", op, fix="compile the module that the kernels are from"
            )
        pointers = [places[value].pointer for value in op.buffers]
        maps: list[Argument] = []
        for spec in (m.data for m in op.maps.data) if op.maps is not None else ():
            type_ = op.buffers[spec.buffer].type
            assert isinstance(type_, BufferType)
            maps.append(tensor_map(spec, type_, sizes, pointers[spec.buffer]))
        return PreparedLaunch(
            function, op.grid_of(sizes), (*pointers, *maps, *(np.int32(sizes[s.data]) for s in op.sizes.data))
        )

    def run(self, program: str, sizes: Mapping[str, int]) -> None:
        for launch in self.prepare(program, sizes):
            self.device.launch(launch.function, launch.grid, launch.args)

    def capture(self, program: str, sizes: Mapping[str, int]) -> Callable[[], None]:
        launches = self.prepare(program, sizes)
        with self.device.capture() as graph:
            for launch in launches:
                self.device.launch(launch.function, launch.grid, launch.args)
        return graph.replay

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Run @load: uploads and pack kernels in order, then give back the memory they worked in."""
        program = self.programs.get("load")
        if program is None:
            return
        arena = next((op for op in program.block.ops if isinstance(op, ArenaOp)), None)
        kept, self._arena = self._arena, None
        if arena is not None:
            self._arena = self.device.alloc(arena.offsets({})[1])
        try:
            places = self._places(program, {})
            for op in program.block.ops:
                if isinstance(op, UploadOp):
                    self._upload(op, places[op.buffer], checkpoint)
                elif isinstance(op, LaunchOp):
                    launch = self._launch(op, places, {})
                    self.device.launch(launch.function, launch.grid, launch.args)
            self.device.synchronize()
        finally:
            if self._arena is not None:
                self.device.free(self._arena)
            self._arena = kept

    def _upload(self, op: UploadOp, place: Place, checkpoint: Mapping[str, Any]) -> None:
        entry = op.entry.data
        if entry not in checkpoint:
            raise LlmcError(
                "LLMC0720", f"the checkpoint has no tensor {entry}", op, fix="give the checkpoint this model was compiled for"
            )
        array = checkpoint_array(np.asarray(checkpoint[entry]), entry, op)
        self.device.upload(place.allocation, np.ascontiguousarray(array), place.offset)


__all__ = ["DeviceEngine", "Place", "PreparedLaunch"]
