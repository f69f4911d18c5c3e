"""Register types of the ptx dialect.

`!ptx.reg<b32>` is one virtual register; `!ptx.reg<b32, "%r5">` is the same after assign-registers.
`!ptx.regs<f32, 128>` is an array of registers as ONE value (wgmma accumulators); once assigned it
carries the name of its first register, the others follow consecutively: `!ptx.regs<f32, 128, "%f8">`.

Registers hold untyped bits (b16, b32, b64) or floats (f32, f64) or a predicate; signedness is in the
instruction. Packed bf16x2/f16x2 live in b32, single bf16/f16 in b16, 8-bit values in b32.
"""

from __future__ import annotations

from typing import ClassVar

from xdsl.ir import Data, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

KINDS: dict[str, int] = {"pred": 1, "b16": 16, "b32": 32, "b64": 64, "f32": 32, "f64": 64}
"""Register kinds and their width in bits."""

PREFIXES: dict[str, str] = {
    "pred": "%p",
    "b16": "%h",
    "b32": "%r",
    "b64": "%rd",
    "f32": "%f",
    "f64": "%fd",
}
"""Register name prefix of each kind, as nvcc writes them."""


@irdl_attr_definition
class RegType(Data[tuple[str, str]], TypeAttribute):
    """One register: `(kind, name)`; the name is empty while unassigned."""

    name: ClassVar[str] = "ptx.reg"

    @property
    def kind(self) -> str:
        return self.data[0]

    @property
    def register(self) -> str:
        return self.data[1]

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[str, str]:
        with parser.in_angle_brackets():
            kind = parser.parse_identifier()
            if kind not in KINDS:
                parser.raise_error(f"unknown register kind '{kind}', expected one of {', '.join(KINDS)}")
            register = ""
            if parser.parse_optional_punctuation(",") is not None:
                register = parser.parse_str_literal()
        return (kind, register)

    def print_parameter(self, printer: Printer) -> None:
        kind, register = self.data
        printer.print_string(f'<{kind}, "{register}">' if register else f"<{kind}>")


@irdl_attr_definition
class RegsType(Data[tuple[str, int, str]], TypeAttribute):
    """An array of registers as one value: `(kind, count, name of the first)`."""

    name: ClassVar[str] = "ptx.regs"

    @property
    def kind(self) -> str:
        return self.data[0]

    @property
    def count(self) -> int:
        return self.data[1]

    @property
    def register(self) -> str:
        return self.data[2]

    def names(self) -> list[str]:
        """The register names of the array, in order; only once assigned."""
        kind, count, first = self.data
        prefix = PREFIXES[kind]
        start = int(first[len(prefix) :])
        return [f"{prefix}{i}" for i in range(start, start + count)]

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[str, int, str]:
        with parser.in_angle_brackets():
            kind = parser.parse_identifier()
            if kind not in KINDS:
                parser.raise_error(f"unknown register kind '{kind}', expected one of {', '.join(KINDS)}")
            parser.parse_punctuation(",")
            count = parser.parse_integer(allow_boolean=False, allow_negative=False)
            register = ""
            if parser.parse_optional_punctuation(",") is not None:
                register = parser.parse_str_literal()
        return (kind, count, register)

    def print_parameter(self, printer: Printer) -> None:
        kind, count, register = self.data
        printer.print_string(f'<{kind}, {count}, "{register}">' if register else f"<{kind}, {count}>")


_UNASSIGNED: dict[str, RegType] = {kind: RegType((kind, "")) for kind in KINDS}


def reg(kind: str, register: str = "") -> RegType:
    """The register type of a kind (cached while unassigned)."""
    return RegType((kind, register)) if register else _UNASSIGNED[kind]


def regs(kind: str, count: int, first: str = "") -> RegsType:
    return RegsType((kind, count, first))
