"""ATen op → nn builder, a table per kind of op. A row is one decorated function; adding an op is adding a row."""

from __future__ import annotations

from . import attention, composite, matrix, pointwise, reductions, shapes, writes
from .registry import TABLE

__all__ = ["TABLE", "attention", "composite", "matrix", "pointwise", "reductions", "shapes", "writes"]
