"""Which modules the passes worked on, one after another, and how the ops of one were handed to the next.

A stream is one module object: the whole model, or a module with one kernel (`compiler/kernels.py` clones it out of the model), or one
with the op that a nested pass is anchored on. A stream's first state is connected to earlier ones by the ops themselves where they
were moved, and by symbol name where they were cloned.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, Operation

from ...dialects.ir.symbols import symbol_name
from .states import Span, State, places_of, read_module


@dataclass
class Stream:
    """One module under way. `parent` is the stream that its ops came from, None for the first."""

    number: int
    module: Operation
    name: str
    parent: int | None
    state: State | None = None


@dataclass
class Streams:
    """All streams and states of a trace."""

    streams: list[Stream] = field(default_factory=list[Stream])
    bases: list[int] = field(default_factory=list[int])
    owners: list[int] = field(default_factory=list[int])
    total: int = 0
    _known: dict[Operation, int] = field(default_factory=dict[Operation, int])
    _symbols: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict[str, tuple[int, tuple[str, ...]]])

    def of(self, module: Operation) -> Stream | None:
        """The stream of a module that has been seen, or of the op that stands alone in it; the latest first."""
        known = next((stream for stream in reversed(self.streams) if stream.module is module), None)
        tops = list(module.body.block.ops) if isinstance(module, ModuleOp) else []
        if known is not None or len(tops) != 1:
            return known
        for stream in reversed(self.streams):
            if stream.parent is not None and stream.state is not None and tops == stream.state.ops[1:2]:
                stream.module = module
                return stream
        return None

    def open(self, module: Operation, ops: Sequence[Operation]) -> Stream:
        """A new stream for a module that no pass has worked on."""
        edges = self.inherited(module, ops)
        origin = next((e[0] for e in edges[1:] if e), None)
        parent = None if origin is None else self.stream_of(origin)
        stream = Stream(len(self.streams), module, self._name(module, parent), parent)
        self.streams.append(stream)
        return stream

    def _name(self, module: Operation, parent: int | None) -> str:
        tops = list(module.body.block.ops) if isinstance(module, ModuleOp) else []
        name = symbol_name(tops[0]) if len(tops) == 1 and parent is not None else None
        if name is None:
            return "module" if not self.streams else f"module {len(self.streams) + 1}"
        again = sum(s.name == name or s.name.startswith(f"{name} #") for s in self.streams)
        return f"{name} #{again + 1}" if again else name

    def stream_of(self, number: int) -> int:
        """The stream in which op `number` stands."""
        return self.owners[bisect_right(self.bases, number) - 1]

    def states_of(self, edges: Iterable[tuple[int, ...]]) -> list[int]:
        """The states that edges lead to."""
        found = {bisect_right(self.bases, number) - 1 for edge in edges for number in edge}
        return sorted(found)

    def inherited(self, module: Operation, ops: Sequence[Operation]) -> list[tuple[int, ...]]:
        """Where the ops of a module come from that no pass has just changed: the same op, or the op of which it is a clone."""
        edges: list[tuple[int, ...]] = [(self._known[op],) if op in self._known else () for op in ops]
        index = {op: i for i, op in enumerate(ops)}
        if not isinstance(module, ModuleOp):
            return edges
        for top in module.body.block.ops:
            name = symbol_name(top)
            if edges[index[top]] or name is None or name not in self._symbols:
                continue
            base, names = self._symbols[name]
            body = list(top.walk())
            if tuple(op.name for op in body) == names:
                for offset, op in enumerate(body):
                    edges[index[op]] = (base + offset,)
        return edges

    def add(
        self,
        stream: Stream,
        text: str,
        ops: list[Operation],
        spans: list[Span],
        edges: list[tuple[int, ...]],
        attributes: dict[str, Attribute] | None = None,
    ) -> State:
        """A new state of a stream."""
        number = len(self.bases)
        state = State(number, stream.number, self.total, text, ops, spans, places_of(ops), edges, attributes or {})
        self.bases.append(self.total)
        self.owners.append(stream.number)
        self.total += len(ops)
        if stream.state is not None:
            for op in stream.state.ops:
                self._known.pop(op, None)
        self._known |= {op: state.base + index for index, op in enumerate(ops)}
        if stream.parent is None and isinstance(stream.module, ModuleOp):
            index = {op: i for i, op in enumerate(ops)}
            for top in stream.module.body.block.ops:
                name = symbol_name(top)
                if name is not None and top in index:
                    self._symbols[name] = (state.base + index[top], tuple(op.name for op in top.walk()))
        stream.state = state
        return state

    def read(self, stream: Stream, edges: list[tuple[int, ...]] | None = None) -> State:
        """The state of a stream's module as it stands now."""
        text, ops, spans = read_module(stream.module)
        found = self.inherited(stream.module, ops) if edges is None else edges
        return self.add(stream, text, ops, spans, found, dict(stream.module.attributes))
