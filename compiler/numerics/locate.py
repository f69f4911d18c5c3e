"""Finding the op at fault: both modules run again with every op's values kept, and the values are compared along the order of
execution, against those of an f64 run.

A value of the module after is *good* when the module before has an equal one, or one that differs by legal rounding only: at the same
location and of the same op, or anywhere. From the results that differ, the search goes backwards through values that are not good, up
to those whose operands all are. Among these the first is at fault that can be compared with the op which it replaced, matched by
location; else the first whose operands agree while its result agrees with nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation
from xdsl.traits import IsTerminator

from ...dialects.ir.diagnostics import LlmcError, describe_location, excerpt
from ...dialects.ir.locations import is_known
from ...dialects.layout.semantics import Buffer, PagedState
from ...dialects.layout.types import BufferType
from ...dialects.nn.values import StateValue
from ...dialects.quantized.semantics import QuantizedArray
from .contract import Verdict, is_float_array, judge, judge_exactly, same_bits
from .functions import EXACT, ROUNDED
from .inputs import symbols
from .outcome import Difference, Place
from .results import Array, Event
from .units import Unit

BODIES = ("linalg.generic", "tile.map", "tile.reduce", "nn.attention")
"""Ops whose regions compute on scalars: the op is named, not what stands inside."""


def locate(unit: Unit, found: Difference, before: ModuleOp, after: ModuleOp, tolerance: float, allowance: float) -> Difference:
    """The difference with the place of the first op whose value differs."""
    crossed = written(before, after, unit.name.removeprefix("@"), found.output)
    if crossed is not None:
        return replace(found, place=crossed[0], counterpart=crossed[1])
    try:
        first, second = unit.before(ROUNDED, True).trace, unit.after(ROUNDED, True).trace
        exact = unit.before(EXACT, True).trace
    except LlmcError:
        first, second, exact = [], [], []
    culprit = _Search(first, second, exact if len(exact) == len(first) else first, tolerance, allowance).run()
    if culprit is None:
        place, counterpart = rewritten(before, after, unit.name.removeprefix("@"))
        return replace(found, place=place, counterpart=counterpart)
    return replace(found, place=culprit.place, counterpart=culprit.counterpart, at_place=culprit.values)


@dataclass(frozen=True)
class _Culprit:
    place: Place
    counterpart: Place | None
    values: tuple[tuple[int, ...], float, float] | None


def place_of(op: Operation, how: str) -> Place:
    return Place(excerpt(op), op.name, describe_location(op.location), _symbol(op), how)


def _symbol(op: Operation) -> str:
    """The symbol that an op stands in."""
    each: Operation | None = op
    while each is not None:
        name = getattr(each.get_attr_or_prop("sym_name"), "data", None)
        if isinstance(name, str):
            return f"@{name}"
        each = each.parent_op()
    return ""


def arrays_of(value: Any) -> list[Array]:
    """The numbers in a run-time value; empty for what has none that could be compared."""
    match value:
        case np.ndarray() | np.generic():
            return [np.asarray(value)]
        case QuantizedArray():
            return [value.plain()]
        case StateValue():
            return [np.concatenate([np.asarray(x).reshape(-1) for x in part]) for part in (value.keys, value.values) if part]
        case _:
            return []


def numbers(event: Event) -> list[Array]:
    """What an event gave, as arrays; of a state that it updated, the part that it wrote."""
    return list(event.held) or [a for r in event.results for a in arrays_of(r)]


@dataclass
class _Node:
    """An event with its numbers and where its operands came from."""

    event: Event
    arrays: list[Array]
    sources: list[int] = field(default_factory=list[int])
    key: tuple[str, str, int] | None = None
    sink: bool = False


def _inner(op: Operation) -> bool:
    parent = op.parent_op()
    return parent is not None and parent.name in BODIES


def graph(trace: Sequence[Event]) -> list[_Node]:
    """Events as nodes: an operand's source is the event that gave the very object, or that last wrote the memory it was read from."""
    made: dict[int, int] = {}
    writers: dict[int, int] = {}
    counts: dict[tuple[str, str], int] = defaultdict(int)
    nodes: list[_Node] = []
    for event in trace:
        op = event.op
        if _inner(op):
            continue
        index = len(nodes)
        node = _Node(event, numbers(event))
        node.sources = [made[id(o)] for o in event.operands if id(o) in made]
        for address in _addresses(event, reads=True):
            if address in writers:
                node.sources.append(writers[address])
        for address in _addresses(event, reads=False):
            writers[address] = index
        if is_known(op.location):
            where = str(op.location)
            node.key = (where, op.name, counts[(where, op.name)])
            counts[(where, op.name)] += 1
        node.sink = op.name in ("layout.write", "layout.write_state", "tile.store", "tile.store_scalar") or _returned(op)
        for result in event.results:
            if op.name == "nn.append":
                made[id(result)] = index
            else:
                made.setdefault(id(result), index)
        nodes.append(node)
    return nodes


