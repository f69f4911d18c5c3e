"""`name-dependencies`: kernels say which data they wait for and which they make, so that each can be called as a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.rewriter import InsertPoint, Rewriter

from ...dialects.layout.constants import constants_of
from ...dialects.tile.ops import AwaitOp, KernelOp, PublishOp
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class NameDependencies(Pass):
    """A kernel awaits the buffers that it touches, before anything else, and publishes those that it has written, after all else.

    Not awaited are the `constants` that `mark-constants` found: a task may fetch them ahead of its turn. All is by the order of launches
    here, which costs no instruction; a pass that starts kernels early, or joins them, says how else.

    ```mlir before
    tile.kernel @copy(%w: !layout.buffer<[64], bf16>, %y: !layout.buffer<[64], bf16>) attributes {constants = array<i64: 0>, effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      %0 = arith.constant 0 : i32
      %1 = tile.load %w[%0] : !layout.buffer<[64], bf16> -> !tile.frag<64xbf16, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>>
      tile.store %1, %y[%0] : !tile.frag<64xbf16, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>> -> !layout.buffer<[64], bf16>
      tile.return
    }
    ```
    ```mlir after
    tile.kernel @copy(%w: !layout.buffer<[64], bf16>, %y: !layout.buffer<[64], bf16>) attributes {constants = array<i64: 0>, effects = ["r", "w"], grid = ["1", "1", "1"], sizes = [], warps = 1 : i32} {
      tile.await "y" of %y : !layout.buffer<[64], bf16>
      %0 = arith.constant 0 : i32
      %1 = tile.load %w[%0] : !layout.buffer<[64], bf16> -> !tile.frag<64xbf16, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>>
      tile.store %1, %y[%0] : !tile.frag<64xbf16, #layout.tv<shape = [64], reg = [[2, [1]]], lane = [[32, [2]]], warp = []>> -> !layout.buffer<[64], bf16>
      tile.publish "y" of %y : !layout.buffer<[64], bf16>
      tile.return
    }
    ```
    """

    name: ClassVar[str] = "name-dependencies"
    required: ClassVar[bool] = False
    produces: ClassVar[tuple[str, ...] | None] = ("tile",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module", "tile.kernel")

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        for kernel in (op for op in module.body.block.ops if isinstance(op, KernelOp)):
            ctx.count("awaited", name_dependencies(kernel))


def name_dependencies(kernel: KernelOp) -> int:
    """Write them into one kernel, unless it has some; returns how many are awaited."""
    if any(isinstance(op, AwaitOp | PublishOp) for op in kernel.block.ops):
        return 0
    count, constant = 0, constants_of(kernel)
    first, last = kernel.block.first_op, kernel.block.last_op
    assert first is not None and last is not None
    for buffer, effect in zip(kernel.buffers, kernel.effects.data, strict=True):
        name = buffer.name_hint or f"b{buffer.index}"
        if buffer.index not in constant:
            Rewriter.insert_op(AwaitOp(name, of=buffer, location=kernel.location), InsertPoint.before(first))
            count += 1
        if "w" in effect.data:
            Rewriter.insert_op(PublishOp(name, of=buffer, location=kernel.location), InsertPoint.before(last))
    return count
