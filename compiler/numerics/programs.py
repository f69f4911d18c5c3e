"""Running host programs in numpy: the buffers of a scenario's steps written, as a server would, and the results read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...dialects.ir.interpret import Options
from ...dialects.layout import expressions
from ...dialects.layout.ops import KernelOp
from ...dialects.layout.ranges import decode_ranges
from ...dialects.layout.types import BufferType
from ...dialects.nn.values import Batch
from ...dialects.rt.ops import IoOp, LaunchOp, ProgramOp, ReinterpretOp
from ...runtime.engine import Capacity
from ...runtime.reference import ReferenceEngine
from .functions import DEFAULT_SIZES, draws
from .inputs import Checkpoint, Source, symbols, use_of
from .results import Results, Row
from .scenario import Scenario, sampling_arrays

BATCH = ("positions", "sequence", "query_start", "kv_len", "page_table")
STARTS = {"eos": -1, "limit": 1 << 20, "alive": 1}
"""What the buffers of the decode loop hold before a step; others hold 0."""
SPARE_PAGES = 2


def io_ops(program: ProgramOp) -> dict[str, IoOp]:
    """The named buffers of a program."""
    return {op.label.data: op for op in program.block.ops if isinstance(op, IoOp)}


def is_pool(label: str) -> bool:
    return label.startswith(("k_pages", "v_pages"))


def takes_tokens(program: ProgramOp) -> bool:
    """Whether a program works on tokens of several sequences."""
    return any(label in BATCH or is_pool(label) for label in io_ops(program))


def written(program: ProgramOp, table: Mapping[str, Operation]) -> set[str]:
    """The named buffers that a program's launches write."""
    found: set[str] = set()
    for op in program.block.ops:
        if isinstance(op, LaunchOp):
            kernel = table.get(op.kernel.root_reference.data)
            if isinstance(kernel, KernelOp):
                for buffer, effect in zip(op.buffers, kernel.arg_effects.data, strict=True):
                    owner = buffer.owner
                    while isinstance(owner, ReinterpretOp):
                        owner = owner.source.owner
                    if "w" in effect.data and isinstance(owner, IoOp):
                        found.add(owner.label.data)
    return found


def largest(program: ProgramOp) -> dict[str, int]:
    """The largest values of a program's sizes."""
    return {k: high for k, (_, high) in decode_ranges(program.ranges).items()}


