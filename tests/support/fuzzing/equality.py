"""Whether two modules are the same: ops, operands, types, properties, attributes, regions, and locations if asked."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Attribute, Block, Operation, Region, SSAValue


def difference(a: Operation, b: Operation, *, located: bool = False) -> str | None:
    """The first difference in words, or None. Attributes are compared by their text too, so that NaNs are equal."""
    return _Comparison(located).op(a, b, "module")


class _Comparison:
    def __init__(self, located: bool) -> None:
        self.located = located
        self.values: dict[SSAValue, SSAValue] = {}
        self.blocks: dict[Block, Block] = {}

    def op(self, a: Operation, b: Operation, path: str) -> str | None:
        if a.name != b.name:
            return f"{path}: {a.name} became {b.name}"
        path = f"{path} > {a.name}"
        if len(a.operands) != len(b.operands) or len(a.results) != len(b.results) or len(a.regions) != len(b.regions):
            return f"{path}: numbers of operands, results or regions differ"
        for x, y in zip(a.operands, b.operands):
            if self.values.setdefault(x, y) is not y:
                return f"{path}: operands differ"
        found = self.values_of(a.results, b.results, f"{path} results")
        for what, left, right in (("property", a.properties, b.properties), ("attribute", a.attributes, b.attributes)):
            if found is None and left.keys() != right.keys():
                found = f"{path}: {what} names {sorted(left)} became {sorted(right)}"
            for key in left if found is None else ():
                if not same(left[key], right[key]):
                    found = f"{path}: {what} {key} = {left[key]} became {right[key]}"
                    break
        if found is None and self.located and a.location != b.location:
            found = f"{path}: location {a.location} became {b.location}"
        if found is None and len(a.successors) != len(b.successors):
            found = f"{path}: numbers of successors differ"
        for x, y in zip(a.successors, b.successors):
            if found is None and self.blocks.setdefault(x, y) is not y:
                found = f"{path}: successors differ"
        for x, y in zip(a.regions, b.regions):
            found = found or self.region(x, y, path)
        return found

    def values_of(self, a: Sequence[SSAValue], b: Sequence[SSAValue], path: str) -> str | None:
        for x, y in zip(a, b):
            if x.type != y.type:
                return f"{path}: {x.type} became {y.type}"
            if self.values.setdefault(x, y) is not y:
                return f"{path}: a value was used as another"
        return None

    def region(self, a: Region, b: Region, path: str) -> str | None:
        if len(a.blocks) != len(b.blocks):
            return f"{path}: {len(a.blocks)} blocks became {len(b.blocks)}"
        for x, y in zip(a.blocks, b.blocks):
            if self.blocks.setdefault(x, y) is not y:
                return f"{path}: blocks differ"
            if len(x.args) != len(y.args) or len(x.ops) != len(y.ops):
                return f"{path}: numbers of arguments or ops of a block differ"
            found = self.values_of(x.args, y.args, f"{path} arguments")
            if found is None and self.located:
                for p, q in zip(x.args, y.args):
                    if p.location != q.location:
                        found = f"{path}: location {p.location} of an argument became {q.location}"
            for p, q in zip(x.ops, y.ops):
                found = found or self.op(p, q, path)
            if found is not None:
                return found
        return None


def same(a: Attribute, b: Attribute) -> bool:
    return a == b or str(a) == str(b)
