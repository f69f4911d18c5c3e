"""What quantising means in numpy. A quantised value is a `QuantizedArray`, which numpy takes for its plain value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from xdsl.ir import Operation

from ..ir.interpret import Fn, Frame, Options
from ..ir.numeric import dtype_of, rounded, widen
from .ops import DequantizeOp, QuantizeOp
from .types import ElemType, quantised_elem


@dataclass(frozen=True)
class QuantizedArray:
    """`storage` and one `scale` per block; `np.asarray` gives `scale * storage` in f32, or the scale's dtype where that is wider."""

    storage: np.ndarray[Any, Any]
    scale: np.ndarray[Any, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.storage.shape

    @property
    def ndim(self) -> int:
        return self.storage.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.promote_types(self.scale.dtype, np.float32)

    def plain(self) -> np.ndarray[Any, Any]:
        scale = self.scale.astype(self.dtype)
        for axis, (size, blocks) in enumerate(zip(self.storage.shape, scale.shape, strict=True)):
            if blocks not in (1, size):
                scale = np.repeat(scale, size // blocks, axis)
        return self.storage.astype(self.dtype) * scale

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        plain = self.plain()
        return plain if dtype is None else plain.astype(dtype, copy=False)

    def astype(self, dtype: Any, **_: Any) -> np.ndarray[Any, Any]:
        return self.plain().astype(dtype)


def quantise(value: np.ndarray[Any, Any], elem: ElemType, options: Options) -> QuantizedArray:
    """Symmetric, round to nearest even."""
    split: list[int] = []
    axes: list[int] = []
    for size, block in zip(value.shape, elem.blocks, strict=True):
        width = size if block == -1 else block
        axes.append(len(split) + 1)
        split += [size // width, width]
    tiled = value.reshape(split)
    peak = np.maximum(np.abs(tiled).max(axis=tuple(axes), keepdims=True), smallest(elem))
    factor = rounded(peak / elem.largest, elem.scale, options)
    stored = np.clip(np.rint(tiled / factor.astype(value.dtype)), -elem.largest, elem.largest).astype(dtype_of(elem.storage))
    return QuantizedArray(stored.reshape(value.shape), factor.reshape(split[::2]))


def smallest(elem: ElemType) -> float:
    """The least magnitude that a block's largest element is taken to have; keeps scales of all-zero blocks from being 0."""
    return max(1e-30, elem.largest * float(ml_dtypes.finfo(dtype_of(elem.scale)).smallest_subnormal))


def _quantize(op: Operation, args: tuple[Any, ...], frame: Frame) -> tuple[Any, ...]:
    elem = quantised_elem(op.results[0].type)
    value = widen(args[0], frame.options)
    return (quantise(value, elem, frame.options),)


def _dequantize(op: Operation, args: tuple[Any, ...], frame: Frame) -> tuple[Any, ...]:
    kind: Any = op.results[0].type
    return (rounded(np.asarray(args[0]).astype(frame.options.compute), kind.element_type, frame.options),)


SEMANTICS: dict[type[Operation], Fn] = {QuantizeOp: _quantize, DequantizeOp: _dequantize}
