"""Renaming values, blocks, symbols and aliases, where all places that name them are known."""

from __future__ import annotations

import re

from ...dialects.ir.diagnostics import LlmcError
from .document import Document
from .lexical import SUFFIX, WORD
from .navigation import Place, Target, aliases_of, definitions, occurrences
from .recovering import Definition, RecoveringParser

SPELLING = {"value": ("%", SUFFIX), "block": (r"\^", SUFFIX), "symbol": ("@", WORD), "alias": ("[#!]", r"[A-Za-z_][\w$-]*")}


def renamable(document: Document, target: Target | None) -> Target:
    """The target, if it can be renamed. Raises LLMC0273."""
    if target is None or target.what not in SPELLING:
        raise LlmcError(
            "LLMC0273", "nothing here can be renamed", "the cursor", fix="put the cursor on a %value, ^block, @symbol or #alias"
        )
    shown = document.text[target.place.start : target.place.end]
    found = definitions(document, target)
    if len(found) != 1:
        why = f"it has {len(found) or 'no'} definition{'s' if len(found) != 1 else ''} in this module"
        raise LlmcError(
            "LLMC0273", f"{shown} can't be renamed", shown, why=why, fix="correct the module so that the name is defined once"
        )
    if target.what in ("value", "block") and any(f.code == "LLMC0001" for f in document.read(target.part).findings):
        why = "a syntax error may hide some of its uses"
        raise LlmcError("LLMC0273", f"{shown} can't be renamed", shown, why=why, fix="mend the syntax error first")
    return target


def rename(document: Document, target: Target | None, name: str) -> list[tuple[Place, str]]:
    """The edits that give a target another name, with or without its sigil. Raises LLMC0273 where the result would mean something
    else, or nothing."""
    target = renamable(document, target)
    sigil, pattern = SPELLING[target.what]
    match = re.fullmatch(rf"(?:{sigil})?({pattern})", name, re.ASCII)
    if match is None:
        raise LlmcError(
            "LLMC0273", f"'{name}' is no name of a {target.what}", "the new name", fix="use letters, digits, '_' and '$'"
        )
    fresh = match.group(1)
    if taken := _taken(document, target, fresh):
        raise LlmcError("LLMC0273", f"'{name}' can't be the new name", "the new name", why=taken, fix="choose another name")
    edits: list[tuple[Place, str]] = []
    for place in occurrences(document, target):
        old = document.text[place.start : place.end]
        edits.append((place, f'"{fresh}"' if old[0] == '"' else old[0] + fresh))
    return edits


def _taken(document: Document, target: Target, name: str) -> str | None:
    """Why a name can't be given to a target."""
    match target.what:
        case "value":
            parser = document.read(target.part).parser
            assert parser is not None and target.definition is not None
            return _value_taken(parser, target.definition, name)
        case "block":
            return f"^{name} is defined in this region" if target.scope is not None and name in target.scope.blocks else None
        case "symbol":
            return f"@{name} is defined in this module" if document.definitions_of(target.part.chunk, name) else None
        case _:
            fresh = target.name[0] + name
            return (
                f"{fresh} is defined" if any(fresh in aliases_of(p) for p in document.chunk_parts(target.part.chunk)) else None
            )


def _value_taken(parser: RecoveringParser, definition: Definition, name: str) -> str | None:
    """A value of that name that is visible where `definition` is, or the other way round."""
    for other in parser.definitions:
        if other.name == name and (other.scope.within(definition.scope) or definition.scope.within(other.scope)):
            return f"%{name} is defined where %{definition.name} is seen too"
    return None
