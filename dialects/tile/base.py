"""The base class of the dialect's ops: an xDSL operation whose constructor takes a location."""

from __future__ import annotations

from typing import Any

from xdsl.dialects.builtin import LocationAttr
from xdsl.irdl import IRDLOperation


class TileOp(IRDLOperation):
    """An op of `tile`; `location` may be given to every constructor."""

    def __init__(self, *, location: LocationAttr | None = None, **parts: Any):
        super().__init__(**parts)
        if location is not None:
            self.location = location
