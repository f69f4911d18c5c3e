"""A module as it stood between two passes: its text, its ops, and the ops of earlier states that they derive from.

Ops are numbered through the whole trace: op i of a state is number `base + i`, in walk order. Edges are such numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.ir import Attribute, Operation
from xdsl.traits import IsolatedFromAbove

from ...dialects.ir.diagnostics import describe_location
from ...dialects.ir.printer import print_with_spans
from ...dialects.ir.symbols import symbol_name

Span = tuple[int, int]
NOWHERE: Span = (-1, -1)


@dataclass
class State:
    """`spans` are the first and last lines of the ops in `text` (an op without lines of its own: -1, -1); `places` their locations
    in words; `edges` the numbers of the ops that they derive from."""

    number: int
    stream: int
    base: int
    text: str
    ops: list[Operation]
    spans: list[Span]
    places: list[str]
    edges: list[tuple[int, ...]]
    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])

    def counts(self) -> Counter[str]:
        """How many ops of each name there are; the module itself does not count."""
        return Counter(op.name for op in self.ops[1:])

    def symbols(self) -> list[tuple[str, int]]:
        """The ops with a symbol name, by their index."""
        found: list[tuple[str, int]] = []
        for index, op in enumerate(self.ops):
            name = symbol_name(op)
            if name is not None:
                found.append((name, index))
        return found

    def payload(self) -> dict[str, object]:
        """What the page needs of it, as JSON."""
        names = list(dict.fromkeys(op.name for op in self.ops))
        places = list(dict.fromkeys(self.places))
        name_index = {name: i for i, name in enumerate(names)}
        place_index = {place: i for i, place in enumerate(places)}
        return {
            "text": self.text,
            "names": names,
            "places": places,
            "name": [name_index[op.name] for op in self.ops],
            "place": [place_index[place] for place in self.places],
            "first": [first for first, _ in self.spans],
            "last": [last for _, last in self.spans],
            "edges": [e[0] if len(e) == 1 else list(e) for e in self.edges],
            "symbols": self.symbols(),
            "frames": [index for index, op in enumerate(self.ops) if is_frame(op)],
        }

    def outline(self, origins: Sequence[int]) -> dict[str, object]:
        """What the page reads at once: where the state belongs. `origins` are the states that its edges lead to."""
        return {
            "k": "state",
            "id": self.number,
            "stream": self.stream,
            "base": self.base,
            "count": len(self.ops),
            "lines": self.text.count("\n"),
            "from": list(origins),
        }


def is_frame(op: Operation) -> bool:
    """Whether an op stands around others without being one of them: a module, function, kernel, weight."""
    return symbol_name(op) is not None or op.has_trait(IsolatedFromAbove)


def read_module(module: Operation) -> tuple[str, list[Operation], list[Span]]:
    """Text without locations, ops in walk order and their lines. A module that can't be printed has a text that says so."""
    ops = list(module.walk())
    for generic in (False, True):
        try:
            printed = print_with_spans(module, generic=generic)
        except Exception as error:  # a failing pass may leave anything; the trace shows what it can
            problem = f"// this module can't be printed: {type(error).__name__}: {error}\n"
            continue
        return printed.text, ops, [printed.spans.get(op, NOWHERE) for op in ops]
    return problem, ops, [NOWHERE] * len(ops)  # pyright: ignore[reportPossiblyUnboundVariable]


def places_of(ops: Sequence[Operation]) -> list[str]:
    """The locations of ops in words; equal ones are the same string."""
    known: dict[Attribute, str] = {}
    found: list[str] = []
    for op in ops:
        text = known.get(op.location)
        if text is None:
            text = known[op.location] = describe_location(op.location)
        found.append(text)
    return found
