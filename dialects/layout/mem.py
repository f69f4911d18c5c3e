"""Memory layouts: where the element with given coordinates lies in a buffer.

A `MemLayout` gives every logical dimension a list of *digits* `(size, stride)`, innermost
first.  The coordinate is split in that mixed radix and every digit contributes
`digit * stride` elements.  The last digit of a dimension may have size 0: it takes what is
left (a dynamic dimension).  An optional xor swizzle `(bits, base, shift)` (CuTe's
`Swizzle<B, M, S>`, in units of elements) is applied to the sum.

    row-major [T, 64]                 ((0, 64),)                     ((64, 1),)
    [64, 64] in 16x32 blocks          ((16, 32), (4, 1024))          ((32, 1), (2, 512))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

_SWIZZLE_BITS = {32: 1, 64: 2, 128: 3}
"""Width of a swizzle in bytes → the bits of the row that it mixes in."""

Digit = tuple[int, int]
"""(size, stride in elements); size 0 = unbounded, allowed for the outermost digit only."""


def split_digits(value: Any, sizes: Sequence[int]) -> list[Any]:
    """Mixed-radix digits of `value` (int or integer array), innermost first."""
    digits: list[Any] = []
    for position, size in enumerate(sizes):
        if position == len(sizes) - 1:
            digits.append(value)
        else:
            digits.append(value % size)
            value = value // size
    return digits


@dataclass(frozen=True)
class MemLayout:
    """Digits per dimension, innermost first, and an optional xor swizzle."""

    dims: tuple[tuple[Digit, ...], ...]
    swizzle: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        for index, digits in enumerate(self.dims):
            if not digits:
                raise ValueError(f"dimension {index} has no digits")
            for size, stride in digits[:-1]:
                if size <= 0:
                    raise ValueError(f"dimension {index}: only the outermost digit may be unbounded")
                if stride < 0:
                    raise ValueError(f"dimension {index}: negative stride {stride}")

    # constructors ---------------------------------------------------------------------
    @staticmethod
    def row_major(shape: Sequence[int | None]) -> MemLayout:
        """Contiguous, last dimension fastest.  The leading dimension may be dynamic (None or 0)."""
        dims: list[tuple[Digit, ...]] = []
        stride = 1
        for index in range(len(shape) - 1, -1, -1):
            size = shape[index] or 0
            if size <= 0 and index > 0:
                raise ValueError(f"dimension {index} of {list(shape)} is dynamic: only the leading one may be")
            dims.append(((max(size, 0), stride),))
            stride *= size
        return MemLayout(tuple(reversed(dims)))

    @staticmethod
    def strided(shape: Sequence[int | None], strides: Sequence[int]) -> MemLayout:
        """One digit per dimension."""
        return MemLayout(tuple(((size or 0, stride),) for size, stride in zip(shape, strides, strict=True)))

    @staticmethod
    def swizzled(shape: Sequence[int], elem_bytes: int, width: int = 128) -> MemLayout:
        """Row-major shared memory with the `width`-byte swizzle (32, 64 or 128) of TMA and wgmma.

        16-byte chunks are xored with the row inside each group of `width / 16` rows, so that
        eight rows of one column lie in eight different bank groups.
        """
        if width not in _SWIZZLE_BITS:
            raise ValueError(f"no swizzle is {width} bytes wide: {', '.join(map(str, _SWIZZLE_BITS))}")
        bits = _SWIZZLE_BITS[width]
        base = (16 // elem_bytes).bit_length() - 1
        plain = MemLayout.row_major(shape)
        return MemLayout(plain.dims, (bits, base, 3))

    # meaning --------------------------------------------------------------------------
    @property
    def rank(self) -> int:
        return len(self.dims)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Size per dimension; 0 where it is unbounded."""
        return tuple(prod(size for size, _ in digits) for digits in self.dims)

    @property
    def is_static(self) -> bool:
        return 0 not in self.shape

    def offset(self, coords: Sequence[Any]) -> Any:
        """Element offset of `coords` (ints or broadcastable integer arrays)."""
        if len(coords) != len(self.dims):
            raise ValueError(f"{len(coords)} coordinates for a layout of rank {self.rank}")
        total: Any = 0
        for value, digits in zip(coords, self.dims, strict=True):
            for digit, (_, stride) in zip(split_digits(value, [size for size, _ in digits]), digits, strict=True):
                total = total + digit * stride
        return self.apply_swizzle(total)

    def apply_swizzle(self, offset: Any) -> Any:
        if self.swizzle is None:
            return offset
        bits, base, shift = self.swizzle
        mask = ((1 << bits) - 1) << (base + shift)
        return offset ^ ((offset & mask) >> shift)

    def size(self, shape: Sequence[int] | None = None) -> int:
        """Elements spanned: the largest offset plus one.  `shape` gives the unbounded dimensions."""
        actual = tuple(shape) if shape is not None else self.shape
        if any(extent <= 0 for extent in actual):
            if shape is not None:
                return 0
            raise ValueError("size of a layout with an unbounded dimension needs a shape")
        total = 1
        for extent, digits in zip(actual, self.dims, strict=True):
            remaining = extent
            for position, (size, stride) in enumerate(digits):
                last = position == len(digits) - 1
                extent_here = remaining if last else min(size, remaining)
                total += (extent_here - 1) * stride
                remaining = -(-remaining // size) if not last else 1
        if self.swizzle is not None:
            bits, base, shift = self.swizzle
            block = 1 << (bits + base + shift)
            total = -(-total // block) * block
        return total

    def all_offsets(self, shape: Sequence[int] | None = None) -> np.ndarray:
        """Offsets of all elements, an int64 array of the logical shape."""
        actual = tuple(shape) if shape is not None else self.shape
        grids = np.meshgrid(*(np.arange(extent, dtype=np.int64) for extent in actual), indexing="ij", sparse=True)
        return np.broadcast_to(np.asarray(self.offset(grids), dtype=np.int64), actual)

    def is_injective(self, shape: Sequence[int] | None = None) -> bool:
        offsets = self.all_offsets(shape).reshape(-1)
        return len(np.unique(offsets)) == len(offsets)

    def is_row_major(self) -> bool:
        try:
            return self.normalised() == MemLayout.row_major(self.shape)
        except ValueError:
            return False

    def strides(self) -> tuple[int, ...] | None:
        """One stride per dimension, or None where digits or a swizzle prevent it."""
        plain = self.normalised()
        if plain.swizzle is not None or any(len(digits) != 1 for digits in plain.dims):
            return None
        return tuple(digits[0][1] for digits in plain.dims)

    def _axis(self, axis: int) -> int:
        if not 0 <= axis < self.rank:
            raise ValueError(f"a layout of rank {self.rank} has no axis {axis}")
        return axis

    # algebra --------------------------------------------------------------------------
    def normalised(self) -> MemLayout:
        """Adjacent digits that continue each other merged, digits of size 1 dropped."""
        return MemLayout(tuple(merge_digits(digits) for digits in self.dims), self.swizzle)

    def slice(self, axis: int, start: int, size: int) -> tuple[MemLayout, int]:
        """The layout of `[start, start + size)` along `axis` and its base offset in elements."""
        if self.swizzle is not None:
            raise ValueError("cannot slice a swizzled layout at an offset")
        extent = self.shape[self._axis(axis)]
        if start < 0 or size < 1 or (extent and start + size > extent):
            raise ValueError(
                f"[{start}, {start + size}) is no part of axis {axis}, which has {extent or 'any number of'} elements"
            )
        kept: list[Digit] = []
        remaining, unit, base = size, 1, 0
        rest = start
        for position, (radix, stride) in enumerate(self.dims[axis]):
            last = position == len(self.dims[axis]) - 1
            digit = rest if last else rest % radix
            rest = 0 if last else rest // radix
            base += digit * stride
            if last:
                kept.append((remaining, stride))
            elif remaining % radix == 0 and digit == 0:
                kept.append((radix, stride))
                remaining //= radix
            elif radix % remaining == 0 and digit + remaining <= radix:
                kept.append((remaining, stride))
                remaining = 1
            else:
                raise ValueError(f"slice [{start}, {start + size}) cuts digit {radix} of axis {axis}")
            unit *= radix
        dims = list(self.dims)
        dims[axis] = merge_digits(tuple(kept))
        return MemLayout(tuple(dims)), base

    def drop(self, axis: int) -> MemLayout:
        """The layout with `axis` fixed at coordinate 0 and removed."""
        axis = self._axis(axis)
        return MemLayout(self.dims[:axis] + self.dims[axis + 1 :], self.swizzle)

    def permute(self, order: Sequence[int]) -> MemLayout:
        if sorted(order) != list(range(self.rank)):
            raise ValueError(f"{list(order)} is no order of {self.rank} axes")
        return MemLayout(tuple(self.dims[axis] for axis in order), self.swizzle)

    def split(self, axis: int, sizes: Sequence[int]) -> MemLayout:
        """Splits `axis` into dimensions of `sizes`, outermost first (as numpy's reshape does).

        The first size may be 0 (unbounded).
        """
        extent = self.shape[self._axis(axis)]
        if any(size < 1 for size in sizes[1:]) or min(sizes, default=0) < 0:
            raise ValueError(f"{list(sizes)} are no sizes: only the first may be 0, which is unbounded")
        if extent and prod(sizes) not in (0, extent):
            raise ValueError(f"an axis of {extent} elements can't be split into {list(sizes)}")
        digits = list(self.dims[axis])
        pieces: list[tuple[Digit, ...]] = []
        for position, want in enumerate(reversed(list(sizes))):
            if position == len(sizes) - 1:
                pieces.append(tuple(digits) if digits else ((1, 0),))
                break
            taken, digits = take_digits(digits, want)
            pieces.append(tuple(taken))
        pieces.reverse()
        return MemLayout(self.dims[:axis] + tuple(pieces) + self.dims[axis + 1 :], self.swizzle)

    def merge(self, first: int, count: int) -> MemLayout:
        """Merges `count` dimensions from `first` on into one (row-major order of coordinates)."""
        if first < 0 or count < 1 or first + count > self.rank:
            raise ValueError(f"a layout of rank {self.rank} has no {count} axes from {first} on")
        digits: list[Digit] = []
        for axis in range(first + count - 1, first - 1, -1):
            if axis != first and any(size == 0 for size, _ in self.dims[axis]):
                raise ValueError("an unbounded dimension can only be the outermost of a merge")
            digits.extend(self.dims[axis])
        dims = self.dims[:first] + (merge_digits(tuple(digits)),) + self.dims[first + count :]
        return MemLayout(dims, self.swizzle)

    def _flat(self) -> MemLayout:
        return self.merge(0, self.rank) if self.rank else MemLayout((((1, 0),),), self.swizzle)

    def reshape(self, shape: Sequence[int]) -> MemLayout:
        """The layout seen through a row-major reshape (first size may be 0 = dynamic)."""
        flat = self._flat()
        if not shape and flat.shape != (1,):
            raise ValueError(f"{flat.shape[0] or 'any number of'} elements can't have the shape []")
        return flat.split(0, shape) if shape else MemLayout((), self.swizzle)

    def compose(self, order: MemLayout) -> MemLayout:
        """`self` after a permutation of coordinates given by `order`, a layout into `self`'s row-major space.

        `result.offset(c) == self.offset(unflatten(order.offset(c)))` for static layouts.
        """
        flat = self._flat()
        dims: list[tuple[Digit, ...]] = []
        for digits in order.dims:
            pieces: list[Digit] = []
            for size, stride in digits:
                pieces.extend(_compose_digit(flat.dims[0], size, stride))
            dims.append(merge_digits(tuple(pieces)))
        if order.swizzle is not None:
            raise ValueError("cannot compose with a swizzled order")
        return MemLayout(tuple(dims), self.swizzle)


def merge_digits(digits: tuple[Digit, ...]) -> tuple[Digit, ...]:
    """Drops digits of size 1 and merges `(a, s), (b, a*s)` to `(a*b, s)`."""
    merged: list[Digit] = []
    for size, stride in digits:
        if size == 1:
            continue
        if merged and merged[-1][0] * merged[-1][1] == stride and merged[-1][0] > 0:
            merged[-1] = (merged[-1][0] * size, merged[-1][1])
        else:
            merged.append((size, stride))
    return tuple(merged) if merged else ((1, 0),)


def take_digits(digits: list[Digit], size: int) -> tuple[list[Digit], list[Digit]]:
    """Splits off the innermost digits that make up `size`; returns (taken, rest)."""
    taken: list[Digit] = []
    rest = list(digits)
    while size > 1:
        if not rest:
            raise ValueError(f"not enough digits to split off a dimension of {size}")
        radix, stride = rest.pop(0)
        if radix == 0 or (radix > size and radix % size == 0):
            taken.append((size, stride))
            rest.insert(0, (radix // size, stride * size))
            size = 1
        elif radix > 0 and size % radix == 0:
            taken.append((radix, stride))
            size //= radix
        else:
            raise ValueError(f"cannot split {size} off a digit of size {radix}")
    return taken or [(1, 0)], rest


def _compose_digit(flat: tuple[Digit, ...], size: int, stride: int) -> list[Digit]:
    """The digits of `flat` visited by `size` steps of `stride`."""
    rest = list(flat)
    if stride == 0 or size == 1:
        return [(size, 0)]
    _, rest = take_digits(rest, stride)
    taken, _ = take_digits(rest, size)
    return taken
