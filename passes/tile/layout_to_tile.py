"""`layout-to-tile`: kernels with a schedule become CTA programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr

from ...codegen.schedules.base import BUILTIN, Abi, Schedules
from ...codegen.targets import Target
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.rewriting import inherit_location
from ...dialects.layout.constants import constants_of, mark_constants
from ...dialects.layout.kernel_form import strings
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.tensor_map import TensorMapAttr
from ...dialects.layout.types import BufferType
from ...dialects.rt.ops import LaunchOp, ProgramOp
from ...dialects.tile.ops import KernelOp as TileKernelOp
from ..framework.pass_ import Pass, PassContext


@dataclass(frozen=True)
class LayoutToTile(Pass):
    """Every `layout.kernel` becomes the `tile.kernel` that its schedule builds; launches take the grid of that schedule.

    The schedule stands on the kernel, where a reader may have edited it: its parameters and what it needs from the program are
    checked here again.

    ```mlir before
    rt.program @p attributes {sizes = ["T"]} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %y = rt.io "y" : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%x, %y) grid ["T", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.return
    }
    layout.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], schedule = #layout.schedule<"pointwise", {}>, grid = ["T", "1", "1"]} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      layout.write %0, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
      layout.return
    }
    ```
    ```mlir after
    rt.program @p attributes {sizes = ["T"]} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %y = rt.io "y" : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%x, %y) grid ["ceildiv(T, 16)", "1", "1"] sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.return
    }
    tile.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {effects = ["r", "w"], family = "pointwise", grid = ["ceildiv(T, 16)", "1", "1"], schedule = #layout.schedule<"pointwise", {}>, sizes = ["T"], warps = 4 : i32} {
      %0 = arith.constant 16 : i32
      %1 = arith.constant 0 : i32
      %2, %3, %4 = tile.task
      %5 = arith.muli %2, %0 : i32
      %6 = tile.load %x[%5, %1] bounds(%T) {checked = [true, false], cache = "nc"} : !layout.buffer<["T", 64], bf16> -> !tile.frag<16x64xbf16, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>>
      tile.store %6, %y[%5, %1] bounds(%T) {checked = [true, false]} : !tile.frag<16x64xbf16, #layout.tv<shape = [16, 64], reg = [[8, [0, 1]]], lane = [[8, [0, 8]], [4, [1, 0]]], warp = [[4, [4, 0]]]>> -> !layout.buffer<["T", 64], bf16>
      tile.return
    }
    ```
    """

    name: ClassVar[str] = "layout-to-tile"
    consumes: ClassVar[tuple[str, ...]] = ("nn", "linalg")
    produces: ClassVar[tuple[str, ...] | None] = ("tile", "arith", "math", "scf")
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        schedules = ctx.registry.schedules
        target = ctx.registry.targets.of(module)
        grids: dict[str, ArrayAttr[StringAttr]] = {}
        maps: dict[str, ArrayAttr[TensorMapAttr] | None] = {}
        for kernel in [op for op in module.body.block.ops if isinstance(op, KernelOp)]:
            built = build(kernel, target, schedules)  # first: it says why a schedule can't run the kernel
            grids[kernel.sym_name.data] = grid_of(kernel, schedules)
            maps[kernel.sym_name.data] = built.maps
            module.body.block.insert_op_before(built, kernel)
            kernel.detach()
            kernel.erase()
        update_launches(module, grids, maps)


def build(kernel: KernelOp, target: Target, schedules: Schedules = BUILTIN) -> TileKernelOp:
    """The CTA program of one kernel. Raises LLMC0711 without a schedule, LLMC0501 for parameters that make no sense."""
    if kernel.schedule is None:
        raise LlmcError("LLMC0711", f"@{kernel.sym_name.data} has no schedule", kernel, fix="run choose-schedules")
    schedule = schedules.named(kernel.schedule.family.data, kernel)
    reason = schedule.accepts(kernel)
    if reason is not None:
        raise LlmcError(
            "LLMC0713",
            f"schedule {schedule.name} can't run @{kernel.sym_name.data}: {reason}",
            kernel,
            fix='choose a schedule of its family, or #layout.schedule<"generic", {}>',
        )
    built = schedule.build(kernel, kernel.schedule, target)
    mark_constants(built, constants_of(kernel))
    inherit_location([built], kernel.location)
    return built


def grid_of(kernel: KernelOp, schedules: Schedules = BUILTIN) -> ArrayAttr[StringAttr]:
    """The grid of a kernel's schedule; the kernel's own where it was launched by another one's (a combine). Raises LLMC0714
    when the schedule wants other memory than the program around it gives."""
    if kernel.schedule is None or kernel.grid is None:
        return kernel.grid or strings(("1", "1", "1"))
    try:
        abi = schedules.named(kernel.schedule.family.data, kernel).abi(kernel, kernel.schedule)
    except LlmcError as error:
        if error.code == "LLMC0501":
            raise
        return kernel.grid
    check_memory(kernel, abi)
    return strings(abi.grid) if abi.grid else kernel.grid


def check_memory(kernel: KernelOp, abi: Abi) -> None:
    """The operands lie as the schedule wants them."""
    for index, layout in abi.operand_layouts.items():
        type_ = kernel.buffers[index].type
        if isinstance(type_, BufferType) and type_.layout != layout:
            raise LlmcError(
                "LLMC0714",
                f"schedule {kernel.schedule} of @{kernel.sym_name.data} wants argument {index} in another memory layout",
                kernel,
                why="weight images were laid out for the schedule that stood there before",
                fix="edit the schedule in the dump of an earlier phase (quant), or choose parameters with the same image",
            )


def update_launches(
    module: ModuleOp,
    grids: Mapping[str, ArrayAttr[StringAttr]],
    maps: Mapping[str, ArrayAttr[TensorMapAttr] | None] | None = None,
) -> None:
    """Give every launch of the kernels in `grids` its kernel's grid, and the tensor maps that its program takes."""
    for program in module.body.block.ops:
        if isinstance(program, ProgramOp):
            for op in program.block.ops:
                if isinstance(op, LaunchOp) and (name := op.kernel.root_reference.data) in grids:
                    op.properties["grid"] = grids[name]
                    if maps is not None:
                        op.maps = maps[name]
