"""The base class of the project's ops: an xDSL operation whose constructor takes a location."""

from __future__ import annotations

from typing import Any

from xdsl.dialects.builtin import LocationAttr
from xdsl.irdl import IRDLOperation


class LocatedOp(IRDLOperation):
    """An op whose constructor takes `location`, where in the model it comes from; the other arguments are IRDLOperation's."""

    def __init__(self, *, location: LocationAttr | None = None, **parts: Any):
        super().__init__(**parts)
        if location is not None:
            self.location = location
