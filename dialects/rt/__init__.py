"""The host program that launches kernels: weights, inputs and outputs, the arena, launches. Nothing here knows a device."""

from __future__ import annotations

from xdsl.ir import Dialect

from .ops import OPS, ArenaType

Rt = Dialect("rt", OPS, [ArenaType])

__all__ = ["Rt"]
