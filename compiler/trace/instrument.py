"""The instrument that traces: sees every pass, and writes what it found and left as it goes."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from xdsl.dialects.builtin import LocationAttr, ModuleOp
from xdsl.ir import Operation

from ...dialects.ir.diagnostics import LlmcError
from ...dialects.ir.locations import tags_of, untagged
from ...dialects.ir.printer import print_module
from ...dialects.ptx.ops import KernelOp as PtxKernelOp
from ...dialects.ptx.text import module_to_ptx
from ...passes.framework.anchor import Anchor
from ...passes.framework.instrument import Instrument
from ...passes.framework.pass_ import Pass, PassContext
from ...passes.framework.pipeline import print_pass
from ...passes.framework.remarks import Remark
from ..phases import PHASES, CompileOptions
from .sources import Sources
from .states import NOWHERE, State
from .streams import Stream, Streams
from .tags import attach, detach
from .writer import TraceWriter


@dataclass
class Running:
    """A pass under way: what it found, and how much had been remarked and counted."""

    number: int
    stream: Stream
    before: State
    file: str
    remarks: int
    statistics: dict[str, int]
    started: float


@dataclass
class LowerTrace(Instrument):
    """Traces into a folder: `index.html` and `ir/NNNN_pass.before.mlir`, `….after.mlir`, in a folder of its own for each kernel.

    The compilation's result does not depend on it. Raises LLMC0251 where the folder can't be written, LLMC0252 where it holds
    something else.
    """

    directory: Path
    title: str = ""
    context: PassContext | None = None
    writer: TraceWriter = field(init=False)
    streams: Streams = field(default_factory=Streams)
    sources: Sources = field(default_factory=Sources)
    number: int = 0
    _running: list[Running] = field(default_factory=list[Running])
    _texts: dict[int, str] = field(default_factory=dict[int, str])  # of the latest state of each stream, with locations

    def __post_init__(self) -> None:
        self.title = self.title or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        self.writer = TraceWriter(self.directory, f"lower trace: {self.title}")
        self.writer.record({"k": "start", "title": self.title, "time": time.strftime("%Y-%m-%d %H:%M:%S")})

    def start(self, context: PassContext, root: ModuleOp) -> None:
        """Before the first pass."""
        self.context = context

    def finish(self) -> None:
        """After the last pass: the page says that nothing is missing."""
        self.writer.record({"k": "end"})

    def enter(self, anchor: Anchor) -> None:
        """What nested passes work on comes out of the whole module, which no pass may have worked on yet."""
        if self.streams.of(anchor.root) is None:
            self._entry(anchor.root)

    # Around a pass --------------------------------------------------------------------------------------------------------

    def before(self, pass_: Pass, module: Operation) -> None:
        stream, state = self._entry(module)
        number, self.number = self.number, self.number + 1
        name = f"{number:04d}_{pass_.name}"
        self.writer.record(
            {
                "k": "begin",
                "id": number,
                "stream": stream.number,
                "name": pass_.name,
                "phase": self._phase(pass_),
                "options": print_pass(pass_)[len(pass_.name) :].strip("{}"),
                "before": state.number,
                "file": self.writer.file(self._folder(stream), f"{name}.before.mlir", self._texts[stream.number]),
            }
        )
        remarks = len(self.context.remarks.items) if self.context is not None else 0
        self._running.append(Running(number, stream, state, name, remarks, self._counted(pass_), time.perf_counter()))
        attach(state.ops, state.base)

    def after(self, pass_: Pass, module: Operation, seconds: float) -> None:
        running = self._running.pop()
        state = self._exit(running, module)
        self._record(pass_, running, state, seconds, None)
        if self._phase(pass_) == "ptx":
            self._ptx_text(running.stream, module)

    def failed(self, pass_: Pass, module: Operation, error: BaseException) -> None:
        running = self._running.pop()
        state = self._exit(running, module)
        text = error.what if isinstance(error, LlmcError) else f"{type(error).__name__}: {error}"
        self._record(pass_, running, state, time.perf_counter() - running.started, text)

    def skipped(self, pass_: Pass, module: Operation) -> None:
        stream, state = self._entry(module)
        number, self.number = self.number, self.number + 1
        item: dict[str, object] = {"id": number, "stream": stream.number, "name": pass_.name, "phase": self._phase(pass_)}
        self.writer.record({"k": "skipped", **item, "before": state.number, "after": state.number})

    # States ---------------------------------------------------------------------------------------------------------------

    def _entry(self, module: Operation) -> tuple[Stream, State]:
        """The state in which a pass finds a module: the one in which the pass before left it, if nothing came in between."""
        stream = self.streams.of(module)
        ops = list(module.walk())
        if stream is None:
            stream = self.streams.open(module, ops)
            self.writer.record({"k": "stream", "id": stream.number, "name": stream.name, "parent": stream.parent})
        state = stream.state
        if state is not None and state.ops[1:] == ops[1:] and state.attributes == module.attributes:
            state.ops[0] = module
            return stream, state
        return stream, self._keep(stream, self.streams.read(stream))

    def _exit(self, running: Running, module: Operation) -> State:
        """The state in which a pass left a module, connected to the one in which it found it."""
        before = running.before
        running.stream.module = module
        origins = detach(module, {op: before.base + i for i, op in enumerate(before.ops)})
        origins[module] = (before.base,)
        state = self.streams.read(running.stream, [origins[op] for op in module.walk()])
        return self._keep(running.stream, state)

    def _keep(self, stream: Stream, state: State) -> State:
        self._write(state)
        try:
            self._texts[stream.number] = print_module(stream.module, locations=True)
        except Exception:  # what a failing pass left need not print
            self._texts[stream.number] = state.text
        return state

    def _write(self, state: State) -> None:
        """The large part first: a state that the page knows of is there."""
        self.writer.store(f"s{state.number}", state.payload())
        self.writer.record(state.outline(self.streams.states_of(state.edges)))
        lines = self.sources.new(dict.fromkeys(state.places))
        if lines:
            self.writer.record({"k": "source", "lines": lines})

    def _ptx_text(self, stream: Stream, module: Operation) -> None:
        """The PTX of a module whose registers are assigned: one more step, from ops to lines."""
        assert isinstance(module, ModuleOp) and stream.state is not None
        kernels = [op for op in module.body.block.ops if isinstance(op, PtxKernelOp)]
        spans: dict[Operation, tuple[int, int]] = {}
        start = time.perf_counter()
        assert self.context is not None
        arch = self.context.registry.targets.find(CompileOptions.of(module).target).arch
        try:
            text = module_to_ptx(kernels, arch, spans=spans) if kernels else ""
        except LlmcError:  # registers are not assigned yet
            return
        if not text:
            return
        seconds = time.perf_counter() - start
        before = stream.state
        ops = [op for op in before.ops if op in spans]
        edges = [(before.base + i,) for i, op in enumerate(before.ops) if op in spans]
        state = self.streams.add(stream, text, ops, [spans.get(op, NOWHERE) for op in ops], edges)
        self._write(state)
        number, self.number = self.number, self.number + 1
        self.writer.record(
            {
                "k": "pass",
                "id": number,
                "stream": stream.number,
                "name": "PTX text",
                "phase": "ptx",
                "before": before.number,
                "after": state.number,
                "seconds": seconds,
                "changed": True,
                "ops": [len(before.ops) - 1, len(ops)],
                "lines": text.count("\n"),
                "file": self.writer.file(self._folder(stream), f"{number:04d}.ptx", text),
            }
        )

    # What the page says about a pass --------------------------------------------------------------------------------------

    def _folder(self, stream: Stream) -> str | None:
        return stream.name if stream.parent is not None else None

    def _phase(self, pass_: Pass) -> str:
        """The phase that a pass runs in; the one whose folder it is from where it runs in none; empty for a pass from elsewhere."""
        inside = self.context.pipelines if self.context is not None else ()
        phases = [name.removesuffix("-phase") for name in reversed(inside) if name.removesuffix("-phase") in PHASES]
        folders = [part for part in reversed(type(pass_).__module__.split(".")) if part in PHASES]
        return next(iter([*phases, *folders]), "")

    def _counted(self, pass_: Pass) -> dict[str, int]:
        return dict(self.context.statistics.get(pass_.name, {})) if self.context is not None else {}

    def _remarks(self, running: Running) -> list[tuple[Remark, frozenset[int]]]:
        """What the pass has remarked, each with the tags of its place, which go."""
        if self.context is None:
            return []
        items = self.context.remarks.items
        found = [(item, tags_of(item.location)) for item in items[running.remarks :]]
        items[running.remarks :] = [replace(item, location=untagged(cast(LocationAttr, item.location))) for item, _ in found]
        return found

    def _record(self, pass_: Pass, running: Running, state: State, seconds: float, problem: str | None) -> None:
        before = running.before
        counts = state.counts()
        counts.subtract(before.counts())
        statistics = {k: v - running.statistics.get(k, 0) for k, v in self._counted(pass_).items()}
        text = self._texts[running.stream.number]
        remarks = self._remarks(running)
        self.writer.record(
            {
                "k": "pass",
                "id": running.number,
                "stream": running.stream.number,
                "name": pass_.name,
                "phase": self._phase(pass_),
                "options": print_pass(pass_)[len(pass_.name) :].strip("{}"),
                "before": before.number,
                "after": state.number,
                "seconds": seconds,
                "changed": state.text != before.text,
                "ops": [len(before.ops) - 1, len(state.ops) - 1],
                "delta": {name: n for name, n in sorted(counts.items()) if n},
                "statistics": {k: v for k, v in statistics.items() if v},
                "remarks": placed(remarks, state, before),
                "failed": problem,
                "file": self.writer.file(self._folder(running.stream), f"{running.file}.after.mlir", text),
            }
        )


def placed(remarks: Sequence[tuple[Remark, frozenset[int]]], after: State, before: State) -> list[dict[str, object]]:
    """Remarks with the numbers of the ops that they speak of, which the tags of their locations lead to: what became of the op
    under the same name, else the op that the pass found."""
    if not remarks:
        return []
    became: dict[int, list[int]] = {}
    for index, edges in enumerate(after.edges):
        for edge in edges:
            became.setdefault(edge, []).append(index)

    def number(remark: Remark, tags: frozenset[int]) -> int | None:
        name = remark.where.split(" ", 1)[0]
        for tag in sorted(tags):
            same = next((i for i in became.get(tag, ()) if after.ops[i].name == name), None)
            if same is not None:
                return after.base + same
        found = [t for t in sorted(tags) if before.ops[t - before.base].name == name]
        return found[0] if found else min(tags, default=None)

    return [
        {
            "kind": r.kind,
            "category": r.category,
            "message": r.message,
            "suggestion": r.suggestion,
            "where": r.where,
            "op": number(r, tags),
        }
        for r, tags in remarks
    ]
