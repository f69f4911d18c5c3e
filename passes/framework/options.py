"""Options of passes and named pipelines: typed fields of a frozen dataclass, and their texts.

    start=3 label=x fast=true sizes=1,2 nothing={} words={a,"b c"}

`{}` is the empty list, or None where the option may be None; a bare `fast` is `fast=true`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ...dialects.ir.diagnostics import LlmcError

Values = Sequence[str] | None
"""The texts of an option's values, quoted ones with their quotes; None: the option stands without a value."""

BARE = re.compile(r"[A-Za-z_][\w.\-]*|-?\d[\w.+\-]*")


def unreadable(cls: type[Any]) -> Sequence[str]:
    """The fields of a pass or pipeline class that no option's text can set, because of their types."""
    try:
        hints = get_type_hints(cls)
    except Exception:  # a type that is defined nowhere
        hints = {f.name: f.type for f in fields(cls)}
    return [f.name for f in fields(cls) if f.init and not _readable(hints[f.name])]


def _readable(hint: Any) -> bool:
    """Whether `convert` gives values of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return bool(arguments) and _readable(arguments[0]) and get_origin(arguments[0]) is not tuple
    if origin in (Union, UnionType):
        some = [a for a in arguments if a is not type(None)]
        return len(some) == 1 and _readable(some[0])
    return origin is Literal or hint in (bool, int, float, str)


def option_name(field: str) -> str:
    """How a field is spelt in a pipeline."""
    return field.replace("_", "-")


def type_text(cls: type[Any], field: Field[Any]) -> str:
    """The type of an option in words, however its annotation was written: `int`, `nn or fusion`, `list of str`, `str or {}`."""
    try:
        return _type_text(get_type_hints(cls)[field.name])
    except Exception:  # an annotation of a plugin that can't be looked up says what it says
        return str(field.type)


def _type_text(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return f"list of {_type_text(arguments[0])}"
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(
            [*(_type_text(a) for a in arguments if a is not type(None)), *(["{}"] if type(None) in arguments else [])]
        )
    return getattr(hint, "__name__", None) or str(hint)


def at_least(item: Any, **bounds: int) -> None:
    """For the `__post_init__` of a pass: raises LLMC0203 for an option below its bound, so that a pipeline is refused where it is
    read and not where it runs."""
    for name, bound in bounds.items():
        value = getattr(item, name)
        if value < bound:
            what = f"option '{option_name(name)}' of pass '{item.name}' is {value}"
            raise LlmcError("LLMC0203", what, fix=f"give {bound} or more")


def default_of(field: Field[Any]) -> Any:
    """The default of a field; MISSING where it has none."""
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


def changed_options(item: Any) -> dict[str, Any]:
    """The options of a pass or pipeline that differ from their defaults, by field."""
    return {f.name: value for f in fields(item) if (value := getattr(item, f.name)) != default_of(f)}


def print_options(item: Any) -> str:
    """`{key=value …}` with the options that differ from their defaults, or nothing."""
    changed = changed_options(item)
    if not changed:
        return ""
    return "{" + " ".join(f"{option_name(key)}={print_value(value)}" for key, value in changed.items()) + "}"


def print_value(value: Any) -> str:
    """The text of an option's value; reading it gives the value back."""
    match value:
        case None:
            return "{}"
        case bool():
            return "true" if value else "false"
        case tuple():
            items = [print_value(item) for item in value]  # pyright: ignore
            return ",".join(items) if items else "{}"
        case str() if not re.fullmatch(r"[A-Za-z_][\w.\-]*", value):
            return quote(value)
        case _:
            text = str(value)
            return text if BARE.fullmatch(text) else f'"{text}"'


def read_option(cls: type[Any], kind: str, key: str, values: Values) -> tuple[str, Any]:
    """The field that an option of a pass or pipeline class sets, and its value. `kind` is what to call the class in an error.
    Raises LLMC0203 for an unknown option and for a value that is not of the field's type."""
    field = key.replace("-", "_")
    known = [f.name for f in fields(cls) if f.init]
    if field not in known:
        takes = ", ".join(map(option_name, known)) or "none"
        raise LlmcError("LLMC0203", f"{kind} has no option '{key}'", fix=f"its options are: {takes}")
    try:
        return field, convert(values, get_type_hints(cls)[field])
    except ValueError as error:
        raise LlmcError("LLMC0203", f"option '{key}' of {kind}: {error}", fix="give a value of the option's type") from None


def with_options(cls: type[Any], kind: str, arguments: Mapping[str, Any]) -> Any:
    """An instance of a pass or pipeline class. Raises LLMC0203 for a missing option, and for values that it refuses itself."""
    missing = [f.name for f in fields(cls) if f.init and f.name not in arguments and default_of(f) is MISSING]
    if missing:
        raise LlmcError(
            "LLMC0203", f"{kind} needs the option '{option_name(missing[0])}'", fix="give it in braces: NAME{OPTION=VALUE}"
        )
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        raise LlmcError("LLMC0203", f"{kind}: {error}", fix="give other values; --list-passes shows what they may be") from None


def convert(values: Values, hint: Any) -> Any:
    """The value of type `hint` that some texts stand for. Raises ValueError with what is wrong."""
    origin = get_origin(hint)
    if origin is tuple:
        if values is None:
            raise ValueError("takes a list, as in 1,2; {} is the empty one")
        return tuple(convert([value], get_args(hint)[0]) for value in values)
    if origin in (Union, UnionType):
        if values is not None and not values:
            if type(None) not in get_args(hint):
                raise ValueError("takes one value, not {}")
            return None
        return convert(values, next(a for a in get_args(hint) if a is not type(None)))
    if values is None:
        if hint is bool:
            return True
        raise ValueError("takes a value")
    if len(values) != 1:
        raise ValueError(
            f"takes one value, not {len(values)} (options are set apart by spaces; one with a comma goes in quotes)"
        )
    text = unquote(values[0])
    if origin is Literal:
        by_text = {str(choice): choice for choice in get_args(hint)}
        if text not in by_text:
            raise ValueError(f"expected {' or '.join(by_text)}, not '{text}'")
        return by_text[text]
    if hint is bool:
        if text not in ("true", "false", "0", "1"):
            raise ValueError(f"expected true or false, not '{text}'")
        return text in ("true", "1")
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise ValueError(f"expected {'an integer' if hint is int else 'a number'}, not '{text}'") from None
    return text


def quote(text: str) -> str:
    """A text in double quotes."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def unquote(text: str) -> str:
    """What a quoted text says; others say what they are."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text.startswith('"') else text
