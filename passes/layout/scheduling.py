"""What the layout passes share: the module's kernels, and choosing among a kernel's schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from xdsl.dialects.builtin import IntegerAttr, ModuleOp
from xdsl.ir import BlockArgument
from xdsl.rewriter import Rewriter

from ...codegen.schedules.base import Abi, Schedule
from ...codegen.targets import Target
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.types import BufferType, ScheduleAttr
from ...dialects.rt.ops import LaunchOp, ProgramOp
from ..framework.pass_ import PassContext
from .kernel_builder import Paging


def kernels(module: ModuleOp) -> list[KernelOp]:
    return [op for op in module.body.block.ops if isinstance(op, KernelOp)]


def programs(module: ModuleOp) -> list[ProgramOp]:
    return [op for op in module.body.block.ops if isinstance(op, ProgramOp)]


def launches(module: ModuleOp) -> Iterator[tuple[ProgramOp, LaunchOp]]:
    """Every launch of every program."""
    for program in programs(module):
        for op in program.block.ops:
            if isinstance(op, LaunchOp):
                yield program, op


def paging_of(module: ModuleOp) -> Paging:
    """The geometry of pages that `bufferise` wrote on the module; LLMC0719 where something else stands there."""

    def read(key: str, default: int) -> int:
        attribute = module.attributes.get(key)
        if attribute is None:
            return default
        if isinstance(attribute, IntegerAttr) and attribute.value.data > 0:
            return attribute.value.data
        raise LlmcError(
            "LLMC0719",
            f"the module's attribute {key} is {attribute}",
            "the attributes of builtin.module",
            why="it is a number of tokens or pages, an integer above 0",
            fix=f"write an integer above 0, such as {default}, or leave it out",
        )

    return Paging(read("layout.page_size", Paging().page_size), read("layout.max_pages", Paging().max_pages))


def abi_of(ctx: PassContext, kernel: KernelOp) -> Abi:
    """What the kernel's schedule asks for; LLMC0711 when it has none."""
    if kernel.schedule is None:
        raise LlmcError("LLMC0711", f"@{kernel.sym_name.data} has no schedule", kernel, fix="run choose-schedules")
    return ctx.registry.schedules.named(kernel.schedule.family.data, kernel).abi(kernel, kernel.schedule)


def choose(
    ctx: PassContext, kernel: KernelOp, target: Target, suits: Callable[[Schedule, ScheduleAttr], bool] | None = None
) -> None:
    """Give `kernel` its best schedule that `suits`; LLMC0712 when there is none."""
    for schedule, attribute in ctx.registry.schedules.candidates(kernel, target):
        try:
            schedule.abi(kernel, attribute)
        except LlmcError as problem:
            what = f"@{kernel.sym_name.data}{regime_of(kernel)}: {attribute} does not fit: {problem.what}"
            ctx.remark("missed", "schedule", kernel, what, problem.fix or "nothing: the next schedule is tried")
            continue
        if suits is None or suits(schedule, attribute):
            kernel.properties["schedule"] = attribute
            ctx.remark("passed", "schedule", kernel, f"@{kernel.sym_name.data}{regime_of(kernel)}: {attribute}")
            return
    raise LlmcError(
        "LLMC0712",
        f"no schedule runs @{kernel.sym_name.data} (family {kernel.family.data}) on {target.name}",
        kernel,
        why="neither its family's schedules nor the generic one accept its body",
        fix="split the body into smaller kernels, or bring a schedule for it in a plugin",
    )


def regime_of(kernel: KernelOp) -> str:
    """The ranges of a kernel's sizes in words, ` (T = 65…256)`; empty where none is known."""
    known = ((s.data, kernel.range_of(s.data)) for s in kernel.sizes.data)
    parts = [f"{name} = {pair[0]}…{pair[1]}" if pair[0] != pair[1] else f"{name} = {pair[0]}" for name, pair in known if pair]
    return f" ({', '.join(parts)})" if parts else ""


def retype(argument: BlockArgument, type_: BufferType) -> None:
    """Change a kernel argument's buffer type in place."""
    if argument.type != type_:
        Rewriter.replace_value_with_new_type(argument, type_)