@dataclass
class ProgramRunner:
    """Runs programs of one module at `layout`."""

    module: ModuleOp
    source: Source
    checkpoint: Checkpoint
    options: Options
    traced: bool = False
    results: Results = field(default_factory=Results)

    def __post_init__(self) -> None:
        self.table = symbols(self.module)

    def _observe(self, op: Operation, operands: tuple[Any, ...], results: tuple[Any, ...]) -> None:
        self.results.observe(op, operands, results)

    def _engine(self, capacity: Capacity) -> ReferenceEngine:
        observer, plugins = self._observe if self.traced else None, self.source.options.registry.semantics
        engine = ReferenceEngine(self.module, capacity, self.options, observer, plugins)
        engine.load(self.checkpoint)
        return engine

    def _run(self, engine: ReferenceEngine, name: str, sizes: Mapping[str, int]) -> None:
        with np.errstate(all="ignore"):
            engine.run(name, sizes)

    def _write(self, engine: ReferenceEngine, label: str, array: Any) -> None:
        engine.write(label, np.asarray(array))

    def _read(self, engine: ReferenceEngine, type_: BufferType, label: str, sizes: Mapping[str, int]) -> Any:
        extents = type_.extents(sizes)
        return engine.read(label, int(np.prod(extents))).reshape(extents)

    def whole(self, program: ProgramOp, given: Mapping[str, int]) -> Results:
        """One run on whole tensors."""
        sizes = program_sizes(program, given)
        capacity = Capacity(sizes.get("T", 1), sizes.get("B", 1), sizes.get("P", 1), sizes)
        engine, outputs = self._engine(capacity), written(program, self.table)
        for index, (label, op) in enumerate(io_ops(program).items()):
            type_ = op.result.type
            if label not in outputs:
                use = use_of(op.result, self.table)
                self._write(engine, label, self.source.tensor(label, index, type_.extents(sizes), type_.element_type, use))
        self._run(engine, program.sym_name.data, sizes)
        for label, op in io_ops(program).items():
            if label in outputs:
                self.results.add(label, self._read(engine, op.result.type, label, sizes))
        return self.results

    def stepwise(self, programs: list[ProgramOp], scenario: Scenario) -> Results:
        """One run a step, `@decode` where every sequence has one token; states lie in pages that are handed out in disorder."""
        page, columns = paging_of(programs)
        pages = [-(-(n + 1) // page) for n in scenario.lengths]
        order = iter(self.source.generator("pages").permutation(sum(pages)) + 1)
        table = np.zeros((scenario.sequences, columns), np.int32)
        for sequence, count in enumerate(pages):
            table[sequence, :count] = [next(order) for _ in range(count)]
        others = {
            k: v for p in programs for k, v in program_sizes(p, self.source.options.sizes).items() if k not in ("T", "B", "P")
        }
        capacity = Capacity(scenario.most_tokens, scenario.sequences, sum(pages) + SPARE_PAGES, others)
        engine = self._engine(capacity)
        self._fill_pools(engine, programs, scenario, table, page)
        for step in range(len(scenario.steps)):
            self._step(engine, programs, scenario, step, table)
        self._read_pools(engine, programs, scenario, table, page)
        return self.results

    def _step(
        self, engine: ReferenceEngine, programs: list[ProgramOp], scenario: Scenario, step: int, table: np.ndarray[Any, Any]
    ) -> None:
        batch, rows, last = scenario.batch(step), scenario.rows(step), scenario.last_rows(step)
        others = {k: v for k, v in engine.capacity.others.items()}
        sizes = {**others, "T": batch.tokens, "B": batch.sequences, "P": engine.capacity.pages}
        program = choose(programs, all(n == 1 for n in scenario.steps[step]), sizes)
        outputs = written(program, self.table)
        fixed = {
            "positions": batch.positions,
            "sequence": batch.sequence,
            "query_start": batch.query_start,
            "kv_len": batch.kv_len,
            "page_table": table,
            **sampling_arrays(scenario.sampling()),
        }
        for index, (label, op) in enumerate(io_ops(program).items()):
            type_ = op.result.type
            tokens = (
                type_.rank > 0 and expressions.evaluate(type_.dims[0], sizes) == batch.tokens and isinstance(type_.dims[0], str)
            )
            if label in fixed:
                self._write(engine, label, fixed[label])
            elif is_pool(label):
                continue
            elif label in ("eos", "limit", "alive", "step", "ring"):
                self._write(engine, label, np.full(type_.extents(sizes), STARTS.get(label, 0), np.int32))
            elif tokens and (label not in outputs or label == "ids"):
                use, shape = use_of(op.result, self.table), type_.extents(sizes)[1:]
                self._write(engine, label, scenario.per_token(label, index, rows, shape, type_.element_type, use))
            elif label not in outputs:
                use = use_of(op.result, self.table)
                self._write(engine, label, self.source.tensor(label, index, type_.extents(sizes), type_.element_type, use))
        self._run(engine, program.sym_name.data, sizes)
        read = {label: op.result.type for label, op in io_ops(program).items() if label in outputs and not is_pool(label)}
        sampler = self.table.get("sample")
        if "tokens" not in outputs and isinstance(sampler, ProgramOp) and "logits" in outputs:
            for label, array in {**sampling_arrays(scenario.sampling()), "kv_len": batch.kv_len}.items():
                self._write(engine, label, array)
            self._run(engine, "sample", sizes)
            read |= {label: op.result.type for label, op in io_ops(sampler).items() if label in written(sampler, self.table)}
        self._collect(engine, read, sizes, batch, scenario, (rows, last))

    def _collect(
        self,
        engine: ReferenceEngine,
        read: Mapping[str, Any],
        sizes: Mapping[str, int],
        batch: Batch,
        scenario: Scenario,
        keys: tuple[list[Row], list[Row]],
    ) -> None:
        """Read what a step wrote; rows belong to tokens, or to sequences (their last token)."""
        arrays = {label: self._read(engine, type_, label, sizes) for label, type_ in read.items()}
        for label, type_ in read.items():
            first = str(type_.dims[0]) if type_.rank else ""
            rows = keys[0] if first == "T" and len(keys[0]) == len(arrays[label]) else keys[1] if first in ("T", "B") else None
            drawn = draws(arrays["logits"], batch, scenario) if label == "tokens" and "logits" in arrays else None
            self.results.add(label, arrays[label], rows, drawn)

    # Pools ------------------------------------------------------------------------------------------------------------

    def _pools(self, programs: list[ProgramOp]) -> dict[str, BufferType]:
        found: dict[str, BufferType] = {}
        for program in programs:
            for label, op in io_ops(program).items():
                if is_pool(label):
                    found[label] = op.result.type
        return found

    def _fill_pools(
        self, engine: ReferenceEngine, programs: list[ProgramOp], scenario: Scenario, table: np.ndarray[Any, Any], page: int
    ) -> None:
        for label, type_ in self._pools(programs).items():
            kind, _, number = label.partition(".")
            heads, size = (d for d in (type_.dims[1], type_.dims[3]) if isinstance(d, int))
            pool = np.zeros(type_.extents({"P": engine.capacity.pages}), np.float64)
            for s in range(scenario.sequences):
                part = "keys" if kind == "k_pages" else "values"
                held = scenario.remembered(int(number or 0), part, s, heads, size, type_.element_type)
                for position, row in enumerate(held):
                    pool[table[s, position // page], :, position % page] = row
            self._write(engine, label, pool)

    def _read_pools(
        self, engine: ReferenceEngine, programs: list[ProgramOp], scenario: Scenario, table: np.ndarray[Any, Any], page: int
    ) -> None:
        rows = [(s, p) for s, n in enumerate(scenario.lengths) for p in range(n)]
        for label, type_ in self._pools(programs).items():
            kind, _, number = label.partition(".")
            pool = self._read(engine, type_, label, {"P": engine.capacity.pages})
            held = np.stack([pool[table[s, p // page], :, p % page] for s, p in rows])
            self.results.add(f"state {int(number or 0)}, {'keys' if kind == 'k_pages' else 'values'}", held, rows)


def choose(programs: list[ProgramOp], single: bool, sizes: Mapping[str, int]) -> ProgramOp:
    """The program that a server would run for these sizes."""
    fitting = [p for p in programs if all(sizes.get(k, low) <= high for k, (low, high) in decode_ranges(p.ranges).items())]
    decoders = [p for p in fitting if p.sym_name.data.startswith("decode")]
    others = [p for p in fitting if p not in decoders]
    ranked = sorted(decoders if single and decoders else others or programs, key=lambda p: largest(p).get("T", 1 << 40))
    return ranked[0]


def paging_of(programs: list[ProgramOp]) -> tuple[int, int]:
    """(tokens of a page, pages that a sequence can have), from the programs' buffers."""
    page, columns = 64, 8
    for program in programs:
        for label, op in io_ops(program).items():
            type_ = op.result.type
            if is_pool(label) and isinstance(type_.dims[2], int):
                page = type_.dims[2]
            if label == "page_table" and isinstance(type_.dims[1], int):
                columns = type_.dims[1]
    return page, columns


def program_sizes(program: ProgramOp, given: Mapping[str, int]) -> dict[str, int]:
    """A value for every size of a program: given, else small and within its ranges."""
    names = {s.data for s in program.sizes.data}
    for op in program.block.ops:
        for value in op.results:
            if isinstance(value.type, BufferType):
                names |= value.type.sizes
    ranges, found = decode_ranges(program.ranges), dict[str, int]()
    for position, name in enumerate(sorted(names)):
        low, high = ranges.get(name, (1, 1 << 30))
        found[name] = given[name] if name in given else min(max(DEFAULT_SIZES.get(name, 3 + position), low), high)
    return found
