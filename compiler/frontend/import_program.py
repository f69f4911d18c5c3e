"""ExportedProgram → `nn` module: walks the live nodes and calls the ATen table (aten/) for each."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    f32,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, Region

from ...dialects.ir import locations
from ...dialects.ir.diagnostics import LlmcError
from ...dialects.nn import ops as nn
from ...dialects.nn.base import is_float
from ...dialects.nn.types import dims_of, elem_of, tensor
from .aten import TABLE
from .call import Call
from .captured import Captured
from .graph import live_nodes
from .importer import Entry, Imported, Importer, Port
from .values import ONE, Value

INPUT_NAMES = {"input_ids": "ids", "position_ids": "positions", "inputs_embeds": "embeddings"}
"""Names of arguments where ours is shorter than Hugging Face's."""


class ProgramImporter(Importer):
    """The walk over one program."""

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
    imported = ProgramImporter(captured, entries or {}, outputs, wide_outputs).run()
    imported.module.verify()
    return imported
