"""Errors that users see: a code, what is wrong, where, why, and what to do.

Everything that a user can cause raises `LlmcError`; the commands print it as one paragraph and exit with 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import FileLineColLoc, FusedLoc, NameLoc, StringAttr
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region, SSAValue


def describe_location(location: Attribute) -> str:
    """`model.layers.3.mlp (modeling_llama.py:176)` for a location attribute; empty when it is unknown."""
    match location:
        case NameLoc():
            inner = describe_location(location.location)
            return f"{location.desc.data} ({inner})" if inner else location.desc.data
        case FileLineColLoc():
            return f"{location.filename.data}:{location.line.data}"
        case FusedLoc():
            parts = [describe_location(part) for part in location.locations]  # pyright: ignore
            return ", ".join(dict.fromkeys(part for part in parts if part))
        case _:
            return ""


def excerpt(op: Operation, limit: int = 160) -> str:
    """The op's own line, without its regions' bodies, at most `limit` characters: `layout.kernel @name()` for one that defines a
    symbol."""
    results = ", ".join(f"%{r.name_hint or i}" for i, r in enumerate(op.results))
    operands = ", ".join(f"%{o.name_hint or '?'}: {o.type}" for o in op.operands)
    symbol = op.get_attr_or_prop("sym_name")
    name = f"{op.name} @{symbol.data}" if isinstance(symbol, StringAttr) else op.name
    line = f"{results + ' = ' if results else ''}{name}({operands})"
    return line if len(line) <= limit else line[: limit - 1] + "…"


def describe_where(where: object) -> str | None:
    """Where something went wrong, in words, from an op, a value, a location attribute or a string."""
    match where:
        case None:
            return None
        case str():
            return where
        case Operation():
            place = describe_location(where.location)
            return f"{excerpt(where)}" + (f"\n      at {place}" if place else "")
        case SSAValue():
            owner = where.owner
            if isinstance(where, BlockArgument):
                return f"argument %{where.name_hint or where.index}: {where.type}"
            return describe_where(owner)
        case Attribute():
            return describe_location(where) or str(where)
        case Block() | Region():
            parent = where.parent_op()
            return describe_where(parent)
        case _:
            return str(where)


@dataclass
class LlmcError(Exception):
    """A failure that the user can understand and act on.

    `code` is a stable `LLMCnnnn` (the catalogue is in docs/errors.md), `what` one sentence, `where` an op, value, location,
    path or string, `why` the cause, `fix` what to do about it. `passes` names the passes at work, innermost first; `notes` are lines
    for what else there is to say, such as where a reproducer was written. `others` are errors that were found with this one.
    """

    code: str
    what: str
    where: object = None
    why: str | None = None
    fix: str | None = None
    passes: Sequence[str] = ()
    notes: Sequence[str] = ()
    others: Sequence[LlmcError] = ()

    def __post_init__(self) -> None:
        super().__init__(self.what)

    def __reduce__(self) -> tuple[object, ...]:
        """What another process gets: IR that is pointed at becomes text."""
        where = describe_where(self.where)
        return LlmcError, (self.code, self.what, where, self.why, self.fix, (*self.passes,), (*self.notes,), (*self.others,))

    def render(self, lines_around: Sequence[str] = ()) -> str:
        """The paragraph that commands print, without `others`; `lines_around` show the place in the IR (`surroundings`)."""
        lines = [f"error[{self.code}]: {self.what}"]
        where = describe_where(self.where)
        op = self.where
        if where and isinstance(op, Operation) and any(v.name_hint is None for v in (*op.results, *op.operands)):
            own = next((line[2:] for line in lines_around if line.startswith("> ")), excerpt(op))
            where = where.replace(excerpt(op), own, 1)  # with the numbers that values have in the lines around
        if where:
            lines.append(f"  --> {where}")
        lines += [f"      | {line}" for line in lines_around]
        if self.passes:
            lines.append(f"   in {' in '.join(self.passes)}")
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        lines += [f" note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()
