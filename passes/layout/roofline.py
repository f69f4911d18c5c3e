"""The least time that a launch can take: the bytes of its operands over the memory's bandwidth, its products over the tensor cores'
rate. A remark for each kernel, so that a measured time has something to be held against."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ...codegen.targets import Target
from ...dialects.ir.numeric import dtype_of
from ...dialects.layout import expressions
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.types import BufferType
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of
from ..framework.pass_ import PassContext


def remark_roofline(ctx: PassContext, kernel: KernelOp, target: Target) -> None:
    """An analysis remark at the largest sizes of the kernel's regime; none for kernels over sizes without bound (pages)."""
    bounds = {s.data: kernel.range_of(s.data) for s in kernel.sizes.data}
    sizes = {name: pair[1] for name, pair in bounds.items() if pair is not None}
    nbytes = operand_bytes(kernel, sizes)
    flops = products(kernel, sizes)
    if nbytes is None:
        return
    memory, compute = nbytes / target.dram_bytes_per_s, flops / target.bf16_flops
    bound, least = ("memory", memory) if memory >= compute else ("tensor cores", compute)
    at = ", ".join(f"{name} = {value}" for name, value in sizes.items())
    message = f"@{kernel.sym_name.data}: at least {1e6 * least:.1f} us{' at ' + at if at else ''}, bound by {bound}: {nbytes / 1e6:.2f} MB"
    if flops:
        message += f", {flops / 1e9:.2f} GFLOP"
    ctx.remark("analysis", "roofline", kernel, message)


def operand_bytes(kernel: KernelOp, sizes: Mapping[str, int]) -> int | None:
    """Every buffer read or written once; KV pages are left out, since how much of them is read is not known here. None when
    nothing has a known size."""
    total = 0
    for buffer in kernel.buffers:
        type_ = buffer.type
        if not isinstance(type_, BufferType) or not type_.sizes <= sizes.keys():
            continue
        count = prod(expressions.evaluate(dim, sizes) for dim in type_.dims)
        total += count * dtype_of(type_.element_type).itemsize
    return total or None


def products(kernel: KernelOp, sizes: Mapping[str, int]) -> int:
    """Multiplications and additions of the kernel's linears."""
    flops = 0
    for op in kernel.walk():
        if isinstance(op, nn.LinearOp):
            rows = prod(_number(d, sizes) for d in dims_of(op.result)[:-1])
            flops += 2 * rows * prod(_number(d, sizes) for d in dims_of(op.weight))
    return flops


def _number(size: object, sizes: Mapping[str, int]) -> int:
    return expressions.evaluate(str(size), sizes)
