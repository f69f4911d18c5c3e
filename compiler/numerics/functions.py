"""Running functions (and fusion kernels on their own): whole, or along a scenario of tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, IntegerType, ModuleOp, StringAttr, TensorType, i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, Operation, Region, SSAValue

from ...dialects.fusion.ops import KernelOp as FusionKernelOp
from ...dialects.ir.interpret import Interpreter, Options
from ...dialects.ir.numeric import dtype_of
from ...dialects.layout.ranges import decode_ranges
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import BatchType, SamplingType, StateType, dims_of, elem_of
from ...dialects.nn.values import Batch, StateValue, draw
from .inputs import Checkpoint, Source, symbols, use_of
from .results import Results, Row
from .scenario import Scenario

EXACT = Options(compute=np.float64, round=False)
ROUNDED = Options()
DEFAULT_SIZES = {"T": 5, "B": 2}


@dataclass(frozen=True)
class Function:
    """A function and what its arguments and results are called. Labels are those that `bufferise` gives the buffers made of them."""

    op: Operation
    body: Region
    name: str

    @staticmethod
    def of(op: FuncOp | FusionKernelOp) -> Function:
        return Function(op, op.body, op.sym_name.data)

    @property
    def arguments(self) -> Sequence[BlockArgument]:
        return self.body.blocks[0].args

    @property
    def results(self) -> Sequence[SSAValue]:
        last = self.body.blocks[-1].last_op
        return list(last.operands) if last is not None else []

    @property
    def batch(self) -> BatchType | None:
        return next((a.type for a in self.arguments if isinstance(a.type, BatchType)), None)

    @property
    def states(self) -> list[StateType]:
        return [a.type for a in self.arguments if isinstance(a.type, StateType)]

    @property
    def one_token(self) -> bool:
        """Whether every sequence has one token in a step."""
        return self.batch is not None and self.batch.tokens == self.batch.sequences

    @property
    def ranges(self) -> dict[str, int]:
        """The largest values of its sizes."""
        return {k: high for k, (_, high) in decode_ranges(self.op.attributes.get("nn.ranges")).items()}

    def _names(self, key: str) -> list[str] | None:
        names = self.op.attributes.get(key) if "nn.outputs" in self.op.attributes else None
        return [n.data for n in names.data if isinstance(n, StringAttr)] if isinstance(names, ArrayAttr) else None

    def labels(self, positions: BlockArgument | None = None) -> dict[BlockArgument, str]:
        """A label for each tensor argument, but the one that is each token's position."""
        names, found = self._names("nn.inputs"), dict[BlockArgument, str]()
        tensors = [a for a in self.arguments if not isinstance(a.type, BatchType | StateType | SamplingType)]
        for index, argument in enumerate(t for t in tensors if t is not positions):
            found[argument] = names[index] if names and index < len(names) else "ids" if index == 0 else f"input.{index}"
        return found

    def outputs(self) -> dict[int, str]:
        """A label for each result that is a tensor, by its index."""
        names, found = self._names("nn.outputs"), dict[int, str]()
        count = 0
        for index, value in enumerate(self.results):
            if isinstance(value.type, StateType | BatchType):
                continue
            if names is not None:
                found[index] = names[index]
                continue
            first = "tokens" if elem(value) == i32 else "logits"
            found[index] = first if first not in found.values() else f"output.{count}"
            count += 1
        return found

    def positions(self) -> BlockArgument | None:
        """The argument with each token's position: `positions` of `nn.inputs`, else the second integer with an entry a token."""
        given = self.op.attributes.get("nn.inputs")
        if isinstance(given, ArrayAttr):
            names = [n.data for n in given.data if isinstance(n, StringAttr)]
            return self.arguments[names.index("positions")] if "positions" in names else None
        if self.batch is not None:
            return None
        integer = [a for a in self.arguments if isinstance(elem(a), IntegerType) and dims_of(a) and str(dims_of(a)[0]) == "T"]
        return integer[1] if len(integer) > 1 else None


