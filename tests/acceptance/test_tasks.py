"""Every kernel of a model can be called as a task: where it works is given to it, and it says what it waits for and what it makes."""

from __future__ import annotations

from llmc.dialects.ir.context import make_context
from llmc.dialects.ir.parsing import parse_module
from llmc.dialects.layout.constants import constants_of
from llmc.dialects.tile.ops import AwaitOp, KernelOp, PublishOp, ReturnOp, TaskOp
from model_runs import Imported


def test_kernels_await_what_they_touch_and_publish_what_they_write(storyteller: Imported) -> None:
    module = parse_module(make_context(), storyteller.compile().dumps["tile"], "model.tile")
    kernels = [op for op in module.body.block.ops if isinstance(op, KernelOp)]
    for kernel in kernels:
        awaited = {op.buffer for op in kernel.walk() if isinstance(op, AwaitOp)}
        published = {op.buffer for op in kernel.walk() if isinstance(op, PublishOp)}
        constants = constants_of(kernel)
        assert awaited == {b for b in kernel.buffers if b.index not in constants}
        assert published == {b for b, effect in zip(kernel.buffers, kernel.effects.data, strict=True) if "w" in effect.data}
        assert sum(isinstance(op, ReturnOp) for op in kernel.walk()) == 1
    assert any(isinstance(op, TaskOp) for kernel in kernels for op in kernel.walk())
    linears = [kernel for kernel in kernels if kernel.family is not None and kernel.family.data == "linear"]
    assert linears and all(constants_of(kernel) for kernel in linears)
