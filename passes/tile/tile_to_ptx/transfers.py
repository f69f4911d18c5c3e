"""Bulk stores: one thread of a role issues them, commits its groups and waits for them."""

from __future__ import annotations

from typing import cast

from ....dialects.ptx.build import Addr
from ....dialects.tile.ops import BulkCommitOp, BulkStoreOp, BulkWaitOp, TmaStoreOp
from .lowering import KernelLowering
from .mbarriers import check_alignment, global_address, tensor_address
from .values import Buffer, Smem


def lower_bulk_store(k: KernelLowering, op: BulkStoreOp) -> None:
    source = cast(Smem, k.memory(op.src))
    to = global_address(k, cast(Buffer, k.memory(op.dst)), op.offsets)
    at = Addr(k.e.reg(source.base), source.offset + op.start)
    k.e.do("cp.async.bulk.global.shared::cta.bulk_group", to, at, op.bytes.value.data, pred=k.elected())


def lower_tma_store(k: KernelLowering, op: TmaStoreOp) -> None:
    source = cast(Smem, k.memory(op.src))
    check_alignment(source, op.start, op.map, op)
    at = Addr(k.e.reg(source.base), source.offset + op.start)
    opcode = f"cp.async.bulk.tensor.{len(op.coordinates)}d.global.shared::cta.tile.bulk_group"
    k.e.do(opcode, tensor_address(k, op.map, op.coordinates), at, pred=k.elected())


def lower_commit(k: KernelLowering, op: BulkCommitOp) -> None:
    k.e.do("cp.async.bulk.commit_group", pred=k.elected())


def lower_wait(k: KernelLowering, op: BulkWaitOp) -> None:
    k.e.do(f"cp.async.bulk.wait_group{'.read' if op.read is not None else ''}", op.pending.value.data, pred=k.elected())
