"""Dumps of a small decoder at every phase, made once a process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from decoder_graphs import Shape, decoder
from llmc.compiler.build import compile_module
from llmc.compiler.phases import CompileOptions
from model_runs import SETTINGS

LONGEST = 15_000  # characters of a text worth mangling
ALIAS = re.compile(r"^([#!][\w.]+) = ", re.MULTILINE)
NAME = re.compile(r"[#!]\w[\w.]*")


@cache
def dumps() -> tuple[str, ...]:
    """The dumps; of those that are long, each op of the module that is not, with the aliases that it uses."""
    model = decoder(Shape(layers=1, hidden=32, heads=2, kv_heads=1, inner=32, vocab=32))
    compiled = compile_module(model, CompileOptions(max_sequences=2, max_context=32), replace(SETTINGS, dumps=True))
    found = [text for dump in compiled.dumps.values() for text in ([dump] if len(dump) <= LONGEST else pieces(dump))]
    return tuple(dict.fromkeys(text for text in found if len(text) <= LONGEST))


def pieces(dump: str) -> Iterator[str]:
    """Each op of a dumped module alone."""
    aliases: dict[str, str] = {}
    body: list[str] = []
    for line in dump.split("\n"):
        if (alias := ALIAS.match(line)) is not None:
            aliases[alias[1]] = line
        elif re.match(r"  [a-z]", line):
            body.append(line)
        elif body and line.startswith("  "):
            body[-1] += "\n" + line
    for text in body:
        used: dict[str, str] = {}
        waiting = NAME.findall(text)
        while waiting:
            name = waiting.pop()
            if name in aliases and name not in used:
                used[name] = aliases[name]
                waiting.extend(NAME.findall(aliases[name]))
        yield "\n".join([*(aliases[name] for name in aliases if name in used), text, ""])