def elem(value: SSAValue) -> Attribute:
    """A tensor's element type, or the type of a scalar."""
    return elem_of(value) if isinstance(value.type, TensorType) else value.type


@dataclass
class FunctionRunner:
    """Runs functions of one module. `peers`: the modules whose checkpoint entries it shares."""

    module: ModuleOp
    source: Source
    checkpoint: Checkpoint
    options: Options
    traced: bool = False

    def __post_init__(self) -> None:
        self.table = symbols(self.module)
        self.results = Results()
        environment: dict[str, Any] = {"weights": self.checkpoint, "sidecar": self.checkpoint}
        self.interpreter = Interpreter(self.module, self.source.options.semantics, self.options, environment)
        if self.traced:
            self.interpreter.observer = self._observe

    def _observe(self, op: Operation, operands: tuple[Any, ...], results: tuple[Any, ...]) -> None:
        self.results.observe(op, operands, results)

    def _call(self, function: Function, arguments: Sequence[Any], sizes: Mapping[str, int]) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            return self.interpreter.call(function.name, arguments, sizes)

    def whole(self, function: Function, given: Mapping[str, int]) -> Results:
        """One call on whole tensors; sizes are those given, else what the function's ranges allow."""
        sizes = sizes_of(function, given)
        labels, arguments = function.labels(), list[Any]()
        for index, argument in enumerate(function.arguments):
            shape = [d.evaluate(sizes) for d in dims_of(argument)] if isinstance(argument.type, TensorType) else []
            use = use_of(argument, self.table)
            arguments.append(self.source.tensor(labels[argument], index, shape, elem(argument), use))
        results = self._call(function, arguments, sizes)
        for index, label in function.outputs().items():
            self.results.add(label, results[index])
        return self.results

    def alone(self, function: Function, scenario: Scenario) -> Results:
        """A stateless function along a scenario: each sequence whole, as one that remembers nothing has to see it."""
        positions = function.positions()
        labels, outputs = function.labels(positions), function.outputs()
        for sequence, length in enumerate(scenario.lengths):
            rows = [(sequence, p) for p in range(length)]
            sizes = {**self._others(function), "T": length}
            arguments = [
                self._positions(a, length, sizes) if a is positions else self._tensor(a, labels[a], scenario, rows, "T", sizes)
                for a in function.arguments
            ]
            results = self._call(function, arguments, sizes)
            for index, label in outputs.items():
                keyed = along(function.results[index], "T")
                self.results.add(label, results[index], rows if keyed else None)
        return self.results

    def _positions(self, argument: BlockArgument, length: int, sizes: Mapping[str, int]) -> Any:
        shape = [d.evaluate(sizes) for d in dims_of(argument)]
        return np.arange(length).reshape(shape).astype(dtype_of(elem(argument)))

    def _others(self, function: Function) -> dict[str, int]:
        return sizes_of(function, self.source.options.sizes)

    def _tensor(
        self,
        argument: BlockArgument,
        label: str,
        scenario: Scenario,
        rows: Sequence[Row],
        tokens: str,
        sizes: Mapping[str, int],
    ) -> Any:
        use = use_of(argument, self.table)
        dims = dims_of(argument) if isinstance(argument.type, TensorType) else ()
        index = argument.index
        if along(argument, tokens):
            return scenario.per_token(label, index, rows, [d.evaluate(sizes) for d in dims[1:]], elem(argument), use)
        return self.source.tensor(label, index, [d.evaluate(sizes) for d in dims], elem(argument), use)

    def stepwise(self, choose: Callable[[bool], Function], scenario: Scenario) -> Results:
        """Functions with a batch, one call a step; `choose` says which, given whether every sequence has one token."""
        states: list[StateValue] | None = None
        for step in range(len(scenario.steps)):
            function = choose(all(n == 1 for n in scenario.steps[step]))
            if states is None:
                states = self.remembered(function, scenario)
            states = self._step(function, scenario, step, states)
        for number, state in enumerate(states or ()):
            for part, held in (("keys", state.keys), ("values", state.values)):
                rows = [(s, p) for s, each in enumerate(held) for p in range(len(each))]
                joined = np.concatenate([np.asarray(h, held[0].dtype) for h in held])
                self.results.add(f"state {number}, {part}", joined, rows)
        return self.results

    def remembered(self, function: Function, scenario: Scenario) -> list[StateValue]:
        """The states at the start of a scenario."""
        found: list[StateValue] = []
        for number, state in enumerate(function.states):
            parts = [
                tuple(
                    scenario.remembered(number, part, s, state.heads, state.head_size, state.elem)
                    for s in range(scenario.sequences)
                )
                for part in ("keys", "values")
            ]
            found.append(StateValue(*parts))
        return found

    def _step(self, function: Function, scenario: Scenario, step: int, states: Sequence[StateValue]) -> list[StateValue]:
        batch, waiting = scenario.batch(step), list(states)
        kind = function.batch
        assert kind is not None
        tokens, sequences = kind.tokens.data, kind.sequences.data
        sizes = {**self._others(function), tokens: batch.tokens, sequences: batch.sequences}
        positions = function.positions()
        labels, rows, last = function.labels(positions), scenario.rows(step), scenario.last_rows(step)
        arguments: list[Any] = []
        for argument in function.arguments:
            match argument.type:
                case BatchType():
                    arguments.append(batch)
                case StateType():
                    arguments.append(waiting.pop(0))
                case SamplingType():
                    arguments.append(scenario.sampling())
                case _ if argument is positions:
                    arguments.append(batch.positions.astype(dtype_of(elem(argument))))
                case _ if along(argument, sequences) and sequences != tokens:
                    arguments.append(self._tensor(argument, labels[argument], scenario, last, sequences, sizes))
                case _:
                    arguments.append(self._tensor(argument, labels[argument], scenario, rows, tokens, sizes))
        results = self._call(function, arguments, sizes)
        named: dict[str, Any] = {}
        for index, label in function.outputs().items():
            value = function.results[index]
            named[label] = results[index]
            keys = rows if along(value, tokens) else last if along(value, sequences) else None
            drawn = (
                draws(named["logits"], batch, scenario)
                if label == "tokens" and "logits" in named and keys is not None
                else None
            )
            self.results.add(label, results[index], keys, drawn)
        returned = [r for r in results if isinstance(r, StateValue)]
        return [*returned, *states[len(returned) :]]


