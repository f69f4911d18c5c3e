"""`tile.await` and `tile.publish`: by the order of launches, by grid dependency control, or by counters in global memory."""

from __future__ import annotations

from typing import cast

from xdsl.ir import SSAValue

from ....dialects.tile import ops as tile
from .lowering import KernelLowering
from .scalar_memory import scalar_address


def lower_await(k: KernelLowering, op: tile.AwaitOp) -> None:
    if op.form == "grid":
        k.e.do("griddepcontrol.wait")
    elif op.form == "counter":
        _spin(k, op)


def _spin(k: KernelLowering, op: tile.AwaitOp) -> None:
    """One thread polls the counter; the others wait for it at a barrier, which hands on what it has acquired."""
    e = k.e
    assert op.counters is not None and op.index is not None and op.target is not None
    address, target = scalar_address(k, k.memory(op.counters), [op.index]), k.scalar(op.target)
    elected = k.elected()
    poll, done = k.new_block(), k.new_block()
    e.push(poll, hoists=False)
    reached = e.compare("ge.u32", e.do("ld.acquire.gpu.global.b32", address), target)
    e.scope.builder.cbra(cast(SSAValue, reached), done, poll)
    e.pop()
    if elected is None:
        e.scope.builder.bra(poll)
    else:
        e.scope.builder.cbra(elected[0], poll, done)
    e.continue_in(done)
    if elected is not None:
        k.barrier(fenced=True)
    if any(
        isinstance(o, tile.BulkCopyOp | tile.TmaCopyOp) for o in k.kernel.walk()
    ):  # they read through the asynchronous proxy
        e.do("fence.proxy.async.global")


def lower_publish(k: KernelLowering, op: tile.PublishOp) -> None:
    e = k.e
    if op.form == "grid":
        e.do("griddepcontrol.launch_dependents")
    elif op.form == "counter":
        assert op.counters is not None and op.index is not None
        elected = k.elected()
        if elected is not None:
            k.barrier(fenced=True)
        e.do("fence.acq_rel.gpu", pred=elected)
        address = scalar_address(k, k.memory(op.counters), [op.index])
        e.do("red.release.gpu.global.add.u32", address, 1, pred=elected)
