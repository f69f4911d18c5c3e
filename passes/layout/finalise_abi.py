"""`finalise-abi`: workspaces, grids and follow-up launches of the chosen schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, i32
from xdsl.ir import SSAValue

from ...codegen.schedules.base import Abi
from ...dialects.ir.symbols import SymbolTable
from ...dialects.layout.kernel_form import strings
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.ranges import decode_ranges
from ...dialects.layout.tensor_map import TensorMap, TensorMapAttr, check_map
from ...dialects.layout.types import BufferType
from ...dialects.rt.ops import LaunchOp, TempOp
from ..framework.pass_ import Pass, PassContext
from .scheduling import abi_of, kernels, programs


@dataclass(frozen=True)
class FinaliseAbi(Pass):
    """Kernels get the grid, the workspaces and the tensor maps of their schedules; a schedule of several launches (split attention: partial, then
    combine) becomes that many kernels and launches on the same buffers.

    ```mlir before
    rt.program @p attributes {sizes = ["T"]} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %y = rt.io "y" : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%x, %y) sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.return
    }
    layout.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], schedule = #layout.schedule<"pointwise", {}>} {
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
    layout.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], schedule = #layout.schedule<"pointwise", {}>, grid = ["ceildiv(T, 16)", "1", "1"]} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      layout.write %0, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
      layout.return
    }
    ```
    """

    name: ClassVar[str] = "finalise-abi"
    produces: ClassVar[tuple[str, ...] | None] = ("rt",)
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = ctx.analysis(SymbolTable, module)
        ctx.preserve(SymbolTable)  # kept current below
        abis: dict[str, Abi] = {}
        followers: dict[str, list[KernelOp]] = {}
        for kernel in kernels(module):
            if kernel.grid is not None:
                continue
            abi = abi_of(ctx, kernel)
            name = kernel.sym_name.data
            abis[name] = abi
            for workspace in abi.workspace:
                add_workspace(kernel, BufferType.of(workspace.dims, workspace.elem), workspace.name)
            kernel.properties["grid"] = strings(abi.grid)
            set_maps(kernel, abi.maps)
            for follower in abi.then:
                clone = kernel.clone()
                clone.properties |= {
                    "sym_name": StringAttr(symbols.unique(f"{name}_{follower.suffix}")),
                    "schedule": follower.schedule,
                    "grid": strings(follower.grid),
                }
                clone.properties.pop("maps", None)
                symbols.insert(clone)
                clone.detach()
                module.body.block.insert_op_after(clone, kernel)
                followers.setdefault(name, []).append(clone)
        for program in programs(module):
            for op in list(program.block.ops):
                if isinstance(op, LaunchOp) and op.grid is None:
                    name = op.kernel.root_reference.data
                    kernel = symbols.lookup(name)
                    assert isinstance(kernel, KernelOp)
                    self.launch(op, kernel, abis.get(name), followers.get(name, []))

    def launch(self, launch: LaunchOp, kernel: KernelOp, abi: Abi | None, followers: list[KernelOp]) -> None:
        block = launch.parent
        assert block is not None
        buffers: list[SSAValue] = list(launch.buffers)
        for workspace in abi.workspace if abi is not None else ():
            temp = TempOp(BufferType.of(workspace.dims, workspace.elem), location=launch.location)
            block.insert_op_before(temp, launch)
            buffers.append(temp.result)
        for each in (kernel, *followers):
            assert each.grid is not None
            op = LaunchOp(
                each.sym_name.data,
                buffers,
                [s.data for s in each.sizes.data],
                [g.data for g in each.grid.data],
                decode_ranges(launch.when),
                maps=each.maps,
                location=launch.location,
            )
            block.insert_op_before(op, launch)
        launch.detach()
        launch.erase()


def set_maps(kernel: KernelOp, maps: Sequence[TensorMap]) -> None:
    """The tensor maps of a kernel. Raises LLMC0751 for a box that the hardware does not have."""
    for spec in maps:
        type_ = kernel.buffers[spec.buffer].type
        assert isinstance(type_, BufferType)
        check_map(spec, type_, kernel)
    if maps:
        kernel.properties["maps"] = ArrayAttr([TensorMapAttr(m) for m in maps])
    else:
        kernel.properties.pop("maps", None)


def add_workspace(kernel: KernelOp, type_: BufferType, name: str) -> None:
    """A further `rw` buffer after the last, and the sizes it needs."""
    block = kernel.block
    argument = block.insert_arg(type_, len(kernel.buffers))
    argument.name_hint = name
    argument.location = kernel.location
    kernel.properties["arg_effects"] = strings([*(e.data for e in kernel.arg_effects.data), "rw"])
    for size in sorted(type_.sizes - {s.data for s in kernel.sizes.data}):
        add_size(kernel, size)


def add_size(kernel: KernelOp, size: str) -> None:
    """A further i32 size argument, in its alphabetical place."""
    names = [s.data for s in kernel.sizes.data]
    place = sum(name < size for name in names)
    argument = kernel.block.insert_arg(i32, len(kernel.block.args) - len(names) + place)
    argument.name_hint = size
    kernel.properties["sizes"] = strings([*names[:place], size, *names[place:]])
