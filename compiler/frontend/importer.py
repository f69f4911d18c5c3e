"""ExportedProgram → `nn` module: walks the live nodes and calls the ATen table (aten/) for each.

Every op carries `NameLoc(module path, file:line)` from the node; sizes are named; parameters become `nn.weight`s with the
names of the checkpoint; int64 indices become i32; the batch dimension of size 1 is left out.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import ml_dtypes
import numpy as np
import torch
from torch import Tensor
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    IntegerAttr,
    LocationAttr,
    ModuleOp,
    StringAttr,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ...dialects.ir import locations
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.nn import ops as nn
from ...dialects.nn.base import is_float
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import dims_of, elem_of, tensor
from ...dialects.nn.weights import LARGEST_CONSTANT
from .aten import TABLE
from .aten.registry import Call
from .capture import Captured
from .graph import live_nodes, node_location
from .values import ONE, Builder, Value

ELEMS: dict[torch.dtype, Attribute] = {
    torch.float32: f32, torch.float16: f16, torch.bfloat16: bf16, torch.float64: f64, torch.bool: i1,
    torch.int64: i32, torch.int32: i32, torch.int16: i32, torch.uint8: i32, torch.int8: i8,
}  # fmt: skip
"""torch dtype → element type. Indices are 32 bits wide on our side."""

INPUT_NAMES = {"input_ids": "ids", "position_ids": "positions", "inputs_embeds": "embeddings"}
"""Names of arguments where ours is shorter than Hugging Face's."""


def to_numpy(value: Tensor) -> np.ndarray:
    """A tensor as numpy, bf16 and f8 through ml_dtypes."""
    plain = value.detach().cpu().contiguous()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    if plain.dtype == torch.float8_e4m3fn:
        return plain.view(torch.int8).numpy().view(ml_dtypes.float8_e4m3fn)
    return plain.numpy()


@dataclass(frozen=True)
class Entry:
    """Where a parameter's numbers are: its name in the checkpoint and the element type it is stored in."""

    name: str
    elem: Attribute


@dataclass(frozen=True)
class Port:
    """An input or output of the imported function: its name, torch's shape, and the axis that was left out."""

    name: str
    dims: tuple[Size, ...]
    axis: int | None


@dataclass
class Imported:
    """The result of an import."""

    module: ModuleOp
    inputs: list[Port]
    outputs: list[Port]
    sidecar: dict[str, np.ndarray] = field(default_factory=dict[str, np.ndarray])


