"""Structural hashes: equal for ops that differ in nothing but locations, value names and their own symbol name."""

from __future__ import annotations

import hashlib

from xdsl.ir import Attribute, Block, Operation, Region, SSAValue


class _Hasher:
    def __init__(self, ignore: frozenset[str]) -> None:
        self.ignore = ignore
        self.values: dict[SSAValue, int] = {}
        self.blocks: dict[Block, int] = {}
        self.attrs: dict[Attribute, str] = {}
        self.parts: list[str] = []

    def attr(self, attribute: Attribute) -> str:
        text = self.attrs.get(attribute)
        if text is None:
            text = self.attrs[attribute] = str(attribute)
        return text

    def value(self, value: SSAValue) -> str:
        number = self.values.get(value)
        if number is None:
            number = self.values[value] = len(self.values)
        return f"%{number}"

    def op(self, op: Operation, top: bool = False) -> None:
        put = self.parts.append
        put(op.name)
        put(",".join(self.value(o) for o in op.operands))
        for store in (op.properties, op.attributes):
            for key in sorted(store):
                if key in self.ignore or (top and key == "sym_name"):
                    continue
                put(f"{key}={self.attr(store[key])}")
        for successor in op.successors:
            put(f"^{self.blocks.setdefault(successor, len(self.blocks))}")
        for region in op.regions:
            self.region(region)
        put(",".join(f"{self.value(r)}:{self.attr(r.type)}" for r in op.results))

    def region(self, region: Region) -> None:
        self.parts.append("{")
        for block in region.blocks:
            number = self.blocks.setdefault(block, len(self.blocks))
            self.parts.append(f"^{number}(" + ",".join(f"{self.value(a)}:{self.attr(a.type)}" for a in block.args) + ")")
            for op in block.ops:
                self.op(op)
        self.parts.append("}")


def structural_text(op: Operation, ignore: frozenset[str] = frozenset()) -> str:
    """The text that is hashed: ops, attributes (but those named in `ignore`), value numbering, regions."""
    hasher = _Hasher(ignore)
    hasher.op(op, top=True)
    return "\n".join(hasher.parts)


def structural_hash(op: Operation, ignore: frozenset[str] = frozenset(), digits: int = 12) -> str:
    """`digits` hexadecimal digits that name an op's structure; locations and its own `sym_name` do not count."""
    return hashlib.sha256(structural_text(op, ignore).encode()).hexdigest()[:digits]
