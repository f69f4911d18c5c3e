"""Dialects: their types and attributes, ops, pointwise ops and instructions."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from xdsl.ir import Attribute, Dialect, Operation
from xdsl.irdl import IRDLOperation, OpDef

from ...dialects.ir.context import OWN
from ...dialects.nn.pointwise import PointwiseOp
from ...dialects.ptx.ops import INSTRUCTIONS
from ...dialects.ptx.table import TABLE, Row
from .text import NOTE, documentation


def dialect_of(name: str) -> Dialect:
    """The Dialect object of one of llmc's dialects."""
    module, attribute = OWN[name]
    return getattr(import_module(f"...dialects.{module}", __package__), attribute)


def constraint(found: object) -> str:
    """A constraint in words: `tensor`, `i32`, `!layout.buffer`."""
    match type(found).__name__:
        case "RangeLengthConstraint":
            return constraint(found.constraint)  # pyright: ignore
        case "RangeOf":
            return constraint(found.constr)  # pyright: ignore
        case "BaseAttr":
            attr: type[Attribute] = found.attr  # pyright: ignore
            name = getattr(attr, "name", None)
            return f"`{name}`" if isinstance(name, str) else "a type"
        case "EqAttrConstraint":
            return f"`{found.attr}`"  # pyright: ignore
        case "ArrayOfConstraint":
            return f"array of {constraint(found.elem_range_constraint)}"  # pyright: ignore
        case "ParamAttrConstraint":
            return f"`{found.base_attr.name}`"  # pyright: ignore
        case "AnyOf":
            return " or ".join(constraint(c) for c in found.attr_constrs)  # pyright: ignore
        case _:
            return "any"


def arity(definition: object) -> str:
    kind = type(definition).__name__
    return ", optional" if kind.startswith("Opt") else ", any number" if kind.startswith("Var") else ""


def definition_table(definition: OpDef) -> list[str]:
    """What an op takes and gives, as a table."""
    rows: list[tuple[str, str, str]] = []
    rows += [("operand", n, constraint(o.constr) + arity(o)) for n, o in definition.operands]
    for name, prop in {**definition.properties, **definition.attributes}.items():
        if name in ("operandSegmentSizes", "resultSegmentSizes"):
            continue
        default = f", default `{prop.default_value}`" if prop.default_value is not None else ""
        rows.append(("attribute", name, constraint(prop.constr) + arity(prop) + default))
    rows += [("result", n, constraint(r.constr) + arity(r)) for n, r in definition.results]
    rows += [
        ("region", n, ("one block" if "SingleBlock" in type(r).__name__ else "blocks") + arity(r))
        for n, r in definition.regions
    ]
    rows += [("successor", n, "a block") for n, _ in definition.successors]
    if not rows:
        return []
    return ["| | name | |", "|---|---|---|", *(f"| {kind} | `{name}` | {text} |" for kind, name, text in rows), ""]


