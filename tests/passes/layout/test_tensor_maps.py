"""Tensor maps from a schedule's ABI to the launch: a test-only schedule that copies a box, doubles it and stores it."""

from __future__ import annotations

import numpy as np
import pytest
from llmc.codegen.schedules import base
from llmc.codegen.schedules.base import Abi
from llmc.codegen.schedules.builder import TileBuilder
from llmc.compiler.kernels import KernelCompiler
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.diagnostics import LlmcError
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout.mem import MemLayout
from llmc.dialects.layout.ops import KernelOp
from llmc.dialects.layout.tensor_map import TensorMap
from llmc.dialects.layout.tv import Tv
from llmc.dialects.layout.types import BufferType
from llmc.dialects.rt.ops import LaunchOp
from llmc.passes.framework.manager import PassManager
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.layout.finalise_abi import FinaliseAbi
from llmc.runtime.device import Function
from llmc.runtime.devices import open_device
from llmc.runtime.engine import Capacity
from llmc.runtime.executor import DeviceEngine
from llmc.runtime.tensor_map import tensor_map
from xdsl.dialects.builtin import bf16, f32

TEXT = """
builtin.module attributes {llmc.target = "sm_90a", llmc.phase = "layout"} {
layout.kernel @double(%x: !layout.buffer<["T", 64], f32>, %y: !layout.buffer<["T", 64], f32>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], schedule = #layout.schedule<"boxed", {}>} {
  layout.return
}
rt.program @main attributes {sizes = ["T"]} {
  %x = rt.io "x" : !layout.buffer<["T", 64], f32>
  %y = rt.io "y" : !layout.buffer<["T", 64], f32>
  rt.launch @double(%x, %y) sizes ["T"] : (!layout.buffer<["T", 64], f32>, !layout.buffer<["T", 64], f32>)
  rt.return
}
}
"""


class Boxed:
    """16 rows a task, by a map of each buffer."""

    name, family = "boxed", "pointwise"

    def __init__(self, box: tuple[int, int] = (16, 32)) -> None:
        self.box = box

    def accepts(self, kernel: KernelOp) -> str | None:
        return None

    def abi(self, kernel: KernelOp, schedule: object) -> Abi:
        maps = (TensorMap(0, self.box, 128), TensorMap(1, self.box, 128))
        return Abi(("ceildiv(T, 16)", "2", "1"), 1, maps=maps)

    def build(self, kernel: KernelOp, schedule: object, target: object) -> object:
        abi = self.abi(kernel, schedule)
        b = TileBuilder.kernel("double", kernel, warps=1, grid=abi.grid, maps=abi.maps)
        read, write = b.op.map_args
        stage, full = b.alloc(self.box, f32, MemLayout.swizzled(self.box, 4)), b.mbarriers(1, 1)
        i, j, _ = b.task()
        at = [b.mul(i, 16), b.mul(j, 32)]
        b.mbarrier_expect(full, 0, 2048)
        b.tma_copy(read, at, stage, full, 0)
        b.mbarrier_wait(full, 0, 0)
        x = b.load(stage, [0, 0], Tv.blocked(self.box, 4))
        b.store(b.map(lambda s, v: s.add(v, v), x), stage, [0, 0])
        b.tma_store(stage, write, at)
        return b.finish()


@pytest.fixture
def boxed(monkeypatch: pytest.MonkeyPatch) -> Boxed:
    schedule = Boxed()
    monkeypatch.setattr(base, "AUXILIARY", (*base.AUXILIARY, "boxed"))
    monkeypatch.setattr(base, "load_schedule", lambda name: schedule)
    return schedule


def finalised():
    context = make_context()
    module = parse_module(context, TEXT)
    FinaliseAbi().run(PassContext(context), module)
    module.verify()
    return context, module


def test_maps_go_from_the_abi_to_the_launch_and_run(boxed: Boxed) -> None:
    context, module = finalised()
    (launch,) = (op for op in module.walk() if isinstance(op, LaunchOp))
    assert launch.maps is not None and [m.data.buffer for m in launch.maps.data] == [0, 1]
    device = open_device("emulator", target="sm_90a", strict=True)
    codes = KernelCompiler(PassManager(PassContext(context)), "sm_90a").compile(module)
    assert ".param .align 64 .b8" in codes["double"].ptx
    functions: dict[str, Function] = {name: device.load(code.image) for name, code in codes.items()}
    engine = DeviceEngine(module, device, functions, Capacity(tokens=64))
    x = np.random.default_rng(0).standard_normal((37, 64)).astype(np.float32)
    engine.write("x", x)
    engine.write("y", np.full((64, 64), -1, np.float32))
    engine.run("main", {"T": 37})
    y = engine.read("y", 64 * 64).reshape(64, 64)
    np.testing.assert_array_equal(y[:37], 2 * x)
    assert (y[37:] == -1).all()  # rows beyond T are outside the map


def test_a_box_that_no_map_has_is_an_error_that_says_why(boxed: Boxed) -> None:
    boxed.box = (16, 64)
    with pytest.raises(LlmcError, match="no tensor map has the box") as error:
        finalised()
    assert error.value.code == "LLMC0751" and "rows of 256 bytes" in (error.value.why or "")


def test_memory_that_begins_in_the_middle_is_an_error() -> None:
    with pytest.raises(LlmcError, match="begins at 0x1008") as error:
        tensor_map(TensorMap(0, (8, 8)), BufferType.of([8, 64], bf16), {}, 0x1008)
    assert error.value.code == "LLMC0961"


def test_the_emulator_refuses_a_pointer_where_a_map_is_wanted(boxed: Boxed) -> None:
    context, module = finalised()
    code = KernelCompiler(PassManager(PassContext(context)), "sm_90a").compile(module)["double"]
    device = open_device("emulator", target="sm_90a")
    x = device.alloc(1024)
    with pytest.raises(LlmcError, match="takes a tensor map") as error:
        device.launch(device.load(code.image), (1, 1, 1), [x.ptr, x.ptr, x.ptr, x.ptr, 4])
    assert error.value.code == "LLMC0962"
