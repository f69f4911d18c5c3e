"""How operands stand in the IR text of an instruction op: `%a, 4, 1.0, [%p + 16], {%x, %y}, @smem, sreg(tid.x), _`.

Internally each operand is one PTX string with `$` for an SSA operand (`ArgsAttr`). This file maps between the two:
floats (`0f3F800000`) are printed as decimal numbers, special registers as `sreg(…)`, symbols as `@…`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from xdsl.ir import SSAValue
from xdsl.parser import Parser
from xdsl.printer import Printer

_ADDRESS = re.compile(r"\[(\$|[A-Za-z_$%][\w$.]*)(?:\+(-?\d+))?\]")


def float_text(value: float) -> str:
    """A float as PTX writes a single-precision constant: `0f3F800000`."""
    return "0f" + struct.pack(">f", value).hex().upper()


def double_text(value: float) -> str:
    return "0d" + struct.pack(">d", value).hex().upper()


def float_bits(value: float) -> int:
    return int.from_bytes(struct.pack(">f", value), "big")


def _decimal(item: str) -> str | None:
    """`0f3F800000` → `1.0`; None for what decimal text cannot carry (nan, inf, doubles)."""
    value = struct.unpack(">f", bytes.fromhex(item[2:]))[0]
    if value != value or value in (float("inf"), float("-inf")):
        return None
    text = repr(value)
    if "." not in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}.0e{exponent}" if exponent else f"{mantissa}.0"
    return text


def print_value(printer: Printer, value: SSAValue) -> None:
    """`%x`, or `%x as type` when it is used before the line that defines it (block order is free)."""
    known = value in printer._ssa_values  # pyright: ignore
    printer.print_ssa_value(value)
    if not known:
        printer.print_string(" as ")
        printer.print_attribute(value.type)


def parse_value(parser: Parser) -> SSAValue:
    """`%x`, or `%x as type` at its first use when that comes before the definition."""
    unresolved = parser.parse_unresolved_operand()
    if parser.parse_optional_keyword("as") is not None:
        return parser.resolve_operand(unresolved, parser.parse_type())
    name, index = unresolved.operand_name, unresolved.index
    values = parser.ssa_values.get(name)
    if values is not None and index < len(values):
        return values[index]
    forward = parser.forward_ssa_references.get(name, {}).get(index)
    if forward is None:
        parser.raise_error(f"%{name} is used before its definition: write '%{name} as type'", unresolved.span)
    return forward


def print_args(printer: Printer, items: Sequence[str], operands: Sequence[SSAValue]) -> int:
    """Prints the operands, returns how many SSA operands they took."""
    used = 0
    for i, item in enumerate(items):
        printer.print_string(", " if i else " ")
        used = _print_item(printer, item, operands, used)
    return used


def _print_item(printer: Printer, item: str, operands: Sequence[SSAValue], used: int) -> int:
    head = item[0]
    if item == "$":
        print_value(printer, operands[used])
        return used + 1
    if head == "{":
        printer.print_string("{")
        for i, part in enumerate(item[1:-1].split(",")):
            if i:
                printer.print_string(", ")
            used = _print_item(printer, part, operands, used)
        printer.print_string("}")
        return used
    if head == "[":
        m = _ADDRESS.fullmatch(item)
        if m is None:  # [map, {coordinates}]
            base, _, rest = item[1:-1].partition(",")
            printer.print_string("[")
            used = _print_item(printer, base, operands, used)
            printer.print_string(", ")
            used = _print_item(printer, rest, operands, used)
            printer.print_string("]")
            return used
        printer.print_string("[")
        used = _print_item(printer, m.group(1), operands, used)
        if m.group(2):
            offset = int(m.group(2))
            printer.print_string(f" - {-offset}" if offset < 0 else f" + {offset}")
        printer.print_string("]")
        return used
    if item == "!$":
        printer.print_string("not ")
        print_value(printer, operands[used])
        return used + 1
    if head == "%":
        printer.print_string(f"sreg({item[1:]})")
    elif item == "_":
        printer.print_string("_")
    elif item.startswith("0f") and (text := _decimal(item)) is not None:
        printer.print_string(text)
    elif (head.isdigit() and not item.startswith(("0d", "0f"))) or head == "-":
        printer.print_string(item)
    elif head.isalpha() or head in "_$":
        printer.print_string(f"@{item}")
    else:
        printer.print_string_literal(item)
    return used


def parse_args(parser: Parser) -> tuple[tuple[str, ...], list[SSAValue]]:
    """The operands of an instruction: items and SSA values; both empty for an instruction without operands."""
    operands: list[SSAValue] = []
    items: list[str] = []
    while True:
        item = _parse_item(parser, operands)
        if item is None:
            if items:
                parser.raise_error("operand expected")
            break
        items.append(item)
        if parser.parse_optional_punctuation(",") is None:
            break
    return tuple(items), operands


def _parse_item(parser: Parser, operands: list[SSAValue]) -> str | None:
    text = parser._current_token.text  # pyright: ignore
    head = text[:1]
    if head == "%":
        operands.append(parse_value(parser))
        return "$"
    if head == "[":
        parser.parse_punctuation("[")
        base = _parse_item(parser, operands)
        if base is None:
            parser.raise_error("address base expected")
        if parser.parse_optional_punctuation(",") is not None:
            coordinates = _parse_item(parser, operands)
            parser.parse_punctuation("]")
            return f"[{base},{coordinates}]"
        offset = ""
        if parser.parse_optional_punctuation("+") is not None:
            offset = f"+{parser.parse_integer()}"
        elif parser.parse_optional_punctuation("-") is not None:
            offset = f"+-{parser.parse_integer()}"
        parser.parse_punctuation("]")
        return f"[{base}{offset}]"
    if head == "{":
        if not _is_vector(parser):
            return None
        parser.parse_punctuation("{")
        parts: list[str] = []
        while (part := _parse_item(parser, operands)) is not None:
            parts.append(part)
            if parser.parse_optional_punctuation(",") is None:
                break
        parser.parse_punctuation("}")
        return "{" + ",".join(parts) + "}"
    if head == "@":
        return parser.parse_symbol_name().data
    if head == '"':
        return parser.parse_str_literal()
    if text == "sreg":
        parser.parse_keyword("sreg")
        parser.parse_punctuation("(")
        name = parser.parse_identifier()
        parser.parse_punctuation(")")
        return f"%{name}"
    if text == "_":
        parser.parse_keyword("_")
        return "_"
    if text == "not":
        parser.parse_keyword("not")
        operands.append(parse_value(parser))
        return "!$"
    if head.isdigit() or head == "-":
        number = parser.parse_number(allow_boolean=False)
        return float_text(number) if isinstance(number, float) else str(number)
    return None


def _is_vector(parser: Parser) -> bool:
    """Whether `{` begins a vector operand rather than an attribute dictionary."""
    position = parser._current_token.span.end  # pyright: ignore
    rest = parser._current_token.span.input.content[position : position + 64].lstrip()  # pyright: ignore
    return rest[:1] in ("%", "_", "@", "s", "") or rest[:1].isdigit() or rest[:1] == "-"