def example(op: str, text: str) -> str:
    """The first use of an op in a test, a region's first lines with it; nothing where there is none."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("//")]
    pattern = re.compile(r"(^|= )" + re.escape(op) + r"(?![\w.])")
    for index, line in enumerate(lines):
        if not pattern.search(line.strip()):
            continue
        indent = len(line) - len(line.lstrip())
        taken = [line[indent:]]
        if line.rstrip().endswith("{"):
            for following in lines[index + 1 :]:
                taken.append(following[indent:])
                if following.startswith(" " * indent + "}"):
                    break
        if len(taken) > 7:
            taken = [*taken[:4], "  …", taken[-1]]
        return "\n".join(line if len(line) <= 160 else line[:159] + "…" for line in taken)
    return ""


def op_section(op: type[Operation], examples: str) -> Iterator[str]:
    yield f"### `{op.name}`"
    yield ""
    yield documentation(op)
    yield ""
    if issubclass(op, IRDLOperation):
        yield from definition_table(op.get_irdl_definition())
        traits = op.get_irdl_definition().traits
        names = sorted(type(t).__name__ for t in traits.traits)
        if names:
            yield f"Traits: {', '.join(names)}."
            yield ""
    shown = example(op.name, examples)
    if shown:
        yield "```mlir"
        yield shown
        yield "```"
        yield ""


def pointwise_section(ops: Sequence[type[PointwiseOp]], examples: str) -> Iterator[str]:
    yield "## Pointwise ops"
    yield ""
    yield "From the table in `dialects/nn/pointwise.py`. Operands broadcast as in numpy; all have one element type, which is the result's unless it says otherwise."
    yield ""
    yield from pointwise_row(*ops)
    yield ""
    yield "```mlir"
    yield example("nn.add", examples)
    yield example("nn.cmp", examples)
    yield "```"
    yield ""


def pointwise_row(*ops: type[PointwiseOp]) -> Iterator[str]:
    """The rows of some pointwise ops, as a table."""
    yield "| op | operands | elements | result | PyTorch |"
    yield "|---|---|---|---|---|"
    for op in ops:
        row = op.ROW
        result = {"bool": "`i1`", "given": "as written", "select": "of the last two"}.get(row.result, "")
        yield f"| `{op.name}` | {row.arity} | {row.elems} | {result} | {', '.join(f'`{a}`' for a in row.aten)} |"


def instruction_rows(rows: Sequence[Row]) -> Iterator[str]:
    """The forms of an opcode, as a table."""
    yield "| form | takes | gives | needs |"
    yield "|---|---|---|---|"
    for row in rows:
        needs = f"sm_{row.sm}{'a' if row.arch else ''}, PTX {row.ptx // 10}.{row.ptx % 10}"
        yield f"| `{row.pattern}` | {f'`{row.operands}`' if row.operands else ''} | {f'`{row.results}`' if row.results else ''} | {needs} |".replace(
            "a|b", "a\\|b"
        )


def rows_by_base() -> dict[str, list[Row]]:
    """The rows of the instruction table by the base opcodes that they have."""
    found: dict[str, list[Row]] = {}
    for row in TABLE:
        for base in re.split(r"[.\[]", row.pattern, maxsplit=1)[0].strip("{}").split(","):
            found.setdefault(base, []).append(row)
    return found


def instruction_section(examples: str) -> Iterator[str]:
    yield "## Instructions"
    yield ""
    yield "One op for each base opcode, one row of `dialects/ptx/table/` for each form: `{a,b}` is a choice, `[x]` may be left out, `<name>` is a list of"
    yield "the table. The rest of the opcode is the op's form: `add.s32` is `ptx.add s32`. Every instruction takes a predicate: `if %p`, `if not %p`, and"
    yield "`else %v` for the value of its result where it does not run."
    by_base = rows_by_base()
    for base in sorted(INSTRUCTIONS):
        yield ""
        yield f"### `ptx.{base}`"
        yield ""
        yield from instruction_rows(by_base.get(base, ()))
        shown = example(f"ptx.{base}", examples)
        if shown:
            yield ""
            yield "```mlir"
            yield shown
            yield "```"
    yield ""


def dialect_page(name: str, root: Path) -> str:
    """docs/dialects/<name>.md."""
    module = import_module(f"...dialects.{OWN[name][0]}", __package__)
    tests = root / "tests" / "filecheck" / name / "roundtrip.mlir"
    return dialect_text(dialect_of(name), module, tests.read_text(encoding="utf-8") if tests.exists() else "")


def plugin_dialect_page(dialect: Dialect) -> str:
    """The page of a plugin's dialect: described by the module of its first op."""
    home = next((item.__module__ for item in (*dialect.operations, *dialect.attributes)), __name__)
    return dialect_text(dialect, sys.modules[home], "")


def dialect_text(dialect: Dialect, module: object, examples: str) -> str:
    """The page of a dialect. `examples` is IR in which its ops are used."""
    name = dialect.name
    ops = list(dialect.operations)
    pointwise = [op for op in ops if issubclass(op, PointwiseOp)]
    apart = {*pointwise, *INSTRUCTIONS.values()}
    lines = [f"# The dialect `{name}`", "", NOTE, "", documentation(module), ""]
    attributes = list(dialect.attributes)
    if attributes:
        lines += ["## Types and attributes", ""]
        for home in dict.fromkeys(a.__module__ for a in attributes):
            lines += [documentation(sys.modules[home]), ""]
        for attribute in attributes:
            lines += [f"### `{attribute.name}`", "", documentation(attribute), ""]
    for home in dict.fromkeys(op.__module__ for op in ops if op not in apart):
        said = documentation(sys.modules[home]) if sys.modules[home] is not module else ""
        lines += [f"## Ops of `{Path(sys.modules[home].__file__ or home).name}`", "", said, ""]
        for op in ops:
            if op not in apart and op.__module__ == home:
                lines += op_section(op, examples)
    if pointwise:
        lines += pointwise_section(pointwise, examples)
    if name == "ptx":
        lines += instruction_section(examples)
    return "\n".join(lines).rstrip() + "\n"
