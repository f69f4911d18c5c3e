"""A torch module as a callable on llmc's kernels: what `llmc.compile` returns.

    fast = llmc.compile(module, (ids, attention_mask))
    fast(ids, attention_mask)          # torch tensors, in the structure that module.forward returns
    fast.reload()                      # after the module's parameters changed

forward is captured in eval mode; what it does not take as a tensor (flags, None, Python numbers) is fixed to the example's value.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp

from ..dialects.ir.diagnostics import LlmcError
from ..dialects.nn.sizes import Size
from ..runtime.devices import open_device
from ..runtime.engine import Capacity, Engine
from ..runtime.weights import Layered
from .build import Compiled, Settings, compile_module
from .engines import make_engine, settings_for
from .frontend import hooks
from .frontend.captured import Captured
from .frontend.examples import bind, by_place, check_dynamic, check_examples, example_sizes, refuse_sparse
from .frontend.importer import ELEMS, Entry, Port, to_numpy
from .frontend.integers import IntegerRanges
from .frontend.model import ImportedModel, capture_module, import_captured_module
from .frontend.refusals import refuse_float64
from .phases import CompileOptions
from .request import article

PROGRAM = "main"
LARGEST = 1024
"""The bound of a size that varies, where the caller gives none."""


@dataclass(frozen=True)
class Result:
    """One leaf of what forward returns: the tensor in the buffer `label`, or a constant."""

    label: str = ""
    dims: tuple[Size, ...] = ()
    dtype: torch.dtype = torch.float32
    constant: Any = None


@dataclass
class CompiledModule:
    """`module.forward` on a device. `compiled` holds the IR, the kernels and the remarks."""

    module: torch.nn.Module
    compiled: Compiled
    device: str
    engine: Engine
    weights: Mapping[str, Any]
    signature: inspect.Signature
    inputs: Sequence[Port]
    examples: Sequence[Any]
    """The leaves of the example inputs: tensors, and constants that stay what they were."""
    in_spec: Any
    out_spec: Any
    results: Sequence[Result]
    integers: IntegerRanges
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    _ready: dict[tuple[tuple[str, int], ...], Callable[[], None]] = field(default_factory=dict[Any, Any])

    def __repr__(self) -> str:
        """On one line; `compiled` has the rest."""
        dtype = next((str(p.dtype).removeprefix("torch.") for p in self.module.parameters()), "none")
        tensors = [e for e in self.examples if isinstance(e, torch.Tensor)]
        inputs = [
            f"{port.name}: {str(t.dtype).removeprefix('torch.')}[{', '.join(map(str, port.dims))}]"
            for port, t in zip(self.inputs, tensors, strict=True)
        ]
        return (
            f"CompiledModule({type(self.module).__name__}, device={self.device}, dtype={dtype}, inputs=({', '.join(inputs)}))"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What `module(*args, **kwargs)` returns in eval mode. LLMC0241 to LLMC0244 for inputs it was not compiled for,
        LLMC0249 for integers from which it may compute some that do not fit the device, LLMC0328 for indices out of range."""
        leaves, spec = pytree.tree_flatten(bind(self.signature, args, kwargs))
        if spec != self.in_spec:
            fix = "call it with the arguments of the example, or compile again with these"
            raise LlmcError(
                "LLMC0241",
                "the arguments differ in structure from the example's",
                "the call",
                why=f"{spec} is not {self.in_spec}",
                fix=fix,
            )
        tensors, sizes = self._checked(leaves)
        arrays = [_stored(value, port.name) for port, value in zip(self.inputs, tensors, strict=True)]
        self.integers.check(tensors, sizes)
        for port, array in zip(self.inputs, arrays, strict=True):
            self.engine.write(port.name, array)
        self._runner(sizes)()
        place = tensors[0].device if tensors else torch.device("cpu")
        return pytree.tree_unflatten([self._result(r, sizes, place) for r in self.results], self.out_spec)

    def reload(self) -> None:
        """Read the parameters that the module has now, and the floating-point buffers of its state dict, whether they were written to
        or replaced. LLMC0314 to LLMC0316 for one that is gone, or that has another shape or dtype."""
        self.engine.load(self.weights)

    def _checked(self, leaves: Sequence[Any]) -> tuple[list[torch.Tensor], dict[str, int]]:
        """The tensors among the leaves, and the sizes that their shapes stand for."""
        sizes: dict[str, int] = {}
        tensors: list[torch.Tensor] = []
        ports = iter(self.inputs)
        for given, example in zip(leaves, self.examples, strict=True):
            if not isinstance(example, torch.Tensor):
                if type(given) is not type(example) or given != example:
                    why = "only tensors may change from call to call"
                    raise LlmcError(
                        "LLMC0241",
                        f"argument {given!r} was {example!r} in the example",
                        "the call",
                        why=why,
                        fix="compile again for this value",
                    )
                continue
            port = next(ports)
            if not isinstance(given, torch.Tensor) or given.dtype != example.dtype:
                what = str(given.dtype) if isinstance(given, torch.Tensor) else type(given).__name__
                raise LlmcError(
                    "LLMC0242",
                    f"{port.name} is {article(what)}",
                    f"input {port.name}",
                    why=f"it was compiled for {example.dtype}",
                    fix="convert it, or compile again",
                )
            refuse_sparse(given, f"input {port.name}")
            self._match(port, tuple(given.shape), sizes)
            tensors.append(given)
        return tensors, sizes

    def _match(self, port: Port, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
        shown = "[" + ", ".join(str(d) for d in port.dims) + "]"
        good = len(shape) == len(port.dims)
        for extent, dim in zip(shape, port.dims):
            name = str(dim)
            if name in self.limits:
                good = good and 1 <= extent <= self.limits[name]
                good = good and sizes.setdefault(name, extent) == extent
            else:
                good = good and dim.evaluate(sizes) == extent
        if not good:
            bounds = ", ".join(f"{n} up to {v}" for n, v in self.limits.items())
            why = f"it was compiled for {shown}" + (f" with {bounds}" if bounds else "")
            fix = "compile again with this shape, or name the dimensions that vary in `dynamic`"
            raise LlmcError("LLMC0243", f"{port.name} has the shape {list(shape)}", f"input {port.name}", why=why, fix=fix)

    def _runner(self, sizes: Mapping[str, int]) -> Callable[[], None]:
        key = tuple(sorted(sizes.items()))
        if key not in self._ready:
            self._ready[key] = self.engine.capture(PROGRAM, sizes)
        return self._ready[key]

    def _result(self, result: Result, sizes: Mapping[str, int], place: torch.device) -> Any:
        if not result.label:
            return result.constant
        shape = [d.evaluate(sizes) for d in result.dims]
        array = self.engine.read(result.label, int(np.prod(shape, dtype=np.int64)))
        return _tensor(array).reshape(shape).to(device=place, dtype=result.dtype)


def _stored(value: torch.Tensor, name: str) -> np.ndarray[Any, Any]:
    """A tensor as the engine takes it; indices are 32 bits wide there."""
    array = to_numpy(value)
    if array.dtype == np.int64:
        if array.size and (array.min() < -(2**31) or array.max() >= 2**31):
            raise LlmcError(
                "LLMC0244",
                f"{name} holds an integer that does not fit 32 bits",
                f"input {name}",
                why="indices are 32 bits wide on the device",
                fix="give indices between -2**31 and 2**31 - 1",
            )
        array = array.astype(np.int32)
    return array.reshape(-1)


def _tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """numpy (with ml_dtypes) → torch."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def compile_torch(
    module: Any,
    example_inputs: Sequence[Any],
    kwargs: Mapping[str, Any],
    dynamic: Mapping[int | str, Mapping[int, str]],
    max_sizes: Mapping[str, int],
    device: str,
    quant: str,
    settings: Settings,
) -> CompiledModule:
    """Capture, import and compile a module, and load its weights; see `llmc.compile`."""
    if not isinstance(module, torch.nn.Module):
        what = f"{article(type(module).__name__)} can't be compiled"
        raise LlmcError(
            "LLMC0240",
            what,
            "llmc.compile",
            why="llmc.compile takes a torch.nn.Module",
            fix="llmc.load takes the directory of a checkpoint",
        )
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    check_examples(example_inputs, kwargs)
    signature = inspect.signature(module.forward)
    bound = bind(signature, example_inputs, kwargs)
    names = {name for axes in dynamic.values() for name in axes.values()}
    limits = {name: max_sizes.get(name, LARGEST) for name in sorted(names)}
    placed = by_place(signature, dynamic, bound[0])
    check_dynamic(signature, placed, bound, limits, max_sizes)
    settings.progress("import", "", 0, 1)
    captured = _capture(module, bound, placed, limits)
    refuse_float64(captured.program, module)
    places, results, out_spec = _results(captured)
    imported = import_captured_module(captured, places, _entries(module))
    imported = _named_outputs(imported, [r.label for r in results if r.label])
    examples, in_spec = pytree.tree_flatten(bound)
    integers = IntegerRanges(captured)
    integers.check([e for e in examples if isinstance(e, torch.Tensor)], example_sizes(imported.inputs, examples, limits))
    tensors = iter(imported.outputs)
    results = [Result(r.label, next(tensors).dims, r.dtype) if r.label else r for r in results]

    opened = open_device(device) if device != "reference" else None
    target = opened.target if opened is not None else "sm_90a"
    compiled = compile_module(
        imported.module, CompileOptions(target=target, scheme=quant, kind="module"), settings_for(settings, opened)
    )
    engine = make_engine(compiled, opened, Capacity(others=limits), settings.registry)
    made = CompiledModule(
        module, compiled, opened.name if opened is not None else "reference", engine, Layered((imported.weights, imported.sidecar)),
        signature, imported.inputs, examples, in_spec, out_spec, results, integers, limits,
    )  # fmt: skip
    made.reload()
    return made


def _capture(
    module: torch.nn.Module,
    bound: tuple[tuple[Any, ...], dict[str, Any]],
    dynamic: dict[int | str, Mapping[int, str]],
    limits: dict[str, int],
) -> Captured:
    """Export without a KV cache: its tensors are no results of the model."""
    config = getattr(module, "config", None)
    with ExitStack() as stack:
        if config is not None and getattr(config, "use_cache", False):
            stack.enter_context(hooks.replaced(config, "use_cache", False))
        return capture_module(module, bound[0], dynamic, bound[1], limits, any_mode=False)


def _results(captured: Captured) -> tuple[list[int], list[Result], Any]:
    """Which results of the graph are forward's, each leaf of its structure, and the structure."""
    from torch.export.graph_signature import ConstantArgument, OutputKind, TensorArgument

    program = captured.program
    output = next(n for n in program.graph.nodes if n.op == "output")
    places: list[int] = []
    results: list[Result] = []
    nodes = 0
    for spec, node in zip(program.graph_signature.output_specs, output.args[0], strict=True):
        place, nodes = nodes, nodes + isinstance(node, torch.fx.Node)
        if spec.kind != OutputKind.USER_OUTPUT:
            what = f"forward writes to {spec.target or 'an input'}"
            raise LlmcError(
                "LLMC0245",
                what,
                "forward",
                why="a compiled module only computes results",
                fix="return the new value instead of assigning it",
            )
        if isinstance(spec.arg, ConstantArgument):
            results.append(Result(constant=spec.arg.value))
        elif isinstance(spec.arg, TensorArgument):
            dtype = node.meta["val"].dtype
            if dtype not in ELEMS:
                raise LlmcError(
                    "LLMC0332",
                    f"tensors of {dtype} are not supported",
                    f"output {len(results)}",
                    fix="convert it in the model to a float, an integer or a bool",
                )
            results.append(Result(f"output.{len(places)}", (), dtype))
            places.append(place)
        else:
            what = f"forward returns a size ({spec.arg})"
            raise LlmcError(
                "LLMC0246",
                what,
                f"output {len(results)}",
                why="results are tensors and constants",
                fix="read the size off a tensor, or keep that dimension static",
            )
    return places, results, program.call_spec.out_spec


def _entries(module: torch.nn.Module) -> dict[str, Entry]:
    """Floating-point buffers of the state dict are weights like any other, so that `reload` reads them; the rest are constants."""
    stored = set(module.state_dict())
    buffers = module.named_buffers(remove_duplicate=False)
    return {n: Entry(n, ELEMS[b.dtype]) for n, b in buffers if n in stored and b.dtype.is_floating_point and b.dtype in ELEMS}


def _named_outputs(imported: ImportedModel, labels: Sequence[str]) -> ImportedModel:
    main = next(op for op in imported.module.body.block.ops if isinstance(op, FuncOp))
    main.attributes["nn.outputs"] = ArrayAttr(StringAttr(label) for label in labels)
    return imported