def _returned(op: Operation) -> bool:
    for result in op.results:
        for use in result.uses:
            if use.operation.has_trait(IsTerminator):
                parent = use.operation.parent_op()
                if isinstance(use.operation, ReturnOp) or (parent is not None and isinstance(parent.parent_op(), ModuleOp)):
                    return True
    return False


def _addresses(event: Event, reads: bool) -> Iterator[int]:
    """The memory that an event reads or writes, by address."""
    name = event.op.name
    if name == ("layout.read" if reads else "layout.write") or (name == "layout.state" and reads):
        yield from (_address(o.memory) for o in event.operands if isinstance(o, Buffer))
    elif name == "nn.append" and not reads:
        for state in event.operands:
            if isinstance(state, PagedState):
                yield from (_address(state.keys.memory), _address(state.values.memory))


def _address(memory: Array) -> int:
    return int(memory.__array_interface__["data"][0])


@dataclass
class _Search:
    before: Sequence[Event]
    after: Sequence[Event]
    exact: Sequence[Event]
    tolerance: float
    allowance: float

    def run(self) -> _Culprit | None:
        """The first op at fault; None where values say nothing."""
        self.old, self.new = graph(self.before), graph(self.after)
        truth = graph(self.exact)
        self.truth = truth if len(truth) == len(self.old) else self.old
        self.by_key = {n.key: i for i, n in enumerate(self.old) if n.key is not None}
        self.by_place: dict[str, list[int]] = defaultdict(list)
        self.by_size: dict[tuple[int, bool], list[int]] = defaultdict(list)
        for i, node in enumerate(self.old):
            if node.arrays:
                self.by_size[self._size(node)].append(i)
                if node.key is not None:
                    self.by_place[node.key[0]].append(i)
        self.good: dict[int, int] = {}
        region = self._region()
        if not region:
            return None
        edge = [i for i in region if not self._inside(i, region)]
        for strict in (True, False):
            for index in region:
                pair = self._counterpart(index, strict)
                if pair is None or self._leads(index, region) or (self._unchanged(index, pair) and self._inside(index, region)):
                    continue
                how = "by location: the op that stood there gave another value"
                return self._culprit(index, pair, how)
        if not edge:
            return None
        how = "by value: its operands agree with values of the module before, its result with none"
        return self._culprit(edge[0], self._replaced(edge[0]), how)

    @staticmethod
    def _size(node: _Node) -> tuple[int, bool]:
        return node.arrays[0].size, is_float_array(node.arrays[0])

    def _carriers(self, index: int) -> Iterator[int]:
        """Where an event's operands' numbers come from, through events that have none of their own."""
        for source in self.new[index].sources:
            if self.new[source].arrays:
                yield source
            else:
                yield from self._carriers(source)

    def _region(self) -> list[int]:
        """Events that lead to a result and have no good value, in order."""
        stack = [i for i, n in enumerate(self.new) if n.sink]
        seen: set[int] = set()
        while stack:
            index = stack.pop()
            if index in seen or (self.new[index].arrays and self._is_good(index)):
                continue
            seen.add(index)
            stack.extend(self.new[index].sources)
        return sorted(i for i in seen if self.new[i].arrays)

    def _inside(self, index: int, region: Sequence[int]) -> bool:
        """Whether a value that is not good feeds this event."""
        return any(s in region for s in self._carriers(index))

    def _unchanged(self, index: int, pair: int) -> bool:
        """Whether the op is as it was, so that only its operands can be at fault."""
        new, old = self.new[index].event.op, self.old[pair].event.op
        return new.name == old.name and new.properties == old.properties

    def _leads(self, index: int, region: Sequence[int]) -> bool:
        """Whether a value that is compared with another one, and wrong, feeds this event."""
        inside, stack, seen = set(region), list(self._carriers(index)), set[int]()
        while stack:
            each = stack.pop()
            if each not in inside or each in seen:
                continue
            if self._counterpart(each, False) is not None:
                return True
            seen.add(each)
            stack.extend(self._carriers(each))
        return False

    def _verdict(self, old: int, new: int) -> Verdict:
        """The judgement of all numbers of two events."""
        worst = Verdict(0.0)
        for b, a, e in zip(self.old[old].arrays, self.new[new].arrays, self.truth[old].arrays):
            if b.size != a.size:
                return Verdict(np.inf, True)
            b, e = b.reshape(a.shape), e.reshape(a.shape) if e.size == a.size else b.reshape(a.shape)
            if same_bits(b, a):
                continue
            exact = not is_float_array(b) or not is_float_array(a)
            verdict = judge_exactly(b, a) if exact else judge(b, a, e, self.tolerance, self.allowance)
            if verdict.ratio > worst.ratio or verdict.wrong:
                worst = verdict
        return worst

    def _is_good(self, index: int) -> bool:
        if index in self.good:
            return self.good[index] >= 0
        node = self.new[index]
        same = self.by_key.get(node.key) if node.key is not None else None
        candidates: Iterable[int] = self.by_size.get(self._size(node), ())
        blank = all(a.size and bool((a == a.reshape(-1)[0]).all()) for a in node.arrays)  # equals any memory that nobody wrote
        for old in [*([same] if same is not None and self.old[same].arrays else []), *candidates]:
            if old != same and blank and self.old[old].event.op.name != node.event.op.name:
                continue
            if len(self.old[old].arrays) == len(node.arrays) and not self._verdict(old, index).wrong:
                self.good[index] = old
                return True
        self.good[index] = -1
        return False

    def _counterpart(self, index: int, strict: bool) -> int | None:
        """The event of the module before at the same location: of the same op, or (not `strict`) of another one, with as many
        elements in the same shape."""
        node = self.new[index]
        if node.key is None:
            return None
        same = self.by_key.get(node.key)
        if same is not None and self.old[same].arrays and self._size(self.old[same]) == self._size(node):
            return same
        shape = node.arrays[0].shape
        there = [
            i
            for i in self.by_place.get(node.key[0], ())
            if not strict and self.old[i].sources and self.old[i].arrays[0].shape == shape
        ]
        return there[min(node.key[2], len(there) - 1)] if there else None

    def _replaced(self, index: int) -> int | None:
        """The event of the module before that works on the same values, where there is one."""
        used = {self.good[s] for s in self._carriers(index) if self._is_good(s)}
        size = self._size(self.new[index])
        for i, node in enumerate(self.old):
            if node.arrays and self._size(node) == size and used and used <= set(node.sources):
                return i
        return None

    def _culprit(self, index: int, pair: int | None, how: str) -> _Culprit:
        place = place_of(self.new[index].event.op, how)
        if pair is None:
            return _Culprit(place, None, None)
        counterpart = place_of(self.old[pair].event.op, "")
        verdict = self._verdict(pair, index)
        values = None
        if verdict.worst or self.new[index].arrays[0].ndim == 0:
            for b, a in zip(self.old[pair].arrays, self.new[index].arrays):
                b = b.reshape(a.shape)
                if len(verdict.worst) == a.ndim and not same_bits(b, a):
                    values = (verdict.worst, float(b[verdict.worst]), float(a[verdict.worst]))
                    break
        return _Culprit(place, counterpart, values)


