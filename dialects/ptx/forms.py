"""From the table's rows to one concrete form: `lookup("mad.lo.s32")` → results and operands with their kinds.

Lookups are cached by opcode text; the first of an opcode costs a few regular expressions, the rest a dict access.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ..ir.diagnostics import LlmcError
from .table import MACROS, NEEDS, TABLE, Row

TYPES: dict[str, str] = {
    "pred": "pred",
    "b8": "b32",
    "u8": "b32",
    "s8": "b32",
    "b16": "b16",
    "u16": "b16",
    "s16": "b16",
    "f16": "b16",
    "bf16": "b16",
    "e4m3x2": "b16",
    "e5m2x2": "b16",
    "b32": "b32",
    "u32": "b32",
    "s32": "b32",
    "f16x2": "b32",
    "bf16x2": "b32",
    "tf32": "b32",
    "b64": "b64",
    "u64": "b64",
    "s64": "b64",
    "f32": "f32",
    "f64": "f64",
}
"""PTX type modifier → register kind. 8-bit values live in 32-bit registers."""

WIDER: dict[str, str] = {"b16": "b32", "b32": "b64"}
OPTIONAL_SECOND = ("setp", "shfl")
"""Opcodes whose second result (`p|q`, `d|p`) may be asked for."""

ACCEPTED: dict[str, frozenset[str]] = {
    "pred": frozenset({"pred"}),
    "b16": frozenset({"b16"}),
    "b32": frozenset({"b32"}),
    "b64": frozenset({"b64"}),
    "f32": frozenset({"f32", "b32"}),
    "f64": frozenset({"f64", "b64"}),
    "any32": frozenset({"b32", "f32"}),
    "any64": frozenset({"b64", "f64"}),
    "byte": frozenset({"b32", "b16"}),
    "mem": frozenset({"b32", "b64"}),
}
"""Operand kind → register kinds it takes. `any32`/`any64`: untyped-bits instructions also take floats."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One operand or result of a form.

    kind: a register kind, "any32"/"any64" (a bits instruction: floats too), "byte", "mem", "mem2", "imm", "acc", "same", "_".
    count: 0 a scalar, n ≥ 1 a vector of n in braces.
    """

    kind: str
    count: int = 0
    register_only: bool = False
    optional: bool = False
    paired: bool = False  # printed after `|` of the result before

    @property
    def register_kind(self) -> str:
        """The kind a new result register gets."""
        return {"any32": "b32", "any64": "b64", "byte": "b32", "same": "b32", "_": "b64"}.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Form:
    """A row resolved for one opcode. `key` names its meaning (semantics.py, emulator); `mods` excludes the base."""

    opcode: str
    base: str
    mods: tuple[str, ...]
    row: Row
    key: str
    results: tuple[Spec, ...]
    operands: tuple[Spec, ...]
    required: int  # operands that must be given
    sm: int  # the first that has it: the row's and the modifiers' needs
    ptx: int

    @property
    def tied(self) -> bool:
        """The result is operand 0, updated in place (wgmma)."""
        return bool(self.results) and self.results[0].kind == "acc"

    @property
    def pure(self) -> bool:
        return self.row.effect == "pure"


def _regex(pattern: str) -> re.Pattern[str]:
    while (m := re.search(r"<(\w+)>", pattern)) is not None:
        pattern = pattern[: m.start()] + MACROS[m.group(1)] + pattern[m.end() :]
    for old, new in ((".", r"\."), ("{", "(?:"), ("}", ")"), (",", "|"), ("[", "(?:"), ("]", ")?")):
        pattern = pattern.replace(old, new)
    return re.compile(pattern)


@cache
def _rows_by_base() -> dict[str, list[tuple[re.Pattern[str], Row]]]:
    """Rows with their compiled patterns, by first word. Built once (8 ms)."""
    index: dict[str, list[tuple[re.Pattern[str], Row]]] = {}
    for row in TABLE:
        for base in row_bases(row):
            index.setdefault(base, []).append((_regex(row.pattern), row))
    return index


def row_bases(row: Row) -> Iterator[str]:
    """The base opcodes of a row: `{add,sub}.s32` → add, sub."""
    head = row.pattern
    if head.startswith("{"):
        yield from head[1 : head.index("}")].split(",")
    else:
        yield re.split(r"[.\[{<]", head, maxsplit=1)[0]


def bases() -> list[str]:
    """Every base opcode of the table, sorted: one op class each."""
    return sorted(_rows_by_base())


def effects_of(base: str) -> set[str]:
    """The effects that the rows of a base opcode have."""
    return {row.effect for _, row in _rows_by_base()[base]}


_REPEAT = re.compile(r"^([a-zA-Z]\w*?)([01])?(?:\*(V|X|\d+))?([!?]*)$")


def _spec(token: str, base: str, mods: tuple[str, ...], paired: bool = False) -> Spec:
    if token in ("_", "imm", "mem", "mem2"):
        return Spec(token)
    if token == "A":
        shape = next(m for m in mods if m.startswith("m64n"))
        width = int(shape[4 : shape.index("k")])
        return Spec("acc", width // 2, register_only=True)
    m = _REPEAT.match(token)
    if m is None:
        raise AssertionError(f"table: bad kind {token!r} of {base}")
    letter, which, repeat, flags = m.groups()
    types = [t for t in mods if t in TYPES]
    count = 0
    register_only = "!" in flags
    if letter in ("T", "W"):
        text = types[int(which) if which else -1]
        register_only = register_only or ("16" in text and text[0] in "fb" and text != "b16")  # no half immediates
        kind = TYPES[text]
        if text in ("b8", "u8", "s8"):
            kind = "byte"
        elif letter == "W":
            kind = WIDER[kind]
        elif text in ("b32", "b64") and base in (
            "mov",
            "ld",
            "st",
            "selp",
            "shfl",
            "atom",
            "and",
            "or",
            "xor",
            "not",
            "lop3",
            "prmt",
            "shl",
            "shr",
            "match",
        ):
            kind = "any32" if text == "b32" else "any64"
    elif letter == "S":
        kind = "same"
    else:
        kind = letter + (which or "")
        if base == "shfl" and kind == "b32" and "!" in flags:
            kind = "any32"
    if repeat == "V":
        count = next((int(v[1:]) for v in mods if v in ("v2", "v4", "v8")), 0)
    elif repeat == "X":
        count = next(int(v[1:]) for v in mods if v in ("x1", "x2", "x4"))
    elif repeat:
        count = int(repeat)
    return Spec(kind, count, register_only, "?" in flags, paired)


def _resolve(row: Row, opcode: str, base: str, mods: tuple[str, ...]) -> Form:
    results: list[Spec] = []
    for token in row.results.split():
        for i, part in enumerate(token.split("|")):
            results.append(_spec(part, base, mods, paired=i > 0))
    operands = tuple(
        _spec("pred" if token == "P" else token, base, mods)
        for token in row.operands.split()
        if token != "P" or any(m in ("and", "or", "xor") for m in mods)
    )
    required = sum(not s.optional for s in operands)
    needs = [NEEDS[m] for m in mods if m in NEEDS]
    return Form(
        opcode,
        base,
        mods,
        row,
        row.key or base,
        tuple(results),
        operands,
        required,
        max([row.sm, *(n[0] for n in needs)]),
        max([row.ptx, *(n[1] for n in needs)]),
    )


_CACHE: dict[str, tuple[Form, ...]] = {}


def forms_of(opcode: str) -> tuple[Form, ...]:
    """Every form of the opcode; empty when the table has none. They differ in their operands only."""
    found = _CACHE.get(opcode)
    if found is None:
        base, *rest = opcode.split(".")
        mods = tuple(rest)
        distinct: dict[object, Form] = {}
        for regex, row in _rows_by_base().get(base, ()):
            if regex.fullmatch(opcode):
                form = _resolve(row, opcode, base, mods)
                distinct.setdefault((form.results, form.operands), form)
        found = _CACHE[opcode] = tuple(distinct.values())
    return found


def lookup(opcode: str, where: object = None) -> Form:
    """The (first) form of an opcode.

    Raises LlmcError LLMC0801 naming the nearest legal opcodes when the table has none.
    """
    found = forms_of(opcode)
    if not found:
        raise unknown_opcode(opcode, where)
    return found[0]


def unknown_opcode(opcode: str, where: object = None) -> LlmcError:
    base = opcode.partition(".")[0]
    rows = _rows_by_base().get(base, [])
    why = "legal forms of it: " + "; ".join(row.pattern for _, row in rows) if rows else f"no instruction begins with '{base}'"
    return LlmcError(
        "LLMC0801",
        f"'{opcode}' is not a PTX instruction form that llmc knows",
        where=where,
        why=why,
        fix="use one of these forms, or add a row to a file of dialects/ptx/table/",
    )
