"""The base class of the dialect's ops."""

from __future__ import annotations

from ..ir.located import LocatedOp


class TileOp(LocatedOp):
    """An op of `tile`."""
