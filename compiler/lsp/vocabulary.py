"""The dialects, ops, attributes and passes that the server knows, and their documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from xdsl.context import Context
from xdsl.ir import Attribute, Dialect, Operation
from xdsl.irdl import IRDLOperation

from ...dialects.nn.pointwise import PointwiseOp
from ...dialects.ptx.ops import INSTRUCTIONS
from ...dialects.ptx.table import TABLE, Row
from ...passes.framework.named_pipeline import NamedPipeline
from ...passes.framework.pass_ import Pass
from ...passes.framework.registry import Registry
from ..phases import make_registry
from ..reference.dialects import definition_table
from ..reference.error_catalogue import Place, catalogue, section
from ..reference.passes import option_table, pass_documentation
from ..reference.text import documentation

ROOT = Path(__file__).resolve().parents[2]


class Vocabulary:
    """What has a name, in llmc and in the plugins of some files and of installed distributions; all of it comes from `registry`.
    Raises LLMC0215 to LLMC0218 for a plugin that can't be used."""

    def __init__(self, plugins: Sequence[str] = ()) -> None:
        self.registry: Registry = make_registry(plugins)
        self.context: Context = self.registry.context()

    @cached_property
    def passes(self) -> Mapping[str, type[Pass] | type[NamedPipeline]]:
        """Every pass and named pipeline by name."""
        return {**self.registry.passes(), **self.registry.pipelines()}

    @cached_property
    def ops(self) -> Mapping[str, type[Operation]]:
        """Every op by name; imports all dialects."""
        return {op.name: op for dialect in self._dialects() for op in dialect.operations}

    @cached_property
    def attributes(self) -> Mapping[str, type[Attribute]]:
        """Every attribute and type by name."""
        return {a.name: a for dialect in self._dialects() for a in dialect.attributes}

    def _dialects(self) -> list[Dialect]:
        return [load() for load in self.registry.dialects().values()]

    @cached_property
    def symbol_ops(self) -> frozenset[str]:
        """The ops that define symbols."""
        found: set[str] = set()
        for name, op in self.ops.items():
            if issubclass(op, IRDLOperation):
                definition = op.get_irdl_definition()
                if "sym_name" in definition.properties or "sym_name" in definition.attributes:
                    found.add(name)
        return frozenset(found)

    @cached_property
    def _errors(self) -> dict[str, list[Place]]:
        return catalogue(ROOT)

    def pass_text(self, name: str) -> str | None:
        """What a pass does, as Markdown."""
        found = self.passes.get(name)
        if found is None:
            return None
        text = pass_documentation(found) if issubclass(found, Pass) else documentation(found)
        return "\n".join([f"**`{name}`**", "", text, "", *option_table(found)]).strip()

    def error_text(self, code: str) -> str | None:
        """What `LLMCnnnn` stands for, as Markdown."""
        places = self._errors.get(code)
        if places is None:
            return None
        return "\n".join([f"**{code}**", "", *section(code, places)])

    def op_text(self, name: str) -> str | None:
        """What an op does and takes, as Markdown."""
        op = self.ops.get(name)
        if op is None:
            return None
        if issubclass(op, PointwiseOp):
            row = op.ROW
            torch = f", PyTorch {', '.join(f'`{a}`' for a in row.aten)}" if row.aten else ""
            operands = f"{row.arity} operand{'s' if row.arity != 1 else ''}"
            return f"**`{name}`** broadcasts as numpy does: {operands}, elements {row.elems}{torch}."
        if op in INSTRUCTIONS.values():
            return "\n".join([f"**`{name}`** {documentation(op)}", "", *_forms(name.split(".", 1)[1])])
        lines = [f"**`{name}`**", "", documentation(op), ""]
        if issubclass(op, IRDLOperation):
            lines += definition_table(op.get_irdl_definition())
        return "\n".join(lines).strip()

    def attribute_text(self, name: str) -> str | None:
        """What an attribute or type holds, as Markdown."""
        found = self.attributes.get(name)
        return None if found is None else f"**`{name}`**\n\n{documentation(found)}"


def _forms(base: str) -> list[str]:
    """The forms of a PTX instruction, as a table."""
    lines = ["| form | takes | gives | needs |", "|---|---|---|---|"]
    for row in TABLE:
        if base in _bases(row):
            needs = f"sm_{row.sm}{'a' if row.arch else ''}, PTX {row.ptx // 10}.{row.ptx % 10}"
            cells = [f"`{cell}`".replace("|", "\\|") if cell else "" for cell in (row.pattern, row.operands, row.results)]
            lines.append(f"| {' | '.join(cells)} | {needs} |")
    return lines


def _bases(row: Row) -> list[str]:
    return re.split(r"[.\[]", row.pattern, maxsplit=1)[0].strip("{}").split(",")
