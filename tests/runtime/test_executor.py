"""The device executor, on a device whose kernels are the interpreter: memory, arguments, graphs, @load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from fusion_modules import tiny_checkpoint, tiny_decoder
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.interpret import Frame, Interpreter
from llmc.dialects.ir.numeric import dtype_of
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout.kernel_form import strings
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.ops import KernelOp
from llmc.dialects.layout.semantics import Buffer, run_kernel
from llmc.dialects.layout.types import BufferType
from llmc.dialects.rt.ops import LaunchOp, ParamOp
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.layout.bufferise import Bufferise
from llmc.passes.layout.close_decode_loop import CloseDecodeLoop
from llmc.passes.layout.lower_weights import LowerWeights
from llmc.passes.layout.plan_arena import PlanArena
from llmc.passes.layout.scheduling import retype
from llmc.runtime.device import Allocation, Function, KernelImage
from llmc.runtime.engine import Capacity
from llmc.runtime.executor import DeviceEngine
from llmc.runtime.generate import Session
from llmc.runtime.reference import ReferenceEngine, reference_semantics
from xdsl.dialects.builtin import ModuleOp
from xdsl.rewriter import Rewriter

PROMPT = [3, 17, 99, 5, 64, 22, 8]


class _Graph:
    def __init__(self, device: InterpretedDevice) -> None:
        self.device = device
        self.launches: list[tuple[Function, tuple[int, int, int], list[Any]]] = []

    def replay(self) -> None:
        for launch in self.launches:
            self.device.launch(*launch)


class InterpretedDevice:
    """Byte arrays at made-up addresses; a launch runs the kernel's layout-level body on them."""

    name, target, asynchronous, instructions = "interpreted", "none", False, 0

    def __init__(self, module: ModuleOp) -> None:
        self.interpreter = Interpreter(module, reference_semantics())
        self.memory: dict[int, np.ndarray[Any, Any]] = {}
        self.end = 4096
        self.recording: _Graph | None = None

    def alloc(self, nbytes: int) -> Allocation:
        begin, self.end = self.end, self.end + -(-nbytes // 256) * 256 + 256
        self.memory[begin] = np.full(nbytes, 0xAB, np.uint8)
        return Allocation(begin, nbytes, self)  # pyright: ignore

    def free(self, allocation: Allocation) -> None:
        del self.memory[allocation.ptr]

    def upload(self, allocation: Allocation, array: np.ndarray[Any, Any], offset: int = 0) -> None:
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self.memory[allocation.ptr][offset : offset + raw.size] = raw

    def download(self, allocation: Allocation, nbytes: int, offset: int = 0) -> np.ndarray[Any, Any]:
        return self.memory[allocation.ptr][offset : offset + nbytes].copy()

    def memset(self, allocation: Allocation, value: int = 0) -> None:
        self.memory[allocation.ptr][:] = value

    def synchronize(self) -> None:
        pass

    def load(self, image: KernelImage) -> Function:
        return Function(image.name, image, None)

    @contextmanager
    def capture(self) -> Iterator[_Graph]:
        self.recording = _Graph(self)
        yield self.recording
        self.recording = None

    def launch(self, function: Function, grid: tuple[int, int, int], args: Sequence[Any]) -> None:
        if self.recording is not None:
            self.recording.launches.append((function, grid, list(args)))
            return
        kernel = self.interpreter.symbol(function.name)
        assert isinstance(kernel, KernelOp)
        count = len(kernel.buffers)
        sizes = {s.data: int(v) for s, v in zip(kernel.sizes.data, args[count:], strict=True)}
        buffers = []
        for argument, pointer in zip(kernel.buffers, args[:count], strict=True):
            type_ = argument.type
            assert isinstance(type_, BufferType)
            base = max(b for b in self.memory if b <= pointer)
            raw = self.memory[base][pointer - base :][: type_.num_bytes(sizes)]
            assert raw.size == type_.num_bytes(sizes), f"{function.name}: {type_} leaves its allocation"
            buffers.append(Buffer(raw.view(dtype_of(type_.element_type)), type_, type_.extents(sizes)))
        run_kernel(kernel, buffers, sizes, Frame(self.interpreter, dict(sizes)))


def compiled(image: bool = False) -> ModuleOp:
    context = make_context()
    module = parse_module(context, tiny_decoder())
    for each in (Bufferise(page_size=4, max_context=64), CloseDecodeLoop()):
        each.run(PassContext(context), module)
    if image:
        _reorder(module, "qkv")
    for each in (LowerWeights(schedule=False), PlanArena()):
        each.run(PassContext(context), module)
    for op in module.walk():
        if isinstance(op, LaunchOp):
            op.properties["grid"] = strings(("1", "1", "1"))
    return parse_module(context, str(module))


def _reorder(module: ModuleOp, weight: str) -> None:
    """Keep a weight column by column, in blocks of 16 rows."""
    layout = MemLayout((((16, 1), (8, 16 * 64)), ((64, 16),)))
    kernels = {op.sym_name.data: op for op in module.walk() if isinstance(op, KernelOp)}
    for op in list(module.walk()):
        if isinstance(op, LaunchOp):
            for index, operand in enumerate(op.buffers):
                owner = operand.owner
                if isinstance(owner, ParamOp) and owner.weight.root_reference.data == weight:
                    type_ = operand.type.with_layout(layout)  # pyright: ignore
                    if operand.type != type_:
                        Rewriter.replace_value_with_new_type(operand, type_)
                    retype(kernels[op.kernel.root_reference.data].buffers[index], type_)


def engine(module: ModuleOp, capacity: Capacity = Capacity(16, 4, 40)) -> DeviceEngine:
    device = InterpretedDevice(module)
    names = [op.sym_name.data for op in module.walk() if isinstance(op, KernelOp)]
    functions = {name: device.load(KernelImage(name, "")) for name in names}
    return DeviceEngine(module, device, functions, capacity)  # pyright: ignore


def run(target: Any, prompts: list[list[int]]) -> list[list[int]]:
    target.load(tiny_checkpoint())
    return Session(target, buckets=(1, 2, 4), steps_ahead=3).generate(prompts, 5)


def test_the_executor_and_the_reference_agree():
    prompts = [PROMPT, PROMPT[:2]]
    expected = run(ReferenceEngine(compiled(), Capacity(16, 4, 40)), prompts)
    assert run(engine(compiled()), prompts) == expected


def test_weights_in_another_order_change_nothing():
    assert run(engine(compiled(image=True)), [PROMPT]) == run(engine(compiled()), [PROMPT])


def test_programs_are_prepared_once_for_each_size():
    target = engine(compiled())
    one = target.prepare("decode", {"T": 2, "B": 2})
    assert target.prepare("decode", {"B": 2, "T": 2}) is one
    assert target.prepare("decode", {"T": 1, "B": 1}) is not one
    assert one[0].args[-1] == 2


def test_missing_kernels_and_small_arenas_are_explained():
    target = engine(compiled())
    target.functions = {}
    with pytest.raises(LlmcError, match="LLMC0874"):
        target.prepare("decode", {"T": 1, "B": 1})
    with pytest.raises(LlmcError, match="LLMC0872"):
        engine(compiled(), Capacity(4, 1, 8)).prepare("prefill", {"T": 4096, "B": 1})
