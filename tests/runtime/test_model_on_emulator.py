"""A whole model: schedules, PTX, the emulator and a session say what the reference says."""

from __future__ import annotations

import numpy as np
from fusion_modules import tiny_checkpoint, tiny_decoder
from llmc.codegen.schedules.base import schedule_named
from llmc.codegen.targets import find_target
from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout.ops import KernelOp
from llmc.passes.framework.pass_ import PassContext
from llmc.passes.layout.bufferise import Bufferise
from llmc.passes.layout.choose_schedules import ChooseSchedules
from llmc.passes.layout.choose_weight_images import ChooseWeightImages
from llmc.passes.layout.close_decode_loop import CloseDecodeLoop
from llmc.passes.layout.finalise_abi import FinaliseAbi
from llmc.passes.layout.lower_weights import LowerWeights
from llmc.passes.layout.plan_arena import PlanArena
from llmc.runtime.device import Device, Function, KernelImage
from llmc.runtime.devices import open_device
from llmc.runtime.engine import Capacity
from llmc.runtime.executor import DeviceEngine
from llmc.runtime.generate import Session
from llmc.runtime.reference import ReferenceEngine
from tile_kernels import to_text

TARGET = "sm_90a"
PROMPTS = [[3, 17, 99, 5, 64, 22, 8], [1, 2]]


class LazyFunctions(dict[str, Function]):
    """Compiles a kernel when it is first asked for."""

    def __init__(self, kernels: dict[str, KernelOp], device: Device) -> None:
        super().__init__()
        self.kernels, self.device = kernels, device

    def get(self, name: str, default: Function | None = None) -> Function | None:  # pyright: ignore
        if name not in self and name in self.kernels:
            kernel = self.kernels[name]
            assert kernel.schedule is not None
            tile = schedule_named(kernel.schedule.family.data).build(kernel, kernel.schedule, find_target(TARGET))
            text, lowered = to_text(tile, TARGET)
            shared = lowered.dyn_smem.value.data if lowered.dyn_smem is not None else 0
            self[name] = self.device.load(KernelImage(name, text, dyn_smem=shared, threads=lowered.reqntid.value.data))
        return super().get(name, default)


def test_a_model_generates_the_same_on_the_emulator():
    context = make_context()
    module = parse_module(context, tiny_decoder())
    passes = (
        Bufferise(max_context=128),
        CloseDecodeLoop(),
        ChooseSchedules(),
        ChooseWeightImages(),
        LowerWeights(),
        FinaliseAbi(),
        PlanArena(),
    )
    for each in passes:
        each.run(PassContext(context, running=each.name), module)
    capacity = Capacity(16, 2, 6)
    device = open_device("emulator", target=TARGET, strict=True)
    kernels = {op.sym_name.data: op for op in module.walk() if isinstance(op, KernelOp)}
    engine = DeviceEngine(module, device, LazyFunctions(kernels, device), capacity)
    reference = ReferenceEngine(module, capacity)
    for each in (engine, reference):
        each.load(tiny_checkpoint())
    sessions = [Session(e, buckets=(1, 2), steps_ahead=2) for e in (engine, reference)]
    found, expected = (s.logits(PROMPTS[0]) for s in sessions)
    assert np.abs(found - expected).mean() < 0.01 * np.abs(expected).mean()
    generated = [s.generate(PROMPTS, 5) for s in sessions]
    assert generated[0] == generated[1]
