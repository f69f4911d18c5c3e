"""The values of sizes that something was compiled for, or happens for: `{T = [1, 8]}`, ends included."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, i64
from xdsl.ir import Attribute
from xdsl.utils.exceptions import VerifyException

Range = tuple[int, int]


def encode_ranges(ranges: Mapping[str, Range]) -> DictionaryAttr:
    """`{T = [1, 4]}`"""
    return DictionaryAttr({k: ArrayAttr([IntegerAttr(v, i64) for v in pair]) for k, pair in sorted(ranges.items())})


def decode_ranges(attr: Attribute | None) -> dict[str, Range]:
    """Inverse of `encode_ranges`; entries of another form are left out."""
    if not isinstance(attr, DictionaryAttr):
        return {}
    found: dict[str, Range] = {}
    for name, pair in attr.data.items():
        if isinstance(pair, ArrayAttr) and len(pair.data) == 2:
            low, high = (p.value.data for p in pair.data)  # pyright: ignore
            found[name] = (low, high)  # pyright: ignore
    return found


def verify_ranges(ranges: DictionaryAttr | None) -> None:
    """VerifyException unless every entry is the smallest and the largest value of a size: `{T = [1, 8]}`."""
    for name, pair in ranges.data.items() if ranges is not None else ():
        ends = [v.value.data for v in pair.data if isinstance(v, IntegerAttr)] if isinstance(pair, ArrayAttr) else []  # pyright: ignore
        if len(ends) != 2 or len(pair.data) != 2 or not ends[0] <= ends[1]:  # pyright: ignore
            raise VerifyException(f"the range of {name} is [smallest, largest], not {pair}")
