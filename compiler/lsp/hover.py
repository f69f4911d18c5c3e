"""What the editor shows of the thing under the cursor, as Markdown."""

from __future__ import annotations

import re

from xdsl.ir import Attribute, Block, BlockArgument, Operation, OpResult, SSAValue
from xdsl.parser.core import ForwardDeclaredValue

from ...dialects.ir.diagnostics import describe_location
from .document import Document, Part, Symbol
from .navigation import Target, occurrences
from .vocabulary import Vocabulary

LONGEST = 600


def hover(document: Document, target: Target, vocabulary: Vocabulary) -> str | None:
    """The text for a target; None where there is nothing to say."""
    match target.what:
        case "value":
            return _value(document, target)
        case "block":
            return _block(document, target)
        case "symbol":
            return _symbol(document, target)
        case "alias":
            return _alias(document, target)
        case "op":
            return _op(document, target, vocabulary)
        case "attribute":
            return vocabulary.attribute_text(target.name[1:])
        case "code":
            return vocabulary.error_text(target.name)
        case _:
            return vocabulary.pass_text(target.name)


def code(text: str) -> str:
    """IR as a fenced block, cut when it is long."""
    return f"```mlir\n{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}\n```"


def _type(attribute: Attribute, document: Document, part: Part) -> str:
    """A type, with the aliases of its module."""
    text = str(attribute)
    aliases = document.read(part).aliases
    for spelled, name in sorted(((str(value), name) for name, value in aliases.items()), key=lambda item: -len(item[0])):
        text = text.replace(spelled, name)
    return text


def _value(document: Document, target: Target) -> str | None:
    definition = target.definition
    if definition is None or not definition.values:
        return None
    several = len(definition.values) > 1
    lines = [
        f"%{definition.name}{f'#{i}' if several else ''}: {_type(value.type, document, target.part)}"
        for i, value in enumerate(definition.values)
    ]
    value = definition.values[min(target.index, len(definition.values) - 1)]
    uses = sum(not place.defines for place in occurrences(document, target))
    text = [code("\n".join(lines)), f"{_origin(value)}; {uses} use{'s' if uses != 1 else ''}"]
    owner = None if isinstance(value, ForwardDeclaredValue) else value.owner
    if isinstance(owner, Block):
        owner = owner.parent_op()
    return "\n\n".join([*text, *(_place(owner) if owner is not None else [])])


def _origin(value: SSAValue) -> str:
    match value:
        case OpResult():
            owner = value.op
            return f"result {value.index} of `{owner.name}`" if len(owner.results) > 1 else f"result of `{owner.name}`"
        case BlockArgument():
            parent = value.owner.parent_op()
            return f"argument {value.index} of " + (f"`{parent.name}`" if parent is not None else "a block")
        case _:
            return "a value whose op can't be read"


def _place(op: Operation) -> list[str]:
    """The PyTorch module and line that an op comes from."""
    place = describe_location(op.location)
    return [f"from {place}"] if place else []


def _block(document: Document, target: Target) -> str | None:
    found = target.scope.blocks.get(target.name) if target.scope is not None else None
    if found is None:
        return None
    arguments = [f"%{a.name_hint or i}: {_type(a.type, document, target.part)}" for i, a in enumerate(found.block.args)]
    branches = sum(not place.defines for place in occurrences(document, target))
    shown = code(f"^{target.name}" + (f"({', '.join(arguments)})" if arguments else ""))
    return f"{shown}\n\n{branches} branch{'es' if branches != 1 else ''}"


def _alias(document: Document, target: Target) -> str | None:
    for part in document.chunk_parts(target.part.chunk):
        if part.piece.kind == "alias":
            value = document.read(part).aliases.get(target.name)
            if value is not None:
                return code(f"{target.name} = {value}")
    return None


def head(part: Part, symbol: Symbol) -> str:
    """The line of a symbol's definition up to its region, without its location."""
    text = part.piece.text
    end = text.find("\n", symbol.op_start)
    line = text[symbol.op_start : end if end >= 0 else len(text)]
    line = re.sub(r"\s+loc\(.*\)\s*$", "", line)
    return re.sub(r"\s*\(?\{\s*$", "", line)


def _symbol(document: Document, target: Target) -> str | None:
    texts: list[str] = []
    for part, symbol in document.definitions_of(target.part.chunk, target.name):
        parser = document.read(part).parser
        record = next((op for op in parser.ops if op.start == symbol.op_start), None) if parser is not None else None
        op = record.op if record is not None else None
        lines = [code(head(part, symbol))]
        if op is not None:
            lines += _gives(document, part, op) + _place(op)
        texts.append("\n\n".join(lines))
    return "\n\n---\n\n".join(texts) or None


def _gives(document: Document, part: Part, op: Operation) -> list[str]:
    """The type of what a definition such as `nn.weight` yields."""
    last = op.regions[0].block.last_op if len(op.regions) == 1 and len(op.regions[0].blocks) == 1 else None
    if last is None or not last.name.endswith(".yield") or not last.operands:
        return []
    return ["gives " + ", ".join(f"`{_type(o.type, document, part)}`" for o in last.operands)]


def _op(document: Document, target: Target, vocabulary: Vocabulary) -> str | None:
    documentation = vocabulary.op_text(target.name)
    op = target.op.op if target.op is not None else None
    if op is None:
        return documentation
    lines = [f"{_name(o)}: {_type(o.type, document, target.part)}" for o in op.operands]
    lines += [f"→ {_name(r)}: {_type(r.type, document, target.part)}" for r in op.results]
    lines = [line if len(line) <= 160 else line[:159] + "…" for line in lines]
    shown = lines if len(lines) <= 12 else [*lines[:11], f"… {len(lines) - 11} more"]
    parts = [documentation or f"**`{op.name}`**", *(["```mlir\n" + "\n".join(shown) + "\n```"] if shown else []), *_place(op)]
    return "\n\n".join(parts)


def _name(value: SSAValue) -> str:
    return f"%{value.name_hint}" if value.name_hint else "%…"
