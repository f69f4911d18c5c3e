"""What can be compared between two modules, each as a `Unit`: how to run it before, and how to run it after, on the same inputs.

functions      by name; `@main` and the `@prefill`, `@decode` or `@encode` made of it are one model
programs       the same, on buffers
kernels        by name, where no function or program that launches them can be run (`tile`, `ptx`, a kernel alone)
weights        by name, where nothing uses them
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.rewriter import Rewriter

from ...codegen.targets import Target
from ...dialects.fusion.ops import KernelOp as FusionKernelOp
from ...dialects.fusion.ops import LaunchOp as FusionLaunchOp
from ...dialects.ir.hashing import structural_text
from ...dialects.ir.interpret import Interpreter, Options
from ...dialects.layout.ops import KernelOp
from ...dialects.nn.ops import WeightOp, YieldOp
from ...dialects.ptx.ops import KernelOp as PtxKernelOp
from ...dialects.quantized.ops import DequantizeOp
from ...dialects.quantized.types import ElemType
from ...dialects.rt.ops import LaunchOp, ProgramOp
from ...dialects.tile.ops import KernelOp as TileKernelOp
from .functions import Function, FunctionRunner, along, sizes_of
from .inputs import Checkpoint, Source, symbols
from .kernels import KernelCase, followers, is_follower, run_kernels
from .outcome import NumericsOptions
from .programs import ProgramRunner, io_ops, largest, program_sizes, takes_tokens
from .results import Results
from .scenario import Scenario, plan
from .signature import AnyKernel, Signature

MODEL = "model"
STEMS = ("prefill", "decode", "encode")
Run = Callable[[Options, bool], Results]
"""Runs under some options; the flag asks for a trace."""


@dataclass(frozen=True)
class Unit:
    """Something that both modules have. `text`: what each run depends on, so that runs can be shared."""

    name: str
    before: Run
    after: Run
    keys: tuple[str, str]


@dataclass
class Units:
    """What was found to compare, and what was not, each with its reason."""

    found: list[Unit] = field(default_factory=list[Unit])
    notes: list[str] = field(default_factory=list[str])

    def add(self, units: Iterable[Unit | str]) -> None:
        """Units, and reasons why there are none."""
        for unit in units:
            if isinstance(unit, Unit):
                self.found.append(unit)
            else:
                self.notes.append(unit)


@dataclass
class Side:
    """One module, taken apart."""

    module: ModuleOp
    options: NumericsOptions
    text: str = ""

    def __post_init__(self) -> None:
        self.text = self.text or structural_text(self.module)
        self._texts: dict[Operation, str] = {}
        self.table = symbols(self.module)
        self.target: Target = self.options.registry.targets.of(self.module)
        ops = list(self.module.body.block.ops)
        self.functions = {op.sym_name.data: op for op in ops if isinstance(op, FuncOp) and op.body.blocks}
        self.programs = {
            op.sym_name.data: op for op in ops if isinstance(op, ProgramOp) and op.sym_name.data not in ("load", "sample")
        }
        self.kernels: dict[str, AnyKernel | FusionKernelOp] = {
            op.sym_name.data: op for op in ops if isinstance(op, KernelOp | TileKernelOp | PtxKernelOp | FusionKernelOp)
        }
        self.weights = {op.sym_name.data: op for op in ops if isinstance(op, WeightOp)}
        self.launched = {
            op.kernel.root_reference.data for op in self.module.walk() if isinstance(op, LaunchOp | FusionLaunchOp)
        }

    def text_of(self, kernel: Operation) -> str:
        """The structural text of one of the kernels."""
        if kernel not in self._texts:
            self._texts[kernel] = structural_text(kernel)
        return self._texts[kernel]

    @property
    def lowered(self) -> str | None:
        """Why the host programs can't be run in numpy, if they can't."""
        for program in self.programs.values():
            for op in program.block.ops:
                if isinstance(op, LaunchOp) and op.kernel.root_reference.data in self.table:
                    kernel = self.table[op.kernel.root_reference.data]
                    if not isinstance(kernel, KernelOp):
                        return f"@{program.sym_name.data} launches {kernel.name}s: they are compared one by one"
                elif isinstance(op, LaunchOp):
                    return f"@{program.sym_name.data} launches @{op.kernel.root_reference.data}, which the module does not have"
        return None

    def groups(self, names: Mapping[str, str] | None = None) -> dict[str, list[FuncOp | ProgramOp]]:
        """Callables by what they are to a caller: the functions of a model together, others by their own (former) names."""
        callables: dict[str, Any] = {**self.functions, **(self.programs if self.lowered is None else {})}
        found: dict[str, list[Any]] = {}
        for own, op in callables.items():
            name = (names or {}).get(own, own)
            model = name == "main" or name.startswith(STEMS) or len(callables) == 1
            found.setdefault(MODEL if model else name, []).append(op)
        return found


def find_units(
    before: ModuleOp,
    after: ModuleOp,
    source: Source,
    texts: tuple[str, str] = ("", ""),
    cases: dict[str, KernelCase] | None = None,
    entries: Mapping[str, str] | None = None,
) -> Units:
    """Everything that both modules compute. `cases`: what kernels were run on before, for those whose level has forgotten what their
    arguments mean. `entries`: new name → old name of what was renamed."""
    first, second = Side(before, source.options, texts[0]), Side(after, source.options, texts[1])
    checkpoint = Checkpoint.of(source, before, after)
    units = Units()
    for side, when in ((first, "before"), (second, "after")):
        if side.lowered is not None and not side.lowered.endswith("one by one"):
            units.notes.append(f"programs ({when}): {side.lowered}")
    names = dict(entries or {})
    one, two = first.groups(), second.groups(names)
    second.kernels = {names.get(n, n): k for n, k in second.kernels.items()}
    for name in one:
        if name not in two:
            if second.lowered is None:
                units.notes.append(f"@{one[name][0].sym_name.data}: the module after has no counterpart")
            continue
        units.add(_callables(name, (first, one[name]), (second, two[name]), source, checkpoint))
    covered = bool(units.found)
    _kernels(first, second, source, units, covered, {} if cases is None else cases)
    if not units.found:
        _weights(first, second, source, checkpoint, units)
    return units


def _callables(
    name: str, before: tuple[Side, list[Any]], after: tuple[Side, list[Any]], source: Source, checkpoint: Checkpoint
) -> list[Unit | str]:
    """Functions or programs against functions or programs: along tokens if either has sequences, else whole."""
    sides = [before, after]
    tokens = [any(_takes_tokens(op) for op in ops) for _, ops in sides]
    label = f"@{before[1][0].sym_name.data}" if name == MODEL else f"@{name}"
    if not any(tokens):
        names = sorted({op.sym_name.data for op in before[1]} & {op.sym_name.data for op in after[1]})
        pairs = [[next(o for o in ops if o.sym_name.data == n) for _, ops in sides] for n in names] or [
            [ops[0] for _, ops in sides]
        ]
        found: list[Unit | str] = []

        def whole(side: Side, op: Any, sizes: dict[str, int]) -> Run:
            return lambda options, traced: _run_whole(side, op, source, checkpoint, options, traced, sizes)

        for pair in pairs:
            sizes = _common_sizes(pair, source.options)
            runs = [whole(side, op, sizes) for (side, _), op in zip(sides, pair)]
            own = [op.sym_name.data for op in pair]
            found.append(Unit(f"@{own[0]}", runs[0], runs[1], _keys(before[0], after[0], "whole", *own, sizes)))
        return found
    scenario = _scenario(before[1], after[1], source)
    if isinstance(scenario, str):
        return [f"{label}: {scenario}"]

    def stepped(side: Side, ops: list[Any]) -> Run:
        return lambda options, traced: _run_tokens(side, ops, source, checkpoint, scenario, options, traced)

    keys = _keys(before[0], after[0], "tokens", label, scenario.past, scenario.steps)
    return [Unit(label, stepped(*before), stepped(*after), keys)]


def _keys(before: Side, after: Side, *case: object) -> tuple[str, str]:
    return f"{case}\n{before.text}", f"{case}\n{after.text}"


def _takes_tokens(op: FuncOp | ProgramOp | FusionKernelOp) -> bool:
    return takes_tokens(op) if isinstance(op, ProgramOp) else Function.of(op).batch is not None


def _common_sizes(pair: list[Any], options: NumericsOptions) -> dict[str, int]:
    sizes = dict(options.sizes)
    for op in pair:
        found = program_sizes(op, sizes) if isinstance(op, ProgramOp) else sizes_of(Function.of(op), sizes)
        sizes = {**found, **sizes}
    return sizes


def _run_whole(
    side: Side, op: Any, source: Source, checkpoint: Checkpoint, options: Options, traced: bool, sizes: dict[str, int]
) -> Results:
    if isinstance(op, ProgramOp):
        return ProgramRunner(side.module, source, checkpoint, options, traced).whole(op, sizes)
    return FunctionRunner(side.module, source, checkpoint, options, traced).whole(Function.of(op), sizes)


def _run_tokens(
    side: Side, ops: list[Any], source: Source, checkpoint: Checkpoint, scenario: Scenario, options: Options, traced: bool
) -> Results:
    if isinstance(ops[0], ProgramOp):
        return ProgramRunner(side.module, source, checkpoint, options, traced).stepwise(ops, scenario)
    runner = FunctionRunner(side.module, source, checkpoint, options, traced)
    functions = [Function.of(op) for op in ops]
    if functions[0].batch is None:
        return runner.alone(functions[0], scenario)
    decoders, others = [f for f in functions if f.one_token], [f for f in functions if not f.one_token]

    def choose(single: bool) -> Function:
        return (decoders if single and decoders else others or decoders)[0]

    return runner.stepwise(choose, scenario)


@dataclass(frozen=True)
class _Kind:
    """What a group of callables can do with tokens. `state`: remembers; `many`: takes several tokens of a sequence in a step."""

    state: bool
    many: bool
    stateless: bool
    ranges: dict[str, int]


def _kind(ops: list[Any]) -> _Kind:
    if isinstance(ops[0], ProgramOp):
        state = any(label.startswith("k_pages") for p in ops for label in io_ops(p))
        many = any(not p.sym_name.data.startswith("decode") for p in ops)
        ranges = [largest(p) for p in ops]
        return _Kind(state, many, False, _least(ranges))
    functions = [Function.of(op) for op in ops]
    state, many = any(f.states for f in functions), any(not f.one_token for f in functions)
    return _Kind(state, many, functions[0].batch is None, _least([f.ranges for f in functions]))


def _least(ranges: list[dict[str, int]]) -> dict[str, int]:
    """The most sequences that all take, and the most tokens that any takes."""
    found: dict[str, int] = {}
    sequences = [r["B"] if "B" in r else r["T"] for r in ranges if "B" in r or "T" in r]
    if sequences:
        found["B"] = min(sequences)
    tokens = [r["T"] for r in ranges if "T" in r]
    if tokens:
        found["T"] = max(tokens)
    return found


def _scenario(before: list[Any], after: list[Any], source: Source) -> Scenario | str:
    one, two = _kind(before), _kind(after)
    if one.stateless and not any(along(a, "T") for a in Function.of(before[0]).arguments):
        return "no argument of the function before has an entry for each token (T)"
    ranges = {k: min(one.ranges.get(k, 1 << 30), two.ranges.get(k, 1 << 30)) for k in {*one.ranges, *two.ranges}}
    kept = (one.state or one.stateless) and (two.state or two.stateless)
    return plan(source, past=one.state and two.state, steps=kept, single=not (one.many and two.many), ranges=ranges)


# Kernels ----------------------------------------------------------------------------------------------------------------


def _kernels(first: Side, second: Side, source: Source, units: Units, covered: bool, cases: dict[str, KernelCase]) -> None:
    """Kernels of the same name, where nothing that launches them was compared."""
    for name, kernel in first.kernels.items():
        other = second.kernels.get(name)
        numpy_only = isinstance(kernel, KernelOp | FusionKernelOp) and isinstance(other, KernelOp | FusionKernelOp | None)
        if covered and numpy_only:
            continue
        if other is None:
            if not covered:
                units.notes.append(f"@{name}: the module after has no kernel of that name")
            continue
        if type(kernel) is type(other) and first.text_of(kernel) == second.text_of(other):
            continue
        units.add(_kernel(name, (first, kernel), (second, other), source, cases))


def _kernel(
    name: str, before: tuple[Side, Any], after: tuple[Side, Any], source: Source, cases: dict[str, KernelCase]
) -> list[Unit | str]:
    kernel, other, schedules = before[1], after[1], source.options.registry.schedules
    if isinstance(kernel, FusionKernelOp) and isinstance(other, FusionKernelOp):
        return _callables(
            name, (before[0], [kernel]), (after[0], [other]), source, Checkpoint.of(source, before[0].module, after[0].module)
        )
    if isinstance(kernel, FusionKernelOp) or isinstance(other, FusionKernelOp):
        return [f"@{name}: a fusion.kernel takes tensors, a {other.name} memory; they are compared through what launches them"]
    one, two = Signature.of(kernel, source.options), Signature.of(other, source.options)
    signature = one or two
    if signature is None:
        return [
            f"@{name}: nothing says what its parameters point to (attributes `buffers`, `names`, `effects` and `sizes`, or an array or size given for each)"
        ]
    if isinstance(kernel, KernelOp) and isinstance(other, TileKernelOp) and is_follower(kernel, schedules):
        return [f"@{name}: it is the second half of a split kernel, and compared with the first"]
    more = [a for a in (two.arguments if two is not None else ()) if a.name not in {b.name for b in signature.arguments}]
    shared = Signature((*signature.arguments, *more), signature.sizes, signature.order, signature.ranges)
    if two is not None and len(two.arguments) != len(shared.arguments):
        return [
            f"@{name}: its buffers changed from {[a.name for a in signature.arguments]} to {[a.name for a in two.arguments]}"
        ]
    if more and one is not None and two is not None:
        return [f"@{name}: it takes further buffers ({', '.join(a.name for a in more)}) since its launch was planned"]
    case = cases.get(name)
    if case is None or not case.fits(shared):
        case = cases[name] = KernelCase.of(shared, source)

    def run(side: Side, each: Any, origin: Any) -> Run:
        def go(options: Options, traced: bool) -> Results:
            chain: list[Any] = [each]
            if isinstance(each, TileKernelOp) and isinstance(origin, KernelOp):
                chain += followers(origin, side.target, schedules)
            results = run_kernels(chain, case, options, side.target, source.options, traced)
            for argument in shared.arguments:
                if argument.workspace and (isinstance(kernel, KernelOp) or isinstance(other, KernelOp)):
                    results.values.pop(argument.name, None)
            return results

        return go

    keys = tuple(f"kernel {case.digest} {side.target.name}\n{side.text_of(k)}" for side, k in (before, after))
    return [Unit(f"@{name}", run(before[0], kernel, kernel), run(after[0], other, kernel), (keys[0], keys[1]))]


# Weights ----------------------------------------------------------------------------------------------------------------


def find_weights(before: ModuleOp, after: ModuleOp, source: Source) -> Units:
    """The weights of the same name that are defined in another way."""
    first, second, units = Side(before, source.options), Side(after, source.options), Units()
    for name, old in [*first.weights.items()]:
        if name in second.weights and structural_text(old) == structural_text(second.weights[name]):
            del second.weights[name]
    _weights(first, second, source, Checkpoint.of(source, before, after), units)
    return units


def with_weights_of(before: ModuleOp, after: ModuleOp) -> ModuleOp:
    """A copy of the module before whose weights have the values of those after: what was quantised ends in `quantized.dequantize`."""
    copy = before.clone()
    ours, theirs = symbols(copy), symbols(after)
    for name, old in ours.items():
        new = theirs.get(name)
        if not isinstance(old, WeightOp) or not isinstance(new, WeightOp):
            continue
        new, kind = new.clone(), old.yielded.type
        end = new.body.block.last_op
        if new.yielded.type != kind:
            if not isinstance(end, YieldOp) or not isinstance(quantised := new.yielded.type, TensorType):
                continue
            if not isinstance(quantised.element_type, ElemType) or not isinstance(kind, TensorType):
                continue
            plain = DequantizeOp(new.yielded, kind.element_type, location=new.location)
            new.body.block.insert_op_before(plain, end)
            end.operands[0] = plain.result
        Rewriter.replace_op(old, new)
    return copy


def _weights(first: Side, second: Side, source: Source, checkpoint: Checkpoint, units: Units) -> None:
    """Definitions of weights of the same name."""
    for name in first.weights:
        if name not in second.weights:
            continue

        def run(side: Side, symbol: str = name) -> Run:
            def go(options: Options, traced: bool) -> Results:
                results = Results()
                environment: dict[str, Any] = {"weights": checkpoint, "sidecar": checkpoint}
                interpreter = Interpreter(side.module, side.options.semantics, options, environment)
                results.add(symbol, interpreter.call(symbol, ())[0])
                return results

            return go

        units.found.append(Unit(f"@{name}", run(first), run(second), _keys(first, second, "weight", name)))
