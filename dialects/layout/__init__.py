"""Where every byte lies: memory and register layouts, buffers, and kernels over buffers. No schedule is built here."""

from __future__ import annotations

from xdsl.ir import Dialect

from .attributes import MemAttr, TvAttr
from .ops import OPS
from .tensor_map import TensorMapAttr
from .types import BufferType, ScheduleAttr

Layout = Dialect("layout", OPS, [BufferType, ScheduleAttr, MemAttr, TvAttr, TensorMapAttr])

__all__ = ["Layout"]
