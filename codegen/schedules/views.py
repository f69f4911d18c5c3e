"""Where the elements of a tensor lie once it was reshaped and transposed on its way to memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

from xdsl.ir import Operation

from ...dialects.layout.mem import MemLayout
from ...dialects.nn import ops as nn
from ...dialects.nn.types import dims_of


@dataclass(eq=False)
class _Digit:
    """A part of a coordinate, `size` values; once it is cut: its outer and its inner part."""

    size: int
    parts: list[_Digit] = field(default_factory=list["_Digit"])

    @property
    def leaves(self) -> list[_Digit]:
        """What it was cut into, outermost first."""
        return [leaf for part in self.parts for leaf in part.leaves] if self.parts else [self]


def stored_through(shape: Sequence[int], views: Sequence[Operation]) -> MemLayout | None:
    """The memory layout of a tensor of `shape` whose reshaped and transposed form (nn.reshape and nn.transpose, one after the other)
    is stored row-major. None where a view has dynamic sizes or cuts across axes."""
    axes = [_Digit(size) for size in shape]
    current = [[axis] for axis in axes]
    for view in views:
        if isinstance(view, nn.TransposeOp):
            current = [current[axis] for axis in view.permutation]
            continue
        sizes = [dim.constant for dim in dims_of(view.results[0])]
        regrouped = _regrouped([leaf for axis in current for digit in axis for leaf in digit.leaves], sizes)
        if regrouped is None:
            return None
        current = regrouped
    ordered = [leaf for axis in current for digit in axis for leaf in digit.leaves]
    strides = {id(leaf): prod(after.size for after in ordered[i + 1 :]) for i, leaf in enumerate(ordered)}
    return MemLayout(tuple(tuple((leaf.size, strides[id(leaf)]) for leaf in reversed(axis.leaves)) for axis in axes))


def _regrouped(digits: list[_Digit], sizes: Sequence[int | None]) -> list[list[_Digit]] | None:
    """Digits as axes of these sizes, cut where an axis ends inside one."""
    rest, axes = list(reversed(digits)), list[list[_Digit]]()
    for size in sizes:
        if size is None:
            return None
        axis: list[_Digit] = []
        while size > 1 or (not axis and rest and rest[-1].size == 1):
            digit = rest.pop()
            if size % digit.size:
                if digit.size % size:
                    return None
                digit.parts = [_Digit(size), _Digit(digit.size // size)]
                rest.append(digit.parts[1])
                digit = digit.parts[0]
            axis.append(digit)
            size //= digit.size
        axes.append(axis)
    if axes:
        axes[-1].extend(reversed(rest))  # what is left has size 1
    return axes


__all__ = ["stored_through"]