def draws(logits: Any, batch: Batch, scenario: Scenario) -> Any:
    """The token that belongs to each row of logits; None when there is not a row for each sequence."""
    rows, how = np.asarray(logits), scenario.sampling()
    if rows.ndim != 2 or len(rows) != batch.sequences:
        return None
    parts = zip(rows, batch.kv_len, how.temperature, how.top_k, how.top_p, how.seed)
    return np.array([draw(r, int(n), float(t), int(k), float(p), int(s)) for r, n, t, k, p, s in parts], np.int32)


def along(value: SSAValue, size: str) -> bool:
    """Whether a tensor has one row for each of a size."""
    return isinstance(value.type, TensorType) and bool(dims_of(value)) and str(dims_of(value)[0]) == str(Size.parse(size))


def sizes_of(function: Function, given: Mapping[str, int]) -> dict[str, int]:
    """A value for every size name in a function: given, else small and within its ranges."""
    ranges = decode_ranges(function.op.attributes.get("nn.ranges"))
    names: set[str] = set()
    for op in (function.op, *function.op.walk()):
        for value in (*op.results, *(a for r in op.regions for b in r.blocks for a in b.args)):
            if isinstance(value.type, TensorType):
                names |= {n for d in dims_of(value) for n in d.names}
    found: dict[str, int] = {}
    for position, name in enumerate(sorted(names)):
        low, high = ranges.get(name, (1, 1 << 30))
        found[name] = given[name] if name in given else min(max(DEFAULT_SIZES.get(name, 3 + position), low), high)
    return found
