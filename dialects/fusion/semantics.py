"""What `fusion` ops mean: a group is its body, a launch is a call."""

from __future__ import annotations

from typing import Any

from xdsl.ir import Operation

from ..ir.interpret import Fn, Frame
from .ops import GroupOp, LaunchOp


def _group(op: Operation, args: tuple[Any, ...], frame: Frame) -> tuple[Any, ...]:
    return frame.child().run_region(op.regions[0], args)


def _launch(op: Operation, args: tuple[Any, ...], frame: Frame) -> tuple[Any, ...]:
    assert isinstance(op, LaunchOp)
    kernel = frame.symbol(op.kernel.root_reference.data)
    return frame.child().run_region(kernel.regions[0], args)


SEMANTICS: dict[type[Operation], Fn] = {GroupOp: _group, LaunchOp: _launch}
