"""Checking an instruction op against the table: operand kinds and counts, predicate, else values, results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from xdsl.ir import Attribute, SSAValue
from xdsl.utils.exceptions import VerifyException

from .forms import ACCEPTED, Form, Spec, forms_of
from .types import KINDS, RegsType, RegType


class Instruction(Protocol):
    """What is checked: a PtxInstruction (ops.py)."""

    properties: dict[str, Attribute]

    @property
    def base(self) -> str: ...
    @property
    def opcode(self) -> str: ...
    @property
    def items(self) -> tuple[str, ...]: ...
    @property
    def num_args(self) -> int: ...
    @property
    def operands(self) -> Sequence[SSAValue]: ...
    @property
    def results(self) -> Sequence[SSAValue]: ...


def register_kind(value: SSAValue) -> str:
    """The register kind of a value ("b32", …); raises VerifyException when it is no register."""
    type_ = value.type
    if isinstance(type_, RegType | RegsType):
        return type_.data[0]
    raise VerifyException(f"expected a ptx register, got {type_}")


def misfit(form: Form, items: Sequence[str], operands: Sequence[SSAValue]) -> str | None:
    """Why the operands do not fit the form; None when they do."""
    specs = form.operands
    if not form.required <= len(items) <= len(specs):
        return f"takes {form.required}{f' to {len(specs)}' if len(specs) != form.required else ''} operands, got {len(items)}"
    at = 0
    optional_skipped = len(specs) - len(items)
    position = 0
    for item in items:
        spec = specs[position]
        position += 1
        if spec.optional and optional_skipped and position < len(specs) and not specs[position].optional:
            optional_skipped -= 1
            spec = specs[position]
            position += 1
        taken = item.count("$")
        problem = _misfit_one(spec, item, operands[at : at + taken], form)
        if problem is not None:
            return f"operand {position - 1}: {problem}"
        at += taken
    return None


def _misfit_one(spec: Spec, item: str, values: Sequence[SSAValue], form: Form) -> str | None:
    kind = spec.kind
    first = item[0]
    if kind in ("mem", "mem2"):
        if first != "[":
            return f"expected an address, got '{item}'"
        if kind == "mem" and values and register_kind(values[0]) not in ACCEPTED["mem"]:
            return f"an address is a b32 or b64 register, got {values[0].type}"
        return None
    if kind == "imm":
        return None if not values else f"expected an immediate, got '{item}'"
    if spec.count:
        accepted = ACCEPTED.get(kind)
        if item == "$" and isinstance(values[0].type, RegsType):
            array = values[0].type
            if kind == "acc":
                return None if array.count in (spec.count, spec.count // 2) else f"expected {spec.count} registers, got {array}"
            return (
                None
                if array.count == spec.count and accepted and array.kind in accepted
                else (f"expected {spec.count} registers of {kind}, got {array}")
            )
        if first != "{":
            return f"expected {{{spec.count} registers}}, got '{item}'"
        count = item.count(",") + 1
        if count != spec.count:
            return f"expected {spec.count} registers, got {count}"
    elif first == "{":
        return None if form.base == "mov" else f"expected a single {kind}, got '{item}'"
    elif first != "$" and first != "!":
        return f"needs a register, got '{item}'" if spec.register_only else None
    accepted = ACCEPTED.get(kind)
    if accepted is None:
        return None
    for value in values:
        if register_kind(value) not in accepted:
            return f"expected {kind}, got {value.type}"
    return None


def verify_instruction(op: Instruction) -> None:
    opcode = op.opcode
    found = forms_of(opcode)
    if not found:
        raise VerifyException(f"'{opcode}' is not in the instruction table (dialects/ptx/table/)")
    items = op.items
    operands = op.operands
    problem = None
    form = found[0]
    for form in found:
        problem = misfit(form, items, operands)
        if problem is None:
            break
    if problem is not None:
        raise VerifyException(f"{opcode}: {problem}")
    used = op.num_args
    predicate = op.properties.get("pred")
    if predicate is None:
        if len(operands) != used:
            raise VerifyException(f"{opcode}: {len(operands)} operands for {used} places in args")
    else:
        if predicate.data not in ("if", "not"):  # pyright: ignore
            raise VerifyException(f"{opcode}: pred is 'if' or 'not', not {predicate}")
        if len(operands) <= used or register_kind(operands[used]) != "pred":
            raise VerifyException(f"{opcode}: the predicate must be a !ptx.reg<pred>")
        rest = len(operands) - used - 1
        if rest not in (0, len(op.results)):
            raise VerifyException(f"{opcode}: {rest} else values for {len(op.results)} results")
    for result in op.results:
        if register_kind(result) not in KINDS:
            raise VerifyException(f"{opcode}: a result must be a ptx register, got {result.type}")
    expected = [s for s in form.results if s.kind != "_"]
    if op.base == "mov":
        return
    if form.tied:
        for result, value in zip(op.results, operands):
            if register_kind(result) != register_kind(value):
                raise VerifyException(f"{opcode}: result {result.type} is tied to an accumulator of {value.type}")
        return
    counts = sum(max(s.count, 1) for s in expected)
    required = sum(max(s.count, 1) for s in expected if not s.paired)
    arrays = any(isinstance(r.type, RegsType) for r in op.results)
    if not arrays and not required <= len(op.results) <= counts + (1 if op.base in ("setp", "shfl") else 0):
        raise VerifyException(f"{opcode}: {len(op.results)} results, the form has {counts}")
    if not arrays:
        kinds = [s.kind for s in expected for _ in range(max(s.count, 1))]
        for result, kind in zip(op.results, kinds):
            if kind in ACCEPTED and register_kind(result) not in ACCEPTED[kind]:
                raise VerifyException(f"{opcode}: the form gives {kind}, not {result.type}")
