"""What the import of a program knows: values of nodes, named sizes, weights, constants; and the ops it has made.

Every op carries `NameLoc(module path, file:line)` from its node; sizes are named; parameters become `nn.weight`s with the
names of the checkpoint; int64 indices become i32; the batch dimension of size 1 is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import ml_dtypes
import numpy as np
import torch
from torch import Tensor
from xdsl.dialects.builtin import (
    LocationAttr,
    ModuleOp,
    bf16,
    f16,
    f32,
    f64,
    i1,
    i8,
    i32,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ...dialects.ir import locations
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.nn import ops as nn
from ...dialects.nn.sizes import Size
from ...dialects.nn.types import tensor
from ...dialects.nn.weights import LARGEST_CONSTANT
from .call import Call
from .captured import Captured
from .graph import node_location
from .values import ONE, Builder, Value

ELEMS: dict[torch.dtype, Attribute] = {
    torch.float32: f32, torch.float16: f16, torch.bfloat16: bf16, torch.float64: f64, torch.bool: i1,
    torch.int64: i32, torch.int32: i32, torch.int16: i32, torch.uint8: i32, torch.int8: i8,
}  # fmt: skip
"""torch dtype → element type. Indices are 32 bits wide on our side."""


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

    def location(self, node: torch.fx.Node | Call) -> LocationAttr:
        """Module path and source line of a node."""
        return node_location(node.node if isinstance(node, Call) else node, self.captured.module)

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
