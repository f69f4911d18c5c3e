"""Questions to an exported graph: which nodes matter, and where in the model's source they are."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from xdsl.dialects.builtin import LocationAttr

from ...dialects.ir import locations

_SITE = re.compile(r".*/(?:site-packages|dist-packages)/")
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def live_nodes(results: Iterable[torch.fx.Node]) -> set[torch.fx.Node]:
    """The nodes whose tensors these are computed from; sizes come from the inputs' shapes."""
    live: set[torch.fx.Node] = set()
    work = list(results)
    while work:
        node = work.pop()
        if node in live:
            continue
        live.add(node)
        if not isinstance(node.meta.get("val"), torch.SymInt):
            work.extend(node.all_input_nodes)
    return live


def live_calls(program: torch.export.ExportedProgram) -> list[torch.fx.Node]:
    """The calls that results depend on, in order."""
    nodes = list(program.graph.nodes)
    live = live_nodes(n for n in nodes if n.op == "output")
    return [n for n in nodes if n.op == "call_function" and n in live]


def tensors_of(node: torch.fx.Node) -> list[torch.Tensor]:
    """The tensors that a node gives, as torch traced them."""
    value = node.meta.get("val")
    return [v for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, torch.Tensor)]


def node_location(node: torch.fx.Node, module: torch.nn.Module) -> LocationAttr:
    """Module path and source line of a node."""
    stack = cast("dict[str, Any]", node.meta.get("nn_module_stack") or {})
    path = ""
    for entry in stack.values():
        path = str(entry[0]) or path
    path = path.removeprefix("L['self'].").removeprefix("L['self']") or type(module).__name__
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    frames = [f for f in frames if "/torch/" not in f[0] and "llmc" not in f[0] and "/compiler/frontend/" not in f[0]] or frames
    if not frames:
        return locations.named(path)
    return _at(path, frames[-1][0], int(frames[-1][1]))


def source_line(error: BaseException, name: str) -> LocationAttr | None:
    """The innermost line of a traceback that is neither torch's nor ours, which is the model's."""
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    ours = str(Path(__file__).resolve().parents[2])
    found = [f for f in frames if "/torch/" not in f[0] and not str(Path(f[0]).resolve()).startswith(ours + "/compiler/")]
    return _at(name, *found[-1]) if found and found[-1][1] is not None else None


def _at(name: str, file: str, line: int | None) -> LocationAttr:
    short = _SITE.sub("", file)
    return locations.named(name, short if short != file else file.rsplit("/", 1)[-1], line or 0, 0)
