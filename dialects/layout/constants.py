"""Which buffers of a kernel nobody writes while it may run, as an attribute of `layout.kernel` and `tile.kernel`: `constants`."""

from __future__ import annotations

from collections.abc import Collection

from xdsl.dialects.builtin import DenseArrayBase, i64
from xdsl.ir import Operation

NAME = "constants"


def mark_constants(kernel: Operation, indices: Collection[int]) -> None:
    """Write down the arguments that are constant."""
    if indices:
        kernel.attributes[NAME] = DenseArrayBase.from_list(i64, sorted(indices))


def constants_of(kernel: Operation) -> frozenset[int]:
    """The arguments that are known to be constant; none where nothing is known."""
    found = kernel.attributes.get(NAME)
    return frozenset(found.iter_values()) if isinstance(found, DenseArrayBase) else frozenset()  # pyright: ignore