class Importer:
    """One import. Handlers of the ATen table use `b` (the builder), `value`, `shape`, `elem`, `size`."""

    def __init__(
        self, captured: Captured, entries: Mapping[str, Entry], outputs: Sequence[int] | None, wide_outputs: bool
    ) -> None:
        self.captured = captured
        self.program = captured.program
        self.entries = entries
        self.wanted_outputs = outputs
        self.wide_outputs = wide_outputs
        self.block = Block()
        self.b = Builder(self.block, locations.named("model"))
        self.values: dict[torch.fx.Node, Any] = {}
        self.weights: dict[str, nn.WeightOp] = {}
        self.sidecar: dict[str, np.ndarray] = {}
        self.params: dict[str, Value] = {}
        self.natural: set[SSAValue] = set()

    # -- what handlers ask --------------------------------------------------------------------------------------------

    def value(self, argument: Any) -> Value:
        """The imported value of a node that is a tensor."""
        if isinstance(argument, torch.fx.Node):
            if argument not in self.values and argument.op == "placeholder":
                self.values[argument] = self._held(argument)
            return cast(Value, self.values[argument])
        raise LlmcError(
            "LLMC0330",
            f"expected a tensor, got {argument!r}",
            where=self.b.location,
            fix="pass a tensor, such as torch.tensor of the number",
        )

    def shape(self, node: torch.fx.Node | Call) -> tuple[Size, ...]:
        """Torch's shape of a node's (first) result."""
        value = node.meta["val"]
        return self.sizes(value[0].shape if isinstance(value, list | tuple) else value.shape)

    def sizes(self, shape: Sequence[Any]) -> tuple[Size, ...]:
        return tuple(self.size(s) for s in shape)

    def size(self, value: Any) -> Size:
        """A size from an int, a SymInt or a node that holds one."""
        if isinstance(value, torch.fx.Node):
            value = value.meta["val"]
        if isinstance(value, torch.SymInt):
            return self._polynomial(value.node.expr)
        return Size.of(int(value))

    def _polynomial(self, expression: Any) -> Size:
        import sympy

        expanded = sympy.expand(expression)
        total = Size.of(0)
        for term in sympy.Add.make_args(expanded):
            product = ONE
            for factor in sympy.Mul.make_args(term):
                base, power = factor.as_base_exp()
                if base.is_Integer and power == 1:
                    product = product * int(base)
                elif base.is_Symbol and power.is_Integer and power > 0:
                    for _ in range(int(power)):
                        product = product * Size.name(self.captured.names[base])
                else:
                    why = "sizes are sums of products of names, such as 8*T+1"
                    raise LlmcError(
                        "LLMC0331",
                        f"size {expression} cannot be expressed",
                        where=self.b.location,
                        why=why,
                        fix="keep that dimension static",
                    )
            total = total + product
        return total

    def elem(self, value: Any) -> Attribute:
        """The element type of a node, a tensor or a torch dtype."""
        if isinstance(value, torch.fx.Node | Call):
            value = value.meta["val"]
        dtype = value.dtype if isinstance(value, Tensor) else value
        if dtype not in ELEMS:
            raise LlmcError(
                "LLMC0332",
                f"tensors of {dtype} are not supported",
                where=self.b.location,
                fix="convert it in the model to a float, an integer or a bool",
            )
        return ELEMS[dtype]

    def concrete(self, node: torch.fx.Node, tokens: int) -> Tensor | None:
        """The number a node holds when every size name is `tokens`, if it depends on no input; None otherwise."""
        cache: dict[torch.fx.Node, Any] = {}
        signature = self.program.graph_signature
        names = {k: Size.of(tokens) for k in self.captured.names.values()}

        def run(argument: Any) -> Any:
            if isinstance(argument, list | tuple):
                return type(argument)(run(a) for a in cast("list[Any]", argument))
            if isinstance(argument, torch.device):
                return torch.device("cpu")
            if not isinstance(argument, torch.fx.Node):
                return argument
            if argument in cache:
                return cache[argument]
            if isinstance(argument.meta.get("val"), torch.SymInt):
                result: Any = self.size(argument).substitute(names).constant
            elif argument.op == "placeholder":
                result = self.captured.constant(argument.name)
                if result is None or argument.name in signature.inputs_to_parameters:
                    raise LookupError(argument.name)
            else:
                kwargs = {k: run(v) for k, v in argument.kwargs.items()}
                result = cast(Any, argument.target)(*run(tuple(argument.args)), **kwargs)
            cache[argument] = result
            return result

        try:
            with torch.no_grad():
                return cast(Tensor, run(node))
        except Exception:
            return None

    # -- weights and constants ----------------------------------------------------------------------------------------

    def parameter(self, target: str, dims: Sequence[Size], elem: Attribute) -> Value:
        """`nn.param` of the weight with this name, which is defined on its first use."""
        entry = self.entries.get(target, Entry(target, elem))
        symbol = entry.name
        if symbol not in self.params:
            location = locations.named(target)
            kind = tensor(entry.elem, dims)
            if symbol not in self.weights:
                body: list[Operation] = [nn.EntryOp(entry.name, kind, location=location)]
                if entry.elem != elem:
                    body.append(nn.CastOp(body[-1].results[0], elem=elem, location=location))
                body.append(nn.YieldOp(body[-1].results[0], location=location))
                self.weights[symbol] = nn.WeightOp(symbol, body, location=location)
            self.params[symbol] = Value(self._at(nn.ParamOp(symbol, tensor(elem, dims), location=location)), tuple(dims))
        return self.params[symbol]

    def _at(self, op: Operation) -> Any:
        """Insert an op that has its location; its result."""
        self.block.add_op(op)
        return op.results[0]

    def held(self, param: nn.ParamOp) -> np.ndarray | None:
        """The numbers of a parameter that is a constant of the program; None for the weights of a model."""
        entry = self.weights[param.weight.root_reference.data].yielded.owner
        return self.sidecar.get(entry.entry.data) if isinstance(entry, nn.EntryOp) else None

    def transposed_weight(self, value: Value) -> Value | None:
        """The transpose of a 2-D weight, as a weight of its own; None where the value is none."""
        source = value.ssa.owner
        if not isinstance(source, nn.ParamOp) or value.rank != 2:
            return None
        symbol = source.weight.root_reference.data
        name = symbol + ".transposed"
        dims = (value.dims[1], value.dims[0])
        if name not in self.params:
            original = self.weights[symbol]
            body = original.body.clone()
            last = body.block.last_op
            assert isinstance(last, nn.YieldOp)
            turn = nn.TransposeOp(last.values[0], (1, 0), location=original.location)
            body.block.insert_op_before(turn, last)
            last.operands = [turn.result]
            self.weights[name] = nn.WeightOp(name, body, location=original.location)
            self.params[name] = Value(self._at(nn.ParamOp(name, tensor(value.elem, dims), location=original.location)), dims)
        return self.params[name]

    def constant(self, array: np.ndarray, elem: Attribute) -> Value:
        """A constant: in the text if it is small, else an entry of the sidecar named by its content."""
        dims = tuple(Size.of(n) for n in array.shape)
        if array.dtype == np.int64:
            self.b.refuse_wide(array)
            array = array.astype(np.int32)
        flat = array.reshape(-1)
        if array.size <= LARGEST_CONSTANT or bool(np.all(flat == flat[0])):
            return Value(self.b.constant(array, elem, array.shape), dims)
        digest = "sha256:" + hashlib.sha256(str((array.dtype, array.shape)).encode() + array.tobytes()).hexdigest()[:32]
        self.sidecar[digest] = array
        symbol = "constant." + digest[7:15]
        if symbol not in self.weights:
            self.weights[symbol] = nn.WeightOp.entry(symbol, tensor(elem, dims), digest, location=self.b.location)
        return Value(self.b.emit(nn.ParamOp(symbol, tensor(elem, dims))), dims)

    # -- the walk -----------------------------------------------------------------------------------------------------

    def location(self, node: torch.fx.Node | Call) -> LocationAttr:
        """Module path and source line of a node."""
        return node_location(node.node if isinstance(node, Call) else node, self.captured.module)

    def run(self) -> Imported:
        """Import the program."""
        nodes = list(self.program.graph.nodes)
        output = next(n for n in nodes if n.op == "output")
        results: list[Any] = [r for r in output.args[0] if isinstance(r, torch.fx.Node)]
        if self.wanted_outputs is not None:
            results = [results[i] for i in self.wanted_outputs]
        live = live_nodes(results)
        inputs: list[Port] = []
        for node in nodes:
            if node.op == "placeholder":
                self._placeholder(node, live, inputs)
        for node in nodes:
            if node.op == "call_function" and node in live:
                self._call(node)
        return self._finish(results, inputs)

    def _placeholder(self, node: torch.fx.Node, live: set[torch.fx.Node], inputs: list[Port]) -> None:
        signature = self.program.graph_signature
        held = (signature.inputs_to_parameters, signature.inputs_to_buffers, signature.inputs_to_lifted_tensor_constants)
        if any(node.name in names for names in held):
            return  # defined where it is first used
        self.b.location = locations.named(node.name)
        value = node.meta.get("val")
        if not isinstance(value, Tensor):
            if node in live:
                raise LlmcError(
                    "LLMC0334",
                    f"input {node.name} is no tensor",
                    where=self.b.location,
                    fix="let forward take tensors alone; keep the rest in the module",
                )
            return
        dims = self.shape(node)
        axis = 0 if len(dims) > 1 and dims[0] == ONE else None
        kept = [d for i, d in enumerate(dims) if i != axis]
        argument = self.block.insert_arg(tensor(self.elem(node), kept), len(self.block.args))
        name = INPUT_NAMES.get(node.name, node.name)
        argument.name_hint = name
        argument.location = self.b.location
        self.values[node] = Value(argument, dims, axis)
        if node.name in self.captured.natural:
            self.natural.add(argument)
        inputs.append(Port(name, dims, axis))

    def _held(self, node: torch.fx.Node) -> Value:
        """A parameter, buffer or constant of the program, at its first use."""
        signature = self.program.graph_signature
        target = signature.inputs_to_parameters.get(node.name)
        if target is not None:
            return self.parameter(target, self.shape(node), self.elem(node))
        target = signature.inputs_to_buffers.get(node.name) or signature.inputs_to_lifted_tensor_constants[node.name]
        found = self.captured.constant(node.name)
        if found is None or target in self.entries:
            return self.parameter(target, self.shape(node), self.elem(node))
        outer, self.b.location = self.b.location, locations.named(target)
        value = self.constant(to_numpy(found), self.elem(node))
        self.b.location = outer
        return value

    def _call(self, node: torch.fx.Node) -> None:
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt | int | float | bool):
            return
        self.b.location = self.location(node)
        if node.target is operator.getitem:
            self.values[node] = self.values[cast(torch.fx.Node, node.args[0])][cast(int, node.args[1])]
            return
        name = str(node.target)
        handler = TABLE.get(name)
        if handler is None:
            fix = f"add a row for {name} to compiler/frontend/aten/, or rewrite that line with supported ops"
            raise LlmcError(
                "LLMC0335", f"no nn op for {name}", where=self.b.location, why="the ATen table has no row for it", fix=fix
            )
        call = Call(node)
        try:
            result = self.values[node] = handler(self, call)
        except LlmcError:
            raise
        except Exception as error:  # what an op verifies, and what a handler meets in a form of the op that it does not know
            raise LlmcError(
                "LLMC0336", f"cannot import {name}", where=self.b.location, why=str(error), fix="write it with other ops"
            ) from error
        self._refuse_unread(call)
        if isinstance(result, Value) and isinstance(value, Tensor):
            wanted = self.shape(node)
            fits = result.dims == wanted and tuple(result.without(wanted)) == dims_of(result.ssa)
            if not fits or elem_of(result.ssa) != self.elem(node):
                why = f"torch says {[str(d) for d in wanted]} of {value.dtype}, the import made {result.ssa.type}"
                raise LlmcError(
                    "LLMC0337",
                    f"the shape or type of {name} went wrong",
                    where=self.b.location,
                    why=why,
                    fix="report this as a bug",
                )

    def _refuse_unread(self, call: Call) -> None:
        """Raise LLMC0338 for an argument that the handler has passed over."""
        for name, value in call.unread().items():
            shown = "a tensor" if isinstance(value, torch.fx.Node) else value
            raise LlmcError(
                "LLMC0338",
                f"{call.target} with {name} = {shown} is not supported",
                where=self.b.location,
                fix=f"leave {name} at its default, or compute what it does with other ops",
            )

    def _finish(self, results: Sequence[torch.fx.Node], inputs: list[Port]) -> Imported:
        ports: list[Port] = []
        returned: list[Any] = []
        for index, node in enumerate(results):
            self.b.location = locations.named(f"output{index}")
            value = self.value(node)
            self.b.location = (
                value.ssa.owner.location if isinstance(value.ssa.owner, Operation) else locations.named(f"output{index}")
            )
            ssa = value.ssa
            if self.wide_outputs and is_float(elem_of(ssa)) and elem_of(ssa) != f32:
                ssa = self._widened(ssa)
            returned.append(ssa)
            ports.append(Port(f"output{index}", value.dims, value.axis))
        self.b.location = locations.named(type(self.captured.module).__name__)
        self.block.add_op(ReturnOp(*returned))
        cast(Operation, self.block.last_op).location = self.b.location
        self._drop_unused()
        function = FuncOp("main", ([a.type for a in self.block.args], [r.type for r in returned]), Region(self.block))
        function.location = self.b.location
        function.attributes["nn.ranges"] = DictionaryAttr(self._ranges())
        function.attributes["nn.inputs"] = ArrayAttr(StringAttr(p.name) for p in inputs)
        used = {o.weight.root_reference.data for o in self.block.ops if isinstance(o, nn.ParamOp)}
        module = ModuleOp([*(w for n, w in self.weights.items() if n in used), function])
        return Imported(module, inputs, ports, self.sidecar)

    def _widened(self, ssa: Any) -> Any:
        """A float result as f32: a final linear keeps its accumulator instead of rounding it."""
        owner = ssa.owner
        if isinstance(owner, nn.LinearOp) and not list(ssa.uses):
            wide = nn.LinearOp(owner.x, owner.weight, owner.bias, elem=f32, location=owner.location)
            self.block.insert_op_before(wide, owner)
            owner.detach()
            owner.erase()
            return wide.result
        return self.b.cast(ssa, f32)

    def _drop_unused(self) -> None:
        for op in reversed(list(self.block.ops)):
            if not isinstance(op, ReturnOp) and all(next(iter(r.uses), None) is None for r in op.results):
                op.detach()
                op.erase()

    def _ranges(self) -> dict[str, Attribute]:
        ranges: dict[str, Attribute] = {}
        for symbol, name in self.captured.names.items():
            limits = self.program.range_constraints.get(symbol)
            low, high = (int(limits.lower), limits.upper) if limits is not None else (1, None)
            config = getattr(self.captured.module, "config", None)
            longest = getattr(config, "max_position_embeddings", None) if name == "T" else None
            bound = (
                int(cast(Any, high))
                if high is not None and bool(getattr(high, "is_Integer", False)) and int(cast(Any, high)) < 2**31
                else 2**31 - 1
            )
            if isinstance(longest, int):
                bound = min(bound, longest)
            ranges[name] = ArrayAttr([IntegerAttr(max(low, 1), i64), IntegerAttr(bound, i64)])
        return ranges


def import_captured(
    captured: Captured,
    entries: Mapping[str, Entry] | None = None,
    outputs: Sequence[int] | None = None,
    wide_outputs: bool = False,
) -> Imported:
    """Import a captured program.

    `entries` gives parameters their checkpoint names; `outputs` keeps only these results; `wide_outputs` returns floats as f32.
    """
    imported = Importer(captured, entries or {}, outputs, wide_outputs).run()
    imported.module.verify()
    return imported
