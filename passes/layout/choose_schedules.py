"""`choose-schedules`: every kernel gets the schedule it will be built with, a launch one kernel for each range of sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.dialects.builtin import ModuleOp, StringAttr, SymbolRefAttr

from ...codegen.targets import Target
from ...dialects.ir.symbols import SymbolTable
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.ranges import Range, decode_ranges, encode_ranges
from ...dialects.layout.types import ScheduleAttr
from ...dialects.rt.ops import LaunchOp
from ..framework.pass_ import Pass, PassContext
from .roofline import remark_roofline
from .scheduling import choose, kernels, launches

# Where the best schedule is expected to change: in decoding with every tile of 8 tokens that is filled, in prefill less often.
DECODE_BREAKS = (8, 16, 32, 64, 256)
PREFILL_BREAKS = (64, 256, 512)
SPLIT = ("linear", "attention")


@dataclass(frozen=True)
class ChooseSchedules(Pass):
    """Every kernel gets the schedule it will be built with: the first of its candidates. One that it already has stays.

    Linears and attention are asked for each range of token counts in turn; where the answers differ, the kernel is cloned and
    each launch becomes one for each range.

    ```mlir before
    rt.program @p attributes {sizes = ["T"]} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %y = rt.io "y" : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%x, %y) sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.return
    }
    layout.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"]} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      layout.write %0, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
      layout.return
    }
    ```
    ```mlir after
    rt.program @p attributes {sizes = ["T"]} {
      %x = rt.io "x" : !layout.buffer<["T", 64], bf16>
      %y = rt.io "y" : !layout.buffer<["T", 64], bf16>
      rt.launch @copy(%x, %y) sizes ["T"] : (!layout.buffer<["T", 64], bf16>, !layout.buffer<["T", 64], bf16>)
      rt.return
    }
    layout.kernel @copy(%x: !layout.buffer<["T", 64], bf16>, %y: !layout.buffer<["T", 64], bf16>, %T: i32) attributes {family = "pointwise", arg_effects = ["r", "w"], sizes = ["T"], schedule = #layout.schedule<"pointwise", {threads = 128}>} {
      %0 = layout.read %x : !layout.buffer<["T", 64], bf16> -> tensor<?x64xbf16, #nn.dims<["T", "_"]>>
      layout.write %0, %y : tensor<?x64xbf16, #nn.dims<["T", "_"]>> -> !layout.buffer<["T", 64], bf16>
      layout.return
    }
    ```
    """

    name: ClassVar[str] = "choose-schedules"
    produces: ClassVar[tuple[str, ...] | None] = ()
    anchors: ClassVar[tuple[str, ...]] = ("builtin.module",)

    target: str = ""
    split: bool = True

    def run(self, ctx: PassContext, module: ModuleOp) -> None:
        target = ctx.registry.targets.of(module, self.target)
        symbols = ctx.analysis(SymbolTable, module)
        ctx.preserve(SymbolTable)  # kept current below
        variants: dict[str, tuple[str, list[tuple[Range, str]]]] = {}
        decoding = {
            launch.kernel.root_reference.data
            for program, launch in launches(module)
            if program.sym_name.data.startswith("decode")
        }
        for kernel in kernels(module):
            if kernel.schedule is not None:
                continue
            choose(ctx, kernel, target)
            ctx.count("schedules chosen")
            size = _token_size(kernel)
            if self.split and size is not None and kernel.family.data in SPLIT:
                breaks = DECODE_BREAKS if size == "B" or kernel.sym_name.data in decoding else PREFILL_BREAKS
                table = self.by_range(ctx, kernel, target, size, breaks)
                if len(table) > 1:
                    variants[kernel.sym_name.data] = (size, _clone(symbols, module, kernel, size, table))
        for _, launch in list(launches(module)):
            found = variants.get(launch.kernel.root_reference.data)
            if found is not None:
                _split_launch(launch, *found)
        for kernel in kernels(module):
            remark_roofline(ctx, kernel, target)

    def by_range(
        self, ctx: PassContext, kernel: KernelOp, target: Target, size: str, breaks: tuple[int, ...]
    ) -> list[tuple[Range, ScheduleAttr]]:
        """The best schedule for each range of `size`; neighbours that agree are one range."""
        whole = kernel.range_of(size)
        assert whole is not None
        kept = (kernel.ranges, kernel.schedule)
        ranges = decode_ranges(kernel.ranges)
        table: list[tuple[Range, ScheduleAttr]] = []
        low = whole[0]
        for high in [*(b for b in breaks if whole[0] <= b < whole[1]), whole[1]]:
            kernel.properties["ranges"] = encode_ranges({**ranges, size: (low, high)})
            choose(ctx, kernel, target)
            schedule = kernel.schedule
            assert schedule is not None
            if table and table[-1][1] == schedule:
                table[-1] = ((table[-1][0][0], high), schedule)
            else:
                table.append(((low, high), schedule))
            low = high + 1
        for key, value in zip(("ranges", "schedule"), kept, strict=True):
            if value is not None:
                kernel.properties[key] = value
        return table


def _token_size(kernel: KernelOp) -> str | None:
    """The size that counts the kernel's rows, if its range is known."""
    names = [s.data for s in kernel.sizes.data]
    return next((name for name in ("T", "B") if name in names and kernel.range_of(name) is not None), None)


def _clone(
    symbols: SymbolTable, module: ModuleOp, kernel: KernelOp, size: str, table: list[tuple[Range, ScheduleAttr]]
) -> list[tuple[Range, str]]:
    """A kernel for each row of the table; the first is `kernel` itself."""
    ranges = decode_ranges(kernel.ranges)
    name = kernel.sym_name.data
    found: list[tuple[Range, str]] = []
    last = kernel
    for index, (pair, schedule) in enumerate(table):
        each = kernel if index == 0 else kernel.clone()
        if index:
            each.properties["sym_name"] = StringAttr(symbols.unique(f"{name}_{size}{pair[1]}"))
            module.body.block.insert_op_after(each, last)
            symbols.by_name[each.sym_name.data] = each
        each.properties |= {"schedule": schedule, "ranges": encode_ranges({**ranges, size: pair})}
        found.append((pair, each.sym_name.data))
        last = each
    return found


def _split_launch(launch: LaunchOp, size: str, table: list[tuple[Range, str]]) -> None:
    block = launch.parent
    assert block is not None
    guard = decode_ranges(launch.when)
    for index, (pair, name) in enumerate(table):
        each = launch if index == len(table) - 1 else launch.clone()
        each.properties |= {"kernel": SymbolRefAttr(name), "when": encode_ranges({**guard, size: pair})}
        if each is not launch:
            block.insert_op_before(each, launch)
