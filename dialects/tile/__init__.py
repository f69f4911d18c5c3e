"""CTA programs: register tiles, shared memory, rings, roles and tensor-core products. How a kernel runs is decided here;
what it computes is not."""

from __future__ import annotations

from xdsl.ir import Dialect

from .ops import OPS
from .types import TYPES

Tile = Dialect("tile", OPS, TYPES)

__all__ = ["Tile"]