STORES = (
    "layout.write",
    "layout.write_state",
    "tile.store",
    "tile.store_scalar",
    "tile.atomic_add",
    "ptx.st",
    "ptx.red",
    "ptx.atom",
)


def written(before: ModuleOp, after: ModuleOp, symbol: str, output: str) -> tuple[Place | None, Place | None] | None:
    """By buffer, for a kernel that went from one level to the next, where one op became many: the op that puts the wrong numbers
    into memory, and the one that makes them in the kernel before. None for modules on one level."""
    old, new = (symbols(module).get(symbol) for module in (before, after))
    if (
        old is None
        or new is None
        or old.name == new.name
        or not (old.name.endswith(".kernel") and new.name.endswith(".kernel"))
    ):
        return None
    how = f"by buffer: it stores to '{output}'; the kernels stand at different levels, so that their values can't be followed"
    source, target = _store(old, output, None), _store(new, output, None)
    maker = source.operands[0].owner if source is not None and source.operands else None
    origin = maker if isinstance(maker, Operation) and maker.name.partition(".")[0] in ("nn", "linalg", "tile") else source
    if origin is not None:
        target = _store(new, output, origin) or target
    return (
        place_of(target, how) if target is not None else None,
        place_of(origin, "") if origin is not None else None,
    )


def _store(kernel: Operation, output: str, like: Operation | None) -> Operation | None:
    """The last op that stores to a buffer (at `ptx`, where buffers have no names, to any), at the location of `like` if given."""
    found: Operation | None = None
    for op in kernel.walk():
        if op.name not in STORES or (like is not None and op.location != like.location):
            continue
        buffers = [o.name_hint for o in op.operands if isinstance(o.type, BufferType)]
        if op.name.startswith("ptx") or output in buffers:
            found = op
    return found


def rewritten(before: ModuleOp, after: ModuleOp, symbol: str) -> tuple[Place | None, Place | None]:
    """By structure: the first op that the pass rewrote in a symbol, where values can't be followed op by op."""
    old, new = (_listing(m, symbol) for m in (before, after))
    matcher = SequenceMatcher(None, [t for t, _ in old], [t for t, _ in new], autojunk=False)
    for tag, i, _, j, _ in matcher.get_opcodes():
        if tag == "equal":
            continue
        how = "by structure: the first op that the pass rewrote; its values can't be followed one by one"
        place = place_of(new[min(j, len(new) - 1)][1], how) if new else None
        return place, place_of(old[min(i, len(old) - 1)][1], "") if old else None
    return None, None


def _listing(module: ModuleOp, symbol: str) -> list[tuple[str, Operation]]:
    """The ops of a symbol as text without value names, registers and locations."""
    inside: list[Operation] = []
    for op in module.body.block.ops:
        name = getattr(op.get_attr_or_prop("sym_name"), "data", None)
        if name == symbol or (symbol == "model" and isinstance(op, FuncOp)):
            inside += [o for o in op.walk() if o is not op]
    return [(f"{op.name} {sorted((k, str(v)) for k, v in op.properties.items())}", op) for op in inside]
