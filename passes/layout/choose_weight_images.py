"""`choose-weight-images`: one memory layout per weight for all kernels that read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp, StringAttr, SymbolRefAttr
from xdsl.ir import SSAValue
from xdsl.rewriter import Rewriter

from ...codegen.schedules.base import Schedule
from ...dialects.ir.symbols import SymbolTable
from ...dialects.layout.mem import MemLayout
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.types import BufferType, ScheduleAttr
from ...dialects.rt.ops import LaunchOp, ParamOp
from ..framework.pass_ import Pass, PassContext
from .scheduling import abi_of, choose, launches, retype

Signature = tuple[tuple[int, MemLayout], ...]


@dataclass(frozen=True)
class ChooseWeightImages(Pass):
    """One memory layout per weight for all kernels that read it: what the first schedule that cares asks for, decode before
    prefill. Kernels whose schedule asks for another get the next one that takes the weight as it is.

    ```mlir before
    nn.weight @w {
      %0 = nn.entry "w" : tensor<32x64xbf16>
      nn.yield %0 : tensor<32x64xbf16>
    }
    rt.program @encode attributes {sizes = ["T"], ranges = {T = [1 : i64, 16 : i64]}} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %w = rt.param @w : !layout.buffer<[32, 64], bf16>
      %y = rt.io "y" : !layout.buffer<["T", 32], bf16>
      rt.launch @linear(%x, %w, %y) sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<[32, 64], bf16>, !layout.buffer<["T", 32], bf16>)
      rt.return
    }
    layout.kernel @linear(%x: !layout.buffer<["T", 64], bf16>, %w: !layout.buffer<[32, 64], bf16>, %y: !layout.buffer<["T", 32], bf16>, %T: i32) attributes {family = "linear", arg_effects = ["r", "r", "w"], sizes = ["T"], ranges = {T = [1 : i64, 16 : i64]}, schedule = #layout.schedule<"gemm", {}>} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      %1 = layout.read %w : !layout.buffer<[32, 64], bf16> -> tensor<32x64xbf16>
      %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #nn.dims<["T", "_"]>>, tensor<32x64xbf16>) -> tensor<?x32xbf16, #nn.dims<["T", "_"]>>
      layout.write %2, %y : tensor<?x32xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 32], bf16>
      layout.return
    }
    ```
    ```mlir after
    #mem = #layout.mem<[[2, 256], [8, 32], [2, 1024]], [[32, 1], [2, 512]], swizzle = [2, 3, 3]>
    #dims = #nn.dims<["T", "_"]>
    nn.weight @w {
      %0 = nn.entry "w" : tensor<32x64xbf16>
      nn.yield %0 : tensor<32x64xbf16>
    }
    rt.program @encode attributes {sizes = ["T"], ranges = {T = [1 : i64, 16 : i64]}} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %w = rt.param @w : !layout.buffer<[32, 64], bf16, #mem>
      %y = rt.io "y" : !layout.buffer<["T", 32], bf16>
      rt.launch @linear(%x, %w, %y) sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<[32, 64], bf16, #mem>, !layout.buffer<["T", 32], bf16>)
      rt.return
    }
    layout.kernel @linear(%x: !layout.buffer<["T", 64], bf16>, %w: !layout.buffer<[32, 64], bf16, #mem>, %y: !layout.buffer<["T", 32], bf16>, %T: i32) attributes {family = "linear", arg_effects = ["r", "r", "w"], sizes = ["T"], ranges = {T = [1 : i64, 16 : i64]}, schedule = #layout.schedule<"gemm", {}>} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #dims>
      %1 = layout.read %w : !layout.buffer<[32, 64], bf16, #mem> -> tensor<32x64xbf16>
      %2 = nn.linear %0, %1 : (tensor<?x64xbf16, #dims>, tensor<32x64xbf16>) -> tensor<?x32xbf16, #dims>
      layout.write %2, %y : tensor<?x32xbf16, #dims> -> !layout.buffer<["T", 32], bf16>
      layout.return
    }
    ```
    """

    name: ClassVar[str] = "choose-weight-images"
    produces: ClassVar[tuple[str, ...] | None] = ()
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    target: str = ""

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        symbols = ctx.analysis(SymbolTable, module)
        ctx.preserve(SymbolTable)  # kept current below
        uses = list(launches(module))
        uses.sort(key=lambda use: not use[0].sym_name.data.startswith("decode"))
        images = self.wanted(ctx, symbols, [launch for _, launch in uses])
        for program_launch in uses:
            for operand in program_launch[1].buffers:
                name = _weight(operand)
                if name in images:
                    type_ = operand.type
                    assert isinstance(type_, BufferType)
                    if type_.layout != images[name]:
                        Rewriter.replace_value_with_new_type(operand, type_.with_layout(images[name]))
        self.specialise(ctx, module, symbols, [launch for _, launch in uses])

    def wanted(self, ctx: PassContext, symbols: SymbolTable, uses: list[LaunchOp]) -> dict[str, MemLayout]:
        images: dict[str, MemLayout] = {}
        asked: dict[str, dict[int, MemLayout]] = {}
        for launch in uses:
            name = launch.kernel.root_reference.data
            if name not in asked:
                kernel = symbols.lookup(name)
                asked[name] = dict(abi_of(ctx, kernel).operand_layouts) if isinstance(kernel, KernelOp) else {}
            for index, operand in enumerate(launch.buffers):
                weight = _weight(operand)
                layout = asked[name].get(index)
                if weight is not None and layout is not None:
                    images.setdefault(weight, layout)
        return images

    def specialise(self, ctx: PassContext, module: ModuleOp, symbols: SymbolTable, uses: list[LaunchOp]) -> None:
        """Give each kernel the layouts of the weights it is launched with, and a clone where they differ."""
        target = ctx.registry.targets.of(module, self.target)
        variants: dict[str, dict[Signature, str]] = {}
        for launch in uses:
            name = launch.kernel.root_reference.data
            kernel = symbols.lookup(name)
            if not isinstance(kernel, KernelOp):
                continue
            signature = tuple(
                (index, operand.type.layout)  # pyright: ignore
                for index, operand in enumerate(launch.buffers)
                if _weight(operand) is not None
            )
            known = variants.setdefault(name, {})
            if signature not in known:
                chosen = kernel
                if known:
                    chosen = kernel.clone()
                    chosen.properties["sym_name"] = StringAttr(symbols.unique(f"{name}_v{len(known)}"))
                    symbols.insert(chosen, before=kernel)
                known[signature] = chosen.sym_name.data
                for index, layout in signature:
                    argument = chosen.buffers[index]
                    retype(argument, argument.type.with_layout(layout))  # pyright: ignore
                held = dict(signature)

                def suits(
                    schedule: Schedule, attribute: ScheduleAttr, kernel: KernelOp = chosen, held: dict[int, MemLayout] = held
                ) -> bool:
                    asked = schedule.abi(kernel, attribute).operand_layouts
                    return all(asked.get(index, layout) == layout for index, layout in held.items())

                asked = abi_of(ctx, chosen).operand_layouts
                if any(asked.get(index, layout) != layout for index, layout in held.items()):
                    choose(ctx, chosen, target, suits)
                    ctx.remark(
                        "missed",
                        "weight image",
                        chosen,
                        "its weight is kept in another kernel's order",
                        "nothing: one image serves both, and a second copy would cost its memory",
                    )
            launch.properties["kernel"] = SymbolRefAttr(known[signature])


def _weight(value: SSAValue) -> str | None:
    owner = value.owner
    return owner.weight.root_reference.data if isinstance(owner, ParamOp) else None
