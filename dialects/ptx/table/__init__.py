"""The instruction table: one row per legal instruction form, in a file for each kind. Verifier, builder, printer, parser and
emulator all read it; nothing else knows what PTX accepts. `row.py` says how a row is written.
"""

from __future__ import annotations

from .arithmetic import COMPARE, CONVERT, FLOAT, INTEGER
from .asynchrony import ASYNC
from .control import SYNC
from .matrix import MATRIX
from .memory import MEMORY
from .row import MACROS, NEEDS, Row

TABLE: tuple[Row, ...] = (*INTEGER, *FLOAT, *COMPARE, *CONVERT, *MEMORY, *ASYNC, *SYNC, *MATRIX)

__all__ = ["MACROS", "NEEDS", "TABLE", "Row"]
