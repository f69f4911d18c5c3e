"""Clusters in numpy: their CTAs are threads that meet at barriers and see each other's memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from xdsl.ir import Operation

from ..ir.interpret import Fn, Frame
from ..ir.numeric import rounded, widen
from . import ops
from .machine import Cluster, Cta, Memory, Values, cluster_of
from .types import frag_of


def peer(frame: Frame, value: Any, rank: int) -> Any:
    """What the CTA of a rank has where this one has `value` (memory, or mbarriers)."""
    cluster, cta = cluster_of(frame)
    if not 0 <= rank < len(cluster.ctas):
        raise IndexError(f"rank {rank} of a cluster of {len(cluster.ctas)}")
    for op, mine in cta.made.items():
        if isinstance(value, Memory) and isinstance(mine, Memory) and np.shares_memory(value.data, mine.data):
            theirs = _made(cluster, cluster.ctas[rank], op)
            start = value.data.__array_interface__["data"][0] - mine.data.__array_interface__["data"][0]
            raw = theirs.data.view(np.uint8)[start : start + value.data.nbytes]
            return replace(value, data=raw.view(value.data.dtype))
        if mine is value:
            return _made(cluster, cluster.ctas[rank], op)
    raise RuntimeError("no op of this kernel has made the memory")


def _made(cluster: Cluster, cta: Cta, op: Operation) -> Any:
    """What an op has made in another CTA, once it has run there."""
    cluster.runners.wait(lambda: "the peer never makes this memory", lambda: op in cta.made)
    return cta.made[op]


def _rank(op: Operation, args: Values, frame: Frame) -> Values:
    cluster, cta = cluster_of(frame)
    return (np.asarray(cluster.ctas.index(cta), np.int32),)


def _peer(op: Operation, args: Values, frame: Frame) -> Values:
    return (peer(frame, args[0], int(args[1])),)


def _elect(op: Operation, args: Values, frame: Frame) -> Values:
    return (np.asarray(True),)


def _meet(op: Operation, args: Values, frame: Frame) -> Values:
    cluster_of(frame)[0].meet()
    return ()


def _split_reduce(op: Operation, args: Values, frame: Frame) -> Values:
    reduce = cast(ops.SplitReduceOp, op)
    if reduce.scope.data == "cta":
        parts = [args[0][i : i + 1] for i in range(len(args[0]))]
    else:
        cluster, cta = cluster_of(frame)
        cluster.parts[cluster.ctas.index(cta)] = args[0]
        cluster.meet()
        parts = [cluster.parts[rank] for rank in range(len(cluster.ctas))]
        cluster.meet()
    total = widen(parts[0], frame.options)
    for part in parts[1:]:
        total = total + widen(part, frame.options)
    return (rounded(total, frag_of(op.results[0]).element_type, frame.options),)


SEMANTICS: dict[type[Operation], Fn] = {
    ops.RankOp: _rank,
    ops.PeerOp: _peer,
    ops.ElectOp: _elect,
    ops.ClusterBarrierOp: _meet,
    ops.SplitReduceOp: _split_reduce,
}
