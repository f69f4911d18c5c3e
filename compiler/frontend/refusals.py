"""What a captured graph asks for that compiled code would not do as PyTorch does: work as in training, and float64."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, cast

import torch
from torch.fx.node import map_aggregate

from ...dialects.ir.diagnostics import LlmcError
from .graph import live_calls, node_location, tensors_of

Program = torch.export.ExportedProgram

# Training ---------------------------------------------------------------------------------------------------------------


def refuse_training(program: Program, module: torch.nn.Module) -> None:
    """Raise LLMC0248 for a call that works as in training whatever mode the module is in, such as `F.dropout(x)`."""
    for node in program.graph.nodes:
        if _trains(node):
            raise LlmcError(
                "LLMC0248",
                f"{node.target} works as in train mode",
                node_location(node, module),
                why="llmc compiles what a module computes in eval mode, and this line does not ask for the mode",
                fix="give it training=self.training (or dropout_p=0.0), and call .eval() on the module",
            )


def refuse_other_modes(plain: Program, found: Program, module: torch.nn.Module) -> None:
    """Raise LLMC0248 where a module computes something else in its present mode (`found`) than in eval mode (`plain`)."""
    node = _first_difference(plain, found)
    if node is None:
        return
    stack = list(cast("dict[str, Any]", node.meta.get("nn_module_stack") or {}).values())
    kind = stack[-1][1] if stack else type(module)
    name = kind.__name__ if isinstance(kind, type) else str(kind).rsplit(".", 1)[-1]
    raise LlmcError(
        "LLMC0248",
        f"{name} works as in train mode",
        node_location(node, module),
        why="llmc compiles what a module computes in eval mode, which is something else here",
        fix="call .eval() on the module first",
    )


def _arguments(node: torch.fx.Node) -> dict[str, Any]:
    """The arguments of a call to an op, by the names of its schema."""
    if not isinstance(node.target, torch._ops.OpOverload):  # pyright: ignore[reportPrivateUsage] it has no public name
        return dict(enumerate(node.args)) | dict(node.kwargs)  # pyright: ignore
    names = [(a.name, a.default_value) for a in cast(Any, node.target)._schema.arguments]
    given = {name: default for name, default in names}
    return given | {name: value for (name, _), value in zip(names, node.args)} | dict(node.kwargs)


def _drops_nothing(given: dict[str, Any]) -> bool:
    """Whether a call with a dropout drops nothing, so that its mode does not matter."""
    return any(name in given and given[name] == 0 for name in ("p", "dropout"))


def _trains(node: torch.fx.Node) -> bool:
    if node.op != "call_function":
        return False
    given = _arguments(node)
    if given.get("dropout_p"):  # of scaled_dot_product_attention
        return True
    if "running_mean" in given:  # without running statistics a norm works on the batch in eval mode, too
        return given["running_mean"] is not None and bool(given.get("training") or given.get("use_input_stats"))
    return bool(given.get("train") or given.get("training")) and not _drops_nothing(given)


def _first_difference(plain: Program, found: Program) -> torch.fx.Node | None:
    places = {node: i for program in (plain, found) for i, node in enumerate(program.graph.nodes)}

    def meaning(node: torch.fx.Node | None) -> Any:
        if node is None or node.op != "call_function":
            return None if node is None else node.op
        given = _arguments(node)
        if _drops_nothing(given):
            given = {name: value for name, value in given.items() if name != "train"}
        shown = map_aggregate(cast(Any, given), lambda a: ("node", places[a]) if isinstance(a, torch.fx.Node) else a)
        return str(node.target), shown

    for first, second in zip_longest(plain.graph.nodes, found.graph.nodes):
        if meaning(first) != meaning(second):
            return second if second is not None and second.op == "call_function" else first
    return None


# float64 ----------------------------------------------------------------------------------------------------------------

MOVES = frozenset({
    "alias", "chunk", "clone", "contiguous", "detach", "flatten", "flip", "gather", "index", "index_select",
    "lift_fresh_copy", "movedim", "narrow", "permute", "reshape", "reshape_as", "select", "slice", "split", "split_with_sizes",
    "squeeze", "swapaxes", "t", "transpose", "unbind", "unflatten", "unsqueeze", "view", "view_as", "_unsafe_view",
    "to", "_to_copy", "type_as", "float",
})  # fmt: skip
"""Ops that hand float64 on as it is, or turn it into another type."""


def refuse_float64(program: Program, module: torch.nn.Module) -> None:
    """Raise LLMC0339 for an op that computes in float64; casts from and to it, and ops that only move it, are exact."""
    for node in live_calls(program):
        name = str(node.target).split(".")[1] if str(node.target).startswith("aten.") else str(node.target)
        if name in MOVES or "getitem" in name:
            continue
        operands = [t for n in node.all_input_nodes for t in tensors_of(n) if t.ndim > 0]
        if any(t.dtype == torch.float64 for t in [*tensors_of(node), *operands]):
            raise LlmcError(
                "LLMC0339",
                f"{node.target} computes in float64",
                node_location(node, module),
                why="the kernels compute in float32 at most, so that the result would look more precise than it is",
                fix="call .float() on the module, and on its inputs or this operand",
            )
